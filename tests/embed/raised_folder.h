#pragma once
// A model folder that runs on the engine: a one-layer decoder, in float32 or INT8, with a tokenizer
// of three words and room for long texts. Packed weights go to a cache inside the folder.

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "formats/onnx.h"
#include "octavo/embedder.h"
#include "passes/quantize_dynamic.h"
#include "temp_folder.h"
#include "text/tiny_tokenizer.h"
#include "toolkit/raise_graph.h"

namespace octavo {

class RaisedFolder : public TempFolder {
 protected:
  using Texts = std::vector<std::string>;

  void SetUp() override {
    TempFolder::SetUp();
    ::setenv("OCTAVO_CACHE", (folder_ / "cache").c_str(), 1);
    make_model(folder_ / "int8", true);
    make_model(folder_ / "float", false);
  }

  static void make_model(const std::filesystem::path& folder, bool int8) {
    Spelling spelling;
    spelling.heads = int8 ? 4 : 2;  // so that the two models have no weight in common
    Model model = RaiseGraph(spelling).make();
    if (int8) model = quantize_dynamic(std::move(model), {})->model;
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "tokenizer.json") << test::kWordLevel;
    std::ofstream(folder / "config.json")
        << R"({"architectures": ["Qwen3Model"], "max_position_embeddings": 8192})";
    std::ofstream(folder / "sentence_bert_config.json") << R"({"max_seq_length": 8192})";
    ASSERT_TRUE(write_onnx(model, folder / "model.onnx"));
  }
  static Embedder open(const std::filesystem::path& folder, EmbedderOptions options = {}) {
    if (options.threads == 0) options.threads = 2;
    auto embedder = Embedder::open(folder, options);
    if (!embedder) throw std::runtime_error(embedder.error().message);
    return *std::move(embedder);
  }
  // Texts of `count` lengths between one word and `longest`, no two the same.
  static Texts texts(size_t count, size_t longest) {
    static constexpr const char* kWords[] = {"one", "two", "three"};
    Texts all;
    uint64_t state = 7;
    for (size_t i = 0; i < count; ++i) {
      std::string text;
      for (size_t n = 1 + i * 7919 % longest; n > 0; --n) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        text += std::string(text.empty() ? "" : " ") + kWords[(state >> 33) % 3];
      }
      all.push_back(std::move(text));
    }
    return all;
  }
  static bool same(const Embeddings& a, const std::vector<float>& b, size_t from = 0) {
    return from + a.values.size() <= b.size() &&
           std::memcmp(a.values.data(), b.data() + from, a.values.size() * sizeof(float)) == 0;
  }
};

}  // namespace octavo
