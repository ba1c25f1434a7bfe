// When a model is read again and packed again, and when it is not.

#include <fcntl.h>
#include <sys/stat.h>

#include "embed/raised_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

class PackedStart : public RaisedFolder {
 protected:
  void SetUp() override {
    RaisedFolder::SetUp();
    model_ = folder_ / "int8" / "model.onnx";
    start();
  }
  std::string start() const { return open(folder_ / "int8").explain(); }
  static bool packed_before(const std::string& explained) {
    return explained.find("packed weights from") != std::string::npos;
  }
  static void set_time(const fs::path& file, int64_t seconds) {
    const timespec times[] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  }
  // Another byte in the middle of the weights, whatever the date then is.
  void change() const {
    std::fstream file(model_, std::ios::binary | std::ios::in | std::ios::out);
    const auto at = static_cast<std::streamoff>(fs::file_size(model_) / 2);
    file.seekg(at);
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(at);
    file.put(byte);
  }

  fs::path model_;
};

TEST_F(PackedStart, TheSecondStartPacksNothing) { EXPECT_TRUE(packed_before(start())); }

TEST_F(PackedStart, AChangedModelIsPackedAgain) {
  change();
  set_time(model_, 1'000'000'000);
  EXPECT_FALSE(packed_before(start()));
  EXPECT_TRUE(packed_before(start()));
}

// After a copy or a checkout the content is compared, once, and remembered in a stamp: a start that
// had to compare again would write it again.
TEST_F(PackedStart, AnotherDateIsLookedIntoOnce) {
  set_time(model_, 1'000'000'000);
  EXPECT_TRUE(packed_before(start()));
  fs::path stamp;
  for (const auto& entry : fs::recursive_directory_iterator(folder_))
    if (entry.path().extension() == ".stamp") stamp = entry.path();
  ASSERT_FALSE(stamp.empty());
  set_time(stamp, 5);
  const auto written = fs::last_write_time(stamp);
  EXPECT_TRUE(packed_before(start()));
  EXPECT_EQ(fs::last_write_time(stamp), written);
  // Size and date as they were: the inode has changed.
  change();
  set_time(model_, 1'000'000'000);
  EXPECT_FALSE(packed_before(start()));
}

}  // namespace
}  // namespace octavo
