// Files as other programs write them, through our reader and executor, against onnxruntime.

#include "formats/onnx.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

TEST(Foreign, ExportsGiveTheNumbersOfOnnxruntime) {
  size_t seen = 0;
  for (const auto& file : files_in(golden("foreign"), ".onnx")) {
    SCOPED_TRACE(file.stem().string());
    auto model = read_onnx(file);
    ASSERT_TRUE(model) << model.error().message;
    run_cases(*std::move(model), std::filesystem::path(file).replace_extension(".safetensors"));
    ++seen;
  }
  EXPECT_GE(seen, 7U);
}

}  // namespace
}  // namespace octavo
