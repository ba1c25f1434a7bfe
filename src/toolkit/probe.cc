#include "toolkit/probe.h"

#include <algorithm>
#include <utility>

#include "base/thread_shortage.h"
#include "embed/encoder.h"
#include "tensor/compare.h"
#include "toolkit/score.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

std::vector<double> norms_of(std::span<const float> rows, size_t width) {
  std::vector<double> norms;
  for (size_t at = 0; at < rows.size(); at += width) norms.push_back(norm(rows.subspan(at, width)));
  return norms;
}

// One text a run, so that progress moves, where that costs nothing; rows as Encoder gives them.
Result<std::vector<float>> encode_each(const Encoder& encoder,
                                       std::span<const std::vector<int64_t>> ids,
                                       std::string_view stage, const Progress& progress) {
  if (encoder.streams()) {
    report(progress, stage, 0, ids.size());
    OCTAVO_TRY(auto all, encoder.encode(ids));
    report(progress, stage, ids.size(), ids.size());
    return all;
  }
  std::vector<float> rows;
  rows.reserve(ids.size() * encoder.width());
  for (size_t i = 0; i < ids.size(); ++i) {
    report(progress, stage, i, ids.size());
    OCTAVO_TRY(const auto row,
               encoder.encode(ids.subspan(i, 1)).within("text " + std::to_string(i + 1)));
    rows.insert(rows.end(), row.begin(), row.end());
  }
  report(progress, stage, ids.size(), ids.size());
  return rows;
}

struct Cut {
  size_t text, from, to;
};

// One note for all, whatever their number: three hundred lines are read by nobody.
std::string note_of(const std::vector<Cut>& cuts) {
  constexpr size_t kNamed = 8;
  const auto& longest = *std::ranges::max_element(cuts, {}, &Cut::from);
  const std::string lengths =
      std::to_string(longest.from) + " to " + std::to_string(longest.to) + " tokens";
  if (cuts.size() == 1) return "text " + std::to_string(longest.text + 1) + ": cut from " + lengths;
  std::string names;
  for (size_t i = 0; i < std::min(cuts.size(), kNamed); ++i)
    names += (i == 0 ? "" : ", ") + std::to_string(cuts[i].text + 1);
  if (cuts.size() > kNamed) names += ", ...";
  return std::to_string(cuts.size()) + " texts (" + names + "): cut, the longest from " + lengths;
}

// The ids of every text; what was cut is noted, never silent.
Result<std::vector<std::vector<int64_t>>> tokenize(const Tokenizer& tokenizer,
                                                   std::span<const std::string> texts,
                                                   size_t max_length,
                                                   std::vector<std::string>& notes) {
  std::vector<std::vector<int64_t>> out;
  std::vector<Cut> cuts;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string where = "text " + std::to_string(i + 1);
    OCTAVO_TRY(auto encoding, tokenizer.encode(texts[i], max_length).within(where));
    if (encoding.ids.empty())
      return Error{Code::invalid_input, where + ": has no tokens, so it has no embedding"};
    if (encoding.truncated()) cuts.push_back({i, encoding.full_length, encoding.ids.size()});
    out.push_back(std::move(encoding.ids));
  }
  if (!cuts.empty()) notes.push_back(note_of(cuts));
  return out;
}

// The reference model's own tokenizer, if it has one: it must cut the texts in the same way.
Status check_tokenizer_beside(const fs::path& onnx_file, const TextProbe& probe) {
  const fs::path json = onnx_file.parent_path() / "tokenizer.json";
  std::error_code ignored;
  if (!fs::exists(json, ignored) ||
      fs::equivalent(json.parent_path(), probe.settings.folder, ignored))
    return Done{};
  OCTAVO_TRY(const auto tokenizer, Tokenizer::open(json));
  Reference theirs;
  theirs.name = json.string();
  theirs.texts = probe.reference.texts;
  std::vector<std::string> ignored_notes;
  OCTAVO_TRY(theirs.ids,
             tokenize(tokenizer, theirs.texts, probe.settings.max_length, ignored_notes));
  return check_same_ids(probe.reference.ids, theirs, probe.tokenizer);
}

Status fill_from_model(TextProbe& probe, const VerifyOptions& options, const Progress& progress) {
  Reference& reference = probe.reference;
  reference.name = options.against.string();
  reference.texts = options.texts.empty() ? default_probe_texts() : options.texts;
  OCTAVO_TRY(reference.ids,
             tokenize(probe.tokenizer, reference.texts, probe.settings.max_length, probe.notes));
  OCTAVO_CHECK(check_tokenizer_beside(options.against, probe));
  OCTAVO_TRY(const auto encoder, Encoder::open(options.against, probe.settings.pooling,
                                               {.pool = probe.pool, .stream = true}));
  reference.width = encoder.width();
  OCTAVO_TRY(
      reference.rows,
      encode_each(encoder, reference.ids, "reference", progress).within(options.against.string()));
  reference.norms = norms_of(reference.rows, reference.width);
  return Done{};
}

Status fill_from_file(TextProbe& probe, const VerifyOptions& options) {
  OCTAVO_TRY(probe.reference, read_reference(options.reference, probe.settings.pooling));
  if (!options.texts.empty() && options.texts != probe.reference.texts)
    return Error{Code::invalid_input,
                 options.reference.string() +
                     ": holds other texts than the ones given; leave the texts out, or make the "
                     "reference again with tools/dump_reference.py --texts"};
  OCTAVO_TRY(const auto ids, tokenize(probe.tokenizer, probe.reference.texts,
                                      probe.settings.max_length, probe.notes));
  return check_same_ids(ids, probe.reference, probe.tokenizer);
}

}  // namespace

Result<TextProbe> make_probe(const fs::path& folder, const VerifyOptions& options,
                             const Progress& progress) {
  if (options.against.empty() == options.reference.empty())
    return Error{Code::invalid_input,
                 "needs one reference to compare with: an FP32 ONNX model (--against) or a file of "
                 "tools/dump_reference.py (--reference)"};
  OCTAVO_TRY(auto settings, read_model_dir(folder));
  OCTAVO_TRY(auto tokenizer, Tokenizer::open(settings.tokenizer_file));
  TextProbe probe{std::move(tokenizer),
                  std::move(settings),
                  {},
                  std::make_shared<ThreadPool>(options.threads),
                  {}};
  probe.notes = probe.settings.warnings;
  if (const std::string fewer = thread_shortage(*probe.pool, options.threads); !fewer.empty())
    probe.notes.push_back(fewer);
  if (options.reference.empty()) {
    OCTAVO_CHECK(fill_from_model(probe, options, progress));
  } else {
    OCTAVO_CHECK(fill_from_file(probe, options));
  }
  return probe;
}

Result<VerifyReport> compare_with(const TextProbe& probe, const fs::path& onnx_file,
                                  std::optional<double> min_cos, const std::string& stage,
                                  const Progress& progress) {
  const Reference& reference = probe.reference;
  OCTAVO_TRY(const auto encoder, Encoder::open(onnx_file, probe.settings.pooling,
                                               {.pool = probe.pool, .stream = true}));
  if (encoder.width() != reference.width)
    return Error{Code::invalid_input, onnx_file.string() + ": embeddings have " +
                                          std::to_string(encoder.width()) + " numbers, those of " +
                                          reference.name + " " + std::to_string(reference.width)};
  OCTAVO_TRY(const auto rows,
             encode_each(encoder, reference.ids, stage, progress).within(onnx_file.string()));
  const Score scored = score(rows, reference.rows, reference.width);
  const std::vector<double> norms = norms_of(rows, reference.width);
  VerifyReport out;
  for (size_t i = 0; i < reference.texts.size(); ++i) {
    VerifyReport::Text text{reference.texts[i], reference.ids[i], {},
                            scored.cosines[i],  norms[i],         reference.norms[i]};
    for (const int64_t id : text.ids) text.tokens.push_back(probe.tokenizer.token(id));
    out.texts.push_back(std::move(text));
  }
  out.cos_min = scored.min;
  out.cos_p1 = scored.p1;
  out.cos_p5 = scored.p5;
  out.cos_p50 = scored.p50;
  out.cos_mean = scored.mean;
  out.worst = scored.worst;
  out.passed = !min_cos || out.cos_min >= *min_cos;
  out.reference = reference.name;
  out.notes = probe.notes;
  const auto& more = encoder.warnings();
  out.notes.insert(out.notes.end(), more.begin(), more.end());
  return out;
}

}  // namespace octavo
