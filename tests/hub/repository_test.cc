#include "hub/repository.h"

#include <gtest/gtest.h>

namespace octavo::hub {
namespace {

const std::string kSha1(40, 'a');
const std::string kSha256(64, 'b');

std::string entry(const std::string& path) {
  return R"([{"type":"file","path":")" + path + R"(","size":3,"oid":")" + kSha1 + "\"}]";
}

TEST(HubTree, TellsSizesAndHashes) {
  std::vector<RepositoryFile> files;
  const std::string body = R"([
    {"type":"directory","path":"onnx","oid":"x","size":0},
    {"type":"file","path":"config.json","size":612,"oid":")" +
                           kSha1 + R"("},
    {"type":"file","path":"model.safetensors","size":90868376,"oid":"c","xetHash":"d",
     "lfs":{"oid":")" + kSha256 +
                           R"(","size":90868376,"pointerSize":133}},
    {"type":"file","path":"odd","size":1,"oid":"not a hash"}])";
  ASSERT_TRUE(read_tree(body, "hub", files));
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0].path, "config.json");
  EXPECT_EQ(files[0].size, 612U);
  EXPECT_EQ(files[0].hash->kind, HashKind::git_blob);
  EXPECT_EQ(files[0].hash->hex, kSha1);
  EXPECT_EQ(files[1].size, 90868376U);
  EXPECT_EQ(files[1].hash->kind, HashKind::sha256);
  EXPECT_EQ(files[1].hash->hex, kSha256);
  EXPECT_FALSE(files[2].hash);
}

TEST(HubTree, RefusesNamesThatLeadOut) {
  for (const std::string bad : {"../x", "/etc/passwd", "a/../../x", "a/..", "", "a\\\\..\\\\x",
                                "a\\u0000b", "C:\\\\x", "./x", "a//b"}) {
    std::vector<RepositoryFile> files;
    const Status status = read_tree(entry(bad), "hub", files);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().code, Code::invalid_input);
    EXPECT_NE(status.error().message.find("leads out"), std::string::npos);
  }
}

TEST(HubTree, RefusesWhatIsNoList) {
  for (const std::string bad :
       {"", "{}", "[1]", "<html>", R"([{"type":"file","path":"a"}])",
        R"([{"type":"file","path":"a","size":-1}])", R"([{"type":"file","path":"a","size":1e300}])",
        R"([{"type":"file","path":"a","size":"3"}])"}) {
    std::vector<RepositoryFile> files;
    EXPECT_FALSE(read_tree(bad, "hub", files)) << bad;
  }
}

}  // namespace
}  // namespace octavo::hub
