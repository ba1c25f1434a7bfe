#include "formats/json.h"
#include "temp_folder.h"
#include "toolkit/snapshot.h"

namespace octavo {
namespace {

class SnapshotFolderTest : public TempFolder {
 protected:
  void put_weights(const std::string& name = "model.safetensors") const {
    const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    put(name, le<uint64_t>(header.size()) + header + le(2.5F));
  }
};

TEST_F(SnapshotFolderTest, CarriesTheFilesThatExistAndNoOthers) {
  put("config.json", R"({"model_type":"bert"})");
  put_weights();
  put("tokenizer.json", "{}");
  put("1_Pooling/config.json", "{\"pooling_mode_cls_token\":true}");
  put("README.md", "no");
  put("pytorch_model.bin", "no");
  auto s = open_snapshot(folder_);
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(json_string(s->config, "model_type", ""), "bert");
  EXPECT_EQ(s->weights->load("w")->values<float>()[0], 2.5F);
  ASSERT_EQ(s->files.size(), 3U);
  EXPECT_EQ(s->files.at("1_Pooling/config.json"), "{\"pooling_mode_cls_token\":true}");
  EXPECT_EQ(s->files.at("config.json"), R"({"model_type":"bert"})");
}

TEST_F(SnapshotFolderTest, FollowsTheLinksOfAHuggingFaceCache) {
  put("blobs/0a1b", R"({"model_type":"bert"})");
  put_weights("blobs/2c3d");
  std::filesystem::create_directories(folder_ / "snapshots/main");
  std::filesystem::create_symlink("../../blobs/0a1b", folder_ / "snapshots/main/config.json");
  std::filesystem::create_symlink("../../blobs/2c3d", folder_ / "snapshots/main/model.safetensors");
  auto s = open_snapshot(folder_ / "snapshots/main");
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->weights->load("w")->values<float>()[0], 2.5F);
}

TEST_F(SnapshotFolderTest, SaysWhatIsMissingAndWhatToDo) {
  const auto says = [&](const std::filesystem::path& source, const std::string& text, Code code) {
    auto s = open_snapshot(source);
    ASSERT_FALSE(s);
    EXPECT_EQ(s.error().code, code) << s.error().message;
    EXPECT_NE(s.error().message.find(text), std::string::npos) << s.error().message;
    EXPECT_NE(s.error().message.find(source.string()), std::string::npos) << s.error().message;
  };
  says(folder_ / "nowhere", "no such file or folder", Code::not_found);
  says(folder_, "has no config.json", Code::not_found);
  says(put("m.gguf", "").parent_path(), "give the file itself", Code::not_found);
  std::filesystem::remove(folder_ / "m.gguf");
  put("config.json", "{}");
  says(folder_, "neither model.safetensors nor model.safetensors.index.json", Code::not_found);
  put("model.int8.onnx", "");
  says(folder_, "but model.int8.onnx, which octavo embed and octavo serve take", Code::unsupported);
  put("model.onnx", "");
  says(folder_, "octavo quantize take " + (folder_ / "model.onnx").string(), Code::unsupported);
  put("tf_model.h5", "");
  says(folder_, "the weights are in tf_model.h5", Code::unsupported);
  put("pytorch_model-00001-of-00002.bin", "");
  says(folder_, "a pickle, which may run code", Code::unsupported);
  says(folder_, "safe_serialization=True", Code::unsupported);
  put_weights();
  EXPECT_TRUE(open_snapshot(folder_));
  says(folder_ / "model.safetensors", "give the folder it is in", Code::invalid_input);
  says(put("x.txt", ""), "neither a Hugging Face snapshot", Code::invalid_input);
  put("config.json", "[]");
  says(folder_, "is not a JSON object", Code::invalid_input);
  put("config.json", "{");
  says(folder_, "config.json: byte 1", Code::invalid_input);
}

}  // namespace
}  // namespace octavo
