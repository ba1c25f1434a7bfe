#include "octavo/quantize.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <utility>

#include "base/result.h"
#include "formats/onnx.h"
#include "graph/inline.h"
#include "passes/palette.h"
#include "passes/quantize_dynamic.h"
#include "passes/quantize_table.h"
#include "toolkit/calibrate.h"
#include "toolkit/compensate.h"
#include "toolkit/judgement.h"
#include "toolkit/name_in.h"
#include "toolkit/quantize_protect.h"
#include "toolkit/size_choice.h"

namespace octavo {

namespace {

// The library's std::regex recurses once a character; no sane node name is this long.
constexpr size_t kMaxNameForRegex = 4096;

// Nodes that an error message lists.
constexpr size_t kListed = 20;

struct Pattern {
  std::string pattern;
  std::regex regex;
  bool used = false;
};

Result<std::vector<Pattern>> compile(const char* option, const std::vector<std::string>& patterns) {
  std::vector<Pattern> out;
  for (const auto& pattern : patterns) {
    try {
      out.push_back({pattern, std::regex(pattern, std::regex::ECMAScript), false});
    } catch (const std::regex_error& e) {
      return Error{Code::invalid_input,
                   std::string(option) + ": \"" + pattern +
                       "\" is not a regular expression (ECMAScript): " + e.what()};
    }
  }
  return out;
}

// The node's name, or its output where it has none.
const Pattern* first_match(std::vector<Pattern>& patterns, const Node& node) {
  const std::string& full = node.name.empty() ? node.outputs[0] : node.name;
  const std::string name = full.substr(0, kMaxNameForRegex);
  for (auto& e : patterns) {
    try {
      if (!std::regex_search(name, e.regex)) continue;
    } catch (const std::regex_error&) {  // too complex for this name: it cannot be said to match
      continue;
    }
    e.used = true;
    return &e;
  }
  return nullptr;
}

Status finish(QuantizedModel& done, TableType table, const std::shared_ptr<ThreadPool>& pool) {
  OCTAVO_CHECK(quantize_table(done.model, table, pool, done.report));
  for (const auto& node : done.report.table.also_read_by)
    done.report.warnings.push_back("the embedding table \"" + done.report.table.name +
                                   "\" stays in float32 as well, for " + node);
  return Done{};
}

uint64_t bytes_on_disk(const std::filesystem::path& model) {
  uint64_t sum = 0;
  for (const std::filesystem::path& file :
       {model, std::filesystem::path(model.string() + ".data")}) {
    std::error_code none;
    const auto size = std::filesystem::file_size(file, none);
    if (!none) sum += size;
  }
  return sum;
}

// The chosen form, or the next smaller one where a search made the files larger than planned.
Result<QuantizedModel> write_within(const QuantizedModel& before, SizeChoice& size,
                                    const std::shared_ptr<ThreadPool>& pool, uint64_t beside,
                                    const std::filesystem::path& output,
                                    const OnnxWriteOptions& writing, const Progress& progress) {
  while (true) {
    QuantizedModel done = before;
    SizeChoice::Form& form = size.forms[size.chosen];
    OCTAVO_CHECK(finish(done, form.table, pool));
    OCTAVO_CHECK(write_onnx(done.model, output, writing, progress));
    form.bytes = bytes_on_disk(output) + beside;
    if (form.bytes <= size.limit) return done;
    if (++size.chosen == size.forms.size())
      return Error{Code::invalid_input, "max-size " + grouped_digits(size.limit) +
                                            " bytes cannot be reached: all files take " +
                                            grouped_digits(form.bytes) +
                                            " with the smallest embedding table"};
  }
}

struct Rounded {
  size_t weights = 0, texts = 0, total = 0;
};

Result<Rounded> round_weights(Model& model, const std::filesystem::path& file,
                              const QuantizeDynamicOptions& how, const CompensatedRounds& options,
                              TextShare share, const Progress& progress) {
  std::filesystem::path folder = options.tokenizer;
  if (folder.empty()) folder = file.has_parent_path() ? file.parent_path() : ".";
  OCTAVO_TRY(const auto texts,
             share_of_texts(folder, options.calibration, options.max_length, share));
  OCTAVO_CHECK(inline_functions(model).within(file.string()));
  Rounded rounded;
  OCTAVO_TRY(rounded.weights,
             compensate(model, how, texts.ids, {}, how.pool, progress).within(file.string()));
  rounded.texts = texts.ids.size();
  rounded.total = texts.total;
  return rounded;
}

Error nothing_to_do(const QuantizeReport& report) {
  std::string message =
      "nothing would be quantized: no MatMul (or Gemm) with a constant float32 weight is left";
  for (size_t i = 0; i < std::min(report.kept.size(), kListed); ++i)
    message += "\n  " + report.kept[i].node + ": " + report.kept[i].reason;
  if (report.kept.size() > kListed)
    message += "\n  and " + std::to_string(report.kept.size() - kListed) + " more";
  return {Code::invalid_input, message};
}

}  // namespace

const char* name_of(Activations activations) { return name_in(kActivationsNames, activations); }
const char* name_of(TableType type) { return name_in(kTableTypeNames, type); }

Status check_quantize_options(const QuantizeOptions& options) {
  for (const auto& op : options.op_types) {
    if (op != "MatMul")
      return Error{Code::unsupported, "op type \"" + op +
                                          "\" cannot be quantized; the only one is MatMul (a Gemm "
                                          "becomes a MatMul and an Add)"};
  }
  if (options.op_types.empty())
    return Error{Code::invalid_input, "no op type to quantize is given; MatMul is the only one"};
  if (options.clip &&
      (!options.per_channel || options.reduce_range || options.weight_type != WeightType::qint8))
    return Error{Code::unsupported,
                 "clip chooses scales of 8-bit channels: it needs per-channel and qint8, and no "
                 "reduce-range"};
  if (options.compensate && (!options.per_channel || options.reduce_range || options.clip ||
                             options.weight_type != WeightType::qint8))
    return Error{
        Code::unsupported,
        "compensated rounding keeps the scales of 8-bit channels: it needs per-channel and "
        "qint8, and neither reduce-range nor clip"};
  OCTAVO_CHECK(check_activations(options.activations, options.weight_type == WeightType::qint8));
  for (const auto& [name, patterns] :
       {std::pair("exclude", &options.exclude), std::pair("protect", &options.protect)})
    OCTAVO_CHECK(compile(name, *patterns));
  const bool per_token = options.activations == Activations::per_token;
  if (!options.protect.empty() && !per_token)
    return Error{Code::invalid_input,
                 "protect gives some nodes 16-bit activations where the others have a scale a "
                 "token: it goes with --activations per-token"};
  if (options.search && !per_token)
    return Error{Code::invalid_input,
                 "target-cos and max-extra-macs give some nodes 16-bit activations where the "
                 "others have a scale a token: add --activations per-token"};
  return Done{};
}

Result<QuantizeReport> quantize_model(const std::filesystem::path& input,
                                      const std::filesystem::path& output,
                                      const QuantizeOptions& options, const Progress& progress) {
  OCTAVO_CHECK(check_quantize_options(options));
  if (options.search) OCTAVO_CHECK(check_search_log(options.search->log));
  OCTAVO_TRY(auto exclusions, compile("exclude", options.exclude));
  OCTAVO_TRY(auto protections, compile("protect", options.protect));
  OCTAVO_TRY(OnnxFile file, open_onnx(input));
  OnnxWriteOptions writing;
  writing.external_data = options.external_data;
  writing.threshold = kOnnxSaveThreshold;
  writing.sources = source_files(input, file);
  OCTAVO_CHECK(check_onnx_output(output, writing));
  QuantizeDynamicOptions how;
  how.pool = std::make_shared<ThreadPool>();
  how.form = {options.weight_type == WeightType::qint8, options.reduce_range, options.per_channel,
              options.clip};
  how.exclude = [&](const Node& node) {
    const Pattern* match = first_match(exclusions, node);
    return match == nullptr ? std::string() : "excluded by \"" + match->pattern + "\"";
  };
  how.activations = options.activations;
  how.protect = [&](const Node& node) { return first_match(protections, node) != nullptr; };
  std::optional<SizeChoice> size;
  if (options.max_size) {
    if (options.table != TableType::float32)
      return Error{Code::invalid_input,
                   "max-size chooses the form of the embedding table: leave table out"};
    const SizePlan plan{output, writing, *options.max_size, options.beside};
    OCTAVO_TRY(size, choose_size(file.model, how, plan, how.pool).within(input.string()));
  }
  std::optional<Model> rounded;
  Rounded compensated;
  if (options.compensate) {
    rounded = file.model;
    const TextShare share = options.search ? TextShare::statistics : TextShare::all;
    OCTAVO_TRY(compensated,
               round_weights(*rounded, input, how, *options.compensate, share, progress));
  }
  std::optional<ProtectReport> protection;
  std::set<std::string> chosen;
  if (options.search) {
    OCTAVO_TRY(protection, search_protection(file.model, rounded ? *rounded : file.model, input,
                                             how, *options.search, progress));
    for (const ProtectReport::Site& site : protection->sites)
      if (site.wide) chosen.insert(site.nodes.begin(), site.nodes.end());
    how.protect = [&](const Node& node) {
      return chosen.contains(node.name.empty() ? node.outputs[0] : node.name) ||
             first_match(protections, node) != nullptr;
    };
  }
  OCTAVO_TRY(QuantizedModel done,
             quantize_dynamic(rounded ? *std::move(rounded) : std::move(file.model), how)
                 .within(input.string()));
  if (done.report.quantized.empty()) return nothing_to_do(done.report).within(input.string());
  if (options.activations != Activations::per_tensor) {
    OCTAVO_TRY(const uint64_t saved, store_rotation_by_palette(done.model).within(input.string()));
    done.report.bytes_after -= saved;
  }
  const Progress writes = [&](std::string_view, uint64_t bytes, uint64_t total) {
    if (progress) progress("quantize", bytes, total);
  };
  if (!size) {
    OCTAVO_CHECK(finish(done, options.table, how.pool).within(input.string()));
    OCTAVO_CHECK(write_onnx(done.model, output, writing, writes));
  } else {
    OCTAVO_TRY(done, write_within(done, *size, how.pool, options.beside, output, writing, writes)
                         .within(input.string()));
  }
  const auto unused = [&](const char* option, const std::vector<Pattern>& patterns) {
    for (const auto& e : patterns)
      if (!e.used)
        done.report.warnings.push_back(std::string(option) + " \"" + e.pattern +
                                       "\" matches no MatMul");
  };
  unused("exclude", exclusions);
  unused("protect", protections);
  // Rounded to nearest, nothing that was done here has seen a text before.
  if (protection && !options.compensate) protection->held_out = true;
  if (protection && !protection->held_out) done.report.warnings.push_back(kJudgedBySeen);
  done.report.compensated = compensated.weights;
  done.report.compensation_texts = compensated.texts;
  if (options.compensate || protection)
    warn_of_few_texts(options.compensate ? compensated.total : protection->calibration_texts,
                      done.report.calibration_warnings);
  done.report.size = std::move(size);
  done.report.protection = std::move(protection);
  return std::move(done.report);
}

}  // namespace octavo
