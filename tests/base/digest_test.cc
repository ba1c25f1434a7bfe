#include "base/digest.h"

#include <gtest/gtest.h>

#include "temp_folder.h"

namespace octavo {
namespace {

using Digest = TempFolder;

TEST_F(Digest, IsThatOfGitAndOfSha256sum) {
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
    EXPECT_EQ(*hash_of(c.content, HashKind::git_blob), c.git);
    EXPECT_EQ(*hash_of(c.content, HashKind::sha256), c.sha256);
  }
  EXPECT_EQ(hash_of_file(folder_ / "none", HashKind::sha256).error().code, Code::not_found);
}

// FIPS 180-2, appendix B.
TEST_F(Digest, GivesTheStandardsExamples) {
  EXPECT_EQ(*hash_of("abc", HashKind::sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(*hash_of_file(put("x", std::string(1'000'000, 'a')), HashKind::sha256),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace octavo
