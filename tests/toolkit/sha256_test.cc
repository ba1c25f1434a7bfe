#include "toolkit/sha256.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace octavo {
namespace {

// FIPS 180-2, appendix B, and the empty message.
TEST(Sha256, GivesTheStandardsExamples) {
  EXPECT_EQ(*sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(*sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const auto file =
      std::filesystem::path(testing::TempDir()) / ("sha256." + std::to_string(::getpid()));
  std::ofstream(file) << std::string(1'000'000, 'a');
  EXPECT_EQ(*sha256_of_file(file),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  std::filesystem::remove(file);
  EXPECT_EQ(sha256_of_file(file).error().code, Code::not_found);
}

}  // namespace
}  // namespace octavo
