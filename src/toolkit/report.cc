#include "toolkit/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "formats/json.h"
#include "octavo/version.h"
#include "toolkit/evaluation_json.h"
#include "toolkit/model_card.h"
#include "toolkit/reference.h"
#include "toolkit/site_errors.h"

namespace octavo {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kFormat = "octavo-report-1";

double cosine_digits(double value) { return std::round(value * 1e6) / 1e6; }

double significant(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return std::strtod(text, nullptr);
}

json numbers(const VerifyReport& report) {
  json cosines = json::array();
  json norms = json::array();
  for (const auto& text : report.texts) {
    cosines.push_back(cosine_digits(text.cosine));
    norms.push_back(significant(text.norm));
  }
  return {{"cos_min", cosine_digits(report.cos_min)},
          {"cos_p1", cosine_digits(report.cos_p1)},
          {"cos_p5", cosine_digits(report.cos_p5)},
          {"cos_p50", cosine_digits(report.cos_p50)},
          {"cos_mean", cosine_digits(report.cos_mean)},
          {"worst", report.worst},
          {"cosines", std::move(cosines)},
          {"norms", std::move(norms)}};
}

json optional_number(const std::optional<double>& number) {
  return number ? json(*number) : json();
}

json quality(const ReportInput& input) {
  const BuildReport& build = input.build;
  json texts = json::array();
  for (const auto& text : build.smoothed.texts)
    texts.push_back({{"text", text.text}, {"tokens", text.ids.size()}});
  json variants = json::object();
  if (build.imported) variants["imported"] = numbers(*build.imported);
  variants["smoothed"] = numbers(build.smoothed);
  if (build.vanilla) variants["vanilla"] = numbers(*build.vanilla);
  return {{"reference", build.smoothed.reference}, {"texts", std::move(texts)},
          {"notes", build.smoothed.notes},         {"variants", std::move(variants)},
          {"min_cos", input.options.min_cos},      {"passed", build.passed}};
}

// The largest of each of kGroups runs of channels: what an outlier map can show, and small enough
// for a model with a hundred sites of thousands of channels. Five digits.
json grouped(const std::vector<float>& channels) {
  constexpr size_t kGroups = 64;
  const size_t groups = std::min(kGroups, channels.size());
  json out = json::array();
  for (size_t g = 0; g < groups; ++g) {
    float most = 0;
    for (size_t i = g * channels.size() / groups; i < (g + 1) * channels.size() / groups; ++i)
      most = std::max(most, channels[i]);
    char text[32];
    std::snprintf(text, sizeof text, "%.5g", static_cast<double>(most));
    out.push_back(std::strtod(text, nullptr));
  }
  return out;
}

// Three digits: what is beyond is the noise of a few texts.
void add_error(json& site, const char* key, const std::map<std::string, double>& errors,
               const std::vector<std::string>& nodes) {
  const double error = joint_error(errors, nodes);
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", error);
  if (error >= 0) site[key] = std::strtod(text, nullptr);
}

// Names of the nodes whose activations have 16 bits.
std::vector<std::string> wide_nodes(const QuantizeReport& report) {
  std::vector<std::string> out;
  for (const auto& node : report.quantized)
    if (node.activations == Activations::per_token_16) out.push_back(node.node);
  return out;
}

// Of the activations that the nodes of a site read; a Gemm was split into a MatMul and an Add.
int bits_of(const std::vector<std::string>& nodes, const std::set<std::string>& wide) {
  for (const std::string& node : nodes)
    if (wide.contains(node) || wide.contains(node + "_MatMul")) return 16;
  return 8;
}

json smoothing(const ReportInput& input) {
  const SmoothReport& report = input.build.smoothing;
  const auto wide_list = wide_nodes(input.build.quantization);
  const std::set<std::string> wide(wide_list.begin(), wide_list.end());
  json sites = json::array();
  for (const SmoothSite& site : report.sites) {
    sites.push_back({{"input", site.input},
                     {"weights", site.weights},
                     {"folded_into", site.folded_into},
                     {"scale_min", significant(site.scale_min)},
                     {"scale_max", significant(site.scale_max)},
                     {"outlier_before", significant(site.outlier_before)},
                     {"outlier_after", significant(site.outlier_after)},
                     {"alpha", site.alpha ? json(significant(*site.alpha)) : json()},
                     {"refusal", site.refusal},
                     {"bits", bits_of(site.nodes, wide)},
                     {"channels", site.channels_before.size()},
                     {"channels_before", grouped(site.channels_before)},
                     {"channels_after", grouped(site.channels_after)}});
    add_error(sites.back(), "error", input.smoothed_errors, site.nodes);
    add_error(sites.back(), "error_vanilla", input.vanilla_errors, site.nodes);
  }
  // The measured difference itself is rounding noise; that it stayed below the tolerance is the
  // statement, and smooth_model() would have failed otherwise.
  return {{"sites", std::move(sites)}, {"skipped", report.skipped}};
}

json quantization(const QuantizeReport& report) {
  json kept = json::array();
  for (const auto& node : report.kept)
    kept.push_back({{"node", node.node}, {"reason", node.reason}});
  // A MatMul's products for a token are the elements of its weight.
  double all = 0;
  double extra = 0;
  for (const auto& node : report.quantized) {
    const auto products = static_cast<double>(node.weight_bytes_before);
    all += products;
    if (node.activations == Activations::per_token_16) extra += products;
  }
  json table;
  if (!report.table.name.empty())
    table = {{"name", report.table.name},
             {"bytes_before", report.table.bytes_before},
             {"bytes_after", report.table.bytes_after},
             {"also_read_by", report.table.also_read_by}};
  return {{"quantized", report.quantized.size()},
          {"wide", wide_nodes(report)},
          {"extra_macs", significant(all > 0 ? extra / all : 0)},
          {"table", std::move(table)},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after},
          {"kept", std::move(kept)}};
}

// Of the residual stream; null where that was not asked for.
json rotation(const ReportInput& input) {
  if (recipe_of(input.options).rotate == RotateResidual::no) return {};
  const SmoothReport& smoothing = input.build.smoothing;
  return {{"width", smoothing.rotated_width}, {"refusal", smoothing.not_rotated}};
}

// Losses are means of 1 - cosine over texts apart from those of the statistics; `confirmed` over
// those that the search did not see either.
json alpha_search(const std::optional<AlphaSearchReport>& report) {
  if (!report) return {};
  json trials = json::array();
  for (const AlphaSearchReport::Trial& trial : report->trials)
    trials.push_back(
        {{"what", trial.what}, {"loss", significant(trial.loss)}, {"kept", trial.kept}});
  return {{"fixed", report->fixed},
          {"loss_fixed", significant(report->loss_fixed)},
          {"loss", significant(report->loss)},
          {"confirmed_fixed", significant(report->confirmed_fixed)},
          {"confirmed", significant(report->confirmed)},
          {"refused", report->refused},
          {"texts", report->texts},
          {"trials", std::move(trials)}};
}

json protection(const ReportInput& input) {
  const std::optional<ProtectReport>& report = input.build.quantization.protection;
  if (!report) return {};
  json sites = json::array();
  for (const ProtectReport::Site& site : report->sites)
    sites.push_back({{"nodes", site.nodes},
                     {"share", significant(site.share)},
                     {"worth", significant(site.worth)},
                     {"bits", site.wide ? 16 : 8}});
  const auto quality = [](const ProtectReport::Quality& q) -> json {
    return {{"cos_min", cosine_digits(q.cos_min)},
            {"cos_p5", cosine_digits(q.cos_p5)},
            {"cos_mean", cosine_digits(q.cos_mean)}};
  };
  return {{"extra_macs", significant(report->extra_macs)},
          {"narrow", quality(report->narrow)},
          {"chosen", quality(report->chosen)},
          {"wide", quality(report->wide)},
          {"reached", report->reached},
          {"texts", report->texts},
          {"sites", std::move(sites)}};
}

json size_choice(const std::optional<SizeChoice>& choice) {
  if (!choice) return {};
  json forms = json::array();
  for (const SizeChoice::Form& form : choice->forms)
    forms.push_back({{"table", name_of(form.table)}, {"bytes", form.bytes}});
  return {{"limit", choice->limit}, {"forms", std::move(forms)}, {"chosen", choice->chosen}};
}

// Of each variant, file and sidecar; nothing for one that was not made.
json sizes(const BuildReport& build) {
  json out = {{"fp32", build.fp32_bytes}};
  for (const auto& [key, model] : {std::pair("smoothed", "model.int8.onnx"),
                                   std::pair("vanilla", "model.int8.vanilla.onnx")}) {
    uint64_t bytes = 0;
    for (const auto& file : build.files)
      if (file.name == model || file.name == std::string(model) + ".data") bytes += file.size;
    if (bytes > 0) out[key] = bytes;
  }
  return out;
}

json size_parts_json(const BuildReport& build) {
  json out = json::object();
  for (const auto& [variant, parts] : build.size_parts)
    out[variant] = {{"tables", parts.tables}, {"linears", parts.linears}, {"rest", parts.rest}};
  return out;
}

json calibration(const ReportInput& input) {
  const bool own = !input.options.calibration.empty();
  return {{"name", own ? input.options.calibration.filename().string() : "built-in"},
          {"sha256", input.calibration_sha256},
          {"texts", input.build.smoothing.calibration_texts},
          {"tokens", input.build.smoothing.calibration_tokens}};
}

std::string shown(const json& value) {
  if (value.is_null()) return "none";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// "name old -> new" for a value that differs.
void compare(const json& previous, const json& now, const char* pointer, const std::string& name,
             std::vector<std::string>& out) {
  const json::json_pointer at(pointer);
  const json before = previous.value(at, json());
  const json after = now.value(at, json());
  if (before != after) out.push_back(name + " " + shown(before) + " -> " + shown(after));
}

std::map<std::string, std::string> hashes(const json& report) {
  std::map<std::string, std::string> out;
  for (const auto& file : report.value("files", json::array()))
    if (file.is_object()) out[json_string(file, "name", "")] = json_string(file, "sha256", "");
  return out;
}

std::vector<std::string> texts_of(const json& report) {
  std::vector<std::string> out;
  for (const auto& text : report.value(json::json_pointer("/quality/texts"), json::array()))
    if (text.is_object()) out.push_back(json_string(text, "text", ""));
  return out;
}

// Entries as extend_history() writes them; whoever edits the file by hand may break them.
bool sound_history(const json& report) {
  const json history = report.value("history", json::array());
  if (!history.is_array()) return false;
  for (const json& entry : history) {
    if (!entry.is_object()) return false;
    for (const char* key : {"date", "octavo", "why"})
      if (!entry.value(key, json()).is_string()) return false;
    const json changes = entry.value("changes", json());
    if (!changes.is_array()) return false;
    for (const json& change : changes)
      if (!change.is_string()) return false;
  }
  return true;
}

}  // namespace

json make_report(const ReportInput& input) {
  json files = json::array();
  for (const auto& file : input.build.files)
    files.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}});
  const std::string command = input.options.command_line;
  BuildRecipe recipe = recipe_of(input.options);
  if (const auto& choice = input.build.quantization.size)
    recipe.table = choice->forms[choice->chosen].table;
  const auto& search = input.options.search;
  const json evaluations = search ? json(search->evaluations) : json();
  return {{"format", kFormat},
          {"octavo", kVersion},
          {"source",
           {{"name", input.source},
            {"architecture", input.build.import.architecture},
            {"parameters", input.build.import.parameters}}},
          {"use",
           {{"pooling", pooling_key(input.use.pooling)},
            {"normalize", input.use.normalize},
            {"max_length", input.use.max_length}}},
          {"settings",
           {{"profile", name_of(input.options.profile)},
            {"alpha", input.options.search ? json("auto") : optional_number(recipe.alpha)},
            {"evaluations", evaluations},
            {"protect", input.options.protect},
            {"target_cos", optional_number(recipe.target_cos)},
            {"max_extra_macs", optional_number(recipe.max_extra_macs)},
            {"max_size", input.options.max_size ? json(*input.options.max_size) : json()},
            {"activations", name_of(recipe.activations)},
            {"table", name_of(recipe.table)},
            {"rounding", recipe.compensate ? "compensated" : "nearest"},
            {"rotate", recipe.rotate != RotateResidual::no},
            {"calibration", calibration(input)},
            {"per_channel", true},
            {"weight_type", "qint8"},
            {"op_types", {"MatMul"}}}},
          {"command", command},
          {"rotation", rotation(input)},
          {"smoothing", smoothing(input)},
          {"alpha_search", alpha_search(input.build.smoothing.search)},
          {"protection", protection(input)},
          {"size_choice", size_choice(input.build.quantization.size)},
          {"quantization", quantization(input.build.quantization)},
          {"quality", quality(input)},
          {"retrieval", input.build.retrieval ? evaluation_json(*input.build.retrieval) : json()},
          {"speed", input.speed},
          {"sizes", sizes(input.build)},
          {"size_parts", size_parts_json(input.build)},
          {"files", std::move(files)},
          {"history", json::array()}};
}

Result<json> speed_report(const fs::path& file) {
  OCTAVO_TRY(const json bench, read_json(file));
  const Error wrong{Code::invalid_input,
                    file.string() + ": is not what `octavo bench --json` prints"};
  const json machine = bench.is_object() ? bench.value("machine", json()) : json();
  const json lines = bench.is_object() ? bench.value("lines", json()) : json();
  if (!machine.is_object() || !lines.is_array() || lines.empty()) return wrong;
  json out = {{"model", fs::path(json_string(bench, "model", "")).filename().string()},
              {"kernels", json_string(machine, "kernels", "")},
              {"threads", json_int(machine, "threads", 0)},
              {"weight_bytes", json_int(bench, "weight_bytes", 0)},
              {"open_seconds", significant(json_double(bench, "open_seconds", 0))},
              {"lines", json::array()}};
  if (bench.contains("peak_bytes")) out["peak_bytes"] = json_int(bench, "peak_bytes", 0);
  for (const json& line : lines) {
    if (!line.is_object() || !line.contains("name")) return wrong;
    out["lines"].push_back(
        {{"name", json_string(line, "name", "")},
         {"tokens_per_second", significant(json_double(line, "tokens_per_second", 0))},
         {"p50_seconds", significant(json_double(line, "p50_seconds", 0))},
         {"p95_seconds", significant(json_double(line, "p95_seconds", 0))},
         {"share_of_roof", significant(json_double(line, "share_of_roof", 0))}});
  }
  return out;
}

Result<json> read_last_report(const fs::path& folder) {
  std::error_code ignored;
  const fs::path file = folder / "report.json";
  json report;
  if (fs::exists(file, ignored)) {
    OCTAVO_TRY(report, read_json(file));
    if (!report.is_object() || json_string(report, "format", "") != kFormat)
      return Error{Code::invalid_input, file.string() +
                                            ": is not the report of a build, and a build would "
                                            "overwrite it; choose another output folder"};
    if (!sound_history(report))
      return Error{Code::invalid_input,
                   file.string() + ": its change history is damaged; repair it or move it away"};
  }
  for (const auto& [name, what] :
       {std::pair("README.md", "model card"), std::pair("report.html", "report")}) {
    const fs::path rendering = folder / name;
    if (!fs::exists(rendering, ignored)) continue;
    OCTAVO_TRY(const bool ours, is_rendering_of_build(rendering));
    if (!ours)
      return Error{Code::invalid_input, rendering.string() + ": is not the " + what +
                                            " of a build, and a build would overwrite it; choose "
                                            "another output folder"};
  }
  return report;
}

std::vector<std::string> changes_since(const json& previous, const json& report) {
  if (previous.is_null()) return {"first build"};
  std::vector<std::string> out;
  compare(previous, report, "/octavo", "octavo", out);
  compare(previous, report, "/source/name", "source", out);
  if (previous.contains(json::json_pointer("/settings/profile")))
    compare(previous, report, "/settings/profile", "profile", out);
  compare(previous, report, "/settings/alpha", "alpha", out);
  // Names and hashes: how many tokens the same texts are is the tokenizer's doing.
  const json::json_pointer calibration_name("/settings/calibration/name");
  const json::json_pointer calibration_sha256("/settings/calibration/sha256");
  compare(previous, report, "/settings/calibration/name", "calibration", out);
  if (previous.value(calibration_name, json()) == report.value(calibration_name, json()) &&
      previous.value(calibration_sha256, json()) != report.value(calibration_sha256, json()))
    out.emplace_back("calibration texts");
  compare(previous, report, "/quality/reference", "reference", out);
  compare(previous, report, "/quality/min_cos", "gate", out);
  if (texts_of(previous) != texts_of(report)) out.emplace_back("probe texts");
  for (const char* key : {"retrieval", "speed"})
    if (previous.value(key, json()) != report.value(key, json())) out.emplace_back(key);
  const auto before = hashes(previous);
  const auto after = hashes(report);
  for (const auto& [name, sha256] : after) {
    const auto old = before.find(name);
    if (old == before.end())
      out.push_back("new " + name);
    else if (old->second != sha256)
      out.push_back("changed " + name);
  }
  for (const auto& [name, sha256] : before)
    if (!after.contains(name)) out.push_back("removed " + name);
  compare(previous, report, "/quality/variants/smoothed/cos_min", "cos_min", out);
  compare(previous, report, "/quality/variants/smoothed/cos_mean", "cos_mean", out);
  return out;
}

void extend_history(json& report, const json& previous, const std::vector<std::string>& changes,
                    const std::string& date, const std::string& why) {
  if (previous.is_object()) report["history"] = previous.value("history", json::array());
  if (changes.empty()) return;
  report["history"].push_back(
      {{"date", date}, {"octavo", kVersion}, {"changes", changes}, {"why", why}});
}

}  // namespace octavo
