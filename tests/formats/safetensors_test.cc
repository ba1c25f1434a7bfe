#include <chrono>
#include <limits>

#include "base/half.h"
#include "formats/json.h"
#include "formats/weights.h"
#include "temp_folder.h"

namespace octavo {
namespace {

class SafetensorsTest : public TempFolder {
 protected:
  static std::string file(const std::string& header, const std::string& data) {
    return le<uint64_t>(header.size()) + header + data;
  }
  auto open(const std::string& bytes) const {
    return open_safetensors(put("m.safetensors", bytes));
  }
};

TEST_F(SafetensorsTest, ReadsEveryTypeAsFloat) {
  const struct {
    const char* type;
    std::string bytes;
    float value;
  } cases[] = {
      {"F32", le(1.5F), 1.5F},
      {"F64", le(1.0 + 1e-9), 1.0F},
      {"F16", le<uint16_t>(0xbe00), -1.5F},
      {"BF16", le<uint16_t>(0x4049), 3.140625F},
      {"I64", le<int64_t>(-3), -3.0F},
      {"I32", le<int32_t>(16777217), 16777216.0F},
      {"I16", le<int16_t>(-300), -300.0F},
      {"I8", le<int8_t>(-128), -128.0F},
      {"U64", le<uint64_t>(1), 1.0F},
      {"U32", le<uint32_t>(0xffffffffU), 4294967296.0F},
      {"U16", le<uint16_t>(65535), 65535.0F},
      {"U8", le<uint8_t>(255), 255.0F},
      {"BOOL", le<uint8_t>(1), 1.0F},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.type);
    const std::string n = std::to_string(c.bytes.size());
    // 58 + digits bytes of header put the data at odd addresses for some of these.
    auto source = open(file(R"({"a":{"dtype":")" + std::string(c.type) +
                                R"(","shape":[1],"data_offsets":[0,)" + n + "]}}",
                            c.bytes));
    ASSERT_TRUE(source) << source.error().message;
    EXPECT_EQ((*source)->entries().at(0).stored_as, c.type);
    auto t = (*source)->load("a");
    ASSERT_TRUE(t) << t.error().message;
    EXPECT_EQ(t->dtype(), DType::f32);
    EXPECT_EQ(t->values<float>()[0], c.value);
    auto raw = (*source)->load_as_stored("a");
    ASSERT_TRUE(raw);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(raw->bytes().data()), raw->bytes().size()),
              c.bytes);
  }
}

TEST_F(SafetensorsTest, BorrowsAlignedFloatsAndKeepsTheOrderOfTheFile) {
  std::string header =
      R"({"__metadata__":{"format":"pt","k":""},"z":{"dtype":"F32","shape":[],"data_offsets":[24,28]},)"
      R"("b":{"shape":[2,3],"data_offsets":[0,24],"dtype":"F32"},"e":{"dtype":"F16","shape":[0,4],"data_offsets":[24,24]}})";
  header += std::string(64 - (header.size() + 8) % 64, ' ');
  std::string data;
  for (int i = 0; i < 7; ++i) data += le(static_cast<float>(i));
  auto source = open(file(header, data));
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_EQ((*source)->entries().size(), 3U);
  EXPECT_EQ((*source)->entries()[0].name, "b");
  EXPECT_EQ((*source)->entries()[1].name, "e");
  EXPECT_EQ((*source)->entries()[2].name, "z");
  auto b = (*source)->load("b");
  ASSERT_TRUE(b);
  EXPECT_TRUE(b->file_backed());
  EXPECT_EQ(b->shape(), (Shape{2, 3}));
  EXPECT_EQ(b->values<float>()[5], 5.0F);
  EXPECT_EQ((*source)->load("z")->values<float>()[0], 6.0F);
  EXPECT_EQ((*source)->load("z")->rank(), 0U);
  EXPECT_EQ((*source)->load("e")->size(), 0);
  EXPECT_EQ((*source)->find("x"), nullptr);
  EXPECT_EQ((*source)->load("x").error().code, Code::not_found);
  EXPECT_EQ(safetensors_metadata(folder_ / "m.safetensors")->at("format"), "pt");
}

TEST_F(SafetensorsTest, RefusesDamagedFiles) {
  const auto tensor = [](const std::string& fields) { return R"({"a":{)" + fields + "}}"; };
  const std::string four = le(1.0F);
  const std::string ok = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
  const struct {
    std::string bytes;
    std::string says;
  } cases[] = {
      {"", "the header length: needs 8 bytes"},
      {"x", "the header length"},
      {"1234567", "the header length"},
      {le<uint64_t>(0), "does not start with '{'"},
      {le<uint64_t>(2), "the header: needs 2 bytes"},
      {le<uint64_t>(std::numeric_limits<uint64_t>::max()), "100,000,000 are the most"},
      {le<uint64_t>(100'000'001) + "{}", "100,000,000 are the most"},
      {file("\"\xff\"", ""), "does not start with '{'"},
      {file("{\"\xff\":1}", ""), "UTF-8"},
      {file("[", ""), "does not start with '{'"},
      {file(" {}", ""), "does not start with '{'"},
      {file("{", ""), "syntax error"},
      {file("{} x", ""), "syntax error"},
      {file("{}", "x"), "the tensors end at byte 0 of the data, but there are 1 bytes"},
      {file(tensor(ok), four + "x"),
       "the tensors end at byte 4 of the data, but there are 5 bytes"},
      {file(tensor(ok), "123"), "the tensors end at byte 4 of the data, but there are 3 bytes"},
      {file(R"({"a":{)" + ok + R"(},"b":{)" + ok + "}}", four), "the tensor before it ends at 4"},
      {file(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), four + four),
       "the tensor before it ends at 0"},
      {file(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), four), "before its begin"},
      {file(tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"), four),
       "too many elements"},
      {file(tensor(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4])"), four),
       "size overflow"},
      {file(tensor(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4])"), four),
       "beyond 2^63"},
      {file(tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), four), "negative"},
      {file(tensor(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), four), "not a size"},
      {file(tensor(R"("dtype":"F33","shape":[1],"data_offsets":[0,4])"), four),
       "tensor \"a\": unknown dtype \"F33\""},
      {file(tensor(R"("dtype":"F4","shape":[1],"data_offsets":[0,1])"), "1"), "does not take"},
      {file(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), four),
       "F32 [2] does not take the 4 bytes"},
      {file(R"({"a":{)" + ok + R"(},"a":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}})", four),
       "\"a\" is there twice"},
      {file(tensor(ok + R"(,"dtype":"F32")"), four), "the key dtype is there twice"},
      {file(tensor(ok + R"(,"extra":1)"), four), "unknown key \"extra\""},
      {file(tensor(R"("dtype":"F32","shape":[1])"), four), "needs dtype, shape and data_offsets"},
      {file(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), four), "needs two"},
      {file(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), four), "more than two"},
      {file(tensor(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), four), "array"},
      {file(tensor(R"("dtype":["F32"],"shape":[1],"data_offsets":[0,4])"), four), "array"},
      {file(tensor(R"("dtype":{},"shape":[1],"data_offsets":[0,4])"), four), "object"},
      {file(tensor(R"("dtype":null,"shape":[1],"data_offsets":[0,4])"), four), "null"},
      {file(tensor(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), four), "a number where"},
      {file(R"({"a":1})", ""), "a number where"},
      {file(R"({"__metadata__":{"a":1}})", ""), "a number where"},
      {file(R"({"__metadata__":{"a":"","a":""}})", ""), "the metadata key \"a\" is there twice"},
      {file(R"({"__metadata__":{},"__metadata__":{}})", ""), "__metadata__ is there twice"},
      {file(R"({"a":)" + std::string(100'000, '['), ""), "array"},
      {file(tensor(R"("shape":[)" + std::string("1") +
                   [] {
                     std::string s;
                     for (int i = 0; i < 40; ++i) s += ",1";
                     return s;
                   }() +
                   R"(],"dtype":"F32","data_offsets":[0,4])"),
            four),
       "more than 32 dimensions"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.bytes.substr(0, 100));
    auto source = open(c.bytes);
    ASSERT_FALSE(source);
    EXPECT_EQ(source.error().code, Code::invalid_input) << source.error().message;
    EXPECT_NE(source.error().message.find("m.safetensors"), std::string::npos);
    EXPECT_NE(source.error().message.find(c.says), std::string::npos) << source.error().message;
  }
  EXPECT_TRUE(open(file("{}", "")));
  EXPECT_TRUE(open(file("{ \"a\" : {\n" + ok + "}}   \n", four)));
}

TEST_F(SafetensorsTest, EveryTruncationIsAnError) {
  const std::string whole =
      file(R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
           le(1.0F) + le(2.0F));
  ASSERT_TRUE(open(whole));
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(open(whole.substr(0, n))) << n;
}

TEST_F(SafetensorsTest, WhatIsNotAFiniteFloatIsRefusedAtLoad) {
  const auto with = [&](const std::string& type, const std::string& bytes) {
    return *open(file(R"({"w":{"dtype":")" + type + R"(","shape":[1],"data_offsets":[0,)" +
                          std::to_string(bytes.size()) + "]}}",
                      bytes));
  };
  // One at a time: each of them maps the same file.
  const auto refuse = [](const std::shared_ptr<const WeightSource>& source) {
    auto t = source->load("w");
    ASSERT_FALSE(t);
    EXPECT_EQ(t.error().code, Code::invalid_input);
    EXPECT_NE(t.error().message.find("m.safetensors: tensor \"w\": element 0 is"),
              std::string::npos)
        << t.error().message;
  };
  refuse(with("F32", le(std::numeric_limits<float>::quiet_NaN())));
  refuse(with("F32", le(-std::numeric_limits<float>::infinity())));
  refuse(with("F64", le(1e300)));
  refuse(with("F16", le<uint16_t>(0x7c00)));
  refuse(with("BF16", le<uint16_t>(0x7fc0)));
  auto f8 = with("F8_E4M3", "x")->load("w");
  ASSERT_FALSE(f8);
  EXPECT_EQ(f8.error().code, Code::unsupported);
  EXPECT_NE(f8.error().message.find("F8_E4M3"), std::string::npos);
}

TEST_F(SafetensorsTest, AMillionTensorsOpen) {
  std::string header = "{";
  header.reserve(60'000'000);
  for (int i = 0; i < 1'000'000; ++i)
    header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[],"data_offsets":[)" + std::to_string(4 * i) + "," +
              std::to_string(4 * i + 4) + "]}";
  header += "}";
  auto source = open(file(header, std::string(4'000'000, '\0')));
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ((*source)->entries().size(), 1'000'000U);
  EXPECT_NE((*source)->find("t999999"), nullptr);
}

TEST_F(SafetensorsTest, ShardsMakeOneSource) {
  const auto one = [](const std::string& name, float value) {
    return file("{\"" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", le(value));
  };
  put("s-1.safetensors", one("a", 1));
  put("s-2.safetensors", one("b", 2));
  const auto index = [&](const std::string& map) {
    return open_safetensors(put("model.safetensors.index.json", R"({"weight_map":)" + map + "}"));
  };
  auto source = index(R"({"b":"s-2.safetensors","a":"s-1.safetensors"})");
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ((*source)->load("a")->values<float>()[0], 1.0F);
  EXPECT_EQ((*source)->load("b")->values<float>()[0], 2.0F);

  const struct {
    const char* map;
    const char* says;
  } cases[] = {
      {R"({"a":"s-2.safetensors","b":"s-2.safetensors"})", "\"a\" is in s-2.safetensors, but"},
      {R"({"a":"s-1.safetensors","c":"s-1.safetensors"})", "\"c\" is in s-1.safetensors, but"},
      {R"({"a":"s-3.safetensors"})", "the download is not complete"},
      {R"({"a":"../s-1.safetensors"})", "not a plain name"},
      {R"({"a":"/etc/passwd"})", "not a plain name"},
      {R"({"a":"..\\x"})", "not a plain name"},
      {R"({"a":".."})", "not a plain name"},
      {R"({"a":""})", "not a plain name"},
      {R"({"a":"s-1.safetensors\u0000x"})", "not a plain name"},
      {R"({"a":1})", "is not text"},
      {"{}", "no weight_map"},
      {"[]", "no weight_map"},
  };
  for (const auto& c : cases) {
    auto bad = index(c.map);
    ASSERT_FALSE(bad) << c.map;
    EXPECT_NE(bad.error().message.find(c.says), std::string::npos) << bad.error().message;
    EXPECT_NE(bad.error().message.find("index.json"), std::string::npos);
  }
  put("s-2.safetensors", one("a", 2));
  auto twice = index(R"({"a":"s-1.safetensors","b":"s-2.safetensors"})");
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("\"a\" is there twice"), std::string::npos);
}

}  // namespace
}  // namespace octavo
