#include "toolkit/judgement.h"

#include <cstring>
#include <fstream>
#include <optional>

#include "base/digest.h"
#include "embed/encoder.h"
#include "embed/pooling.h"
#include "formats/json.h"
#include "toolkit/score.h"

namespace octavo {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kFormat = "octavo-search-2";

// Texts on which the engine with exchanged constants is compared with one made the whole way.
constexpr size_t kCompared = 8;

std::optional<std::vector<double>> numbers(const json& line, const char* name) {
  const json list = line.value(name, json());
  if (!list.is_array()) return {};
  std::vector<double> out;
  for (const json& number : list) {
    if (!number.is_number()) return {};
    out.push_back(number.get<double>());
  }
  return out;
}

}  // namespace

Result<Judgement> Judgement::create(Subject subject, const fs::path& log,
                                    std::shared_ptr<ThreadPool> pool) {
  Judgement judgement(std::move(subject), std::move(pool));
  EncoderOptions options;
  options.pool = judgement.pool_;
  options.exact_onnx = false;
  const Subject& of = judgement.subject_;
  OCTAVO_TRY(const Encoder encoder, Encoder::create(of.fp32, of.pooling, options));
  OCTAVO_TRY(judgement.reference_, encoder.encode(of.texts));
  judgement.width_ = encoder.width();
  if (!log.empty()) OCTAVO_CHECK(judgement.open_log(log));
  return judgement;
}

Result<std::string> Judgement::key() const {
  std::string bytes = subject_.per_token ? "per-token" : "per-tensor";
  bytes.append(reinterpret_cast<const char*>(reference_.data()), reference_.size() * sizeof(float));
  return hash_of(bytes + subject_.inputs, HashKind::sha256);
}

Status check_search_log(const fs::path& log) {
  std::error_code error;
  if (log.empty()) return Done{};
  if (!fs::exists(log, error)) {
    const fs::path folder = log.has_parent_path() ? log.parent_path() : ".";
    if (fs::is_directory(folder, error)) return Done{};
    return Error{Code::not_found, log.string() + ": there is no folder " + folder.string() +
                                      " to keep the log of a search in"};
  }
  if (fs::is_regular_file(log, error)) {  // opening a FIFO would wait for a writer
    // A run that was stopped may have left a part of the first line.
    const std::string begin = R"({"format":"octavo-search-)";
    std::string found(begin.size(), '\0');
    std::ifstream in(log, std::ios::binary);
    in.read(found.data(), static_cast<std::streamsize>(found.size()));
    found.resize(static_cast<size_t>(in.gcount()));
    if (begin.starts_with(found)) return Done{};
  }
  return Error{Code::invalid_input, log.string() +
                                        ": is no log of a search, and would be overwritten; name "
                                        "another file"};
}

Status Judgement::open_log(const fs::path& log) {
  log_ = log;
  OCTAVO_CHECK(check_search_log(log));
  OCTAVO_TRY(const std::string mine, key());
  std::ifstream in(log, std::ios::binary);
  bool same = false;
  bool whole = true;
  size_t sound = 0;
  std::string line;
  for (bool first = true; std::getline(in, line); first = false) {
    // A line without its end, or one that is no JSON, is where the last run was stopped.
    const auto entry = parse_json(line, log.string());
    if (in.eof() || !entry || !entry->is_object()) {
      whole = false;
      break;
    }
    if (first) {
      same =
          json_string(*entry, "format", "") == kFormat && json_string(*entry, "inputs", "") == mine;
      if (!same) break;
    } else {
      const auto choice = numbers(*entry, "choice");
      const auto losses = numbers(*entry, "losses");
      if (!choice || !losses || losses->empty() || losses->size() > subject_.texts.size()) {
        whole = false;
        break;
      }
      (losses->size() == subject_.texts.size() ? known_ : known_parts_)[*choice] = *losses;
    }
    sound += line.size() + 1;
  }
  in.close();
  std::error_code error;
  if (same && !whole) fs::resize_file(log, sound, error);
  if (!same) {
    std::ofstream out(log, std::ios::binary | std::ios::trunc);
    out << json{{"format", kFormat}, {"inputs", mine}}.dump() << "\n";
    if (!out.flush()) return Error{Code::io, log.string() + ": cannot be written"};
  }
  if (error) return Error{Code::io, log.string() + ": " + error.message()};
  return Done{};
}

Status Judgement::remember(std::span<const double> choice, std::span<const double> losses) {
  if (log_.empty()) return Done{};
  const json line = {{"choice", std::vector<double>(choice.begin(), choice.end())},
                     {"losses", std::vector<double>(losses.begin(), losses.end())}};
  std::ofstream out(log_, std::ios::binary | std::ios::app);
  out << line.dump() << "\n";
  if (!out.flush()) return Error{Code::io, log_.string() + ": cannot be written"};
  return Done{};
}

Result<FusedModel> Judgement::fused(std::span<const double> choice) {
  if (subject_.wide) {
    if (!variants_) {
      const std::vector<double> narrow(choice.size(), 0);
      OCTAVO_TRY(const Model model, subject_.make(narrow));
      OCTAVO_TRY(variants_, FusedVariants::create(model, {}, pool_));
    }
    return variants_->widened(subject_.wide(choice));
  }
  OCTAVO_TRY(const Model model, subject_.make(choice));
  if (!variants_) {
    OCTAVO_TRY(variants_, FusedVariants::create(model, {}, pool_));
    return variants_->first();
  }
  if (!exchange_) return make_fused(model, {}, pool_);
  OCTAVO_TRY(FusedModel made, variants_->of(model));
  if (compared_) return made;
  compared_ = true;
  OCTAVO_TRY(FusedModel whole, make_fused(model, {}, pool_));
  const std::span few(subject_.texts.data(), std::min<size_t>(subject_.texts.size(), kCompared));
  OCTAVO_TRY(const auto rows, encode(made, few));
  OCTAVO_TRY(const auto wanted, encode(whole, few));
  exchange_ = rows == wanted;
  return whole;
}

// The whole text has one scale in a file of per-tensor activations: it runs alone, all of its rows.
Result<std::vector<float>> Judgement::encode(const FusedModel& fused,
                                             std::span<const std::vector<int64_t>> texts) const {
  if (subject_.per_token) {
    EncoderOptions options;
    options.pool = pool_;
    return Encoder::of_fused(fused, subject_.pooling, options).encode(texts);
  }
  const size_t width = fused.encoder->spec().hidden;
  std::vector<float> rows(texts.size() * width);
  std::vector<std::optional<Error>> errors(texts.size());
  pool_->parallel_for(texts.size(), 1, [&](size_t begin, size_t end) {
    std::vector<float> hidden;
    for (size_t i = begin; i < end; ++i) {
      const std::vector<int64_t>& ids = texts[i];
      hidden.resize(ids.size() * width);
      fused::RunOptions run;
      run.exact_onnx = true;
      const size_t offsets[] = {0, ids.size()};
      if (Status status = fused.encoder->run(ids, offsets, *pool_, run, hidden.data()); !status) {
        errors[i] = std::move(status).error();
        continue;
      }
      octavo::pool(subject_.pooling, hidden.data(), ids.size(), {&rows[i * width], width});
    }
  });
  for (std::optional<Error>& error : errors)
    if (error) return *std::move(error);
  return rows;
}

Result<std::vector<double>> Judgement::losses(std::span<const double> choice) {
  const std::vector<double> wanted(choice.begin(), choice.end());
  if (const auto known = known_.find(wanted); known != known_.end()) return known->second;
  OCTAVO_TRY(const auto losses, measure(choice, 1));
  known_[wanted] = losses;
  return losses;
}

Result<std::vector<double>> Judgement::losses_of_part(std::span<const double> choice,
                                                      size_t every) {
  const std::vector<double> wanted(choice.begin(), choice.end());
  if (const auto all = known_.find(wanted); all != known_.end()) {
    std::vector<double> part;
    for (size_t i = 0; i < all->second.size(); i += every) part.push_back(all->second[i]);
    return part;
  }
  const size_t count = (subject_.texts.size() + every - 1) / every;
  if (const auto known = known_parts_.find(wanted);
      known != known_parts_.end() && known->second.size() == count)
    return known->second;
  OCTAVO_TRY(const auto losses, measure(choice, every));
  known_parts_[wanted] = losses;
  return losses;
}

Result<std::vector<double>> Judgement::measure(std::span<const double> choice, size_t every) {
  std::vector<std::vector<int64_t>> texts;
  std::vector<float> wanted;
  for (size_t i = 0; i < subject_.texts.size(); i += every) {
    texts.push_back(subject_.texts[i]);
    const auto row = reference_.begin() + static_cast<std::ptrdiff_t>(i * width_);
    wanted.insert(wanted.end(), row, row + static_cast<std::ptrdiff_t>(width_));
  }
  std::vector<float> rows;
  const Result<FusedModel> engine =
      plain_ ? Result<FusedModel>(Error{Code::unsupported, ""}) : fused(choice);
  if (engine) {
    OCTAVO_TRY(rows, encode(*engine, texts));
  } else if (engine.error().code != Code::unsupported) {
    return engine.error();
  } else if (subject_.per_token) {
    // A graph that cannot be raised would run with the scales that were not asked for.
    return Error{Code::unsupported,
                 "a search for per-token activations runs in the engine, which cannot take this "
                 "graph: " +
                     engine.error().message};
  } else {
    plain_ = true;
    OCTAVO_TRY(Model model, subject_.make(choice));
    EncoderOptions options;
    options.pool = pool_;
    OCTAVO_TRY(const Encoder encoder, Encoder::create(std::move(model), subject_.pooling, options));
    OCTAVO_TRY(rows, encoder.encode(texts));
  }
  std::vector<double> losses = score(rows, wanted, width_).cosines;
  for (double& value : losses) value = 1 - value;
  OCTAVO_CHECK(remember(choice, losses));
  return losses;
}

}  // namespace octavo
