#include "embed/model_dir.h"

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>
#include <utility>

#include "formats/json.h"

namespace octavo {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Model types that predict the next token: only their last token has seen the whole text.
constexpr std::array<std::string_view, 28> kDecoders = {
    "llama", "mistral", "mixtral", "qwen2",   "qwen2_moe", "qwen3",      "qwen3_moe",
    "gemma", "gemma2",  "gemma3",  "gpt2",    "gpt_neo",   "gpt_neox",   "gptj",
    "phi",   "phi3",    "opt",     "bloom",   "falcon",    "starcoder2", "stablelm",
    "olmo",  "olmo2",   "cohere",  "granite", "smollm3",   "mpt",        "gemma3_text"};
// Their position 0 is the one after the padding id, so they take that many tokens fewer.
constexpr std::array<std::string_view, 4> kOffsetPositions = {"roberta", "xlm-roberta", "camembert",
                                                              "mpnet"};

template <size_t n>
bool contains(const std::array<std::string_view, n>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// nullopt when the file is not there.
Result<std::optional<json>> read_optional(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return std::optional<json>();
  OCTAVO_TRY(json document, read_json(file));
  return std::optional<json>(std::move(document));
}

Error wrong(const fs::path& file, const std::string& what) {
  return Error{Code::invalid_input, file.string() + ": " + what};
}

// What one pooling config says, before it is known whether we have that.
struct PoolingMode {
  const char* flag;  // of the older, boolean form
  const char* name;  // of the newer form, "pooling_mode": "mean"
  std::optional<Pooling> pooling;
};
constexpr std::array<PoolingMode, 6> kPoolingModes = {{
    {"pooling_mode_cls_token", "cls", Pooling::cls},
    {"pooling_mode_mean_tokens", "mean", Pooling::mean},
    {"pooling_mode_lasttoken", "lasttoken", Pooling::last_token},
    {"pooling_mode_max_tokens", "max", std::nullopt},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", std::nullopt},
    {"pooling_mode_weightedmean_tokens", "weightedmean", std::nullopt},
}};

Status read_pooling(const json& config, const fs::path& file, ModelDir& dir) {
  if (!config.is_object()) return wrong(file, "is not an object");
  std::vector<const PoolingMode*> chosen;
  const std::string name = json_string(config, "pooling_mode", "");
  for (const PoolingMode& mode : kPoolingModes) {
    if (name == mode.name || json_bool(config, mode.flag, false)) chosen.push_back(&mode);
  }
  if (chosen.empty() && !name.empty())
    return Error{Code::unsupported,
                 file.string() + ": pooling_mode \"" + name + "\"; known are cls, mean, lasttoken"};
  if (chosen.empty()) return wrong(file, "no pooling_mode is switched on");
  if (chosen.size() > 1)
    return Error{Code::unsupported, file.string() + ": " + chosen[0]->flag + " and " +
                                        chosen[1]->flag +
                                        " are both on; concatenated poolings are not supported"};
  if (!chosen[0]->pooling)
    return Error{Code::unsupported, file.string() + ": " + chosen[0]->flag +
                                        " is not supported; supported are pooling_mode_cls_token, "
                                        "pooling_mode_mean_tokens, pooling_mode_lasttoken"};
  dir.pooling = *chosen[0]->pooling;
  dir.include_prompt = json_bool(config, "include_prompt", true);
  return Done{};
}

// The modules of sentence-transformers, and where each keeps its files.
struct Modules {
  bool listed = false;
  fs::path transformer;  // folder of config.json and tokenizer files
  std::optional<fs::path> pooling;
  bool normalize = false;
};

Result<Modules> read_modules(const fs::path& folder) {
  Modules modules;
  const fs::path file = folder / "modules.json";
  OCTAVO_TRY(const auto document, read_optional(file));
  if (!document) return modules;
  if (!document->is_array()) return wrong(file, "is not a list of modules");
  modules.listed = true;
  for (const json& module : *document) {
    const std::string type = json_string(module, "type", "");
    const std::string kind = type.substr(type.find_last_of('.') + 1);
    const fs::path path = json_string(module, "path", "");
    if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
      return wrong(file, "module path " + quote(path.string()) + " leaves the folder");
    if (kind == "Transformer") {
      modules.transformer = path;
    } else if (kind == "Pooling") {
      modules.pooling = path;
    } else if (kind == "Normalize") {
      modules.normalize = true;
    } else if (kind != "Dropout") {  // does nothing outside training
      return Error{Code::unsupported,
                   file.string() + ": module \"" + type +
                       "\" is not supported; supported are Transformer, Pooling, Normalize"};
    }
  }
  return modules;
}

std::string architecture_of(const json& config) {
  const auto list = config.is_object() ? config.find("architectures") : config.end();
  if (config.is_object() && list != config.end() && list->is_array() && !list->empty() &&
      (*list)[0].is_string())
    return (*list)[0].get<std::string>();
  return json_string(config, "model_type", "");
}

void guess_pooling(const std::optional<json>& config, const std::string& missing, ModelDir& dir) {
  if (!config) {
    dir.pooling = Pooling::mean;
    dir.warnings.push_back(missing + "; pooling guessed: mean (no config.json either)");
    return;
  }
  const std::string architecture = architecture_of(*config);
  const bool decoder = architecture.ends_with("ForCausalLM") ||
                       contains(kDecoders, json_string(*config, "model_type", ""));
  dir.pooling = decoder ? Pooling::last_token : Pooling::mean;
  dir.warnings.push_back(missing + "; pooling guessed: " + std::string(pooling_name(dir.pooling)) +
                         (decoder ? ", because " + architecture + " is a decoder"
                                  : ", because " + architecture + " is not known as a decoder"));
}

// A count of tokens, or 0 when the file does not say one: absent, null, or "no limit", which
// tokenizers write as 1e30.
size_t token_count(const json& object, const char* key) {
  constexpr double kNoLimit = 1e9;
  const double value = json_double(object, key, 0);
  return value >= 1 && value < kNoLimit ? static_cast<size_t>(value) : 0;
}

Status read_lengths(const fs::path& transformer, const std::optional<json>& config, ModelDir& dir) {
  if (config) {
    dir.positions = token_count(*config, "max_position_embeddings");
    if (contains(kOffsetPositions, json_string(*config, "model_type", ""))) {
      const auto offset = static_cast<size_t>(
          std::clamp<int64_t>(json_int(*config, "pad_token_id", 1), 0, 1000) + 1);
      dir.positions = dir.positions > offset ? dir.positions - offset : dir.positions;
    }
  }
  OCTAVO_TRY(const auto tokenizer, read_optional(transformer / "tokenizer_config.json"));
  OCTAVO_TRY(const auto sentence, read_optional(transformer / "sentence_bert_config.json"));
  size_t length = sentence ? token_count(*sentence, "max_seq_length") : 0;
  if (length == 0) {
    length = tokenizer ? token_count(*tokenizer, "model_max_length") : 0;
    if (length == 0 || (dir.positions != 0 && dir.positions < length)) length = dir.positions;
  } else if (dir.positions != 0 && length > dir.positions) {
    dir.warnings.push_back("sentence_bert_config.json says max_seq_length " +
                           std::to_string(length) + ", but the model has " +
                           std::to_string(dir.positions) + " positions; these are used");
    length = dir.positions;
  }
  if (length == 0) {
    length = 512;
    dir.warnings.push_back(
        "neither sentence_bert_config.json, tokenizer_config.json nor config.json gives a maximum "
        "length; guessed: 512 tokens");
  }
  dir.max_length = length;
  if (tokenizer && json_string(*tokenizer, "truncation_side", "right") == "left")
    dir.warnings.push_back(
        "tokenizer_config.json asks to cut long texts on the left; they are cut on the right");
  if (sentence && json_bool(*sentence, "do_lower_case", false))
    dir.warnings.push_back(
        "sentence_bert_config.json asks for lower case; only tokenizer.json decides about that");
  return Done{};
}

Status read_prompts(const fs::path& folder, ModelDir& dir) {
  const fs::path file = folder / "config_sentence_transformers.json";
  OCTAVO_TRY(const auto config, read_optional(file));
  if (!config) return Done{};
  if (!config->is_object()) return wrong(file, "is not an object");
  if (const auto prompts = config->find("prompts");
      prompts != config->end() && !prompts->is_null()) {
    if (!prompts->is_object()) return wrong(file, "\"prompts\" is not an object");
    for (const auto& [name, text] : prompts->items()) {
      if (text.is_null()) continue;
      if (!text.is_string()) return wrong(file, "prompt " + quote(name) + " is not a string");
      dir.prompts[name] = text.get<std::string>();
    }
  }
  dir.default_prompt_name = json_string(*config, "default_prompt_name", "");
  dir.similarity = json_string(*config, "similarity_fn_name", "");
  if (!dir.default_prompt_name.empty() && !dir.prompts.contains(dir.default_prompt_name))
    return wrong(
        file, "default_prompt_name \"" + dir.default_prompt_name + "\" is not one of \"prompts\"");
  return Done{};
}

// Names of an FP32 model in its folder, the first choice first.
constexpr std::array<const char*, 2> kOriginals = {"model.onnx", "onnx/model.onnx"};

// Empty when there is none.
fs::path original_in(const fs::path& folder) {
  std::error_code error;
  for (const char* name : kOriginals) {
    if (fs::is_regular_file(folder / name, error)) return folder / name;
  }
  return {};
}

Result<fs::path> find_model_file(const fs::path& folder, const std::string& model_file) {
  std::error_code error;
  if (model_file.empty()) {
    const fs::path quantized = folder / "model.int8.onnx";
    return fs::is_regular_file(quantized, error) ? quantized : original_in(folder);
  }
  for (const fs::path& file : {folder / model_file, fs::path(model_file)}) {
    if (fs::is_regular_file(file, error)) return file;
  }
  return Error{Code::not_found, "model file " + quote(model_file) + " is neither in " +
                                    folder.string() + " nor a path to a file"};
}

}  // namespace

std::string_view pooling_name(Pooling pooling) {
  switch (pooling) {
    case Pooling::cls:
      return "cls";
    case Pooling::last_token:
      return "last token";
    case Pooling::mean:
      break;
  }
  return "mean";
}

Result<fs::path> reference_model(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  fs::path found = original_in(path);
  if (found.empty())
    return Error{Code::not_found,
                 path.string() + ": has neither model.onnx nor onnx/model.onnx; name the file"};
  return found;
}

Result<ModelDir> read_model_dir(const fs::path& folder, const std::string& model_file) {
  std::error_code error;
  if (folder.extension() == ".gguf" && fs::is_regular_file(folder, error))
    return Error{Code::invalid_input, folder.string() + ": is a GGUF file; octavo build " +
                                          folder.string() + " -o DIR makes an INT8 model of it, " +
                                          "octavo import one in FP32"};
  if (fs::exists(folder, error) && !fs::is_directory(folder, error))
    return Error{Code::invalid_input, folder.string() +
                                          ": is a file; give the folder it is in, and " +
                                          folder.filename().string() +
                                          " as the model file if it is not the first choice"};
  if (!fs::is_directory(folder, error))
    return Error{Code::not_found, folder.string() + ": no such file or folder"};
  ModelDir dir;
  dir.folder = folder;
  OCTAVO_TRY(dir.model_file, find_model_file(folder, model_file));
  OCTAVO_TRY(const Modules modules, read_modules(folder));
  const fs::path transformer = folder / modules.transformer;
  dir.tokenizer_file = transformer / "tokenizer.json";
  OCTAVO_TRY(const auto config, read_optional(transformer / "config.json"));
  if (config && !config->is_object()) return wrong(transformer / "config.json", "is not an object");

  // Without modules.json the file may still be there; with one, only where it says.
  const bool no_module = modules.listed && !modules.pooling;
  const fs::path pooling_file = folder / modules.pooling.value_or("1_Pooling") / "config.json";
  std::optional<json> pooling;
  if (!no_module) {
    OCTAVO_TRY(pooling, read_optional(pooling_file));
  }
  if (pooling) {
    OCTAVO_CHECK(read_pooling(*pooling, pooling_file, dir));
  } else {
    const std::string where = pooling_file.lexically_relative(folder).string();
    guess_pooling(config, no_module ? "modules.json lists no pooling" : "no " + where, dir);
  }
  dir.normalize = modules.listed ? modules.normalize : true;
  if (!modules.listed)
    dir.warnings.push_back("no modules.json; guessed: embeddings are normalised");
  OCTAVO_CHECK(read_lengths(transformer, config, dir));
  OCTAVO_CHECK(read_prompts(folder, dir));
  return dir;
}

}  // namespace octavo
