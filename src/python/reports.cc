// What the functions of toolkit.cc return: the library's reports as they are, to be read.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "octavo/build.h"
#include "python/errors.h"
#include "python/module.h"

namespace octavo::python {

namespace {

// Names that come out of files need not be UTF-8.
template <class T>
auto text(std::string T::*member) {
  return [member](const T& object) { return text_of(object.*member); };
}

template <class T>
auto texts(std::vector<std::string> T::*member) {
  return [member](const T& object) -> nb::typed<nb::list, nb::str> {
    nb::list out;
    for (const std::string& one : object.*member) out.append(text_of(one));
    return nb::typed<nb::list, nb::str>(std::move(out));
  };
}

void add_verify_report(nb::module_& module) {
  using Text = VerifyReport::Text;
  nb::class_<Text>(module, "VerifiedText")
      .def_prop_ro("text", text(&Text::text))
      .def_ro("ids", &Text::ids)
      .def_prop_ro("tokens", texts(&Text::tokens))
      .def_ro("cosine", &Text::cosine)
      .def_ro("norm", &Text::norm)
      .def_ro("reference_norm", &Text::reference_norm);
  nb::class_<VerifyReport>(module, "VerifyReport")
      .def_ro("texts", &VerifyReport::texts)
      .def_ro("cos_min", &VerifyReport::cos_min)
      .def_ro("cos_p1", &VerifyReport::cos_p1)
      .def_ro("cos_p5", &VerifyReport::cos_p5)
      .def_ro("cos_p50", &VerifyReport::cos_p50)
      .def_ro("cos_mean", &VerifyReport::cos_mean)
      .def_ro("worst", &VerifyReport::worst)
      .def_ro("passed", &VerifyReport::passed)
      .def_prop_ro("reference", text(&VerifyReport::reference))
      .def_prop_ro("notes", texts(&VerifyReport::notes));
}

void add_import_report(nb::module_& module) {
  nb::class_<ImportReport>(module, "ImportReport")
      .def_prop_ro("architecture", text(&ImportReport::architecture))
      .def_ro("parameters", &ImportReport::parameters)
      .def_prop_ro("files", texts(&ImportReport::files))
      .def_prop_ro("unused_weights", texts(&ImportReport::unused_weights));
}

void add_smooth_report(nb::module_& module) {
  nb::class_<SmoothSite>(module, "SmoothSite")
      .def_prop_ro("input", text(&SmoothSite::input))
      .def_prop_ro("weights", texts(&SmoothSite::weights))
      .def_prop_ro("folded_into", text(&SmoothSite::folded_into))
      .def_prop_ro("refusal", text(&SmoothSite::refusal))
      .def_ro("alpha", &SmoothSite::alpha)
      .def_ro("scale_min", &SmoothSite::scale_min)
      .def_ro("scale_max", &SmoothSite::scale_max)
      .def_ro("outlier_before", &SmoothSite::outlier_before)
      .def_ro("outlier_after", &SmoothSite::outlier_after);
  using Trial = AlphaSearchReport::Trial;
  nb::class_<Trial>(module, "AlphaTrial")
      .def_prop_ro("what", text(&Trial::what))
      .def_ro("loss", &Trial::loss)
      .def_ro("kept", &Trial::kept);
  nb::class_<AlphaSearchReport>(module, "AlphaSearchReport")
      .def_ro("fixed", &AlphaSearchReport::fixed)
      .def_ro("loss_fixed", &AlphaSearchReport::loss_fixed)
      .def_ro("loss", &AlphaSearchReport::loss)
      .def_ro("confirmed_fixed", &AlphaSearchReport::confirmed_fixed)
      .def_ro("confirmed", &AlphaSearchReport::confirmed)
      .def_ro("refused", &AlphaSearchReport::refused)
      .def_ro("texts", &AlphaSearchReport::texts)
      .def_ro("trials", &AlphaSearchReport::trials);
  nb::class_<SmoothReport>(module, "SmoothReport")
      .def_ro("search", &SmoothReport::search)
      .def_ro("rotated_width", &SmoothReport::rotated_width)
      .def_prop_ro("not_rotated", text(&SmoothReport::not_rotated))
      .def_ro("sites", &SmoothReport::sites)
      .def_prop_ro("skipped", texts(&SmoothReport::skipped))
      .def_ro("difference", &SmoothReport::difference)
      .def_ro("calibration_texts", &SmoothReport::calibration_texts)
      .def_ro("calibration_tokens", &SmoothReport::calibration_tokens)
      .def_prop_ro("calibration_warnings", texts(&SmoothReport::calibration_warnings));
}

void add_protect_report(nb::module_& module) {
  using Site = ProtectReport::Site;
  nb::class_<Site>(module, "ProtectSite")
      .def_prop_ro("nodes", texts(&Site::nodes))
      .def_ro("share", &Site::share)
      .def_ro("worth", &Site::worth)
      .def_ro("wide", &Site::wide);
  using Quality = ProtectReport::Quality;
  nb::class_<Quality>(module, "ProtectQuality")
      .def_ro("cos_min", &Quality::cos_min)
      .def_ro("cos_p5", &Quality::cos_p5)
      .def_ro("cos_mean", &Quality::cos_mean);
  nb::class_<ProtectReport>(module, "ProtectReport")
      .def_ro("sites", &ProtectReport::sites)
      .def_ro("extra_macs", &ProtectReport::extra_macs)
      .def_ro("narrow", &ProtectReport::narrow)
      .def_ro("chosen", &ProtectReport::chosen)
      .def_ro("wide", &ProtectReport::wide)
      .def_ro("reached", &ProtectReport::reached)
      .def_ro("texts", &ProtectReport::texts)
      .def_ro("calibration_texts", &ProtectReport::calibration_texts);
}

void add_quantize_report(nb::module_& module) {
  using Quantized = QuantizeReport::Quantized;
  nb::class_<Quantized>(module, "QuantizedNode")
      .def_prop_ro("node", text(&Quantized::node))
      .def_prop_ro("weight", text(&Quantized::weight))
      .def_ro("bytes_before", &Quantized::weight_bytes_before)
      .def_ro("bytes_after", &Quantized::weight_bytes_after)
      .def_prop_ro("activations", [](const Quantized& node) { return name_of(node.activations); });
  using Kept = QuantizeReport::Kept;
  nb::class_<Kept>(module, "KeptNode")
      .def_prop_ro("node", text(&Kept::node))
      .def_prop_ro("reason", text(&Kept::reason));
  using Table = QuantizeReport::Table;
  nb::class_<Table>(module, "QuantizedTable")
      .def_prop_ro("name", text(&Table::name))
      .def_prop_ro("type", [](const Table& table) { return name_of(table.type); })
      .def_ro("bytes_before", &Table::bytes_before)
      .def_ro("bytes_after", &Table::bytes_after)
      .def_prop_ro("also_read_by", texts(&Table::also_read_by));
  nb::class_<QuantizeReport>(module, "QuantizeReport")
      .def_ro("quantized", &QuantizeReport::quantized)
      .def_ro("kept", &QuantizeReport::kept)
      .def_ro("table", &QuantizeReport::table)
      .def_ro("protection", &QuantizeReport::protection)
      .def_ro("compensated", &QuantizeReport::compensated)
      .def_ro("compensation_texts", &QuantizeReport::compensation_texts)
      .def_prop_ro("warnings", texts(&QuantizeReport::warnings))
      .def_prop_ro("calibration_warnings", texts(&QuantizeReport::calibration_warnings))
      .def_ro("bytes_before", &QuantizeReport::bytes_before)
      .def_ro("bytes_after", &QuantizeReport::bytes_after);
}

void add_build_report(nb::module_& module) {
  using File = BuildReport::File;
  nb::class_<File>(module, "BuiltFile")
      .def_prop_ro("name", text(&File::name))
      .def_ro("size", &File::size)
      .def_prop_ro("sha256", text(&File::sha256));
  nb::class_<BuildReport>(module, "BuildReport")
      .def_ro("imported", &BuildReport::imported)
      .def_ro("smoothed", &BuildReport::smoothed)
      .def_ro("vanilla", &BuildReport::vanilla)
      .def_ro("importing", &BuildReport::import)
      .def_ro("smoothing", &BuildReport::smoothing)
      .def_ro("quantization", &BuildReport::quantization)
      .def_ro("fp32_bytes", &BuildReport::fp32_bytes)
      .def_ro("files", &BuildReport::files)
      .def_prop_ro("changes", texts(&BuildReport::changes))
      .def_ro("passed", &BuildReport::passed);
}

}  // namespace

void add_reports(nb::module_& module) {
  add_verify_report(module);
  add_import_report(module);
  add_smooth_report(module);
  add_protect_report(module);
  add_quantize_report(module);
  add_build_report(module);
}

}  // namespace octavo::python
