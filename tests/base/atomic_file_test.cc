#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace octavo {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "octavo-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  static std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(AtomicFileTest, ReplacesOnCommitOnly) {
  ASSERT_TRUE(write_file(folder_ / "a", "old"));
  {
    auto file = AtomicFile::create(folder_ / "a");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write("new"));
    EXPECT_EQ(read(folder_ / "a"), "old");
  }
  EXPECT_EQ(read(folder_ / "a"), "old");
  EXPECT_EQ(entries(), 1U);
  ASSERT_TRUE(write_file(folder_ / "a", "n"));
  EXPECT_EQ(read(folder_ / "a"), "n");
}

TEST_F(AtomicFileTest, ManyAppearTogether) {
  AtomicFiles files;
  auto data = files.add(folder_ / "m.data");
  auto model = files.add(folder_ / "m");
  ASSERT_TRUE(data && model);
  ASSERT_TRUE((*data)->write(std::string(3 << 20, 'x')));
  ASSERT_TRUE((*data)->write("y"));
  ASSERT_TRUE((*data)->pad_to(64));
  ASSERT_TRUE((*model)->write("m"));
  EXPECT_FALSE(fs::exists(folder_ / "m.data"));
  ASSERT_TRUE(files.commit());
  EXPECT_EQ(fs::file_size(folder_ / "m.data"), (3U << 20) + 64);
  EXPECT_EQ(read(folder_ / "m"), "m");
  EXPECT_EQ(entries(), 2U);
}

TEST_F(AtomicFileTest, RewritesWhatWasWrittenAndNothingElse) {
  auto file = AtomicFile::create(folder_ / "a");
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->write("head:"));
  ASSERT_TRUE(file->write(std::string(2 << 20, 'x')));
  ASSERT_TRUE(file->rewrite(1, std::as_bytes(std::span("EAD", 3))));
  EXPECT_EQ(file->rewrite(file->size() - 2, std::as_bytes(std::span("abc", 3))).error().code,
            Code::internal);
  ASSERT_TRUE(file->write("tail"));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(read(folder_ / "a"), "hEAD:" + std::string(2 << 20, 'x') + "tail");
}

TEST_F(AtomicFileTest, AKilledWriterLeavesTheOldFileAndTheNextSweepsItsTrash) {
  ASSERT_TRUE(write_file(folder_ / "a", "old"));
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = AtomicFile::create(folder_ / "a");
    if (file && file->write(std::string(2 << 20, 'x'))) ::raise(SIGKILL);
    ::_exit(1);
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  ASSERT_TRUE(WIFSIGNALED(state));
  EXPECT_EQ(read(folder_ / "a"), "old");
  EXPECT_EQ(entries(), 2U);
  sweep_temporaries(folder_);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(AtomicFileTest, AFullDiskIsAnErrorThatNamesTheFile) {
  // /dev/full cannot be renamed over, so the disk is made full by a limit on the file size instead.
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit_guard {
      rlimit_guard() {
        const rlimit limit{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
      }
    } guard;
    const auto written = write_file(folder_ / "b", std::string(4 << 20, 'x'));
    ::_exit(!written && written.error().code == Code::io &&
                    written.error().message.find((folder_ / "b").string()) != std::string::npos
                ? 0
                : 1);
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_EQ(state, 0);
  EXPECT_EQ(entries(), 0U);
}

TEST_F(AtomicFileTest, MissingFolderAndFolderAsTarget) {
  EXPECT_EQ(write_file(folder_ / "no" / "a", "x").error().code, Code::not_found);
  fs::create_directory(folder_ / "d");
  EXPECT_EQ(write_file(folder_ / "d", "x").error().code, Code::invalid_input);
}

}  // namespace
}  // namespace octavo
