#include "octavo/evaluate.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

#include "base/digest.h"
#include "base/progress.h"
#include "embed/model_dir.h"
#include "octavo/embedder.h"
#include "toolkit/retrieval_score.h"
#include "toolkit/retrieval_set.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// Texts embedded between two calls of the progress function.
constexpr size_t kChunk = 64;

using Report = EvaluateReport;
using Numbers = EvaluateReport::Numbers;

// Indices of queries and documents.
struct Members {
  std::string by, name;
  std::vector<size_t> queries, documents;
};

std::vector<Members> members_of(const RetrievalSet& set) {
  std::vector<size_t> every_query(set.queries.size());
  std::iota(every_query.begin(), every_query.end(), size_t{0});
  std::vector<size_t> every_document(set.documents.size());
  std::iota(every_document.begin(), every_document.end(), size_t{0});
  std::vector<Members> out = {{"all", "", every_query, every_document}};
  std::set<std::string> languages;
  std::set<std::string> kinds;
  for (const auto& query : set.queries) {
    languages.insert(query.language);
    kinds.insert(query.kind);
  }
  for (const auto& language : languages) {
    Members group{"language", language, {}, {}};
    for (const size_t q : every_query)
      if (set.queries[q].language == language) group.queries.push_back(q);
    for (const size_t d : every_document)
      if (set.document_languages[d] == language) group.documents.push_back(d);
    out.push_back(std::move(group));
  }
  if (kinds.size() < 2) return out;
  for (const auto& kind : kinds) {
    Members group{"kind", kind, {}, {}};
    for (const size_t q : every_query)
      if (set.queries[q].kind == kind) group.queries.push_back(q);
    out.push_back(std::move(group));
  }
  return out;
}

// All numbers of one model, a query each.
struct Measured {
  std::vector<QueryScore> queries;
  std::vector<double> overlaps, correlations;  // empty for the reference
};

double mean_of(std::span<const size_t> chosen, auto&& value) {
  double sum = 0;
  for (const size_t q : chosen) sum += value(q);
  return sum / static_cast<double>(chosen.size());
}

class Evaluation {
 public:
  Evaluation(fs::path folder, const EvaluateOptions& options, const Progress& progress,
             RetrievalSet set)
      : folder_(std::move(folder)),
        options_(options),
        progress_(progress),
        set_(std::move(set)),
        groups_(members_of(set_)) {}

  Result<Report> run() {
    OCTAVO_TRY(report_.set_sha256, hash_of_file(options_.set, HashKind::sha256));
    report_.set = set_.name;
    report_.documents = set_.documents.size();
    report_.queries = set_.queries.size();
    report_.resamples = options_.resamples;
    report_.seed = options_.seed;
    OCTAVO_TRY(const auto reference, reference_model());
    report_.has_reference = reference.has_value();
    std::vector<Subject> names;
    if (reference) names.push_back(*reference);
    for (const auto& name : variant_names()) names.push_back({name, locate(name)});
    if (names.size() == (report_.has_reference ? 1U : 0U))
      return Error{Code::not_found,
                   folder_.string() +
                       ": has neither model.int8.onnx nor model.int8.vanilla.onnx; name the models "
                       "to evaluate"};
    for (size_t i = 0; i < names.size(); ++i) OCTAVO_CHECK(add(names[i], i + 1, names.size()));
    return std::move(report_);
  }

 private:
  // A model to evaluate: as it is called, and where it is.
  struct Subject {
    std::string name;
    fs::path file;
  };

  // Of a folder its FP32 model; nullopt when there is none to compare with.
  Result<std::optional<Subject>> reference_model() const {
    std::error_code ignored;
    const bool asked = !options_.against.empty();
    const fs::path given = asked ? options_.against : fs::path("model.onnx");
    if (!asked && !fs::exists(folder_ / given, ignored)) return std::optional<Subject>();
    // "." is where the caller is, not the model folder.
    const fs::path place =
        fs::is_directory(given, ignored) ? fs::absolute(given, ignored) : locate(given.string());
    if (!fs::is_directory(place, ignored)) return std::optional(Subject{given.string(), place});
    OCTAVO_TRY(const fs::path file, octavo::reference_model(place));
    return std::optional(Subject{(given / file.lexically_relative(place)).string(), file});
  }

  std::vector<std::string> variant_names() const {
    if (!options_.variants.empty()) return options_.variants;
    std::vector<std::string> out;
    std::error_code ignored;
    for (const char* name : {"model.int8.onnx", "model.int8.vanilla.onnx"})
      if (fs::exists(folder_ / name, ignored)) out.emplace_back(name);
    return out;
  }

  // Inside the folder if it is there, else a path of the caller's.
  fs::path locate(const std::string& name) const {
    std::error_code ignored;
    const fs::path inside = folder_ / name;  // an absolute name stays what it is
    return fs::absolute(fs::exists(inside, ignored) ? inside : fs::path(name), ignored);
  }

  Status add(const Subject& subject, size_t number, size_t count) {
    const std::string& name = subject.name;
    OCTAVO_TRY(const Embedder embedder, Embedder::open(folder_, {.model_file = subject.file,
                                                                 .threads = options_.threads,
                                                                 .exact_onnx = options_.exact_onnx,
                                                                 .cache = false}));
    const bool first = number == 1;
    const std::string stage =
        "embed (model " + std::to_string(number) + " of " + std::to_string(count) + ")";
    OCTAVO_TRY(const std::string for_queries, prompt(embedder, options_.query_prompt, {"query"}));
    OCTAVO_TRY(const std::string for_documents,
               prompt(embedder, options_.document_prompt, {"document", "passage"}));
    done_ = 0;
    std::vector<std::string> queries;
    for (const auto& query : set_.queries) queries.push_back(query.text);
    OCTAVO_TRY(const auto asked,
               embed(embedder, queries, for_queries, stage, first).within(name + ": queries"));
    OCTAVO_TRY(
        const auto rows,
        embed(embedder, set_.documents, for_documents, stage, first).within(name + ": documents"));
    const Measured measured = measure(asked, rows, embedder.width());
    Report::Variant variant{name, embedder.explain(), size_of(subject.file), {}};
    if (const size_t packed = variant.how.find("; packed"); packed != std::string::npos)
      variant.how.erase(packed);  // where they lie differs between machines
    for (const Members& group : groups_)
      variant.groups.push_back(numbers_of(group, measured, rows, embedder.width()));
    if (first) {
      report_.notes = embedder.warnings();
      reference_ = measured;
    }
    report_.variants.push_back(std::move(variant));
    return Done{};
  }

  static Result<std::string> prompt(const Embedder& embedder,
                                    const std::optional<std::string>& asked,
                                    std::initializer_list<const char*> usual) {
    if (asked) return *asked;
    const auto known = embedder.prompt_names();
    for (const char* name : usual)
      if (std::find(known.begin(), known.end(), name) != known.end()) return std::string(name);
    return std::string();
  }

  Result<std::vector<float>> embed(const Embedder& embedder, std::span<const std::string> texts,
                                   const std::string& prompt_name, const std::string& stage,
                                   bool count) {
    const size_t total = set_.documents.size() + set_.queries.size();
    std::vector<float> rows;
    rows.reserve(texts.size() * embedder.width());
    for (size_t at = 0; at < texts.size(); at += kChunk) {
      report(progress_, stage, done_, total);
      const auto chunk = texts.subspan(at, std::min(kChunk, texts.size() - at));
      OCTAVO_TRY(const Embeddings part,
                 embedder.embed(chunk, {.prompt_name = prompt_name, .normalize = true}));
      rows.insert(rows.end(), part.values.begin(), part.values.end());
      if (count) {
        report_.tokens += part.tokens;
        report_.truncated += part.truncated.size();
      }
      done_ += chunk.size();
    }
    report(progress_, stage, done_, total);
    return rows;
  }

  static uint64_t size_of(const fs::path& file) {
    std::error_code error;
    uint64_t bytes = 0;
    for (const fs::path& part : {file, fs::path(file.string() + ".data")}) {
      const auto size = fs::file_size(part, error);
      if (!error) bytes += size;
    }
    return bytes;
  }

  Measured measure(std::span<const float> asked, std::span<const float> rows, size_t width) const {
    Measured out;
    std::vector<double> scores(set_.documents.size());
    const bool compare = report_.has_reference && !report_.variants.empty();
    for (size_t q = 0; q < set_.queries.size(); ++q) {
      dot_products(rows, asked.subspan(q * width, width), scores);
      out.queries.push_back(score_query(scores, set_.queries[q].relevant));
      if (!compare) continue;
      out.overlaps.push_back(overlap10(reference_.queries[q], out.queries[q]));
      out.correlations.push_back(rank_correlation(reference_.queries[q], scores));
    }
    return out;
  }

  Report::Group numbers_of(const Members& members, const Measured& measured,
                           std::span<const float> rows, size_t width) const {
    Report::Group group{members.by,
                        members.name,
                        members.queries.size(),
                        members.documents.size(),
                        anisotropy(rows, width, members.documents),
                        {}};
    Numbers& n = group.numbers;
    const auto fill = [&](double QueryScore::*value, double& mean, Report::Change& change) {
      mean = mean_of(members.queries, [&](size_t q) { return measured.queries[q].*value; });
      if (measured.overlaps.empty()) return;
      std::vector<double> differences;
      for (const size_t q : members.queries)
        differences.push_back(measured.queries[q].*value - reference_.queries[q].*value);
      change = bootstrap_change(differences, options_.resamples, options_.seed);
    };
    fill(&QueryScore::ndcg10, n.ndcg10, n.ndcg10_change);
    fill(&QueryScore::recall1, n.recall1, n.recall1_change);
    fill(&QueryScore::recall10, n.recall10, n.recall10_change);
    if (measured.overlaps.empty()) return group;
    n.overlap10 = mean_of(members.queries, [&](size_t q) { return measured.overlaps[q]; });
    n.rank_correlation =
        mean_of(members.queries, [&](size_t q) { return measured.correlations[q]; });
    return group;
  }

  fs::path folder_;
  const EvaluateOptions& options_;
  const Progress& progress_;
  RetrievalSet set_;
  std::vector<Members> groups_;
  Report report_;
  Measured reference_;
  size_t done_ = 0;
};

}  // namespace

Result<EvaluateReport> evaluate_model(const fs::path& folder, const EvaluateOptions& options,
                                      const Progress& progress) {
  OCTAVO_TRY(auto set, read_retrieval_set(options.set));
  return Evaluation(folder, options, progress, std::move(set)).run();
}

}  // namespace octavo
