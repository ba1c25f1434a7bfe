// The rules for sidecars (docs/security.md), each with the attack or mistake it answers.

#include "formats/external_data.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "formats/onnx_model.h"
#include "formats/open_beneath.h"
#include "temp_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

// Folder layout: model/ is the model's folder, "secret" lies beside it.
class ExternalDataTest : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    put("model/w.data", std::string(16, 'A'));
    put("secret", std::string(16, 'S'));
  }
  Result<Model> read_with(const Entries& entries, bool strict = false) const {
    return read_onnx(put("model/m.onnx", external_model(entries)), {.strict = strict});
  }
  Result<Model> read_at(const std::string& location) const {
    return read_with({{"location", location}});
  }
};

TEST_F(ExternalDataTest, AcceptsPlainFilesBelowTheFolder) {
  put("model/sub/w.data", std::string(16, 'B'));
  for (const char* location : {"w.data", "./w.data", "sub/w.data", "sub//w.data"}) {
    SCOPED_TRACE(location);
    const auto model = read_at(location);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_TRUE(model->graph.initializers[0].tensor()->file_backed());
  }
}

TEST_F(ExternalDataTest, RefusesLocationsThatAreNoPlainRelativePath) {
  using namespace std::string_literals;
  const std::vector<std::pair<std::string, std::string>> table = {
      {"../secret", ".."},
      {"a/../../secret", ".."},
      {"sub/../w.data", ".."},
      {"..", ".."},
      {"/etc/passwd", "absolute"},
      {(folder_ / "model/w.data").string(), "absolute"},
      {"C:\\x", "backslash"},
      {"C:/x", "drive letter"},
      {"a\\..\\..\\x", "backslash"},
      {"", "empty"},
      {".", "folder"},
      {"w.data/", "folder"},
      {"w.data\0x"s, "NUL"},
      {"*/_ORT_MEM_ADDR_/*", "memory"},
      {"x/_ORT_MEM_ADDR_/y", "memory"},
      {"*/anything", "memory"},
      {std::string(5000, 'x'), "too long"},
  };
  for (const auto& [location, word] : table) {
    SCOPED_TRACE(location);
    expect_error(read_at(location), Code::invalid_input, {"m.onnx", "initializer \"w\"", word});
  }
}

TEST_F(ExternalDataTest, RefusesNumbersAndKeysThatMeanSomethingElse) {
  const std::vector<std::pair<Entries, std::string>> table = {
      {{}, "no location"},
      {{{"offset", "0"}}, "no location"},
      {{{"location", "w.data"}, {"offset", "-1"}}, "offset \"-1\""},
      {{{"location", "w.data"}, {"offset", ""}}, "offset"},
      {{{"location", "w.data"}, {"offset", "0x10"}}, "offset"},
      {{{"location", "w.data"}, {"offset", " 1"}}, "offset"},
      {{{"location", "w.data"}, {"offset", "99999999999999999999"}}, "offset"},
      {{{"location", "w.data"}, {"length", "-1"}}, "length \"-1\""},
      {{{"location", "w.data"}, {"length", "15"}}, "16 bytes"},
      {{{"location", "w.data"}, {"length", "18446744073709551615"}}, "length"},
      {{{"location", "w.data"}, {"offset", "1"}}, "only 16 bytes"},
      {{{"location", "w.data"}, {"offset", "17"}}, "only 16 bytes"},
      // offset + length wraps to 15
      {{{"location", "w.data"}, {"offset", "18446744073709551615"}}, "only 16 bytes"},
      {{{"location", "w.data"}, {"location", "w.data"}}, "twice"},
      {{{"location", "w.data"}, {"__class__", "x"}}, "unknown key \"__class__\""},
  };
  for (const auto& [entries, word] : table) {
    SCOPED_TRACE(word);
    expect_error(read_with(entries), Code::invalid_input, {"initializer \"w\"", word});
  }
  EXPECT_TRUE(read_with({{"location", "w.data"}, {"checksum", "x"}, {"basepath", "/etc"}}));
}

TEST_F(ExternalDataTest, ReadsAtAnyOffset) {
  put("model/w.data", "xyz" + le(1.5F) + le(2.5F) + le(3.5F) + le(4.5F) + "tail");
  const auto model = read_with({{"location", "w.data"}, {"offset", "3"}, {"length", "16"}});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->graph.initializers[0].tensor()->data<float>()[3], 4.5F);
}

TEST_F(ExternalDataTest, MissingAndShortSidecarsAreNamed) {
  expect_error(read_at("gone.data"), Code::not_found,
               {"m.onnx", "gone.data", "initializer \"w\"", "beside the model"});
  put("model/w.data", std::string(15, 'A'));
  expect_error(read_at("w.data"), Code::invalid_input, {"w.data", "only 15 bytes"});
  put("model/w.data", "");
  expect_error(read_at("w.data"), Code::invalid_input, {"w.data", "only 0 bytes"});
}

TEST_F(ExternalDataTest, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(::mkfifo((folder_ / "model/fifo").c_str(), 0600), 0);
  fs::create_directory(folder_ / "model/dir");
  fs::create_symlink("/dev/zero", folder_ / "model/zero");
  expect_error(read_at("fifo"), Code::invalid_input, {"fifo", "not a regular file"});
  expect_error(read_at("dir"), Code::invalid_input, {"dir", "is a folder"});
  expect_error(read_at("zero"), Code::invalid_input, {"zero", "leads out"});
}

TEST_F(ExternalDataTest, SymlinksMayStayInsideButNotLeave) {
  fs::create_directory(folder_ / "outside");
  put("outside/w.data", std::string(16, 'S'));
  fs::create_symlink("w.data", folder_ / "model/inside");
  fs::create_symlink("../secret", folder_ / "model/final");
  fs::create_symlink(folder_ / "secret", folder_ / "model/absolute");
  fs::create_symlink("../outside", folder_ / "model/parent");
  fs::create_symlink("loop", folder_ / "model/loop");
  EXPECT_TRUE(read_at("inside"));
  expect_error(read_at("final"), Code::invalid_input, {"final", "leads out"});
  expect_error(read_at("absolute"), Code::invalid_input, {"absolute", "leads out"});
  expect_error(read_at("parent/w.data"), Code::invalid_input, {"parent/w.data", "leads out"});
  expect_error(read_at("loop"), Code::invalid_input, {"loop", "symbolic link"});
}

TEST_F(ExternalDataTest, HardLinksAreRefusedInStrictModeOnly) {
  fs::create_hard_link(folder_ / "secret", folder_ / "model/linked");
  EXPECT_TRUE(read_with({{"location", "linked"}}));
  expect_error(read_with({{"location", "linked"}}, true), Code::invalid_input,
               {"linked", "hard link"});
  EXPECT_TRUE(read_with({{"location", "w.data"}}, true));
}

TEST_F(ExternalDataTest, TheFallbackForOldKernelsFollowsNoLinkAtAll) {
  put("model/sub/w.data", std::string(16, 'B'));
  fs::create_symlink("w.data", folder_ / "model/inside");
  fs::create_symlink("../secret", folder_ / "model/final");
  fs::create_symlink("sub", folder_ / "model/parent");
  const auto folder = open_folder(folder_ / "model");
  ASSERT_TRUE(folder);
  const auto open = [&](const std::string& name) {
    return open_beneath(*folder, name, Symlinks::inside, Walk::by_component);
  };
  EXPECT_TRUE(open("w.data"));
  EXPECT_TRUE(open("sub/w.data"));
  expect_error(open("gone"), Code::not_found, {"gone"});
  expect_error(open("gone/w.data"), Code::not_found, {"gone"});
  for (const char* name : {"inside", "final", "parent/w.data"})
    expect_error(open(name), Code::invalid_input, {name, "symbolic link"});
  for (const char* name : {"../secret", "sub/../w.data", "/etc/passwd", ""})
    expect_error(open(name), Code::invalid_input, {"leads out"});
}

// <repository>/snapshots/<revision>/[onnx/]model.onnx -> ../../[../]blobs/<hash>
class CacheTest : public ExternalDataTest {
 protected:
  void make(const std::string& inside, const std::string& up) {
    const Entries entries = {{"location", "model.onnx_data"}};
    put("repo/blobs/111", external_model(entries));
    put("repo/blobs/222", std::string(16, 'D'));
    snapshot_ = folder_ / "repo/snapshots/rev" / inside;
    fs::create_directories(snapshot_);
    fs::create_symlink(up + "blobs/111", snapshot_ / "model.onnx");
    link_data(up + "blobs/222");
  }
  void link_data(const std::string& target) const {
    fs::remove(snapshot_ / "model.onnx_data");
    fs::create_symlink(target, snapshot_ / "model.onnx_data");
  }
  Result<Model> read() const { return read_onnx(snapshot_ / "model.onnx"); }
  fs::path snapshot_;
};

TEST_F(CacheTest, IsAccepted) {
  make("", "../../");
  const auto model = read();
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(std::to_integer<char>(model->graph.initializers[0].tensor()->bytes()[0]), 'D');
}

TEST_F(CacheTest, IsAcceptedInASubfolderAndByARelativePath) {
  make("onnx", "../../../");
  ASSERT_TRUE(read()) << read().error().message;
  const fs::path before = fs::current_path();
  fs::current_path(snapshot_);
  EXPECT_TRUE(read_onnx("model.onnx"));
  fs::current_path(before);
}

TEST_F(CacheTest, LinksToElsewhereAreRefused) {
  make("", "../../");
  put("repo/other", std::string(16, 'S'));
  fs::create_symlink("../../secret", folder_ / "repo/blobs/333");
  for (const std::string target :
       {"../../other", "../../blobs/../other", "../../../secret", "../../blobs/", "../../blobs/333",
        "../../blobs/..", "../../blobs/sub/x", "/etc/passwd"}) {
    SCOPED_TRACE(target);
    link_data(target);
    const auto model = read();
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, Code::invalid_input) << model.error().message;
  }
  // Without blobs/ beside snapshots/ it is no cache, and the link leaves the folder.
  make("onnx", "../../../");
  fs::rename(folder_ / "repo/blobs", folder_ / "repo/elsewhere");
  fs::remove(snapshot_ / "model.onnx");
  fs::copy_file(folder_ / "repo/elsewhere/111", snapshot_ / "model.onnx");
  link_data("../../../elsewhere/222");
  expect_error(read(), Code::invalid_input, {"leads out"});
}

TEST_F(CacheTest, ABlobOfTheWholeCacheIsAccepted) {
  make("onnx", "../../../");
  const std::string hash = "ab" + std::string(62, '0');
  put("blobs/ab/" + hash, std::string(16, 'S'));
  fs::remove(folder_ / "repo/blobs/222");
  fs::create_symlink("../../blobs/ab/" + hash, folder_ / "repo/blobs/222");
  const auto model = read();
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(std::to_integer<char>(model->graph.initializers[0].tensor()->bytes()[0]), 'S');
  // Nothing but that: not another name, not by way of a further link.
  put("blobs/ab/" + std::string(64, '0'), std::string(16, 'S'));
  put("blobs/ab/other", std::string(16, 'S'));
  put("other", std::string(16, 'S'));
  const std::string linked = "ab" + std::string(62, '1');
  fs::create_symlink("../../other", folder_ / "blobs/ab" / linked);
  for (const std::string& target :
       {"../../blobs/ab/" + std::string(64, '0'), std::string("../../blobs/ab/other"),
        std::string("../../other"), "../../blobs/ab/../ab/" + hash, "../../blobs/ab/" + linked,
        (folder_ / "blobs/ab" / hash).string()}) {
    SCOPED_TRACE(target);
    fs::remove(folder_ / "repo/blobs/222");
    fs::create_symlink(target, folder_ / "repo/blobs/222");
    EXPECT_FALSE(read());
  }
}

TEST_F(ExternalDataTest, AModelThatIsASymlinkFindsTheSidecarOfItsTarget) {
  put("model/m.onnx", external_model({{"location", "w.data"}}));
  fs::create_symlink("model/m.onnx", folder_ / "alias.onnx");
  const auto model = read_onnx(folder_ / "alias.onnx");
  EXPECT_TRUE(model) << model.error().message;
}

TEST_F(ExternalDataTest, BytesWithoutAFolderHaveNoSidecars) {
  const std::string model = external_model({{"location", "w.data"}});
  expect_error(parse_onnx(bytes_of(model), ""), Code::not_found, {"no folder"});
  EXPECT_TRUE(parse_onnx(bytes_of(model), folder_ / "model"));
}

// Swaps `name` between a good file and a link to the secret while it is read again and again. What
// is read must be the good file or an error, never the secret.
class RaceTest : public CacheTest {
 protected:
  static constexpr int kRounds = 10000;

  // `good` and `bad` make the two states under a temporary name, which is then renamed over `name`.
  template <class Open>
  void race(const fs::path& name, const std::function<void(const fs::path&)>& good,
            const std::function<void(const fs::path&)>& bad, Open open) const {
    std::atomic<bool> stop{false};
    std::thread swapper([&] {
      for (int i = 0; !stop; ++i) {
        const fs::path temporary = name.string() + ".tmp";
        (i % 2 == 0 ? good : bad)(temporary);
        fs::rename(temporary, name);
      }
    });
    int reads = 0;
    int refusals = 0;
    // On a busy machine the swapper may start late: go on until both states were met.
    for (int i = 0; i < kRounds || ((reads == 0 || refusals == 0) && i < 100 * kRounds); ++i) {
      auto file = open();
      if (!file) {
        ++refusals;
        continue;
      }
      ++reads;
      char first = 0;
      ASSERT_EQ(::pread(file->fd(), &first, 1, 0), 1);
      if (first == 'S') {
        ADD_FAILURE() << "the secret was read in round " << i;
        break;
      }
    }
    stop = true;
    swapper.join();
    EXPECT_GT(reads, 0);
    EXPECT_GT(refusals, 0);
  }
};

TEST_F(RaceTest, SwappingAFileForALinkNeverLeadsOutside) {
  const auto folder = open_folder(folder_ / "model");
  ASSERT_TRUE(folder);
  for (const Walk walk : {Walk::best, Walk::by_component}) {
    race(
        folder_ / "model/w.data",
        [&](const fs::path& p) { std::ofstream(p, std::ios::binary) << "AAAAAAAAAAAAAAAA"; },
        [&](const fs::path& p) { fs::create_symlink("../secret", p); },
        [&] { return open_beneath(*folder, "w.data", Symlinks::inside, walk); });
  }
}

TEST_F(RaceTest, SwappingAParentFolderForALinkNeverLeadsOutside) {
  put("outside/w.data", std::string(16, 'S'));
  put("model/good/w.data", std::string(16, 'A'));
  fs::create_symlink("good", folder_ / "model/sub");
  const auto folder = open_folder(folder_ / "model");
  ASSERT_TRUE(folder);
  race(
      folder_ / "model/sub", [&](const fs::path& p) { fs::create_symlink("good", p); },
      [&](const fs::path& p) { fs::create_symlink("../outside", p); },
      [&] { return open_beneath(*folder, "sub/w.data", Symlinks::inside, Walk::best); });
}

}  // namespace
}  // namespace octavo
