#include "toolkit/alpha_judge.h"

#include <cstring>
#include <fstream>
#include <optional>

#include "embed/encoder.h"
#include "formats/json.h"
#include "passes/quantize_dynamic.h"
#include "toolkit/score.h"
#include "toolkit/sha256.h"

namespace octavo {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kFormat = "octavo-alpha-search-1";

void append(std::string& bytes, const void* data, size_t size) {
  bytes.append(static_cast<const char*>(data), size);
}

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

Result<AlphaJudgement> AlphaJudgement::create(JudgedModel model, const fs::path& log,
                                              std::shared_ptr<ThreadPool> pool) {
  AlphaJudgement judge(model, std::move(pool));
  EncoderOptions options;
  options.pool = judge.pool_;
  options.exact_onnx = false;
  OCTAVO_TRY(const Encoder encoder, Encoder::create(model.fp32, model.pooling, options));
  OCTAVO_TRY(judge.reference_, encoder.encode(model.texts));
  judge.width_ = encoder.width();
  if (!log.empty()) OCTAVO_CHECK(judge.open_log(log));
  return judge;
}

// The reference vectors stand for the weights, the maxima for the calibration.
Result<std::string> AlphaJudgement::key() const {
  std::string bytes = model_.per_token ? "per-token" : "per-tensor";
  append(bytes, reference_.data(), reference_.size() * sizeof(float));
  for (const SmoothGroup& group : model_.groups.groups) {
    bytes += group.input;
    const auto maxima = model_.stats.channel_absmax.find(group.input);
    if (maxima != model_.stats.channel_absmax.end())
      append(bytes, maxima->second.data(), maxima->second.size() * sizeof(float));
  }
  return sha256_of(bytes);
}

Status AlphaJudgement::open_log(const fs::path& log) {
  log_ = log;
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
      const auto alphas = numbers(*entry, "alphas");
      const auto losses = numbers(*entry, "losses");
      if (!alphas || !losses || losses->size() != model_.texts.size()) {
        whole = false;
        break;
      }
      known_[*alphas] = *losses;
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

Status AlphaJudgement::remember(std::span<const double> alphas, std::span<const double> losses) {
  if (log_.empty()) return Done{};
  const json line = {{"alphas", std::vector<double>(alphas.begin(), alphas.end())},
                     {"losses", std::vector<double>(losses.begin(), losses.end())}};
  std::ofstream out(log_, std::ios::binary | std::ios::app);
  out << line.dump() << "\n";
  if (!out.flush()) return Error{Code::io, log_.string() + ": cannot be written"};
  return Done{};
}

Result<std::vector<double>> AlphaJudgement::losses(std::span<const double> alphas) {
  const std::vector<double> wanted(alphas.begin(), alphas.end());
  if (const auto known = known_.find(wanted); known != known_.end()) {
    ++reused_;
    return known->second;
  }
  Model model = model_.fp32;
  OCTAVO_CHECK(smoothquant(model, model_.groups, model_.stats, alphas));
  QuantizeDynamicOptions quantize;
  quantize.form.per_channel = true;
  quantize.pool = pool_;
  OCTAVO_TRY(QuantizedModel quantized, quantize_dynamic(std::move(model), quantize));
  EncoderOptions options;
  options.pool = pool_;
  options.exact_onnx = !model_.per_token;
  OCTAVO_TRY(const Encoder encoder,
             Encoder::create(std::move(quantized.model), model_.pooling, options));
  // A graph that cannot be raised would run with the scales that were not asked for.
  if (model_.per_token && encoder.fused() == nullptr)
    return Error{Code::unsupported,
                 "alphas for per-token activations are searched with the engine, which cannot run "
                 "this graph: " +
                     encoder.why_plain()};
  OCTAVO_TRY(const std::vector<float> rows, encoder.encode(model_.texts));
  std::vector<double> losses = score(rows, reference_, width_).cosines;
  for (double& value : losses) value = 1 - value;
  OCTAVO_CHECK(remember(wanted, losses));
  known_[wanted] = losses;
  return losses;
}

}  // namespace octavo
