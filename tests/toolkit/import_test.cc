#include "octavo/import.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "formats/json.h"
#include "formats/onnx.h"
#include "octavo/smooth.h"
#include "temp_folder.h"
#include "toolkit/golden_cases.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

class Import : public TempFolder {
 protected:
  // The snapshot that a golden is about, with its config overrides.
  fs::path snapshot(const std::string& label) const {
    const std::string name = label.substr(0, label.find('@'));
    const auto metadata = safetensors_metadata(golden("import/" + label + ".safetensors"));
    const auto about = parse_json(metadata->at("about"), label);
    const fs::path to = folder_ / label;
    fs::copy(golden("tiny/" + name), to, fs::copy_options::recursive);
    auto config = *read_json(to / "config.json");
    config.update((*about)["config"]);
    std::ofstream(to / "config.json") << config.dump();
    return to;
  }
};

// Our writer, our files, our executor, against transformers: flat and with model-local functions.
TEST_F(Import, OurExecutorGivesTheNumbersOfTransformers) {
  size_t seen = 0;
  for (const auto& file : files_in(golden("import"), ".safetensors")) {
    const std::string label = file.stem().string();
    if (label == "minilm" || label == "smollm2") continue;  // real models: tests/oracle
    const fs::path source = snapshot(label);
    for (const bool functions : {false, true}) {
      SCOPED_TRACE(label + (functions ? " functions" : " flat"));
      const fs::path out = folder_ / (label + (functions ? ".functions" : ".flat"));
      ImportOptions options;
      options.functions = functions;
      const auto report = import_model(source, out, options);
      ASSERT_TRUE(report) << report.error().message;
      auto model = read_onnx(out / "model.onnx");
      ASSERT_TRUE(model) << model.error().message;
      EXPECT_EQ(model->functions.empty(), !functions);
      run_cases(*std::move(model), file);
      ++seen;
    }
  }
  EXPECT_GE(seen, 28U);
}

TEST_F(Import, RealModelsWhenTheyAreHere) {
  const char* models = std::getenv("OCTAVO_MODELS");
  if (models == nullptr) GTEST_SKIP() << "OCTAVO_MODELS names no folder of real models";
  const std::vector<std::pair<std::string, fs::path>> cases = {
      {"minilm", fs::path(models) / "minilm"},
      {"smollm2", fs::path(models) / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"}};
  for (const auto& [label, source] : cases) {
    SCOPED_TRACE(label);
    const auto report = import_model(source, folder_ / label);
    ASSERT_TRUE(report) << report.error().message;
    auto model = read_onnx(folder_ / label / "model.onnx");
    ASSERT_TRUE(model) << model.error().message;
    run_cases(*std::move(model), golden("import/" + label + ".safetensors"));
  }
}

TEST_F(Import, ReplacesAnOlderImportAndKeepsStrangers) {
  const fs::path out = folder_ / "out";
  ASSERT_TRUE(import_model(golden("tiny/llama"), out));
  put("out/model.onnx.data", std::string(1'000'000, 'x'));
  put("out/notes.txt", "mine");
  const auto report = import_model(golden("tiny/qwen3"), out);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(read_onnx(out / "model.onnx"));
  EXPECT_LT(fs::file_size(out / "model.onnx.data"), 1'000'000U);  // replaced, not appended to
  EXPECT_EQ(read(out / "notes.txt"), "mine");
  // The folder holds what the report lists, the stranger, and no temporary file.
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(out)) files += entry.is_regular_file();
  EXPECT_EQ(files, report->files.size() + 1);
  EXPECT_EQ(report->files.back(), "model.onnx");
}

// Many snapshots carry a model.onnx; `octavo import X -o X` must not be the end of it.
TEST_F(Import, AModelThatNoImportMadeIsKept) {
  put("out/model.onnx", "precious");
  const auto refused = import_model(golden("tiny/bert"), folder_ / "out");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("out/model.onnx: "), std::string::npos);
  EXPECT_NE(refused.error().message.find("choose another folder"), std::string::npos);
  EXPECT_EQ(read(folder_ / "out/model.onnx"), "precious");
  EXPECT_FALSE(fs::exists(folder_ / "out/config.json"));
  fs::remove(folder_ / "out/model.onnx");
  EXPECT_TRUE(import_model(golden("tiny/bert"), folder_ / "out"));
  auto other = read_onnx(folder_ / "out/model.onnx");
  ASSERT_TRUE(other);
  other->producer_name = "pytorch";
  fs::create_directories(folder_ / "out2");
  ASSERT_TRUE(write_onnx(*other, folder_ / "out2/model.onnx"));
  const auto foreign = import_model(golden("tiny/bert"), folder_ / "out2");
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::invalid_input);
  EXPECT_NE(foreign.error().message.find("was not made by octavo"), std::string::npos);
  EXPECT_TRUE(import_model(golden("tiny/bert"), folder_ / "out"));
}

TEST_F(Import, ASmoothedModelIsKept) {
  ASSERT_TRUE(import_model(golden("tiny/bert"), folder_ / "out"));
  ASSERT_TRUE(smooth_model(folder_ / "out/model.onnx", folder_ / "out/model.onnx", {}));
  const std::string smoothed = read(folder_ / "out/model.onnx");
  const auto refused = import_model(golden("tiny/bert"), folder_ / "out");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("model.onnx: is a smoothed model"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(read(folder_ / "out/model.onnx"), smoothed);
  // Smoothed twice it says so once.
  ASSERT_TRUE(smooth_model(folder_ / "out/model.onnx", folder_ / "out/model.onnx", {}));
  const auto twice = read_onnx(folder_ / "out/model.onnx");
  ASSERT_TRUE(twice);
  EXPECT_EQ(std::ranges::count(twice->metadata, std::string("octavo.smoothed"),
                               &std::pair<std::string, std::string>::first),
            1);
}

// model.int8.onnx would go on with the tokenizer of another model, and nobody would be told.
TEST_F(Import, AModelOfAnotherNameKeepsItsFiles) {
  const fs::path out = folder_ / "out";
  ASSERT_TRUE(import_model(golden("tiny/bert"), out));
  fs::create_directories(out / "onnx");
  fs::copy_file(out / "model.onnx", out / "onnx" / "model.onnx");
  fs::rename(out / "model.onnx", out / "model.int8.onnx");
  EXPECT_TRUE(import_model(golden("tiny/bert"), out));
  const auto expect_refused = [&](const std::string& message) {
    const auto refused = import_model(golden("tiny/bert"), out);
    ASSERT_FALSE(refused) << message;
    EXPECT_EQ(refused.error().code, Code::invalid_input);
    EXPECT_NE(refused.error().message.find(message), std::string::npos) << refused.error().message;
  };
  const std::string tokenizer = read(out / "tokenizer.json");
  put("out/tokenizer.json", "{}");
  expect_refused(
      "out/tokenizer.json: differs from the one of the new model, which would change "
      "what model.int8.onnx, onnx/model.onnx in this folder gives");
  EXPECT_EQ(read(out / "tokenizer.json"), "{}");
  fs::remove(out / "model.int8.onnx");
  expect_refused("what onnx/model.onnx in this folder gives");
  put("out/tokenizer.json", tokenizer);
  EXPECT_TRUE(import_model(golden("tiny/bert"), out));
  // A pooling that was not there before is another pooling.
  fs::remove(out / "config.json");
  expect_refused("out/config.json: would be added");
  fs::remove_all(out / "onnx");
  EXPECT_TRUE(import_model(golden("tiny/bert"), out));
  // A folder is no model.
  fs::create_directories(out / "x.onnx");
  put("out/tokenizer.json", "{}");
  EXPECT_TRUE(import_model(golden("tiny/bert"), out));
}

TEST_F(Import, BadArguments) {
  ImportOptions options;
  options.model_name = "../model.onnx";
  EXPECT_EQ(import_model(golden("tiny/bert"), folder_ / "out", options).error().code,
            Code::invalid_input);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  const auto missing = import_model(folder_ / "nowhere", folder_ / "out");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().message.find("nowhere"), std::string::npos);
  put("file", "");
  const auto blocked = import_model(golden("tiny/bert"), folder_ / "file" / "out");
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code, Code::io);
}

}  // namespace
}  // namespace octavo
