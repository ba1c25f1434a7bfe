#include "formats/gguf.h"

#include <limits>

#include "formats/gguf_bytes.h"
#include "temp_folder.h"

namespace octavo {
namespace {

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ8 = 8;

class GgufTest : public TempFolder {
 protected:
  Result<std::shared_ptr<const Gguf>> open(const std::string& bytes) const {
    std::filesystem::remove(folder_ / "m.gguf");  // a new file, not the bytes under an older map
    return Gguf::open(put("m.gguf", bytes));
  }
};

TEST_F(GgufTest, ReadsMetadataOfEveryType) {
  GgufBytes b;
  b.header(0, 14);
  b.key("u8", GgufType::u8).raw<uint8_t>(200);
  b.key("i8", GgufType::i8).raw<int8_t>(-7);
  b.key("u16", GgufType::u16).raw<uint16_t>(65535);
  b.key("i16", GgufType::i16).raw<int16_t>(-300);
  b.key("u32", GgufType::u32).raw<uint32_t>(4000000000U);
  b.key("i32", GgufType::i32).raw<int32_t>(-5);
  b.key("f32", GgufType::f32).raw(1.5F);
  b.key("bool", GgufType::boolean).raw<uint8_t>(1);
  b.key("text", GgufType::string).text("h\xc3\xa4");
  b.key("u64", GgufType::u64).raw(std::numeric_limits<uint64_t>::max());
  b.key("i64", GgufType::i64).raw<int64_t>(int64_t{-1} << 40);
  b.key("f64", GgufType::f64).raw(0.1);
  b.key("texts", GgufType::array).array(GgufType::string, 2).text("a").text("");
  b.key("nested", GgufType::array).array(GgufType::array, 2);
  b.array(GgufType::i16, 2).raw<int16_t>(3).raw<int16_t>(-4);
  b.array(GgufType::f32, 1).raw(2.5F);
  auto g = open(b.str());
  ASSERT_TRUE(g) << g.error().message;
  const Gguf& file = **g;
  EXPECT_EQ(file.metadata().size(), 14U);
  EXPECT_EQ(file.integer("u8"), 200);
  EXPECT_EQ(file.integer("i8"), -7);
  EXPECT_EQ(file.integer("u16"), 65535);
  EXPECT_EQ(file.integer("i16"), -300);
  EXPECT_EQ(file.integer("u32"), 4000000000);
  EXPECT_EQ(file.integer("i32"), -5);
  EXPECT_EQ(file.number("f32"), 1.5);
  EXPECT_EQ(file.number("i32"), -5.0);
  EXPECT_EQ(file.boolean("bool"), true);
  EXPECT_EQ(file.text("text"), "h\xc3\xa4");
  EXPECT_EQ(file.integer("u64"), std::nullopt);  // does not fit
  EXPECT_EQ(file.number("u64"), 18446744073709551616.0);
  EXPECT_EQ(file.integer("i64"), int64_t{-1} << 40);
  EXPECT_EQ(file.number("f64"), 0.1);
  EXPECT_EQ(file.integer("f32"), std::nullopt);
  EXPECT_EQ(file.integer("absent"), std::nullopt);
  EXPECT_EQ(file.boolean("u8"), std::nullopt);
  EXPECT_EQ(file.text("u8"), std::nullopt);
  ASSERT_NE(file.array("texts"), nullptr);
  EXPECT_EQ(file.array("texts")->texts, (std::vector<std::string_view>{"a", ""}));
  ASSERT_NE(file.array("nested"), nullptr);
  const auto& nested = file.array("nested")->arrays;
  ASSERT_EQ(nested.size(), 2U);
  EXPECT_EQ(nested[0].array()->integer(1), -4);
  EXPECT_EQ(nested[1].array()->number(0), 2.5);
}

TEST_F(GgufTest, ShapesAreOutermostFirstAndVersionTwoIsTheSame) {
  for (const uint32_t version : {2U, 3U}) {
    GgufBytes b;
    b.header(3, 0, version).tensor("m", {3, 2}, kF32, 32).tensor("v", {2}, kF32, 0);
    b.tensor("s", {}, kF32, 64).pad();
    b.raw(7.0F).raw(8.0F).pad();
    for (int i = 0; i < 6; ++i) b.raw(static_cast<float>(i));
    b.pad().raw(9.0F);
    auto g = open(b.str());
    ASSERT_TRUE(g) << g.error().message;
    auto m = (*g)->load("m");
    ASSERT_TRUE(m);
    EXPECT_TRUE(m->file_backed());
    EXPECT_EQ(m->shape(), (Shape{2, 3}));
    EXPECT_EQ(m->values<float>()[5], 5.0F);
    EXPECT_EQ((*g)->load("v")->values<float>()[1], 8.0F);
    EXPECT_EQ((*g)->load("s")->values<float>()[0], 9.0F);
    EXPECT_EQ((*g)->load("x").error().code, Code::not_found);
    EXPECT_EQ((*g)->load_as_stored("m")->values<float>()[5], 5.0F);
  }
}

GgufBytes one_tensor(const std::vector<uint64_t>& dims, uint32_t type = kF32, uint64_t offset = 0,
                     const std::string& name = "w") {
  GgufBytes b;
  b.header(1, 0).tensor(name, dims, type, offset).pad();
  return b.bytes(std::string(64, '\0'));
}

TEST_F(GgufTest, RefusesDamagedFiles) {
  const auto key = [](GgufType type, auto value) {
    GgufBytes b;
    b.header(0, 1).key("general.alignment", type).raw(value);
    return b.str();
  };
  const uint64_t big = uint64_t{1} << 40;
  const uint64_t most = std::numeric_limits<uint64_t>::max();
  const struct {
    std::string bytes;
    const char* says;
    Code code = Code::invalid_input;
  } cases[] = {
      {"", "needs 4 bytes"},
      {"GGUX" + std::string(60, '\0'), "is not a GGUF file"},
      {GgufBytes().header(0, 0, 1).str(), "GGUF version 1", Code::unsupported},
      {GgufBytes().header(0, 0, 4).str(), "GGUF version 4", Code::unsupported},
      {GgufBytes().header(0, 0, 0x03000000U).str(), "big-endian", Code::unsupported},
      {GgufBytes().header(most, 0).str(), "18446744073709551615 tensors"},
      {GgufBytes().header(1000, 0).bytes(std::string(100, '\0')).str(), "1000 tensors in the last"},
      {GgufBytes().header(0, most).str(), "metadata keys"},
      {GgufBytes().header(0, 1).text("").raw<uint32_t>(0).raw<uint8_t>(0).str(), "key 0 is empty"},
      {GgufBytes().header(0, 1).raw(most).str(), "metadata key 0: a text of 18446744073709551615"},
      {GgufBytes().header(0, 1).text(std::string(70'000, 'k')).str(), "65535 are the most"},
      {GgufBytes().header(0, 1).text("k").raw<uint32_t>(13).str(), "\"k\": unknown value type 13"},
      {GgufBytes().header(0, 1).key("k", GgufType::string).raw(big).str(), "\"k\": a text of"},
      {GgufBytes().header(0, 1).key("k", GgufType::array).array(GgufType::u64, most).str(),
       "size overflow"},
      {GgufBytes().header(0, 1).key("k", GgufType::array).array(GgufType::u64, big).str(),
       "needs 8796093022208 bytes"},
      {GgufBytes().header(0, 1).key("k", GgufType::array).array(GgufType::string, most).str(),
       "elements in the last 0 bytes"},
      {GgufBytes().header(0, 1).key("k", GgufType::array).array(GgufType::array, big).str(),
       "elements in the last 0 bytes"},
      {GgufBytes().header(0, 1).key("k", GgufType::array).raw<uint32_t>(99).raw(big).str(),
       "unknown value type 99"},
      {GgufBytes()
           .header(0, 2)
           .key("k", GgufType::u8)
           .raw<uint8_t>(1)
           .key("k", GgufType::u8)
           .raw<uint8_t>(2)
           .str(),
       "the metadata key \"k\" is there twice"},
      {key(GgufType::u32, uint32_t{0}), "general.alignment"},
      {key(GgufType::u32, uint32_t{24}), "general.alignment"},
      {key(GgufType::u32, uint32_t{1U << 31}), "general.alignment"},
      {key(GgufType::i32, int32_t{-32}), "general.alignment"},
      {key(GgufType::f32, 32.0F), "general.alignment"},
      {one_tensor({4}, kF32, 0, "").str(), "a tensor without a name"},
      {one_tensor({4, 0}).str(), "tensor \"w\": the dimension 0"},
      {one_tensor({most}).str(), "tensor \"w\": the dimension 18446744073709551615"},
      {one_tensor({uint64_t{1} << 32, uint64_t{1} << 32}).str(), "too many elements"},
      {one_tensor({uint64_t{1} << 62}).str(), "size overflow"},
      {one_tensor(std::vector<uint64_t>(9, 1)).str(), "9 dimensions"},
      {one_tensor({4}, kF32, 4).str(), "no multiple of the alignment 32"},
      {one_tensor({4}, kF32, 64).str(), "cut short or damaged"},
      {one_tensor({4}, kF32, most - 31).str(), "cut short or damaged"},
      {one_tensor({17}).str(), "68 bytes at 0 of the data, which has 64"},
      {one_tensor({16, 2}, kQ8).str(), "no whole blocks of 32 (Q8_0)"},
      {one_tensor({}, kQ8).str(), "no whole blocks"},
      {GgufBytes()
           .header(2, 0)
           .tensor("w", {1}, kF32, 0)
           .tensor("w", {1}, kF32, 32)
           .pad()
           .bytes(std::string(64, '\0'))
           .str(),
       "the tensor \"w\" is there twice"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.says);
    auto g = open(c.bytes);
    ASSERT_FALSE(g);
    EXPECT_EQ(g.error().code, c.code) << g.error().message;
    EXPECT_NE(g.error().message.find("m.gguf: "), std::string::npos) << g.error().message;
    EXPECT_NE(g.error().message.find(c.says), std::string::npos) << g.error().message;
  }
  EXPECT_TRUE(open(one_tensor({16}).str()));
  EXPECT_TRUE(open(one_tensor({4}, 99).str())) << "an unknown type matters only when it is loaded";
}

TEST_F(GgufTest, DeepArraysAreRefusedNotRecursedInto) {
  GgufBytes b;
  b.header(0, 1).key("k", GgufType::array);
  for (int i = 0; i < 100'000; ++i) b.array(GgufType::array, 1);
  auto g = open(b.str());
  ASSERT_FALSE(g);
  EXPECT_NE(g.error().message.find("nested deeper"), std::string::npos) << g.error().message;

  GgufBytes wide;  // a million empty arrays would take 100 times the bytes of the file
  wide.header(0, 1).key("k", GgufType::array).array(GgufType::array, 1'000'000);
  for (int i = 0; i < 1'000'000; ++i) wide.array(GgufType::u8, 0);
  EXPECT_NE(open(wide.str()).error().message.find("too many nested"), std::string::npos);
}

TEST_F(GgufTest, LoadNamesWhatItCannotRead) {
  auto g = open(one_tensor({4}, 99).str());
  ASSERT_TRUE(g);
  auto t = (*g)->load("w");
  ASSERT_FALSE(t);
  EXPECT_EQ(t.error().code, Code::unsupported);
  EXPECT_NE(t.error().message.find(
                "m.gguf: tensor \"w\": is stored as ggml type 99; these can be read: F32"),
            std::string::npos)
      << t.error().message;

  GgufBytes nan;
  nan.header(1, 0)
      .tensor("w", {2}, kF32, 0)
      .pad()
      .raw(1.0F)
      .raw(std::numeric_limits<float>::quiet_NaN());
  auto bad = (*open(nan.str()))->load("w");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("tensor \"w\": element 1 is NaN"), std::string::npos);

  GgufBytes scale;  // a Q8_0 block whose scale is infinite
  scale.header(1, 0)
      .tensor("w", {32}, kQ8, 0)
      .pad()
      .raw<uint16_t>(0x7c00)
      .bytes(std::string(32, '\1'));
  auto inf = (*open(scale.str()))->load("w");
  ASSERT_FALSE(inf);
  EXPECT_EQ(inf.error().code, Code::invalid_input);
  EXPECT_EQ((*open(scale.str()))->load_as_stored("w").error().code, Code::unsupported);
}

GgufBytes small_file() {
  GgufBytes b;
  b.header(2, 4);
  b.key("general.architecture", GgufType::string).text("llama");
  b.key("list", GgufType::array).array(GgufType::string, 2).text("ab").text("c");
  b.key("nested", GgufType::array)
      .array(GgufType::array, 1)
      .array(GgufType::u16, 2)
      .raw<uint32_t>(5);
  b.key("general.alignment", GgufType::u32).raw<uint32_t>(32);
  b.tensor("a", {32}, kQ8, 0).tensor("b", {2, 2}, kF32, 64).pad();
  return b.bytes(std::string(34, '\1')).pad().raw(1.0F).raw(2.0F).raw(3.0F).raw(4.0F);
}

TEST_F(GgufTest, EveryTruncationIsAnError) {
  const std::string whole = small_file().str();
  ASSERT_TRUE(open(whole));
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(open(whole.substr(0, n))) << n;
}

TEST_F(GgufTest, NoFlippedBitDoesHarm) {
  const std::string whole = small_file().str();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    auto g = open(flipped);
    if (!g) continue;
    for (const auto& entry : (*g)->entries()) {
      auto t = (*g)->load(entry.name);
      if (t) {
        EXPECT_EQ(t->shape(), entry.shape);
      }
    }
  }
}

TEST_F(GgufTest, AMillionTensorsOpen) {
  GgufBytes b;
  b.header(1'000'000, 0);
  for (int i = 0; i < 1'000'000; ++i) b.tensor("t" + std::to_string(i), {1}, kF32, 0);
  b.pad().raw(2.0F);
  auto g = open(b.str());
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ((*g)->load("t999999")->values<float>()[0], 2.0F);
}

}  // namespace
}  // namespace octavo
