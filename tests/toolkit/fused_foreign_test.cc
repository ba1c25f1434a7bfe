// Files as other programs write them end on the fused path: raised, compiled, and checked by
// make_fused() against the plain executor. Nobody says how many positions they have.

#include <gtest/gtest.h>

#include "embed/fused_model.h"
#include "formats/onnx.h"
#include "octavo/quantize.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

class FusedForeign : public TempFolder {};

TEST_F(FusedForeign, ExportsRunFusedPlainAndQuantized) {
  const auto pool = std::make_shared<ThreadPool>(2);
  size_t seen = 0;
  for (const auto& file : files_in(golden("foreign"), ".onnx")) {
    const auto quantized = folder_ / "int8.onnx";
    QuantizeOptions options;
    options.per_channel = true;
    const auto report = quantize_model(file, quantized, options);
    ASSERT_TRUE(report) << report.error().message;
    for (const auto& path : {file, quantized}) {
      SCOPED_TRACE(file.stem().string() + (path == file ? " float" : " int8"));
      const auto model = read_onnx(path);
      ASSERT_TRUE(model) << model.error().message;
      const auto fused = make_fused(*model, {.positions = 0, .cache = false}, pool);
      ASSERT_TRUE(fused) << fused.error().message;
      EXPECT_EQ(fused->encoder->spec().layers.size(), 2U);
      EXPECT_GE(fused->encoder->spec().positions, 32U);
      ++seen;
    }
  }
  EXPECT_GE(seen, 14U);
}

}  // namespace
}  // namespace octavo
