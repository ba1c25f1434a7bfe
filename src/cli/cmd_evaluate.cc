// octavo evaluate: what quantization does to search.

#include <cstdio>
#include <memory>
#include <string>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/hub_source.h"
#include "octavo/evaluate.h"
#include "toolkit/evaluation_json.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Measure search with a model folder: rank the documents of a retrieval set.

FILE is what tools/make_retrieval_set.py makes, of manual pages in ten
languages for instance. Every variant embeds all documents and queries and ranks
the documents by cosine; the FP32 model of --against is what they are held
against.)";

constexpr const char* kFooter =
    R"(Output: for all queries and for those of each language
  nDCG@10, R@1, R@10   relevant documents on top; of a query with more of them
                       than 10 (or 1), as many as could be there
  change               of nDCG@10 against the reference, and the 95% interval of
                       a bootstrap that draws the signs of what queries gain or
                       lose; a star where it does not hold 0
  top10                the same documents among the reference's first 10
  rho                  Spearman's, of the order of the reference's first 100
  aniso                the mean cosine of two different documents

Examples:
  octavo evaluate minilm-int8 --set manpages.jsonl --against fp32/model.onnx
  octavo evaluate fp32 --set manpages.jsonl --variants a.onnx --variants b.onnx
  octavo evaluate minilm-int8 --set manpages.jsonl --against model.onnx --json

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr).)";

struct Flags {
  std::string folder, query_prompt, document_prompt;
  EvaluateOptions options;
  bool json = false;
};

std::string signed_number(double value) {
  const std::string text = fixed(value, 4);
  return text[0] == '-' ? text : "+" + text;
}

std::string shown(const EvaluateReport::Change& change) {
  return signed_number(change.mean) + " [" + signed_number(change.low) + ", " +
         signed_number(change.high) + "]" + (change.holds_zero() ? "" : " *");
}

void print(const EvaluateReport& report) {
  std::printf("%s: %zu documents, %zu queries, %llu tokens\n", report.set.c_str(), report.documents,
              report.queries, static_cast<unsigned long long>(report.tokens));
  bool outside = false;
  for (size_t v = 0; v < report.variants.size(); ++v) {
    const auto& variant = report.variants[v];
    const bool reference = report.has_reference && v == 0;
    std::printf("\n%s%s, %s: %s\n", variant.model.c_str(), reference ? " (reference)" : "",
                human_bytes(variant.bytes).c_str(), variant.how.c_str());
    const bool compared = report.has_reference && v > 0;
    std::vector<std::string> header = {"queries", "count", "nDCG@10", "R@1", "R@10", "aniso"};
    if (compared) header.insert(header.end(), {"top10", "rho", "change of nDCG@10 [95%]"});
    Table table(std::move(header));
    for (const auto& group : variant.groups) {
      const auto& n = group.numbers;
      std::vector<std::string> row = {group.by == "all" ? "all" : group.name,
                                      std::to_string(group.queries),
                                      fixed(n.ndcg10, 4),
                                      fixed(n.recall1, 4),
                                      fixed(n.recall10, 4),
                                      group.by == "kind" ? "-" : fixed(group.anisotropy, 4)};
      if (compared) {
        row.insert(row.end(),
                   {fixed(n.overlap10, 4), fixed(n.rank_correlation, 4), shown(n.ndcg10_change)});
        outside = outside || !n.ndcg10_change.holds_zero();
      }
      table.add(std::move(row));
    }
    std::printf("%s", table.str().c_str());
  }
  if (outside) std::printf("\n* the interval does not hold 0\n");
  if (!report.has_reference)
    std::printf(
        "\nno change to be seen without a reference: --against FILE names the FP32 model\n");
}

void run(Flags& flags, const CLI::App& command, Context& context) {
  if (command.count("--query-prompt") > 0) flags.options.query_prompt = flags.query_prompt;
  if (command.count("--document-prompt") > 0) flags.options.document_prompt = flags.document_prompt;
  std::string folder = flags.folder;
  if (const Status found = resolve_model(folder, HubWeights::onnx); !found)
    return context.fail(found.error());
  const auto report = evaluate_model(folder, flags.options, context.progress());
  if (!report) return context.fail(report.error());
  for (const auto& note : report->notes) std::fprintf(stderr, "octavo: note: %s\n", note.c_str());
  if (flags.json) {
    std::printf("%s\n", evaluation_json(*report)
                            .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                            .c_str());
  } else {
    print(*report);
  }
}

}  // namespace

void add_evaluate(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("evaluate", kDescription);
  command->footer(kFooter);
  command
      ->add_option("DIR", flags->folder,
                   "folder with models, tokenizer and config files, or org/name on the hub")
      ->required();
  command->add_option("--set", flags->options.set, "retrieval set")->type_name("FILE")->required();
  command
      ->add_option(
          "--against", flags->options.against,
          "reference: FP32 ONNX model, or a folder with one (default: model.onnx in DIR, if "
          "there is one)")
      ->type_name("MODEL");
  command
      ->add_option("--variants", flags->options.variants,
                   "ONNX file in DIR, or a path; repeat (default: model.int8.onnx and "
                   "model.int8.vanilla.onnx)")
      ->type_name("FILE");
  command->add_flag("--exact-onnx", flags->options.exact_onnx,
                    "run the graphs as written, with one activation scale a tensor");
  command
      ->add_option("--query-prompt", flags->query_prompt,
                   "prompt of the queries (default: \"query\", if the model has it)")
      ->type_name("NAME");
  command
      ->add_option("--document-prompt", flags->document_prompt,
                   "prompt of the documents (default: \"document\" or \"passage\")")
      ->type_name("NAME");
  command->add_option("--resamples", flags->options.resamples, "of the bootstrap")
      ->type_name("N")
      ->check(whole(1, 1000000))
      ->capture_default_str();
  command->add_option("--seed", flags->options.seed, "of the bootstrap")
      ->type_name("N")
      ->capture_default_str();
  add_threads(*command, flags->options.threads);
  command->add_flag("--json", flags->json, "everything, for scripts, on stdout");
  command->callback([flags, command, &context] { run(*flags, *command, context); });
}

}  // namespace octavo::cli
