#include "toolkit/work_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>

namespace {
bool locks_fail = false;
}

// Stands before the C library's: some network file systems have no locks.
extern "C" int flock(int fd, int operation) noexcept {
  if (!locks_fail) return static_cast<int>(::syscall(SYS_flock, fd, operation));
  errno = ENOLCK;
  return -1;
}

namespace octavo {
namespace {

namespace fs = std::filesystem;

fs::path fresh(const std::string& name) {
  fs::path folder =
      fs::path(testing::TempDir()) / ("work_folder." + std::to_string(::getpid()) + "." + name);
  fs::remove_all(folder);
  return folder;
}

void put(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

std::string get(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

ino_t inode(const fs::path& file) {
  struct stat s {};
  EXPECT_EQ(::stat(file.c_str(), &s), 0);
  return s.st_ino;
}

TEST(WorkFolder, PublishesWholeFilesAndDisappears) {
  const fs::path output = fresh("publish") / "not" / "there yet";
  {
    auto work = WorkFolder::create(output);
    ASSERT_TRUE(work) << work.error().message;
    put(work->path() / "model.onnx", "model");
    put(work->path() / "1_Pooling" / "config.json", "{}");
    put(work->path() / "fp32", "nobody's business");
    ASSERT_TRUE(work->publish("model.onnx"));
    ASSERT_TRUE(work->publish("1_Pooling/config.json"));
  }
  EXPECT_EQ(get(output / "model.onnx"), "model");
  EXPECT_EQ(get(output / "1_Pooling/config.json"), "{}");
  EXPECT_EQ(std::distance(fs::directory_iterator(output), {}), 2);
  fs::remove_all(output);
}

TEST(WorkFolder, LeavesAnEqualFileAlone) {
  const fs::path output = fresh("equal");
  put(output / "same", "content");
  put(output / "other", "content");
  const ino_t same = inode(output / "same");
  const ino_t other = inode(output / "other");
  auto work = WorkFolder::create(output);
  ASSERT_TRUE(work);
  put(work->path() / "same", "content");
  put(work->path() / "other", "contend");
  ASSERT_TRUE(work->publish("same"));
  ASSERT_TRUE(work->publish("other"));
  EXPECT_EQ(inode(output / "same"), same);
  EXPECT_NE(inode(output / "other"), other);
  EXPECT_EQ(get(output / "other"), "contend");
  fs::remove_all(output);
}

TEST(WorkFolder, OneBuildAtATimeAndDeadOnesAreSweptUp) {
  const fs::path output = fresh("lock");
  put(output / ".octavo-build.4000000" / "model.onnx.data", "of a killed build");
  std::optional<WorkFolder> first;
  {
    auto work = WorkFolder::create(output);
    ASSERT_TRUE(work);
    first = *std::move(work);
  }
  EXPECT_FALSE(fs::exists(output / ".octavo-build.4000000"));
  const auto second = WorkFolder::create(output);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::invalid_input);
  EXPECT_NE(second.error().message.find("another build"), std::string::npos);
  EXPECT_TRUE(fs::exists(first->path())) << "the loser must not sweep the winner's folder";
  first.reset();
  EXPECT_TRUE(WorkFolder::create(output));
  fs::remove_all(output);
}

TEST(WorkFolder, SweepsNothingWhereThereAreNoLocks) {
  const fs::path output = fresh("nolock");
  put(output / ".octavo-build.4000000" / "model.onnx.data", "of a build that may be alive");
  locks_fail = true;
  EXPECT_TRUE(WorkFolder::create(output));
  locks_fail = false;
  EXPECT_TRUE(fs::exists(output / ".octavo-build.4000000"));
  fs::remove_all(output);
}

TEST(WorkFolder, LeavesNoFolderThatItMadeForNothing) {
  const fs::path output = fresh("nothing");
  EXPECT_TRUE(WorkFolder::create(output / "a" / "b"));
  EXPECT_FALSE(fs::exists(output));
  fs::create_directories(output);
  EXPECT_TRUE(WorkFolder::create(output / "a" / ""));
  EXPECT_TRUE(WorkFolder::create(output));
  EXPECT_TRUE(fs::is_directory(output)) << "it was there before";
  EXPECT_TRUE(fs::is_empty(output));
  fs::remove_all(output);
}

TEST(WorkFolder, SaysWhatIsInTheWay) {
  const fs::path output = fresh("file");
  put(output, "a file where the folder should be");
  const auto work = WorkFolder::create(output);
  ASSERT_FALSE(work);
  EXPECT_EQ(work.error().code, Code::io);
  EXPECT_EQ(work.error().message.find(output.string()), 0U) << work.error().message;
  fs::remove(output);
}

}  // namespace
}  // namespace octavo
