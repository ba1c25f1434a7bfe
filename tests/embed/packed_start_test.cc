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
  void set_time(int64_t seconds) const {
    const timespec times[] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, model_.c_str(), times, 0), 0);
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
  set_time(1'000'000'000);
  EXPECT_FALSE(packed_before(start()));
  EXPECT_TRUE(packed_before(start()));
}

// After a copy or a checkout the content is compared, once: the start after that reads nothing of
// the model, which shows in that a change which leaves all its signs as they are goes unseen.
TEST_F(PackedStart, AnotherDateIsLookedIntoOnce) {
  set_time(1'000'000'000);
  EXPECT_TRUE(packed_before(start()));
  change();
  set_time(1'000'000'000);
  EXPECT_TRUE(packed_before(start()));
  set_time(1'000'000'001);  // any other sign, and it is read
  EXPECT_FALSE(packed_before(start()));
}

}  // namespace
}  // namespace octavo
