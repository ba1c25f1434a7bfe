#include "octavo/build.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/atomic_file.h"
#include "base/digest.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "base/shell.h"
#include "formats/json.h"
#include "formats/onnx.h"
#include "graph/inline.h"
#include "octavo/quantize.h"
#include "toolkit/folder_files.h"
#include "toolkit/judgement.h"
#include "toolkit/model_card.h"
#include "toolkit/name_in.h"
#include "toolkit/probe.h"
#include "toolkit/quantize_protect.h"
#include "toolkit/report.h"
#include "toolkit/report_page.h"
#include "toolkit/retrieval_set.h"
#include "toolkit/site_errors.h"
#include "toolkit/size_choice.h"
#include "toolkit/size_parts.h"
#include "toolkit/snapshot.h"
#include "toolkit/text_file.h"
#include "toolkit/work_folder.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFp32 = "model.onnx";
constexpr const char* kSmoothedFp32 = "model.smoothed.fp32.onnx";
constexpr const char* kInt8 = "model.int8.onnx";
constexpr const char* kVanilla = "model.int8.vanilla.onnx";

// Products that 16-bit activations may add in the accurate profile, as a share of all.
constexpr double kAccurateExtra = 0.15;

std::string sidecar(const std::string& model) { return model + ".data"; }

// "all-MiniLM-L6-v2" of "models/all-MiniLM-L6-v2/", "SmolLM2.Q4_1" of "SmolLM2.Q4_1.gguf".
// "org/name" of ".../models--org--name/snapshots/<commit>", the cache of the hub.
std::string name_of(const fs::path& source) {
  const bool file = source.extension() == ".gguf";
  const fs::path snapshot = (file ? source.parent_path() : source).lexically_normal();
  const std::string repository = snapshot.parent_path().parent_path().filename().string();
  if (snapshot.parent_path().filename() == "snapshots" && repository.starts_with("models--")) {
    std::string name = repository.substr(8);
    if (const size_t at = name.find("--"); at != std::string::npos) name.replace(at, 2, "/");
    return name;
  }
  std::error_code ignored;
  fs::path whole = fs::weakly_canonical(source, ignored);
  if (whole.empty()) whole = source;
  const std::string name = whole.filename().string();
  return name.ends_with(".gguf") ? name.substr(0, name.size() - 5) : name;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

std::string with_replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// The work folder's name has the process id in it: it must not reach the report.
void forget_folder(const fs::path& folder, std::vector<std::string>& notes) {
  for (std::string& note : notes)
    note = with_replaced(with_replaced(std::move(note), folder.string() + "/", ""), folder.string(),
                         "");
}

// Vanilla is what others would make of the model: the same in every profile.
QuantizeOptions vanilla_recipe() {
  QuantizeOptions options;
  options.per_channel = true;
  options.external_data = true;
  return options;
}

// Whether the report of an earlier build names that file.
bool lists(const nlohmann::json& report, const std::string& name) {
  if (!report.is_object() || !report.contains("files")) return false;
  const nlohmann::json& files = report["files"];
  return std::any_of(files.begin(), files.end(), [&](const nlohmann::json& file) {
    return file.is_object() && json_string(file, "name", "") == name;
  });
}

// One build: the steps share the folders, and each leaves its part of the report.
class Build {
 public:
  Build(const fs::path& source, const fs::path& output, const BuildOptions& options,
        const Progress& progress, WorkFolder work)
      : source_(source),
        output_(output),
        progress_(progress),
        work_(std::move(work)),
        folder_(work_.path()) {
    input_.source = name_of(source);
    input_.options = options;
  }

  Result<BuildReport> run() {
    auto made = take_steps();
    if (made) return made;
    // That folder is gone when somebody reads the message.
    return Error{made.error().code,
                 with_replaced(made.error().message, folder_.string(), output_.string())};
  }

 private:
  Result<BuildReport> take_steps() {
    OCTAVO_TRY(const auto previous, read_last_report(output_));
    OCTAVO_CHECK(import());
    OCTAVO_CHECK(find_left_over(previous));
    OCTAVO_TRY(auto probe, probe_texts());
    OCTAVO_CHECK(make_models());
    OCTAVO_CHECK(measure(probe));
    OCTAVO_CHECK(evaluate());
    OCTAVO_CHECK(list_files());
    OCTAVO_CHECK(describe(previous));
    OCTAVO_CHECK(publish());
    return std::move(input_.build);
  }

  BuildReport& build() { return input_.build; }
  const BuildOptions& options() const { return input_.options; }

  Status import() {
    ImportOptions how;
    how.model_name = kFp32;
    OCTAVO_TRY(build().import, import_model(source_, folder_, how, progress_));
    OCTAVO_TRY(input_.use, read_model_dir(folder_));
    return Done{};
  }

  // Files of another model would be believed by whoever opens the folder. Those of an earlier build
  // go, anything else that lies there is not ours to remove.
  Status find_left_over(const nlohmann::json& previous) {
    const std::vector<std::string> left =
        left_over(output_, snapshot_file_names(), build().import.files);
    std::vector<std::string> foreign;
    for (const std::string& name : left) (lists(previous, name) ? left_ : foreign).push_back(name);
    OCTAVO_CHECK(check_nothing_left(output_, foreign));
    FolderChange change{{kInt8, kVanilla}, {}, left_, [&](const std::string& name) {
                          return same_content(folder_ / name, output_ / name);
                        }};
    for (const std::string& name : build().import.files)
      if (name != kFp32 && name != sidecar(kFp32)) change.written.push_back(name);
    return check_models_keep_files(output_, change);
  }

  // Before anything long: a size that cannot be reached costs no search.
  Status check_size(const BuildRecipe& recipe) {
    if (!options().max_size) return Done{};
    OCTAVO_TRY(OnnxFile file, open_onnx(folder_ / kFp32));
    OCTAVO_CHECK(inline_functions(file.model));
    QuantizeDynamicOptions how;
    how.form.per_channel = true;
    how.activations = recipe.activations;
    how.pool = std::make_shared<ThreadPool>();
    SizePlan plan{folder_ / kInt8, {}, *options().max_size, beside()};
    plan.writing.external_data = true;
    plan.writing.threshold = kOnnxSaveThreshold;
    OCTAVO_CHECK(choose_size(file.model, how, plan, how.pool));
    return Done{};
  }

  // Bytes of the files beside the model.
  uint64_t beside() const {
    uint64_t sum = 0;
    for (const std::string& name : input_.build.import.files) {
      std::error_code none;
      if (name == kFp32 || name == sidecar(kFp32)) continue;
      const auto size = fs::file_size(folder_ / name, none);
      if (!none) sum += size;
    }
    return sum;
  }

  Status make_models() {
    SmoothOptions smooth;
    const BuildRecipe recipe = recipe_of(options());
    OCTAVO_CHECK(check_size(recipe));
    smooth.alpha = recipe.alpha.value_or(0);
    smooth.factors = recipe.activations;
    smooth.rotate = recipe.rotate;
    smooth.search = options().search;
    if (smooth.search) smooth.search->activations = recipe.activations;
    smooth.tokenizer = folder_;
    smooth.calibration = options().calibration;
    if (!options().calibration.empty()) {
      OCTAVO_TRY(input_.calibration_sha256, hash_of_file(options().calibration, HashKind::sha256));
    }
    OCTAVO_TRY(build().smoothing,
               smooth_model(folder_ / kFp32, folder_ / kSmoothedFp32, smooth, progress_));
    QuantizeOptions quantize = vanilla_recipe();
    quantize.activations = recipe.activations;
    if (!options().max_size) quantize.table = recipe.table;
    quantize.max_size = options().max_size;
    quantize.beside = beside();
    if (recipe.compensate)
      quantize.compensate = {folder_, options().calibration, CompensatedRounds{}.max_length};
    quantize.protect = options().protect;
    if (recipe.target_cos || recipe.max_extra_macs.value_or(0) > 0) {
      ProtectSearch& search = quantize.search.emplace();
      search.target_cos = recipe.target_cos.value_or(search.target_cos);
      search.max_extra_macs = recipe.max_extra_macs.value_or(search.max_extra_macs);
      search.tokenizer = folder_;
      search.calibration = options().calibration;
      search.log = options().protect_log;
    }
    OCTAVO_TRY(build().quantization,
               quantize_model(folder_ / kSmoothedFp32, folder_ / kInt8, quantize, progress_));
    if (options().vanilla)
      OCTAVO_CHECK(
          quantize_model(folder_ / kFp32, folder_ / kVanilla, vanilla_recipe(), progress_));
    return Done{};
  }

  // Before the models are made: a reference that does not fit, or is not there, costs no time.
  Result<TextProbe> probe_texts() {
    VerifyOptions verify;
    verify.texts = options().texts;
    if (options().reference.empty()) {
      verify.against = folder_ / kFp32;
    } else {
      verify.reference = options().reference;
    }
    OCTAVO_TRY(auto probe, make_probe(folder_, verify, progress_));
    forget_folder(folder_, probe.notes);
    if (options().reference.empty())
      probe.reference.name = "the FP32 ONNX model of the same import, run by octavo";
    return probe;
  }

  Status measure(const TextProbe& probe) {
    if (!options().reference.empty()) {
      OCTAVO_TRY(build().imported,
                 compare_with(probe, folder_ / kFp32, {}, "verify import", progress_));
    }
    OCTAVO_TRY(build().smoothed,
               compare_with(probe, folder_ / kInt8, options().min_cos, "verify", progress_));
    if (options().vanilla) {
      OCTAVO_TRY(build().vanilla,
                 compare_with(probe, folder_ / kVanilla, {}, "verify vanilla", progress_));
    }
    build().passed = build().smoothed.passed;
    const auto& protection = build().quantization.protection;
    if (protection && !protection->held_out) build().smoothed.notes.emplace_back(kJudgedBySeen);
    return measure_sites(probe);
  }

  // Each variant against the float model that it was made of.
  Status measure_sites(const TextProbe& probe) {
    std::vector<std::string> nodes;
    for (const SmoothSite& site : build().smoothing.sites)
      nodes.insert(nodes.end(), site.nodes.begin(), site.nodes.end());
    const auto ids = texts_for_errors(probe.reference.ids);
    report(progress_, "errors by site", 0, 2);
    OCTAVO_TRY(input_.smoothed_errors,
               node_errors(folder_ / kSmoothedFp32, folder_ / kInt8, ids, nodes, probe.pool));
    report(progress_, "errors by site", 1, 2);
    if (options().vanilla) {
      OCTAVO_TRY(input_.vanilla_errors,
                 node_errors(folder_ / kFp32, folder_ / kVanilla, ids, nodes, probe.pool));
    }
    report(progress_, "errors by site", 2, 2);
    return Done{};
  }

  Status evaluate() {
    if (!options().speed.empty()) {
      OCTAVO_TRY(input_.speed, speed_report(options().speed));
    }
    if (options().retrieval.empty()) return Done{};
    EvaluateOptions how;
    how.set = options().retrieval;
    OCTAVO_TRY(build().retrieval, evaluate_model(folder_, how, progress_));
    forget_folder(folder_, build().retrieval->notes);
    return Done{};
  }

  // Sidecars before the models that name them, as they are published.
  Status list_files() {
    std::error_code none;
    for (const auto& name : {std::string(kFp32), sidecar(kFp32)})
      if (fs::exists(folder_ / name, none))
        build().fp32_bytes += fs::file_size(folder_ / name, none);
    OCTAVO_CHECK(measure_parts());
    std::vector<std::string> names = {sidecar(kInt8), kInt8};
    if (options().vanilla) names.insert(names.end(), {sidecar(kVanilla), kVanilla});
    for (const auto& name : build().import.files)
      if (name != kFp32 && name != sidecar(kFp32)) names.push_back(name);
    for (const auto& name : names) {
      std::error_code error;
      const auto size = fs::file_size(folder_ / name, error);
      // A model small enough has no sidecar.
      if (error && name.ends_with(".data")) continue;
      OCTAVO_TRY(auto sha256, hash_of_file(folder_ / name, HashKind::sha256));
      build().files.push_back({name, size, std::move(sha256)});
    }
    return Done{};
  }

  Status measure_parts() {
    std::vector<std::pair<const char*, const char*>> made = {{"fp32", kFp32}, {"smoothed", kInt8}};
    if (options().vanilla) made.emplace_back("vanilla", kVanilla);
    for (const auto& [variant, model] : made) {
      OCTAVO_TRY(const SizeParts parts, size_parts(folder_ / model));
      build().size_parts[variant] = {parts.tables, parts.linears, parts.rest};
    }
    return Done{};
  }

  Status describe(const nlohmann::json& previous) {
    if (options().command_line.empty()) {
      input_.options.command_line =
          "octavo build " + shell_quoted(input_.source) +
          (options().profile == Profile::compat
               ? std::string()
               : std::string(" --profile ") + name_of(options().profile)) +
          (options().alpha ? " --alpha " + nlohmann::json(*options().alpha).dump() : "") +
          " -o DIR";
    }
    auto report = make_report(input_);
    build().changes = changes_since(previous, report);
    extend_history(report, previous, build().changes,
                   options().date.empty() ? today() : options().date, options().why);
    OCTAVO_TRY(const auto text, json_text(report));
    OCTAVO_CHECK(write_file(folder_ / "report.json", text));
    OCTAVO_CHECK(write_file(folder_ / "report.html", report_page(report)));
    return write_file(folder_ / "README.md", model_card(report));
  }

  Status publish() {
    OCTAVO_CHECK(remove_files(output_, left_));
    for (const auto& file : build().files) OCTAVO_CHECK(work_.publish(file.name));
    OCTAVO_CHECK(work_.publish("report.json"));
    OCTAVO_CHECK(work_.publish("report.html"));
    OCTAVO_CHECK(work_.publish("README.md"));
    // What an earlier build left and this one did not make would contradict the card.
    std::error_code ignored;
    for (const char* name : {kInt8, kVanilla}) {
      for (const auto& file : {std::string(name), sidecar(name)}) {
        const bool made = std::any_of(build().files.begin(), build().files.end(),
                                      [&](const auto& f) { return f.name == file; });
        if (!made) fs::remove(output_ / file, ignored);
      }
    }
    return Done{};
  }

  fs::path source_;
  fs::path output_;
  Progress progress_;
  WorkFolder work_;
  fs::path folder_;
  ReportInput input_;
  std::vector<std::string> left_;  // files of an earlier build that this one does not make
};

}  // namespace

const char* name_of(Profile profile) { return name_in(kProfileNames, profile); }

BuildRecipe recipe_of(const BuildOptions& options) {
  BuildRecipe recipe;
  if (options.profile != Profile::compat)
    recipe = {0.5, Activations::per_token, TableType::int8, true,
              options.rotate ? RotateResidual::if_possible : RotateResidual::no};
  if (options.profile == Profile::closest) {
    recipe.activations = Activations::per_token_16;
    recipe.alpha.reset();
    return recipe;
  }
  recipe.alpha = options.alpha.value_or(*recipe.alpha);
  recipe.target_cos = options.target_cos;
  recipe.max_extra_macs = options.max_extra_macs;
  if (options.profile == Profile::accurate && !recipe.target_cos && !recipe.max_extra_macs)
    recipe.max_extra_macs = kAccurateExtra;
  // Nothing to spend, nothing to search.
  if (recipe.max_extra_macs == 0.0) recipe.target_cos.reset();
  return recipe;
}

Result<BuildReport> build_model(const fs::path& source, const fs::path& output,
                                const BuildOptions& options, const Progress& progress) {
  const bool protects =
      !options.protect.empty() || options.target_cos || options.max_extra_macs.value_or(0) > 0;
  if (options.profile == Profile::closest && (protects || options.alpha || options.search))
    return Error{Code::invalid_input,
                 "with profile closest all activations have 16 bits: there is nothing to choose by "
                 "alpha, protect, target-cos or max-extra-macs; leave them out"};
  if (protects && options.profile == Profile::compat)
    return Error{
        Code::invalid_input,
        "16-bit activations (protect, target-cos, max-extra-macs) go with a scale for every "
        "token: add --profile accurate"};
  // What is read only after minutes of work is looked at before.
  OCTAVO_CHECK(check_search_log(options.protect_log));
  if (options.search) {
    OCTAVO_CHECK(check_search_log(options.search->log));
    if (!options.protect_log.empty() && options.search->log == options.protect_log)
      return Error{Code::invalid_input,
                   options.protect_log.string() + ": one file cannot be the log of both searches"};
  }
  if (!options.reference.empty()) {
    OCTAVO_TRY(const auto reference, MappedFile::open(options.reference));
  }
  if (!options.calibration.empty()) {
    OCTAVO_TRY(const auto texts, read_text_file(options.calibration));
  }
  if (!options.retrieval.empty()) {
    OCTAVO_TRY(const auto set, read_retrieval_set(options.retrieval));
  }
  if (!options.speed.empty()) {
    OCTAVO_TRY(const auto speed, speed_report(options.speed));
  }
  OCTAVO_TRY(auto work, WorkFolder::create(output));
  return Build(source, output, options, progress, std::move(work)).run();
}

}  // namespace octavo
