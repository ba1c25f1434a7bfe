#include "hub/selection.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace octavo::hub {
namespace {

using Names = std::vector<std::string>;

std::vector<RepositoryFile> repository(Names names) {
  std::sort(names.begin(), names.end());
  std::vector<RepositoryFile> files;
  for (const std::string& name : names) files.push_back({name, 1, {}});
  return files;
}

const Names kAbout = {"1_Pooling/config.json", "config.json", "tokenizer.json"};

Names with(Names more) {
  more.insert(more.end(), kAbout.begin(), kAbout.end());
  more.insert(more.end(),
              {"README.md", ".gitattributes", "pytorch_model.bin", "2_Dense/model.bin"});
  return more;
}

TEST(HubSelection, TakesSafetensorsAndWhatSaysHowToUseThem) {
  const auto files = repository(with({"model.safetensors", "onnx/model.onnx", "x.gguf"}));
  for (const HubWeights weights : {HubWeights::any, HubWeights::importable}) {
    const auto got = select_files(files, {.weights = weights, .include = {}}, "org/name");
    ASSERT_TRUE(got);
    EXPECT_EQ(got->about, kAbout);
    EXPECT_EQ(got->weights, Names{"model.safetensors"});
    EXPECT_EQ(got->index, "");
    EXPECT_EQ(got->gguf, "");
  }
}

TEST(HubSelection, TakesTheIndexOfShards) {
  const auto files = repository(with({"model.safetensors.index.json", "model-1.safetensors",
                                      "model-2.safetensors", "other.safetensors"}));
  const auto got = select_files(files, {}, "org/name");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->index, "model.safetensors.index.json");
  EXPECT_TRUE(got->weights.empty());
  const auto shards = shards_of(
      R"({"weight_map":{"a":"model-2.safetensors","b":"model-1.safetensors","c":"model-1.safetensors"}})",
      "index", files);
  ASSERT_TRUE(shards);
  EXPECT_EQ(*shards, (Names{"model-1.safetensors", "model-2.safetensors"}));
  for (const char* bad :
       {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})",
        R"({"weight_map":{"a":"../x"}})", R"({"weight_map":{"a":"model-3.safetensors"}})"})
    EXPECT_FALSE(shards_of(bad, "index", files)) << bad;
}

TEST(HubSelection, OnnxComesWithItsSidecars) {
  const auto files =
      repository(with({"model.safetensors", "onnx/model.onnx", "onnx/model.onnx_data",
                       "onnx/model.onnx_data_1", "onnx/model_fp16.onnx"}));
  const auto got = select_files(files, {.weights = HubWeights::onnx, .include = {}}, "org/name");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->weights,
            (Names{"onnx/model.onnx", "onnx/model.onnx_data", "onnx/model.onnx_data_1"}));
  // What octavo build makes: the INT8 model, not the vanilla one.
  const auto ours = select_files(
      repository(with({"model.int8.onnx", "model.int8.onnx.data", "model.int8.vanilla.onnx"})), {},
      "org/name");
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->weights, (Names{"model.int8.onnx", "model.int8.onnx.data"}));
}

TEST(HubSelection, OneGgufIsTakenAndOfSeveralNone) {
  const auto one = select_files(repository({"a.Q8_0.gguf", "README.md"}), {}, "org/name");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->gguf, "a.Q8_0.gguf");
  const auto files = repository({"a.Q8_0.gguf", "a.Q4_1.gguf"});
  const auto several = select_files(files, {}, "org/name");
  ASSERT_FALSE(several);
  EXPECT_NE(several.error().message.find("--include"), std::string::npos);
  EXPECT_NE(several.error().message.find("a.Q4_1.gguf, a.Q8_0.gguf"), std::string::npos);
  const auto chosen = select_files(files, {.include = {"*Q8_0.gguf"}}, "org/name");
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->gguf, "a.Q8_0.gguf");
}

TEST(HubSelection, IncludeTakesThePlaceOfTheWeights) {
  const auto files = repository(with({"model.safetensors", "onnx/a.onnx", "onnx/b.onnx"}));
  const auto got = select_files(files, {.include = {"onnx/a*", "*.onnx"}}, "org/name");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->about, kAbout);
  EXPECT_EQ(got->weights, (Names{"onnx/a.onnx", "onnx/b.onnx"}));
  const auto none = select_files(files, {.include = {"*.onnx", "*.tflite"}}, "org/name");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::not_found);
  EXPECT_NE(none.error().message.find("*.tflite"), std::string::npos);
}

TEST(HubSelection, SaysWhatThereIsInstead) {
  const struct {
    Names files;
    HubWeights weights;
    const char* says;
  } cases[] = {
      {{"config.json", "pytorch_model.bin"}, HubWeights::any, "pickle"},
      {{"model.safetensors"}, HubWeights::onnx, "octavo build org/name"},
      {{"onnx/model_q4.onnx"}, HubWeights::onnx, "onnx/model_q4.onnx"},
      {{"onnx/model.onnx"}, HubWeights::importable, "need no import"},
      {{"README.md"}, HubWeights::any, "neither safetensors nor ONNX nor GGUF"},
  };
  for (const auto& c : cases) {
    const auto got =
        select_files(repository(c.files), {.weights = c.weights, .include = {}}, "org/name");
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::unsupported);
    EXPECT_NE(got.error().message.find(c.says), std::string::npos) << got.error().message;
  }
}

}  // namespace
}  // namespace octavo::hub
