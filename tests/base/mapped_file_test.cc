#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace octavo {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "octavo-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(MappedFileTest, KeepsTheBytesWhenPagesAreDropped) {
  std::string content(100000, 'x');
  content[99999] = 'y';
  std::ofstream(folder_ / "f", std::ios::binary) << content;
  const auto file = MappedFile::open(folder_ / "f");
  ASSERT_TRUE(file);
  const auto bytes = (*file)->bytes();
  ASSERT_EQ(bytes.size(), content.size());
  drop_pages(bytes.subspan(1));  // an unaligned start must not reach outside
  EXPECT_EQ(static_cast<char>(bytes[0]), 'x');
  EXPECT_EQ(static_cast<char>(bytes[99999]), 'y');
}

TEST_F(MappedFileTest, EmptyFilesAreEmpty) {
  std::ofstream(folder_ / "f").flush();
  const auto file = MappedFile::open(folder_ / "f");
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->bytes().empty());
}

TEST_F(MappedFileTest, RefusesWhatIsNotARegularFileWithoutWaiting) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(folder_ / "fifo").error().code, Code::invalid_input);
  EXPECT_EQ(MappedFile::open(folder_).error().code, Code::invalid_input);
  EXPECT_EQ(MappedFile::open("/dev/zero").error().code, Code::invalid_input);
  const auto missing = MappedFile::open(folder_ / "no");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().message.find("no"), std::string::npos);
}

}  // namespace
}  // namespace octavo
