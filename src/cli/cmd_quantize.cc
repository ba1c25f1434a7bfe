#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/protect_flags.h"
#include "cli/size_flag.h"
#include "octavo/quantize.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Quantize the weights of MatMul to 8 bits, its activations when the model runs.

The result is what onnxruntime.quantization.quantize_dynamic makes of the same
file: the same nodes, names, scales and weight bytes. With --activations
per-token each row of activations has a scale and zero point of its own, in
standard ONNX ops: closer to FP32, and a text's vector no longer depends on what
it is batched with. Weights in a sidecar stream through, so that memory does not
grow with the model; those inside the model file are held twice.)";

constexpr const char* kFooter =
    R"(Output: what was quantized, and what was not and why. OUT and its sidecar appear
together when all is written; an old pair is replaced. IN and OUT may be the
same file; a file that holds weights of IN is not replaced otherwise.

Examples:
  octavo quantize model.onnx model.int8.onnx --per-channel --op-types MatMul \
                  --weight-type qint8 --external-data
  octavo quantize model.onnx model.int8.onnx --per-channel --table int8 \
                  --activations per-token --protect 'layers\.[01]/'
  octavo quantize model.onnx model.int8.onnx --exclude 'layers\.0/' --json

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr),
also when nothing would be quantized.)";

using Json = nlohmann::ordered_json;

Json to_json(const QuantizeReport& r) {
  std::vector<std::string> warnings = r.warnings;
  warnings.insert(warnings.end(), r.calibration_warnings.begin(), r.calibration_warnings.end());
  Json out = {{"bytes_before", r.bytes_before}, {"bytes_after", r.bytes_after},
              {"quantized", Json::array()},     {"kept", Json::array()},
              {"compensated", r.compensated},   {"compensation_texts", r.compensation_texts},
              {"warnings", std::move(warnings)}};
  if (r.protection) {
    Json sites = Json::array();
    for (const auto& site : r.protection->sites)
      sites.push_back({{"nodes", site.nodes},
                       {"share", site.share},
                       {"worth", site.worth},
                       {"wide", site.wide}});
    const auto quality = [](const ProtectReport::Quality& q) -> Json {
      return {{"cos_min", q.cos_min}, {"cos_p5", q.cos_p5}, {"cos_mean", q.cos_mean}};
    };
    out["protection"] = {{"extra_macs", r.protection->extra_macs},
                         {"narrow", quality(r.protection->narrow)},
                         {"chosen", quality(r.protection->chosen)},
                         {"wide", quality(r.protection->wide)},
                         {"reached", r.protection->reached},
                         {"texts", r.protection->texts},
                         {"calibration_texts", r.protection->calibration_texts},
                         {"sites", std::move(sites)}};
  }
  for (const auto& q : r.quantized)
    out["quantized"].push_back({{"node", q.node},
                                {"weight", q.weight},
                                {"bytes_before", q.weight_bytes_before},
                                {"bytes_after", q.weight_bytes_after},
                                {"activations", name_of(q.activations)}});
  if (!r.table.name.empty())
    out["table"] = {{"weight", r.table.name},
                    {"type", name_of(r.table.type)},
                    {"bytes_before", r.table.bytes_before},
                    {"bytes_after", r.table.bytes_after},
                    {"also_read_by", r.table.also_read_by}};
  if (r.size) {
    Json forms = Json::array();
    for (const auto& form : r.size->forms)
      forms.push_back({{"table", name_of(form.table)}, {"bytes", form.bytes}});
    out["size"] = {
        {"limit", r.size->limit}, {"forms", std::move(forms)}, {"chosen", r.size->chosen}};
  }
  for (const auto& k : r.kept) out["kept"].push_back({{"node", k.node}, {"reason", k.reason}});
  return out;
}

void print(const QuantizeReport& r) {
  Table done({"quantized", "weight", "activations", "before", "after"});
  for (const auto& q : r.quantized)
    done.add({q.node, q.weight, name_of(q.activations),
              human_bytes(static_cast<uint64_t>(q.weight_bytes_before)),
              human_bytes(static_cast<uint64_t>(q.weight_bytes_after))});
  std::fputs(done.str().c_str(), stdout);
  if (!r.kept.empty()) {
    Table kept({"kept as it was", "why"});
    for (const auto& k : r.kept) kept.add({k.node, k.reason});
    std::printf("\n%s", kept.str().c_str());
  }
  if (!r.table.name.empty())
    std::printf("\nembedding table %s: %s -> %s, %s\n", r.table.name.c_str(),
                human_bytes(r.table.bytes_before).c_str(), human_bytes(r.table.bytes_after).c_str(),
                name_of(r.table.type));
  if (r.compensation_texts > 0)
    std::printf("\n%llu weights rounded to make up for each other on %llu calibration texts\n",
                static_cast<unsigned long long>(r.compensated),
                static_cast<unsigned long long>(r.compensation_texts));
  std::printf("\n%zu nodes quantized, %zu kept; weights %s -> %s\n", r.quantized.size(),
              r.kept.size(), human_bytes(r.bytes_before).c_str(),
              human_bytes(r.bytes_after).c_str());
}

std::string shown(const ProtectReport::Quality& q) {
  return "cos_min " + fixed(q.cos_min, 5) + ", p5 " + fixed(q.cos_p5, 5) + ", mean " +
         fixed(q.cos_mean, 5);
}

void print(const ProtectReport& r) {
  std::printf("%llu texts, 8 bits everywhere: %s\n", static_cast<unsigned long long>(r.texts),
              shown(r.narrow).c_str());
  size_t wide = 0;
  for (const auto& site : r.sites) {
    if (!site.wide) continue;
    ++wide;
    std::string nodes;
    for (const std::string& node : site.nodes) nodes += (nodes.empty() ? "" : ", ") + node;
    std::printf("  16 bits, %s%% of the products: %s\n", fixed(site.share * 100, 1).c_str(),
                nodes.c_str());
  }
  std::printf("16 bits at %zu of %zu inputs, %s%% more products: %s\n16 bits everywhere: %s\n",
              wide, r.sites.size(), fixed(r.extra_macs * 100, 1).c_str(), shown(r.chosen).c_str(),
              shown(r.wide).c_str());
}

struct Arguments {
  std::string input, output, tokenizer, calibration;
  bool compensated = false;
  ProtectFlags protect;
  QuantizeOptions options;
  bool json = false;
};

// What makes no sense together, or would have no effect, is a wrong usage before anything is read.
void refuse_choices(const CLI::App& command, const Arguments& args) {
  if (const Status good = check_quantize_options(args.options); !good)
    throw CLI::ValidationError(good.error().message);
  refuse_without_budget(command, args.protect);
  if (args.options.search) return;
  if (command.count("--protect-log") > 0)
    throw CLI::ValidationError("--protect-log", "is for --target-cos and --max-extra-macs");
  for (const char* option : {"--tokenizer", "--calibration"})
    if (command.count(option) > 0 && !args.compensated)
      throw CLI::ValidationError(
          option,
          "is for --target-cos, --max-extra-macs and --compensate: nothing else reads texts");
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("quantize", kDescription);
  command->footer(kFooter);
  const auto args = std::make_shared<Arguments>();
  QuantizeOptions& o = args->options;
  command->add_option("IN", args->input, "FP32 ONNX model")->required();
  command->add_option("OUT", args->output, "INT8 ONNX model to write")->required();
  command->add_flag("--per-channel", o.per_channel,
                    "a scale for every output channel instead of one for the whole weight");
  command
      ->add_option("--op-types", o.op_types,
                   "op types to quantize, separated by commas; MatMul is the only one")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--weight-type", o.weight_type, "qint8 (symmetric) or quint8 (with zero point)")
      ->transform(choice(std::map<std::string, WeightType>{{"qint8", WeightType::qint8},
                                                           {"quint8", WeightType::quint8}}))
      ->default_str("qint8");
  command
      ->add_option("--exclude", o.exclude,
                   "regular expression (ECMAScript) searched for in node names; nodes that match "
                   "stay FP32. Repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("--activations", o.activations,
                   "what shares a scale of the activations: per-tensor (as quantize_dynamic), "
                   "per-token, or per-token-16 (16 bits as two bytes)")
      ->transform(choice(kActivationsNames))
      ->default_str("per-tensor");
  command
      ->add_option("--protect", o.protect,
                   "regular expression searched for in node names; nodes that match get "
                   "per-token-16 where the others get per-token. Repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_protect_flags(*command, args->protect);
  command
      ->add_option("--tokenizer", args->tokenizer,
                   "for the search and --compensate: folder with tokenizer.json and the config "
                   "files (default: the "
                   "model's)")
      ->type_name("DIR");
  command
      ->add_option(
          "--calibration", args->calibration,
          "texts for the same, one a line or JSON Lines with \"text\": all round; with a search "
          "one half does, and the other judges (default: the built-in ones)")
      ->type_name("FILE");

  auto* table =
      command
          ->add_option("--table", o.table,
                       "how the embedding table is stored: float32, int8 (a scale a row), bfloat16 "
                       "or float16")
          ->transform(choice(kTableTypeNames))
          ->default_str("float32");
  add_max_size(*command, o.max_size,
               "store the embedding table in the form that loses least with which OUT and its "
               "sidecar fit this size (650MB, 620MiB or bytes), or fail")
      ->excludes(table);
  command->add_flag("--reduce-range", o.reduce_range,
                    "7-bit weights, for CPUs whose 8-bit sums saturate (before VNNI)");
  command->add_flag("--clip", o.clip,
                    "a smaller range for a channel where its squared error says so (with "
                    "--per-channel, qint8)");
  command->add_flag(
      "--compensate", args->compensated,
      "round weights so that others of the same output make up for what each loses, "
      "as calibration texts say (GPTQ): no byte more, minutes of work; with --per-channel");
  command->add_flag("--external-data", o.external_data,
                    "weights in OUT.data beside OUT (always so above 2 GB)");
  command->add_flag("--json", args->json, "print one JSON object, for scripts");
  command->callback([args, command, &context] {
    args->options.search = args->protect.search();
    if (args->options.search) {
      args->options.search->tokenizer = args->tokenizer;
      args->options.search->calibration = args->calibration;
    }
    if (args->compensated)
      args->options.compensate = {args->tokenizer, args->calibration,
                                  CompensatedRounds{}.max_length};
    refuse_choices(*command, *args);
    const auto report =
        quantize_model(args->input, args->output, args->options, context.progress());
    if (!report) return context.fail(report.error());
    warn(report->warnings);
    warn(report->calibration_warnings);
    if (args->json) {
      std::puts(to_json(*report).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    } else {
      print(*report);
      if (report->protection) print(*report->protection);
    }
  });
}

}  // namespace octavo::cli
