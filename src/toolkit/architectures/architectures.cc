#include "toolkit/architectures/architectures.h"

#include <iterator>

#include "formats/json.h"

namespace octavo::architectures {

namespace {

struct Family {
  std::string_view model_type;  // for configs without an "architectures" list
  std::string_view stem;        // BertModel, BertForMaskedLM, ...
  Writer write;
};

constexpr Family kFamilies[] = {
    {"bert", "Bert", write_bert},          {"llama", "Llama", write_llama},
    {"mistral", "Mistral", write_mistral}, {"qwen2", "Qwen2", write_qwen2},
    {"qwen3", "Qwen3", write_qwen3},
};

// What may follow the stem: the bare model, and the same model under a head that import leaves out.
// A closed list, because other suffixes change the model (Qwen2MoeModel, LlamaBidirectionalModel).
constexpr std::string_view kHeads[] = {
    "Model",
    "ForCausalLM",
    "ForMaskedLM",
    "ForPreTraining",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForNextSentencePrediction",
};

std::string known() {
  std::string names;
  for (const auto& family : kFamilies) {
    if (!names.empty()) names += ", ";
    names += std::string(family.stem) + "Model";
  }
  return names + " and these with a head, such as LlamaForCausalLM or BertForMaskedLM";
}

}  // namespace

Result<Found> find(const nlohmann::json& config) {
  const std::string model_type = json_string(config, "model_type", "");
  std::string name;
  if (const auto it = config.find("architectures");
      it != config.end() && it->is_array() && !it->empty() && it->front().is_string())
    name = it->front().get<std::string>();
  if (name.empty() && model_type.empty())
    return Error{Code::invalid_input,
                 "config.json names neither \"architectures\" nor \"model_type\""};
  for (const auto& family : kFamilies) {
    if (name.empty() && model_type == family.model_type)
      return Found{std::string(family.stem) + "Model", family.write};
    for (const auto head : kHeads) {
      if (name == std::string(family.stem) + std::string(head)) return Found{name, family.write};
    }
  }
  return Error{Code::unsupported, "architecture \"" + (name.empty() ? model_type : name) +
                                      "\" is not known; known are " + known()};
}

}  // namespace octavo::architectures
