#include "hub/digest.h"

#include <gtest/gtest.h>

#include "temp_folder.h"

namespace octavo::hub {
namespace {

using HubDigest = TempFolder;

TEST_F(HubDigest, IsThatOfGitAndOfSha256sum) {
  const struct {
    std::string content, git, sha256;
  } cases[] = {
      // printf '' | git hash-object --stdin; printf '' | sha256sum
      {"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a",
       "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"},
  };
  for (const auto& c : cases) {
    const auto file = put("x", c.content);
    EXPECT_EQ(*hash_of_file(file, HashKind::git_blob), c.git);
    EXPECT_EQ(*hash_of_file(file, HashKind::sha256), c.sha256);
  }
  EXPECT_FALSE(hash_of_file(folder_ / "none", HashKind::sha256));
}

}  // namespace
}  // namespace octavo::hub
