// What a reader of the folder can see while, and after, a model is written.

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "formats/onnx_model.h"
#include "formats/onnx_size.h"
#include "temp_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

class OnnxWriteTest : public TempFolder {
 protected:
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  // x -> Identity -> y with `count` float initializers of `elements` each, all of value `value`.
  static Model model_of(int count, int64_t elements, float value,
                        std::vector<std::string>* computed = nullptr) {
    Model model;
    model.opset_imports[""] = 17;
    model.graph.name = "g";
    model.graph.inputs = {{"x", DType::f32, std::vector<Dim>{1}, {}}};
    model.graph.outputs = {{"y", DType::f32, std::vector<Dim>{1}, {}}};
    model.graph.nodes = {{"id", "Identity", "", {"x"}, {"y"}, {}, {}}};
    for (int i = 0; i < count; ++i) {
      const std::string name = "w" + std::to_string(i);
      model.graph.initializers.emplace_back(
          name, DType::f32, Shape{elements}, [=]() -> Result<Tensor> {
            if (computed != nullptr) computed->push_back(name);
            OCTAVO_TRY(Tensor t, Tensor::make(DType::f32, {elements}));
            std::fill_n(t.mutable_data<float>(), elements, value);
            return t;
          });
    }
    return model;
  }
  void expect_whole(const fs::path& file, float value) const {
    const auto model = read_onnx(file);
    ASSERT_TRUE(model) << model.error().message;
    for (const auto& i : model->graph.initializers) {
      const auto tensor = i.tensor();
      ASSERT_TRUE(tensor);
      EXPECT_TRUE(std::ranges::all_of(tensor->values<float>(), [&](float x) { return x == value; }))
          << i.name();
    }
  }
};

constexpr OnnxWriteOptions kExternal = {.external_data = true};

TEST_F(OnnxWriteTest, ComputesEachInitializerOnceAndInOrder) {
  for (const bool external : {false, true}) {
    std::vector<std::string> computed;
    std::vector<uint64_t> seen;
    OnnxWriteOptions options;
    options.external_data = external;
    ASSERT_TRUE(write_onnx(model_of(3, 1000, 1, &computed), folder_ / "m.onnx", options,
                           [&](std::string_view stage, uint64_t done, uint64_t total) {
                             EXPECT_EQ(stage, "write");
                             EXPECT_EQ(total, 12000U);
                             if (seen.empty() || done != seen.back()) seen.push_back(done);
                           }));
    EXPECT_EQ(computed, (std::vector<std::string>{"w0", "w1", "w2"}));
    EXPECT_EQ(seen.back(), 12000U);
    EXPECT_TRUE(std::ranges::is_sorted(seen));
    expect_whole(folder_ / "m.onnx", 1);
    fs::remove(folder_ / "m.onnx.data");
  }
}

TEST_F(OnnxWriteTest, TheSidecarIsReplacedNotAppendedTo) {
  put("m.onnx.data", std::string(100000, 'z'));
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(write_onnx(model_of(1, 1000, 2), folder_ / "m.onnx", kExternal));
  EXPECT_EQ(fs::file_size(folder_ / "m.onnx.data"), 4000U);
  EXPECT_EQ(entries(), 2U);
}

// A model that is read keeps its weights, whatever the new one's files are called.
TEST_F(OnnxWriteTest, TheSidecarOfTheInputIsNotReplaced) {
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 1), folder_ / "m.onnx", kExternal));
  fs::rename(folder_ / "m.onnx", folder_ / "in.onnx");
  const fs::path in = folder_ / "in.onnx";
  const auto opened = open_onnx(in);
  ASSERT_TRUE(opened);
  OnnxWriteOptions options = kExternal;
  options.sources = source_files(in, *opened);
  ASSERT_EQ(options.sources.size(), 2U);
  fs::create_symlink("m.onnx.data", folder_ / "link.onnx.data");
  for (const char* name : {"m.onnx", "m.onnx.data", "link.onnx", "link.onnx.data"}) {
    SCOPED_TRACE(name);
    expect_error(check_onnx_output(folder_ / name, options), Code::invalid_input,
                 {"onnx.data: holds the weights of", "in.onnx"});
    expect_error(write_onnx(model_of(1, 1000, 2), folder_ / name, options), Code::invalid_input,
                 {"onnx.data: holds the weights of", "in.onnx"});
    expect_whole(in, 1);
  }
  // The input as the sidecar of the output is as bad.
  put("x.onnx.data", read(in));
  options.sources[0] = folder_ / "x.onnx.data";
  expect_error(write_onnx(model_of(1, 1000, 2), folder_ / "x.onnx", options), Code::invalid_input,
               {"is the model that is read"});
  EXPECT_EQ(entries(), 4U);
  // Over itself, directly or through a link, or elsewhere: nothing is lost.
  options.sources[0] = in;
  options.location = "m.onnx.data";
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 3), in, options));
  expect_whole(in, 3);
  options.location.clear();
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 4), folder_ / "other.onnx", options));
  expect_whole(in, 3);
  expect_whole(folder_ / "other.onnx", 4);
}

TEST_F(OnnxWriteTest, AHardLinkOfTheInputIsNotTheInput) {
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 1), folder_ / "b.onnx", kExternal));
  fs::rename(folder_ / "b.onnx", folder_ / "a.onnx");
  fs::create_hard_link(folder_ / "a.onnx", folder_ / "b.onnx");
  OnnxWriteOptions options = kExternal;
  options.sources = {folder_ / "a.onnx", folder_ / "b.onnx.data"};
  expect_error(write_onnx(model_of(1, 1000, 2), folder_ / "b.onnx", options), Code::invalid_input,
               {"b.onnx.data", "a.onnx"});
  expect_whole(folder_ / "a.onnx", 1);
}

TEST_F(OnnxWriteTest, ASidecarThatNobodyNamesAnyMoreGoes) {
  const fs::path file = folder_ / "m.onnx";
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 1), file, kExternal));
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 2), file));
  EXPECT_EQ(entries(), 1U);
  expect_whole(file, 2);
  // One that the old model did not name is somebody else's.
  put("m.onnx.data", "notes");
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 3), file));
  EXPECT_EQ(read(folder_ / "m.onnx.data"), "notes");
  // In place: the input is what is replaced.
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 4), file, kExternal));
  OnnxWriteOptions options;
  options.sources = {file, folder_ / "m.onnx.data"};
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 5), file, options));
  EXPECT_EQ(entries(), 1U);
  // Named by the old model, but the input needs it, too.
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 6), file, kExternal));
  fs::copy_file(file, folder_ / "in.onnx");
  options.sources[0] = folder_ / "in.onnx";
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 7), file, options));
  expect_whole(folder_ / "in.onnx", 6);
  expect_whole(file, 7);
}

TEST_F(OnnxWriteTest, TheSameModelGivesTheSameBytes) {
  ASSERT_TRUE(write_onnx(model_of(3, 1000, 2), folder_ / "a.onnx",
                         {.external_data = true, .location = "w"}));
  const std::string model = read(folder_ / "a.onnx");
  ASSERT_TRUE(write_onnx(model_of(3, 1000, 2), folder_ / "b.onnx",
                         {.external_data = true, .location = "w"}));
  EXPECT_EQ(read(folder_ / "b.onnx"), model);
}

TEST_F(OnnxWriteTest, ExternalDataIsForcedOnAtTheLimit) {
  OnnxWriteOptions options;
  options.inline_limit = 20000;
  ASSERT_TRUE(write_onnx(model_of(4, 1000, 3), folder_ / "small.onnx", options));
  EXPECT_FALSE(fs::exists(folder_ / "small.onnx.data"));
  ASSERT_TRUE(write_onnx(model_of(5, 1000, 3), folder_ / "large.onnx", options));
  EXPECT_EQ(fs::file_size(folder_ / "large.onnx.data"), 5U * 4032 - 32);
  expect_whole(folder_ / "large.onnx", 3);
  // typed_fields asks for the model file, but cannot have what does not fit.
  Model typed = model_of(5, 1000, 4);
  for (auto& i : typed.graph.initializers) i.storage = Initializer::Storage::typed_fields;
  ASSERT_TRUE(write_onnx(typed, folder_ / "typed.onnx", options));
  EXPECT_TRUE(fs::exists(folder_ / "typed.onnx.data"));
  expect_whole(folder_ / "typed.onnx", 4);
}

// onnx_size() computes nothing and says what is then written, to the byte.
TEST_F(OnnxWriteTest, TheSizeIsKnownBeforeAnythingIsMade) {
  std::vector<std::string> computed;
  Model model = model_of(9, 777, 1.0F, &computed);
  model.metadata = {{"key", std::string(300, 'v')}};
  model.producer_name = "somebody";
  for (const int64_t elements : {0, 1, 127, 128, 3000}) {
    const std::string name = "typed" + std::to_string(elements);
    Initializer typed(name, DType::f32, {elements}, [&computed, name, elements] {
      computed.push_back(name);
      return Tensor::make(DType::f32, {elements});
    });
    typed.storage = Initializer::Storage::typed_fields;
    model.graph.initializers.push_back(std::move(typed));
  }
  Initializer zeros("zeros", DType::i8, {200}, [] {
    return Result<Tensor>(Tensor::of<int8_t>({200}, std::vector<int8_t>(200)));
  });
  zeros.storage = Initializer::Storage::typed_fields;
  model.graph.initializers.push_back(std::move(zeros));
  // Integers that are there already are counted as they are.
  Initializer known("known", Tensor::of<int32_t>({3}, {-1, 127, 128}));
  known.storage = Initializer::Storage::typed_fields;
  model.graph.initializers.push_back(std::move(known));
  const fs::path file = folder_ / "m.onnx";
  for (const OnnxWriteOptions& options :
       {OnnxWriteOptions{}, kExternal, OnnxWriteOptions{.external_data = true, .threshold = 1},
        OnnxWriteOptions{.external_data = true, .location = "other", .alignment = 4096},
        OnnxWriteOptions{.external_data = true, .alignment = 1},
        OnnxWriteOptions{.external_data = true, .threshold = 1 << 20},
        OnnxWriteOptions{.inline_limit = 40000}}) {
    computed.clear();
    const auto size = onnx_size(model, file, options);
    ASSERT_TRUE(size) << size.error().message;
    EXPECT_TRUE(computed.empty());
    EXPECT_EQ(entries(), 0U);
    ASSERT_TRUE(write_onnx(model, file, options));
    uint64_t written = 0;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      written += entry.file_size();
      fs::remove(entry.path());
    }
    EXPECT_EQ(*size, written);
  }
}

TEST_F(OnnxWriteTest, SidecarNamesAreChecked) {
  for (const char* name : {"../x", "/tmp/x", "a/b", "m.onnx", ".", "a\\b"}) {
    SCOPED_TRACE(name);
    const auto written = write_onnx(model_of(1, 1000, 1), folder_ / "m.onnx",
                                    {.external_data = true, .location = name});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, Code::invalid_input);
  }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(OnnxWriteTest, AnInitializerThatFailsLeavesTheOldFilesAlone) {
  ASSERT_TRUE(write_onnx(model_of(2, 1000, 1), folder_ / "m.onnx", kExternal));
  Model bad = model_of(2, 1000, 2);
  bad.graph.initializers.emplace_back("broken", DType::f32, Shape{1000}, []() -> Result<Tensor> {
    return Error{Code::io, "the disk went away"};
  });
  for (const bool external : {false, true}) {
    const auto written = write_onnx(bad, folder_ / "m.onnx", {.external_data = external});
    expect_error(written, Code::io, {"m.onnx", "broken", "the disk went away"});
    expect_whole(folder_ / "m.onnx", 1);
    EXPECT_EQ(entries(), 2U);
  }
}

// The child is killed while it computes initializer `victim`; the old pair must be whole.
TEST_F(OnnxWriteTest, AKilledWriterLosesNothing) {
  ASSERT_TRUE(write_onnx(model_of(4, 100000, 1), folder_ / "m.onnx", kExternal));
  for (const int victim : {0, 2, 3}) {
    for (const bool external : {false, true}) {
      const pid_t child = ::fork();
      if (child == 0) {
        Model model = model_of(4, 100000, 2);
        model.graph.initializers[static_cast<size_t>(victim)] =
            Initializer("killer", DType::f32, {1000000}, []() -> Result<Tensor> {
              ::raise(SIGKILL);
              return Tensor();
            });
        (void)write_onnx(model, folder_ / "m.onnx", {.external_data = external});
        ::_exit(0);
      }
      int state = 0;
      ASSERT_EQ(::waitpid(child, &state, 0), child);
      ASSERT_TRUE(WIFSIGNALED(state));
      expect_whole(folder_ / "m.onnx", 1);
    }
  }
  // The next writer clears up what the dead left.
  EXPECT_GT(entries(), 2U);
  ASSERT_TRUE(write_onnx(model_of(4, 100000, 3), folder_ / "m.onnx", kExternal));
  EXPECT_EQ(entries(), 2U);
  expect_whole(folder_ / "m.onnx", 3);
}

TEST_F(OnnxWriteTest, AFullDiskLosesNothingAndNamesTheFile) {
  ASSERT_TRUE(write_onnx(model_of(1, 1000, 1), folder_ / "m.onnx", kExternal));
  for (const bool external : {false, true}) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{1 << 20, 1 << 20};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      const auto written =
          write_onnx(model_of(2, 1000000, 2), folder_ / "m.onnx", {.external_data = external});
      ::_exit(!written && written.error().code == Code::io &&
                      written.error().message.find("m.onnx") != std::string::npos
                  ? 0
                  : 1);
    }
    int state = 0;
    ASSERT_EQ(::waitpid(child, &state, 0), child);
    EXPECT_EQ(state, 0);
    EXPECT_EQ(entries(), 2U);
    expect_whole(folder_ / "m.onnx", 1);
  }
}

TEST_F(OnnxWriteTest, AReaderWhoStillHasTheOldModelKeepsIt) {
  ASSERT_TRUE(write_onnx(model_of(1, 100000, 1), folder_ / "m.onnx", kExternal));
  const auto old = read_onnx(folder_ / "m.onnx");
  ASSERT_TRUE(old);
  ASSERT_TRUE(write_onnx(model_of(1, 100000, 2), folder_ / "m.onnx", kExternal));
  EXPECT_EQ(old->graph.initializers[0].tensor()->data<float>()[99999], 1.0F);
}

}  // namespace
}  // namespace octavo
