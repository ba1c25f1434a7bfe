#include "embed/model_dir.h"

#include "temp_folder.h"

namespace octavo {
namespace {

class ModelDirTest : public TempFolder {
 protected:
  ModelDir read(const std::string& model_file = "") const {
    auto dir = read_model_dir(folder_, model_file);
    if (!dir) throw std::runtime_error(dir.error().message);
    return *std::move(dir);
  }
  Error error() const {
    auto dir = read_model_dir(folder_);
    return dir ? Error{Code::internal, "(no error)"} : dir.error();
  }
  void put_modules(const std::string& last) const {
    put("modules.json", R"([{"idx": 0, "name": "0", "path": "", "type":
      "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling",
      "type": "sentence_transformers.models.Pooling"})" +
                            last + "]");
  }
};

std::string pooling(const std::string& flag) { return "{\"pooling_mode_" + flag + "\": true}"; }
const char* const kNormalize =
    R"(, {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"})";

bool mentions(const std::vector<std::string>& warnings, const std::string& what) {
  for (const auto& w : warnings) {
    if (w.find(what) != std::string::npos) return true;
  }
  return false;
}

TEST_F(ModelDirTest, ReadsACompleteFolderWithoutAWarning) {
  put_modules(kNormalize);
  put("1_Pooling/config.json", R"({"word_embedding_dimension": 8, "pooling_mode_cls_token": false,
      "pooling_mode_mean_tokens": false, "pooling_mode_lasttoken": true, "include_prompt": true})");
  put("config.json", R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
      "max_position_embeddings": 40960})");
  put("tokenizer_config.json", R"({"model_max_length": 32768})");
  put("config_sentence_transformers.json", R"({"prompts": {"query": "Instruct: x\nQuery:",
      "document": ""}, "default_prompt_name": null})");
  put("model.onnx", "x");
  const ModelDir dir = read();
  EXPECT_EQ(dir.pooling, Pooling::last_token);
  EXPECT_TRUE(dir.normalize);
  EXPECT_EQ(dir.max_length, 32768u);
  EXPECT_EQ(dir.positions, 40960u);
  EXPECT_EQ(dir.prompts.at("query"), "Instruct: x\nQuery:");
  EXPECT_EQ(dir.prompts.at("document"), "");
  EXPECT_EQ(dir.default_prompt_name, "");
  EXPECT_EQ(dir.similarity, "");
  EXPECT_EQ(dir.model_file, folder_ / "model.onnx");
  EXPECT_TRUE(dir.warnings.empty()) << dir.warnings[0];
}

TEST_F(ModelDirTest, EveryPoolingFlag) {
  put_modules("");
  for (const auto& [flag, expected] :
       std::vector<std::pair<std::string, Pooling>>{{"cls_token", Pooling::cls},
                                                    {"mean_tokens", Pooling::mean},
                                                    {"lasttoken", Pooling::last_token}}) {
    put("1_Pooling/config.json", pooling(flag));
    EXPECT_EQ(read().pooling, expected) << flag;
  }
  put("1_Pooling/config.json", R"({"pooling_mode": "cls", "include_prompt": false})");
  EXPECT_EQ(read().pooling, Pooling::cls);
  EXPECT_FALSE(read().include_prompt);
  for (const char* flag : {"max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens"}) {
    put("1_Pooling/config.json", pooling(flag));
    EXPECT_EQ(error().code, Code::unsupported);
    EXPECT_NE(error().message.find(std::string("pooling_mode_") + flag), std::string::npos)
        << error().message;
  }
  put("1_Pooling/config.json", R"({"pooling_mode": "median"})");
  EXPECT_EQ(error().code, Code::unsupported);
  put("1_Pooling/config.json",
      R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true})");
  EXPECT_EQ(error().code, Code::unsupported);
  put("1_Pooling/config.json", "{}");
  EXPECT_EQ(error().code, Code::invalid_input);
}

TEST_F(ModelDirTest, NormalisesWhenModulesSaySo) {
  put("1_Pooling/config.json", pooling("mean_tokens"));
  put_modules(kNormalize);
  EXPECT_TRUE(read().normalize);
  put_modules("");
  EXPECT_FALSE(read().normalize);
  EXPECT_FALSE(mentions(read().warnings, "normalised"));
  std::filesystem::remove(folder_ / "modules.json");
  EXPECT_TRUE(read().normalize);
  EXPECT_TRUE(mentions(read().warnings, "no modules.json; guessed"));
  put_modules(R"(, {"path": "2_Dense", "type": "sentence_transformers.models.Dense"})");
  EXPECT_EQ(error().code, Code::unsupported);
  EXPECT_NE(error().message.find("sentence_transformers.models.Dense"), std::string::npos);
}

TEST_F(ModelDirTest, GuessesPoolingFromTheArchitectureAndSaysSo) {
  for (const auto& [config, expected, why] :
       std::vector<std::tuple<std::string, Pooling, std::string>>{
           {R"({"architectures": ["BertModel"], "model_type": "bert"})", Pooling::mean,
            "BertModel"},
           {R"({"architectures": ["Qwen3Model"], "model_type": "qwen3"})", Pooling::last_token,
            "Qwen3Model"},
           {R"({"architectures": ["NewForCausalLM"]})", Pooling::last_token, "NewForCausalLM"},
           {R"({"model_type": "llama"})", Pooling::last_token, "llama"},
           {"{}", Pooling::mean, "not known as a decoder"}}) {
    put("config.json", config);
    EXPECT_EQ(read().pooling, expected) << config;
    EXPECT_TRUE(mentions(read().warnings, "no 1_Pooling/config.json; pooling guessed")) << config;
    EXPECT_TRUE(mentions(read().warnings, why)) << config << read().warnings[0];
  }
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_EQ(read().pooling, Pooling::mean);
}

TEST_F(ModelDirTest, MaximumLength) {
  struct Case {
    const char* sentence;
    const char* tokenizer;
    const char* config;
    size_t length;
    size_t positions;
    const char* warning;
  };
  const char* const kNoLimit = R"({"model_max_length": 1000000000000000019884624838656})";
  for (const Case& c : {
           Case{R"({"max_seq_length": 256})", R"({"model_max_length": 512})",
                R"({"max_position_embeddings": 512})", 256, 512, ""},
           {R"({"max_seq_length": null})", R"({"model_max_length": 128})",
            R"({"max_position_embeddings": 512})", 128, 512, ""},
           {"{}", kNoLimit, R"({"max_position_embeddings": 40960})", 40960, 40960, ""},
           {"{}", R"({"model_max_length": 1e30})", R"({"max_position_embeddings": 64})", 64, 64,
            ""},
           {"{}", R"({"model_max_length": 8192})", R"({"max_position_embeddings": 512})", 512, 512,
            ""},
           {"{}", R"({"model_max_length": 100})", "{}", 100, 0, ""},
           {"{}", kNoLimit, "{}", 512, 0, "guessed: 512"},
           {R"({"max_seq_length": 1024})", "{}", R"({"max_position_embeddings": 512})", 512, 512,
            "512 positions"},
           {"{}", "{}",
            R"({"max_position_embeddings": 514, "model_type": "xlm-roberta", "pad_token_id": 1})",
            512, 512, ""},
           {"{}", R"({"model_max_length": -1})", R"({"max_position_embeddings": "x"})", 512, 0,
            "guessed: 512"},
       }) {
    put("sentence_bert_config.json", c.sentence);
    put("tokenizer_config.json", c.tokenizer);
    put("config.json", c.config);
    const ModelDir dir = read();
    EXPECT_EQ(dir.max_length, c.length) << c.sentence << c.tokenizer << c.config;
    EXPECT_EQ(dir.positions, c.positions) << c.config;
    if (*c.warning != '\0') {
      EXPECT_TRUE(mentions(dir.warnings, c.warning)) << c.warning;
    } else {
      EXPECT_FALSE(mentions(dir.warnings, "length")) << c.config;
    }
  }
}

TEST_F(ModelDirTest, PicksTheModelFile) {
  EXPECT_EQ(read().model_file, "");
  put("onnx/model.onnx", "x");
  EXPECT_EQ(read().model_file, folder_ / "onnx/model.onnx");
  put("model.onnx", "x");
  EXPECT_EQ(read().model_file, folder_ / "model.onnx");
  put("model.int8.onnx", "x");
  EXPECT_EQ(read().model_file, folder_ / "model.int8.onnx");
  EXPECT_EQ(read("onnx/model.onnx").model_file, folder_ / "onnx/model.onnx");
  const std::string path = (folder_ / "model.onnx").string();
  EXPECT_EQ(read(path).model_file, path);
  const auto missing = read_model_dir(folder_, "other.onnx");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().message.find("other.onnx"), std::string::npos);
}

TEST_F(ModelDirTest, FilesOfTheTransformerMayLieInItsOwnFolder) {
  put("modules.json",
      R"([{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
                          {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])");
  put("1_Pooling/config.json", pooling("mean_tokens"));
  put("0_Transformer/sentence_bert_config.json", R"({"max_seq_length": 77})");
  EXPECT_EQ(read().max_length, 77u);
  EXPECT_EQ(read().tokenizer_file, folder_ / "0_Transformer/tokenizer.json");
}

TEST_F(ModelDirTest, MalformedFilesAreErrorsThatNameThem) {
  put("1_Pooling/config.json", pooling("mean_tokens"));
  const std::string good_prompts =
      R"({"prompts": {"query": "q: "}, "default_prompt_name": "query", "similarity_fn_name": "dot"})";
  put("config_sentence_transformers.json", good_prompts);
  EXPECT_EQ(read().default_prompt_name, "query");
  EXPECT_EQ(read().similarity, "dot");
  for (const auto& [file, content] : std::vector<std::pair<std::string, std::string>>{
           {"modules.json", "{}"},
           {"modules.json", "[{\"type\": \"a.Transformer\", \"path\": \"../up\"}]"},
           {"modules.json", "[{\"type\": \"a.Pooling\", \"path\": \"/etc\"}]"},
           {"modules.json", "[1]"},
           {"modules.json", "[{"},
           {"config.json", "[]"},
           {"config.json", "\xff"},
           {"1_Pooling/config.json", "[]"},
           {"tokenizer_config.json", std::string(100000, '[')},
           {"config_sentence_transformers.json", "3"},
           {"config_sentence_transformers.json", "{\"prompts\": []}"},
           {"config_sentence_transformers.json", "{\"prompts\": {\"query\": 1}}"},
           {"config_sentence_transformers.json", "{\"default_prompt_name\": \"query\"}"}}) {
    const auto path = folder_ / file;
    const std::string before = std::filesystem::exists(path) ? TempFolder::read(path) : "";
    put(file, content);
    EXPECT_NE(error().message.find(file), std::string::npos) << content << ": " << error().message;
    EXPECT_NE(error().code, Code::internal) << file << content;
    before.empty() ? static_cast<void>(std::filesystem::remove(path))
                   : static_cast<void>(put(file, before));
  }
  const auto missing = read_model_dir(folder_ / "nothing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
}

}  // namespace
}  // namespace octavo
