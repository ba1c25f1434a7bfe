#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/unfinished.h"

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
  ASSERT_TRUE(write_file(folder_ / "b", "another file"));
  EXPECT_EQ(entries(), 3U) << "the trash is not b's";
  ASSERT_TRUE(write_file(folder_ / "a", "new"));
  EXPECT_EQ(entries(), 2U);
}

TEST_F(AtomicFileTest, SweepsNothingElse) {
  // Names of other programs, of dead processes, of folders, and of a writer that is at work.
  for (const char* name : {".a.4000000.0.tmp", ".a.4000000.cache.tmp", ".b.octavo.4000000.0.tmp"})
    std::ofstream(folder_ / name) << "not ours";
  fs::create_directories(folder_ / ".a.octavo.4000000.1.tmp" / "inside");
  auto alive = AtomicFile::create(folder_ / "a");
  ASSERT_TRUE(alive);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(write_file(folder_ / "a", "by another process") ? 0 : 1);
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_EQ(state, 0);
  ASSERT_TRUE(alive->write("alive"));
  ASSERT_TRUE(alive->commit());
  EXPECT_EQ(read(folder_ / "a"), "alive");
  EXPECT_EQ(entries(), 5U);
}

TEST_F(AtomicFileTest, ASymlinkStaysAndItsTargetIsReplaced) {
  fs::create_directory(folder_ / "real");
  ASSERT_TRUE(write_file(folder_ / "real" / "file", "old"));
  fs::create_symlink("real/file", folder_ / "relative");
  fs::create_symlink(folder_ / "relative", folder_ / "absolute");
  fs::create_symlink("real/new", folder_ / "dangling");
  fs::create_symlink("loop", folder_ / "loop");
  ASSERT_TRUE(write_file(folder_ / "absolute", "new"));
  ASSERT_TRUE(write_file(folder_ / "dangling", "made"));
  EXPECT_EQ(read(folder_ / "real" / "file"), "new");
  EXPECT_EQ(read(folder_ / "real" / "new"), "made");
  for (const char* link : {"relative", "absolute", "dangling"})
    EXPECT_TRUE(fs::is_symlink(folder_ / link)) << link;
  EXPECT_FALSE(write_file(folder_ / "loop", "x"));
  EXPECT_EQ(entries(), 5U);
}

TEST_F(AtomicFileTest, PipesAndDevicesAreNotReplaced) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0666), 0);
  fs::create_symlink("/dev/null", folder_ / "null");
  for (const char* name : {"fifo", "null"}) {
    const auto written = write_file(folder_ / name, "x");
    ASSERT_FALSE(written) << name;
    EXPECT_EQ(written.error().code, Code::invalid_input);
    EXPECT_NE(written.error().message.find((folder_ / name).string()), std::string::npos);
  }
  EXPECT_TRUE(fs::is_fifo(folder_ / "fifo"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "null"));
  EXPECT_EQ(entries(), 2U);
}

// What a program does before a signal ends it.
TEST_F(AtomicFileTest, UnfinishedFilesCanBeRemovedByWhoeverEndsTheProcess) {
  ASSERT_TRUE(write_file(folder_ / "done", "x"));
  const pid_t child = ::fork();
  if (child == 0) {
    auto a = AtomicFile::create(folder_ / "a");
    auto b = AtomicFile::create(folder_ / "done");
    fs::create_directories(folder_ / "work" / "inside");
    const Unfinished work(folder_ / "work");
    { const Unfinished forgotten(folder_ / "done"); }
    remove_unfinished();
    ::_exit(a && b ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_EQ(state, 0);
  EXPECT_EQ(read(folder_ / "done"), "x");
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
