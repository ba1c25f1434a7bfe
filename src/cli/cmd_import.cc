// octavo import: a snapshot or a GGUF file in, an FP32 ONNX folder out.

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cli/commands.h"
#include "cli/hub_source.h"
#include "octavo/import.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Write a Hugging Face snapshot or a GGUF file as FP32 ONNX.

Architectures: BERT, and decoders of the Llama, Mistral, Qwen2 and Qwen3 kind.
The model's output is last_hidden_state; there is no language-model head.)";

constexpr const char* kFooter =
    R"(The output folder then holds model.onnx (opset 17, standard ops, nodes named
after the modules), its weights in model.onnx.data, and the tokenizer and config
files: copied, or made from the GGUF's metadata. What another ONNX model in the
folder reads is not changed: that is an error.

Examples:
  octavo import sentence-transformers/all-MiniLM-L6-v2 -o minilm-fp32
  octavo import ./my-snapshot -o mine-fp32
  octavo import SmolLM2-135M.gguf -o smollm2-fp32 --json

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr).)";

struct Options {
  std::string source;
  std::string output;
  bool json = false;
  ImportOptions import;
};

uint64_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

void print_json(const Options& options, const ImportReport& report) {
  nlohmann::ordered_json json;
  json["architecture"] = report.architecture;
  json["parameters"] = report.parameters;
  json["output"] = options.output;
  json["files"] = nlohmann::ordered_json::array();
  for (const auto& name : report.files)
    json["files"].push_back(
        {{"name", name}, {"bytes", size_of(std::filesystem::path(options.output) / name)}});
  json["unused_weights"] = report.unused_weights;
  // Names come from the checkpoint and may be any bytes.
  std::puts(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

void print_text(const Options& options, const ImportReport& report) {
  std::printf("%s, %lld parameters, FP32, opset 17\n\n", report.architecture.c_str(),
              static_cast<long long>(report.parameters));
  Table table({"file", "size"});
  for (const auto& name : report.files)
    table.add({name, human_bytes(size_of(std::filesystem::path(options.output) / name))});
  std::fputs(table.str().c_str(), stdout);
  if (report.unused_weights.empty()) return;
  std::printf("\nIn the checkpoint, but not part of the embedding (%zu):\n",
              report.unused_weights.size());
  for (const auto& name : report.unused_weights) std::printf("  %s\n", name.c_str());
}

}  // namespace

void add_import(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("import", kDescription);
  command->footer(kFooter);
  command
      ->add_option("SOURCE", options->source,
                   "snapshot folder (config.json, *.safetensors, tokenizer.json), *.gguf file, or "
                   "org/name[@revision] on the hub")
      ->required()
      ->type_name("SRC");
  command->add_option("-o,--output", options->output, "folder to write into; made if need be")
      ->required()
      ->type_name("DIR");
  command->add_flag(
      "--functions", options->import.functions,
      "keep RMSNorm, rotary embedding, attention and SwiGLU as model-local functions "
      "of domain ai.octavo;\nsmaller and easier to read, but OpenVINO cannot load it");
  command->add_flag("--json", options->json, "print what was written as JSON");
  command->callback([options, &context] {
    std::string source = options->source;
    if (const Status found = resolve_model(source, HubWeights::importable); !found)
      return context.fail(found.error());
    const auto report = import_model(source, options->output, options->import, context.progress());
    if (!report) return context.fail(report.error());
    if (options->json) {
      print_json(*options, *report);
    } else {
      print_text(*options, *report);
    }
  });
}

}  // namespace octavo::cli
