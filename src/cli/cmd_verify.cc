// octavo verify: how close a model's embeddings are to the original's.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/hub_source.h"
#include "octavo/verify.h"
#include "toolkit/html.h"
#include "toolkit/text_file.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Compare a model's embeddings with the original's, text by text.

Every text is tokenized once; both sides get the very same token ids, and a
reference that was made from other ids is refused. The pooled embeddings are
compared by cosine. The reference is either an FP32 ONNX model, run here, or a
file of tools/dump_reference.py, which holds what PyTorch gave.)";

constexpr const char* kFooter =
    R"(Output: the smallest cosine, its 1st, 5th and 50th percentile (linear between
neighbours, as numpy's default), the mean, the range of the vectors' lengths
before normalisation, and the worst text with its tokens.

Examples:
  octavo verify minilm-int8 --against minilm-fp32/model.onnx
  octavo verify model.int8.onnx --reference original.safetensors --min-cos 0.95
  octavo verify minilm-int8 --against model.onnx --texts my-texts.txt --json

Exit codes: 0 done; 1 the smallest cosine is below --min-cos; 2 wrong usage;
3 the work failed (the reason is on stderr).)";

struct Flags {
  std::string model, texts, probe;
  VerifyOptions options;
  bool json = false;
};

nlohmann::json as_json(const VerifyReport& report) {
  nlohmann::json texts = nlohmann::json::array();
  for (const auto& text : report.texts)
    texts.push_back({{"text", text.text},
                     {"ids", text.ids},
                     {"cosine", text.cosine},
                     {"norm", text.norm},
                     {"reference_norm", text.reference_norm}});
  return {{"cos_min", report.cos_min},   {"cos_p1", report.cos_p1},
          {"cos_p5", report.cos_p5},     {"cos_p50", report.cos_p50},
          {"cos_mean", report.cos_mean}, {"worst", report.worst},
          {"passed", report.passed},     {"reference", report.reference},
          {"notes", report.notes},       {"texts", texts}};
}

std::string range(double low, double high) {
  return low == high ? fixed(low, 3) : fixed(low, 3) + " to " + fixed(high, 3);
}

void print(const VerifyReport& report, const VerifyOptions& options) {
  double low = report.texts[0].norm, high = low;
  double reference_low = report.texts[0].reference_norm, reference_high = reference_low;
  for (const auto& text : report.texts) {
    low = std::min(low, text.norm);
    high = std::max(high, text.norm);
    reference_low = std::min(reference_low, text.reference_norm);
    reference_high = std::max(reference_high, text.reference_norm);
  }
  Table table({"texts", "cos_min", "p1", "p5", "p50", "cos_mean", "norms", "reference norms"});
  table.add({std::to_string(report.texts.size()), fixed(report.cos_min, 5), fixed(report.cos_p1, 5),
             fixed(report.cos_p5, 5), fixed(report.cos_p50, 5), fixed(report.cos_mean, 5),
             range(low, high), range(reference_low, reference_high)});
  std::printf("reference: %s\n\n%s\n", report.reference.c_str(), table.str().c_str());
  const auto& worst = report.texts[report.worst];
  std::printf("worst text (%s): %s\ntokens (%zu):", fixed(worst.cosine, 5).c_str(),
              worst.text.c_str(), worst.tokens.size());
  for (const auto& token : worst.tokens) std::printf(" %s", token.c_str());
  std::printf("\n");
  if (options.min_cos)
    std::printf("\n%s: cos_min %s, the gate is %s\n", report.passed ? "passed" : "FAILED",
                fixed(report.cos_min, 5).c_str(),
                fixed(*options.min_cos, decimals_of(*options.min_cos, 5)).c_str());
}

void run(Flags& flags, Context& context) {
  if (flags.options.against.empty() && flags.options.reference.empty())
    throw CLI::RequiredError("--against or --reference");
  if (!flags.texts.empty()) {
    auto texts = read_text_file(flags.texts);
    if (!texts) return context.fail(texts.error());
    flags.options.texts = *std::move(texts);
  } else if (!flags.probe.empty()) {
    auto texts = probe_texts(flags.probe);
    if (!texts) return context.fail(texts.error());
    flags.options.texts = *std::move(texts);
  }
  std::string model = flags.model;
  if (const Status found = resolve_model(model, HubWeights::onnx); !found)
    return context.fail(found.error());
  const auto report = verify_model(model, flags.options, context.progress());
  if (!report) return context.fail(report.error());
  for (const auto& note : report->notes) std::fprintf(stderr, "octavo: note: %s\n", note.c_str());
  if (flags.json) {
    std::printf(
        "%s\n",
        as_json(*report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    print(*report, flags.options);
  }
  if (!report->passed) context.exit_code = kGateFailed;
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("verify", kDescription);
  command->footer(kFooter);
  command->add_option("MODEL", flags->model, "ONNX file, a folder with one, or org/name on the hub")
      ->required();
  auto* against = command
                      ->add_option("--against", flags->options.against,
                                   "reference: FP32 ONNX model, or a folder with one")
                      ->type_name("MODEL");
  command
      ->add_option("--reference", flags->options.reference,
                   "reference: file of tools/dump_reference.py")
      ->type_name("FILE")
      ->excludes(against);
  auto* texts =
      command
          ->add_option("--texts", flags->texts,
                       "one text a line, or JSON Lines with a \"text\" field (default: 6 built-in "
                       "texts, English and German)")
          ->type_name("FILE");
  command
      ->add_option("--probe", flags->probe,
                   "built-in probe texts: small (6), or wide (285 in 31 languages and code)")
      ->check(probe_name())
      ->type_name("NAME")
      ->excludes(texts);
  command
      ->add_option("--tokenizer", flags->options.tokenizer,
                   "folder with tokenizer.json and the config files (default: the model's)")
      ->type_name("DIR");
  command
      ->add_option("--min-cos", flags->options.min_cos, "exit 1 when the smallest cosine is below")
      ->type_name("COS")
      ->check(number(-1, 1));
  add_threads(*command, flags->options.threads);
  command->add_flag("--json", flags->json, "everything, for scripts, on stdout");
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace octavo::cli
