#include "toolkit/reference.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

namespace octavo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What tools/dump_reference.py writes; a test changes one thing of it.
struct Parts {
  json metadata = {{"format", "octavo-reference-1"},
                   {"pooling", "mean"},
                   {"texts", R"(["first","zweiter"])"},
                   {"made_by", "transformers 1.2"}};
  std::vector<int64_t> ids = {101, 7, 102, 101, 102};
  std::vector<int64_t> offsets = {0, 3, 5};
  std::vector<float> embeddings = {1, 0, 0.6F, 0.8F};
  std::vector<int64_t> embeddings_shape = {2, 2};
  std::vector<float> norms = {2.5F, 3};
};

fs::path write(const Parts& parts) {
  json header = {{"__metadata__", parts.metadata}};
  std::string data;
  const auto add = [&](const char* name, const char* dtype, std::vector<int64_t> shape,
                       const void* bytes, size_t size) {
    header[name] = {{"dtype", dtype},
                    {"shape", std::move(shape)},
                    {"data_offsets", {data.size(), data.size() + size}}};
    data.append(static_cast<const char*>(bytes), size);
  };
  const auto rank1 = [](size_t n) { return std::vector<int64_t>{static_cast<int64_t>(n)}; };
  add("ids", "I64", rank1(parts.ids.size()), parts.ids.data(), parts.ids.size() * 8);
  add("offsets", "I64", rank1(parts.offsets.size()), parts.offsets.data(),
      parts.offsets.size() * 8);
  add("embeddings", "F32", parts.embeddings_shape, parts.embeddings.data(),
      parts.embeddings.size() * 4);
  add("norms", "F32", rank1(parts.norms.size()), parts.norms.data(), parts.norms.size() * 4);
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::string prefix(8, '\0');
  std::memcpy(prefix.data(), &length, 8);
  const fs::path file =
      fs::path(testing::TempDir()) / ("reference." + std::to_string(::getpid()) + ".safetensors");
  std::ofstream(file, std::ios::binary) << prefix << text << data;
  return file;
}

TEST(ReadReference, GivesBackWhatWasWritten) {
  const auto reference = read_reference(write({}), Pooling::mean);
  ASSERT_TRUE(reference) << reference.error().message;
  EXPECT_EQ(reference->texts, (std::vector<std::string>{"first", "zweiter"}));
  ASSERT_EQ(reference->ids.size(), 2U);
  EXPECT_EQ(reference->ids[0], (std::vector<int64_t>{101, 7, 102}));
  EXPECT_EQ(reference->ids[1], (std::vector<int64_t>{101, 102}));
  EXPECT_EQ(reference->width, 2U);
  EXPECT_EQ(reference->rows, (std::vector<float>{1, 0, 0.6F, 0.8F}));
  EXPECT_EQ(reference->norms, (std::vector<double>{2.5, 3}));
  EXPECT_NE(reference->name.find("transformers 1.2"), std::string::npos);
}

TEST(ReadReference, RefusesWhatDoesNotFit) {
  const struct {
    const char* part;
    std::function<void(Parts&)> change;
  } cases[] = {
      {"format", [](Parts& p) { p.metadata["format"] = "other"; }},
      {"format", [](Parts& p) { p.metadata.erase("format"); }},
      {"pooling \"last_token\", but the model's is mean",
       [](Parts& p) { p.metadata["pooling"] = "last_token"; }},
      {"no texts", [](Parts& p) { p.metadata["texts"] = "[]"; }},
      {"not a string", [](Parts& p) { p.metadata["texts"] = "[1, 2]"; }},
      {"texts in its metadata", [](Parts& p) { p.metadata["texts"] = "[\"a\","; }},
      {"3 texts", [](Parts& p) { p.metadata["texts"] = R"(["a","b","c"])"; }},
      {"offsets",
       [](Parts& p) {
         p.offsets = {0, 3, 4};
       }},
      {"offsets",
       [](Parts& p) {
         p.offsets = {0, 9, 5};
       }},
      {"offsets",
       [](Parts& p) {
         p.offsets = {-1, 3, 5};
       }},
      {"offsets",
       [](Parts& p) {
         p.offsets = {1, 3, 5};
       }},
      {"embeddings [1, 4]",
       [](Parts& p) {
         p.embeddings_shape = {1, 4};
       }},
      {"embeddings", [](Parts& p) { p.embeddings_shape = {4}; }},
      {"norms [1]", [](Parts& p) { p.norms = {1}; }},
  };
  for (const auto& c : cases) {
    Parts parts;
    c.change(parts);
    const fs::path file = write(parts);
    const auto reference = read_reference(file, Pooling::mean);
    ASSERT_FALSE(reference) << c.part;
    EXPECT_EQ(reference.error().code, Code::invalid_input);
    EXPECT_EQ(reference.error().message.find(file.string()), 0U) << reference.error().message;
    EXPECT_NE(reference.error().message.find(c.part), std::string::npos)
        << c.part << " not in: " << reference.error().message;
  }
}

}  // namespace
}  // namespace octavo
