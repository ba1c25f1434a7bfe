// The packed form as an untrusted file: whatever was done to it, it is refused, never believed.

#include "embed/packed_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <thread>

#include "embed/packed_spec.h"
#include "temp_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;
using namespace fused;

EncoderSpec sample_spec() {
  EncoderSpec s;
  s.vocabulary = 10;
  s.hidden = 8;
  s.positions = 4;
  s.position_table = true;
  s.embedding_norm = {"embed", NormKind::layer, 1e-12F};
  LayerSpec l;
  l.qkv = {{"layers.0.qkv", WeightKind::s8, 8, {8, 4, 4}, false, true, false}};
  l.heads = 2;
  l.kv_heads = 1;
  l.head_dim = 4;
  l.scale = 0.5F;
  l.causal = true;
  l.window = 7;
  l.q_norm = {"layers.0.q_norm", NormKind::rms, 1e-6F};
  l.out = {"layers.0.out", WeightKind::f32, 8, {8}, false, false, true};
  l.up = {{"layers.0.up", WeightKind::s8, 8, {16}, true, false, false}};
  l.gated = true;
  l.inner = 16;
  l.activation = Activation::gelu_tanh;
  l.down = {"layers.0.down", WeightKind::bf16, 16, {8}, false, false, false};
  s.layers = {l};
  s.final_norm = {"final", NormKind::rms, 1e-6F};
  return s;
}

TEST(PackedSpec, SurvivesTheRoundTrip) {
  const auto back = spec_from_json(spec_to_json(sample_spec()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(*back == sample_spec());
}

TEST(PackedSpec, EveryKeyIsNeededAndOfItsType) {
  const nlohmann::json whole = spec_to_json(sample_spec());
  size_t seen = 0;
  const auto damage = [&](nlohmann::json& object, nlohmann::json& root) {
    std::vector<std::string> keys;
    for (const auto& item : object.items()) keys.push_back(item.key());
    for (const std::string& key : keys) {
      const nlohmann::json before = object[key];
      object[key] = nlohmann::json{{"another", "type"}};
      EXPECT_FALSE(spec_from_json(root)) << key;
      object.erase(key);
      EXPECT_FALSE(spec_from_json(root)) << key;
      object[key] = before;
      ++seen;
    }
  };
  nlohmann::json root = whole;
  damage(root, root);
  damage(root["layers"][0], root);
  damage(root["layers"][0]["qkv"][0], root);
  damage(root["layers"][0]["q_norm"], root);
  EXPECT_GE(seen, 35U);
  EXPECT_TRUE(spec_from_json(root));
  for (const auto& other : {nlohmann::json(3), nlohmann::json::array(), nlohmann::json()})
    EXPECT_FALSE(spec_from_json(other));
}

class PackedFile : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    source_ = put("model.onnx", "what it was made from");
    header_.spec = sample_spec();
    header_.sources = *look_at(folder_, {"model.onnx"});
    header_.content = *content_hash(header_.sources);
    header_.table = "embeddings.weight";
    for (const char* name : {"a", "b", "c"})
      tensors_.push_back({name, DType::f32, {16}, [name]() -> Result<Tensor> {
                            return Tensor::of<float>({16}, std::vector<float>(16, name[0]));
                          }});
  }
  Result<Packed> open() { return read_packed(file(), pool_); }
  fs::path file() const { return folder_ / "packed.safetensors"; }
  Status write() const { return write_packed(file(), header_, tensors_); }

  fs::path source_;
  PackedHeader header_;
  std::vector<PackedTensor> tensors_;
  ThreadPool pool_{2};
};

TEST_F(PackedFile, SurvivesTheRoundTrip) {
  ASSERT_TRUE(write());
  const auto packed = open();
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_TRUE(packed->header.spec == header_.spec);
  EXPECT_EQ(packed->header.sources, header_.sources);
  EXPECT_NE(packed->header.sources[0].inode, 0);
  EXPECT_NE(packed->header.sources[0].changed, 0);
  EXPECT_EQ(packed->header.content, header_.content);
  EXPECT_EQ(packed->header.table, header_.table);
  const auto b = packed->lookup("b");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->data<float>()[15], static_cast<float>('b'));
  EXPECT_FALSE(packed->lookup("d"));
}

TEST_F(PackedFile, EveryFlippedBitAndEveryCutIsSeen) {
  ASSERT_TRUE(write());
  const std::string good = read(file());
  size_t accepted = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    put("packed.safetensors", bad);
    const auto packed = open();
    if (!packed) continue;
    // Spaces that pad the header, and names of keys nobody reads, may be something else.
    EXPECT_TRUE(packed->header.spec == header_.spec) << i;
    EXPECT_EQ(packed->header.content, header_.content) << i;
    for (const char* name : {"a", "b", "c"}) {
      const auto tensor = packed->lookup(name);
      if (tensor) {
        EXPECT_EQ(tensor->data<float>()[7], static_cast<float>(name[0])) << i;
      }
    }
    ++accepted;
  }
  EXPECT_LT(accepted, good.size() / 20);
  for (size_t i = 0; i < good.size(); i += 7) {
    put("packed.safetensors", good.substr(0, i));
    EXPECT_FALSE(open()) << i;
  }
}

TEST_F(PackedFile, AnotherLayoutIsRefused) {
  ASSERT_TRUE(write());
  std::string bytes = read(file());
  const std::string key = "\"octavo.layout\":\"";
  const size_t at = bytes.find(key);
  ASSERT_NE(at, std::string::npos);
  bytes[at + key.size()] = '9';
  put("packed.safetensors", bytes);
  const auto packed = open();
  ASSERT_FALSE(packed);
  EXPECT_NE(packed.error().message.find("layout"), std::string::npos);
}

TEST_F(PackedFile, TwoWritersLeaveOneWholeFile) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([this] {
      for (int round = 0; round < 20; ++round) EXPECT_TRUE(write());
    });
  for (int round = 0; round < 50; ++round) {
    if (fs::exists(file())) {
      EXPECT_TRUE(open());
    }
  }
  for (auto& writer : writers) writer.join();
  EXPECT_TRUE(open());
}

TEST_F(PackedFile, AFailedWriteLeavesTheOldFile) {
  ASSERT_TRUE(write());
  const std::string before = read(file());
  tensors_[1].make = []() -> Result<Tensor> { return Error{Code::io, "gone"}; };
  EXPECT_FALSE(write());
  EXPECT_EQ(read(file()), before);
}

TEST_F(PackedFile, ContentTellsFilesApart) {
  const std::string before = header_.content;
  put("model.onnx", "what it was made from!");
  const auto now = look_at(folder_, {"model.onnx"});
  ASSERT_TRUE(now);
  EXPECT_NE(*now, header_.sources);
  EXPECT_NE(*content_hash(*now), before);
  EXPECT_FALSE(look_at(folder_, {"none"}));
}

// As tar, rsync -t and cp -p leave it: another model, of the old one's size and date.
TEST_F(PackedFile, AnotherFileOfTheSameSizeAndDateIsSeen) {
  const auto date = [](const fs::path& file) {
    struct stat s {};
    EXPECT_EQ(::stat(file.c_str(), &s), 0);
    return s.st_mtim;
  };
  const std::array<timespec, 2> old{date(source_), date(source_)};
  const auto expect_seen = [&](const fs::path& changed) {
    ASSERT_EQ(::utimensat(AT_FDCWD, changed.c_str(), old.data(), 0), 0);
    if (changed != source_) fs::rename(changed, source_);
    const auto now = look_at(folder_, {"model.onnx"});
    ASSERT_TRUE(now);
    EXPECT_EQ((*now)[0].size, header_.sources[0].size);
    EXPECT_EQ((*now)[0].modified, header_.sources[0].modified);
    EXPECT_NE(*now, header_.sources);
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the clock of files ticks at 250 Hz
  put("model.onnx", "what it was made FROM");
  expect_seen(source_);
  put("another.onnx", "what IT was made from");
  expect_seen(folder_ / "another.onnx");
}

TEST_F(PackedFile, RemembersHowItsSourcesLooked) {
  std::vector<SourceFile> now = header_.sources;
  now[0].modified += 1;
  EXPECT_FALSE(remembers_sources(file(), now, header_.content));
  remember_sources(file(), now, header_.content);
  EXPECT_TRUE(remembers_sources(file(), now, header_.content));
  EXPECT_FALSE(remembers_sources(file(), now, header_.content + "0"));
  for (int what = 0; what < 6; ++what) {
    std::vector<SourceFile> other = now;
    if (what == 0) other[0].modified += 1;
    if (what == 1) other[0].size += 1;
    if (what == 2) other[0].real += "x";
    if (what == 3) other.push_back(other[0]);
    if (what == 4) other[0].inode += 1;
    if (what == 5) other[0].changed += 1;
    EXPECT_FALSE(remembers_sources(file(), other, header_.content)) << what;
  }
  const std::string stamp = read(file().string() + ".stamp");
  for (size_t i = 0; i <= stamp.size(); ++i) {
    std::string bad = stamp;
    if (i == stamp.size()) {
      bad += '\n';
    } else {
      bad[i] = static_cast<char>(bad[i] ^ 1);
    }
    put("packed.safetensors.stamp", bad);
    EXPECT_FALSE(remembers_sources(file(), now, header_.content)) << i;
  }
}

}  // namespace
}  // namespace octavo
