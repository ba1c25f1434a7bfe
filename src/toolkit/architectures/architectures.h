#pragma once
// The architectures import knows: config.json's name -> the function that writes the graph. To add
// one, write a file beside this and a line in architectures.cc: docs/adding-an-architecture.md.

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "graph/graph.h"
#include "toolkit/architectures/checkpoint.h"

namespace octavo::architectures {

// Inputs int64 [batch, sequence], output last_hidden_state f32 [batch, sequence, hidden], opset 17,
// pieces as ai.octavo functions. Errors: invalid_input or unsupported naming the config key,
// not_found or invalid_input naming the tensor.
using Writer = Result<Model> (*)(const nlohmann::json& config, Checkpoint& weights);

Result<Model> write_bert(const nlohmann::json& config, Checkpoint& weights);
Result<Model> write_llama(const nlohmann::json& config, Checkpoint& weights);
Result<Model> write_mistral(const nlohmann::json& config, Checkpoint& weights);
Result<Model> write_qwen2(const nlohmann::json& config, Checkpoint& weights);
Result<Model> write_qwen3(const nlohmann::json& config, Checkpoint& weights);

struct Found {
  std::string name;  // as config.json has it
  Writer write;
};
// Errors: unsupported, naming the architecture and the known ones; invalid_input when the config
// names none.
Result<Found> find(const nlohmann::json& config);

}  // namespace octavo::architectures
