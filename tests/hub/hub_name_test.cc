#include "hub/hub_name.h"

#include <gtest/gtest.h>

#include "temp_folder.h"

namespace octavo::hub {
namespace {

TEST(HubName, HasTheFormOfTheHub) {
  for (const std::string text : {"org/name", "a/b", "sentence-transformers/all-MiniLM-L6-v2",
                                 "BAAI/bge-small-en-v1.5", "x_y/z.1"}) {
    const auto name = parse_hub_name(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->repository, text);
    EXPECT_EQ(name->revision, "main");
  }
  for (const std::string revision :
       {"main", "v1.5", "refs/pr/1", "0123456789abcdef0123456789abcdef01234567"}) {
    const auto name = parse_hub_name("org/name@" + revision);
    ASSERT_TRUE(name) << revision;
    EXPECT_EQ(name->repository, "org/name");
    EXPECT_EQ(name->revision, revision);
  }
}

TEST(HubName, RefusesWhatCouldBeAPath) {
  const std::string_view bad[] = {"",
                                  "name",
                                  "/name",
                                  "org/",
                                  "org/name/",
                                  "a/b/c",
                                  "../name",
                                  "org/..",
                                  "./name",
                                  "org/.name",
                                  "-org/name",
                                  "org/name-",
                                  "or--g/name",
                                  "a..b/c",
                                  "org/na me",
                                  "org/na\nme",
                                  "~/name",
                                  "org/name@",
                                  "org/name@..",
                                  "org/name@a/../b",
                                  "org/name@/a",
                                  "org/name@-a",
                                  "org/name@a b",
                                  "org/name@a\\b",
                                  "org/name@a//b",
                                  "org/name@a@b",
                                  "org\\name/x",
                                  "http://org/name"};
  for (const auto text : bad) {
    const auto name = parse_hub_name(text);
    ASSERT_FALSE(name) << text;
    EXPECT_EQ(name.error().code, Code::invalid_input);
  }
  EXPECT_FALSE(parse_hub_name("org/" + std::string(97, 'a')));
  EXPECT_FALSE(parse_hub_name("org/name@" + std::string(256, 'a')));
  EXPECT_FALSE(parse_hub_name(std::string_view("org/na\0me", 9)));
}

TEST(HubName, PathsStayInside) {
  for (const std::string good :
       {"a", "a/b.json", "1_Pooling/config.json", "a b", "\xc3\xa4", "..a"})
    EXPECT_TRUE(is_safe_path(good)) << good;
  for (const std::string bad : {"", "/", "/a", "a/", "a//b", "..", "../a", "a/..", "a/../b", ".",
                                "./a", "a/./b", "a\\b", "a\nb", "a\x7f", "C:\\a"})
    EXPECT_FALSE(is_safe_path(bad)) << bad;
  EXPECT_FALSE(is_safe_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_safe_path(std::string(256, 'a')));
  EXPECT_FALSE(is_safe_path(std::string(5000, 'a')));
}

TEST(HubName, BlobsAreNamedByPlainNames) {
  EXPECT_TRUE(is_safe_name(std::string(64, 'a')));
  EXPECT_TRUE(is_safe_name("abc-1_2.x"));
  for (const std::string bad : {"", ".", "..", ".hidden", "a/b", "a\\b", "a b", "\""})
    EXPECT_FALSE(is_safe_name(bad)) << bad;
  EXPECT_FALSE(is_safe_name(std::string(129, 'a')));
}

TEST(HubName, CommitsAreLowerCaseHex) {
  EXPECT_TRUE(is_commit("0123456789abcdef0123456789abcdef01234567"));
  EXPECT_FALSE(is_commit("0123456789ABCDEF0123456789abcdef01234567"));
  EXPECT_FALSE(is_commit("0123456789abcdef"));
  EXPECT_FALSE(is_commit("../456789abcdef0123456789abcdef0123456789"));
}

TEST(HubName, IsEncodedInUrls) {
  EXPECT_EQ(url_encoded("refs/pr/1", false), "refs%2Fpr%2F1");
  EXPECT_EQ(url_encoded("a b/\xc3\xa4#?.json", true), "a%20b/%C3%A4%23%3F.json");
}

TEST(HubName, GlobsCrossFolders) {
  EXPECT_TRUE(matches_glob("onnx/model.onnx", "*.onnx"));
  EXPECT_TRUE(matches_glob("a-Q8_0.gguf", "*Q8_0.gguf"));
  EXPECT_TRUE(matches_glob("onnx/model.onnx_data", "onnx/model.onnx*"));
  EXPECT_TRUE(matches_glob("a1", "a[0-9]"));
  EXPECT_FALSE(matches_glob("a1", "a[!0-9]"));
  EXPECT_FALSE(matches_glob("model.safetensors", "*.onnx"));
}

using HubNameIn = TempFolder;

TEST_F(HubNameIn, IsNoPathThatIsThere) {
  EXPECT_TRUE(hub_name_in("org/name@v1"));
  EXPECT_FALSE(hub_name_in("models/x.gguf"));
  EXPECT_FALSE(hub_name_in("models/model.onnx"));
  EXPECT_FALSE(hub_name_in("folder"));
  EXPECT_FALSE(hub_name_in("./org/name"));
  EXPECT_FALSE(hub_name_in("/org/name"));
  put("org/name/config.json", "{}");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  EXPECT_FALSE(hub_name_in("org/name"));
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace octavo::hub
