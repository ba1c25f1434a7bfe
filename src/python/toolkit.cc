// import, smooth, quantize, verify and build for src/python/octavo/_toolkit.py, which has the
// defaults.

#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <initializer_list>
#include <string>
#include <utility>

#include "octavo/build.h"
#include "python/errors.h"
#include "python/model_path.h"
#include "python/module.h"
#include "python/progress.h"

namespace octavo::python {

namespace {

using Path = std::filesystem::path;
using Paths = std::optional<Path>;

// The value that goes by the name; errors list the names there are.
template <class T, class Values = std::initializer_list<std::pair<const char*, T>>>
T named(const char* what, const std::string& name, const Values& values) {
  std::string known;
  for (const auto& [one, value] : values) {
    if (name == one) return value;
    known += (known.empty() ? "" : ", ") + std::string(one);
  }
  throw Failure{
      {Code::invalid_input, std::string(what) + " is \"" + name + "\"; it can be " + known}};
}

Activations activations_of(const std::string& name) {
  return named<Activations>("activations", name, kActivationsNames);
}

// alpha="auto": None here, and what goes with it.
AlphaSearch search_of(Activations activations, size_t evaluations, const Paths& log) {
  return {.activations = activations, .evaluations = evaluations, .log = log.value_or(Path())};
}

// What there is to say about it becomes a warning, at the caller of the function of _toolkit.py.
Path source_of(const Path& model, HubWeights weights, const nb::object& callback) {
  ModelSource source = model_path(model, weights, callback);
  const nb::object warning = nb::module_::import_("octavo._errors").attr("ModelWarning");
  for (const std::string& note : source.notes) {
    if (PyErr_WarnEx(warning.ptr(), note.c_str(), 2) != 0) throw nb::python_error();
  }
  return std::move(source.path);
}

ImportReport import_model(const Path& source, const Path& output, const std::string& model_name,
                          bool functions, const nb::object& callback) {
  const Path from = source_of(source, HubWeights::importable, callback);
  return value_of(run_reporting(callback, [&](const Progress& progress) {
    return octavo::import_model(from, output, {.functions = functions, .model_name = model_name},
                                progress);
  }));
}

SmoothReport smooth(const Path& fp32, const Path& output, std::optional<double> alpha,
                    const std::string& activations, const std::string& factors, size_t evaluations,
                    const Paths& search_log, bool rotate, const Paths& tokenizer,
                    const Paths& calibration, const nb::object& callback) {
  SmoothOptions options;
  if (alpha) {
    options.alpha = *alpha;
  } else {
    options.search = search_of(activations_of(activations), evaluations, search_log);
  }
  options.factors = named<Activations>("factors", factors, kActivationsNames);
  if (rotate) options.rotate = RotateResidual::yes;
  options.tokenizer = tokenizer.value_or(Path());
  options.calibration = calibration.value_or(Path());
  return value_of(run_reporting(callback, [&](const Progress& progress) {
    return smooth_model(fp32, output, options, progress);
  }));
}

QuantizeReport quantize(const Path& input, const Path& output, bool per_channel,
                        const std::string& weight_type, bool reduce_range, bool clip,
                        std::vector<std::string> op_types, std::vector<std::string> exclude,
                        const std::string& activations, std::vector<std::string> protect,
                        std::optional<double> target_cos, std::optional<double> max_extra_macs,
                        const Paths& protect_log, bool compensate, const Paths& tokenizer,
                        const Paths& calibration, const std::string& table,
                        std::optional<uint64_t> max_size, bool external_data,
                        const nb::object& callback) {
  QuantizeOptions options;
  options.per_channel = per_channel;
  options.weight_type = named<WeightType>(
      "weight_type", weight_type, {{"qint8", WeightType::qint8}, {"quint8", WeightType::quint8}});
  options.reduce_range = reduce_range;
  options.clip = clip;
  options.op_types = std::move(op_types);
  options.exclude = std::move(exclude);
  options.activations = activations_of(activations);
  options.protect = std::move(protect);
  const Path folder = tokenizer.value_or(Path());
  const Path texts = calibration.value_or(Path());
  if (target_cos || max_extra_macs) {
    ProtectSearch search;
    search.target_cos = target_cos.value_or(search.target_cos);
    search.max_extra_macs = max_extra_macs.value_or(search.max_extra_macs);
    search.log = protect_log.value_or(Path());
    search.tokenizer = folder;
    search.calibration = texts;
    options.search = std::move(search);
  }
  if (compensate) options.compensate = CompensatedRounds{folder, texts};
  options.table = named<TableType>("table", table, kTableTypeNames);
  options.max_size = max_size;
  options.external_data = external_data;
  return value_of(run_reporting(callback, [&](const Progress& progress) {
    return quantize_model(input, output, options, progress);
  }));
}

VerifyReport verify(const Path& model, const Paths& against, const Paths& reference,
                    const Paths& tokenizer, std::vector<std::string> texts,
                    std::optional<double> min_cos, int threads, const nb::object& callback) {
  VerifyOptions options;
  options.against = against.value_or(Path());
  options.reference = reference.value_or(Path());
  options.tokenizer = tokenizer.value_or(Path());
  options.texts = std::move(texts);
  options.min_cos = min_cos;
  options.threads = threads;
  const Path from = source_of(model, HubWeights::onnx, callback);
  return value_of(run_reporting(
      callback, [&](const Progress& progress) { return verify_model(from, options, progress); }));
}

BuildReport build(const Path& source, const Path& output, const std::string& profile,
                  std::optional<double> alpha, bool search, size_t evaluations,
                  const Paths& search_log, bool rotate, std::vector<std::string> protect,
                  std::optional<double> target_cos, std::optional<double> max_extra_macs,
                  const Paths& protect_log, std::optional<uint64_t> max_size,
                  const Paths& calibration, const Paths& reference, std::vector<std::string> texts,
                  const Paths& retrieval, const Paths& speed, bool vanilla, double min_cos,
                  std::string why, std::string date, std::string command_line,
                  const nb::object& callback) {
  BuildOptions options;
  options.profile = named<Profile>("profile", profile, kProfileNames);
  options.alpha = alpha;
  if (search) options.search = search_of(Activations::per_tensor, evaluations, search_log);
  options.rotate = rotate;
  options.protect = std::move(protect);
  options.target_cos = target_cos;
  options.max_extra_macs = max_extra_macs;
  options.protect_log = protect_log.value_or(Path());
  options.max_size = max_size;
  options.calibration = calibration.value_or(Path());
  options.reference = reference.value_or(Path());
  options.texts = std::move(texts);
  options.retrieval = retrieval.value_or(Path());
  options.speed = speed.value_or(Path());
  options.vanilla = vanilla;
  options.min_cos = min_cos;
  options.why = std::move(why);
  options.date = std::move(date);
  options.command_line = std::move(command_line);
  const Path from = source_of(source, HubWeights::importable, callback);
  return value_of(run_reporting(callback, [&](const Progress& progress) {
    return build_model(from, output, options, progress);
  }));
}

}  // namespace

void add_toolkit(nb::module_& module) {
  using nb::arg;
  module.def(
      "is_hub_name", [](const Path& model) { return hub_name_in(model.string()).has_value(); },
      arg("model"));
  module.def("import_model", &import_model, arg("source"), arg("output"), arg("model_name"),
             arg("functions"), arg("progress").none());
  module.def("smooth", &smooth, arg("fp32"), arg("output"), arg("alpha").none(), arg("activations"),
             arg("factors"), arg("evaluations"), arg("search_log").none(), arg("rotate"),
             arg("tokenizer").none(), arg("calibration").none(), arg("progress").none());
  module.def("quantize", &quantize, arg("input"), arg("output"), arg("per_channel"),
             arg("weight_type"), arg("reduce_range"), arg("clip"), arg("op_types"), arg("exclude"),
             arg("activations"), arg("protect"), arg("target_cos").none(),
             arg("max_extra_macs").none(), arg("protect_log").none(), arg("compensate"),
             arg("tokenizer").none(), arg("calibration").none(), arg("table"),
             arg("max_size").none(), arg("external_data"), arg("progress").none());
  module.def("verify", &verify, arg("model"), arg("against").none(), arg("reference").none(),
             arg("tokenizer").none(), arg("texts"), arg("min_cos").none(), arg("threads"),
             arg("progress").none());
  module.def("build", &build, arg("source"), arg("output"), arg("profile"), arg("alpha").none(),
             arg("search"), arg("evaluations"), arg("search_log").none(), arg("rotate"),
             arg("protect"), arg("target_cos").none(), arg("max_extra_macs").none(),
             arg("protect_log").none(), arg("max_size").none(), arg("calibration").none(),
             arg("reference").none(), arg("texts"), arg("retrieval").none(), arg("speed").none(),
             arg("vanilla"), arg("min_cos"), arg("why"), arg("date"), arg("command_line"),
             arg("progress").none());
}

}  // namespace octavo::python
