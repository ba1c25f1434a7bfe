#include "toolkit/size_choice.h"

#include <algorithm>
#include <string>

#include "formats/onnx_size.h"
#include "passes/palette.h"
#include "passes/quantize_table.h"

namespace octavo {

namespace {

// float16 keeps 11 bits of a number, bfloat16 8, a byte of a row's range about as many as its
// smaller numbers have left.
constexpr TableType kCandidates[] = {TableType::float32, TableType::float16, TableType::bfloat16,
                                     TableType::int8};

// Whether every number of the table has a float16 form.
bool fits_float16(const Model& model, const std::string& table) {
  const Initializer* made = model.graph.find_initializer(table + "_float16");
  return made != nullptr && made->tensor().ok();
}

}  // namespace

std::string grouped_digits(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

Result<SizeChoice> choose_size(const Model& model, const QuantizeDynamicOptions& how,
                               const SizePlan& plan, const std::shared_ptr<ThreadPool>& pool) {
  OCTAVO_TRY(QuantizedModel done, quantize_dynamic(model, how));
  if (how.activations != Activations::per_tensor)
    OCTAVO_CHECK(store_rotation_by_palette(done.model));
  SizeChoice choice;
  choice.limit = plan.limit;
  std::string known;
  for (const TableType candidate : kCandidates) {
    Model copy = done.model;
    QuantizeReport report = done.report;
    const Status made = quantize_table(copy, candidate, pool, report);
    if (!made) continue;  // no such table, or an opset without that type
    if (candidate == TableType::float16 && !fits_float16(copy, report.table.name)) continue;
    // bfloat16 takes what float16 takes and loses more.
    const bool repeats = !choice.forms.empty() && candidate == TableType::bfloat16 &&
                         choice.forms.back().table == TableType::float16;
    if (repeats) continue;
    OCTAVO_TRY(const uint64_t own, onnx_size(copy, plan.output, plan.writing));
    const uint64_t bytes = own + plan.beside;
    choice.forms.push_back({candidate, bytes});
    known += std::string(known.empty() ? "" : ", ") + grouped_digits(bytes) +
             " with the embedding table in " + name_of(candidate);
  }
  const auto fits = std::find_if(choice.forms.begin(), choice.forms.end(),
                                 [&](const SizeChoice::Form& f) { return f.bytes <= plan.limit; });
  if (fits == choice.forms.end())
    return Error{Code::invalid_input, "max-size " + grouped_digits(plan.limit) +
                                          " bytes cannot be reached: all files take at least " +
                                          known + "; weights are in 8 bits already"};
  choice.chosen = static_cast<size_t>(fits - choice.forms.begin());
  return choice;
}

}  // namespace octavo
