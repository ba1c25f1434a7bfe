// Writes packed models for fuzz_packed to start from: decoders and encoders of one layer, in
// float32 and INT8. usage: fuzz_packed_seeds FOLDER

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "embed/fused_model.h"
#include "formats/onnx.h"
#include "passes/quantize_dynamic.h"
#include "toolkit/raise_graph.h"

int main(int argc, char** argv) {
  using namespace octavo;
  namespace fs = std::filesystem;
  if (argc != 2) return std::fputs("usage: fuzz_packed_seeds FOLDER\n", stderr), 1;
  const fs::path folder = argv[1];
  const fs::path models = folder.string() + ".models";
  fs::remove_all(folder);
  ::setenv("OCTAVO_CACHE", folder.c_str(), 1);
  std::vector<Spelling> spellings(3);
  spellings[1].layer_norm = Spelling::LayerNorm::whole;
  spellings[1].product = Spelling::Product::bias;
  spellings[1].gate = Spelling::Gate::gelu;
  spellings[2].head_norm = true;
  spellings[2].window = 5;
  spellings[2].product = Spelling::Product::bfloat;
  const auto pool = std::make_shared<ThreadPool>(1);
  for (size_t i = 0; i < spellings.size(); ++i) {
    for (const bool int8 : {false, true}) {
      if (int8 && spellings[i].product == Spelling::Product::bfloat) continue;
      Model model = RaiseGraph(spellings[i]).make();
      if (int8) model = quantize_dynamic(std::move(model), {})->model;
      const fs::path to = models / std::to_string(2 * i + (int8 ? 1 : 0));
      fs::create_directories(to);
      // Few positions: the tables of the rotation are most of such a small model's bytes.
      const auto made = write_onnx(model, to / "model.onnx")
                            ? open_fused(to / "model.onnx", {.positions = 16}, pool)
                            : Result<FusedModel>(Error{Code::io, "no model was written"});
      if (!made || made->packed.empty())
        return std::fprintf(stderr, "seed %zu: %s\n", i,
                            made ? "not packed" : made.error().message.c_str()),
               1;
    }
  }
  fs::remove_all(models);
  return 0;
}
