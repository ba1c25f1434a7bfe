// octavo build: the whole recipe in one command.

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "cli/alpha_flags.h"
#include "cli/canonical_command.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/hub_source.h"
#include "cli/protect_flags.h"
#include "cli/size_flag.h"
#include "octavo/build.h"
#include "toolkit/html.h"
#include "toolkit/text_file.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Make a folder with an INT8 model that proves itself, from a snapshot or a GGUF.

Imports SOURCE to FP32 ONNX, smooths it (SmoothQuant), quantizes it to dynamic
INT8, makes the vanilla INT8 for comparison, and measures both against the
original. SOURCE is a Hugging Face snapshot folder, a *.gguf file, or the name
of a model on the hub.)";

constexpr const char* kFooter =
    R"(The output folder then holds:
  model.int8.onnx, .data          SmoothQuant INT8
  model.int8.vanilla.onnx, .data  the same without smoothing
  tokenizer and config files      copied, or made from the GGUF's metadata
  report.json                     everything that was measured
  report.html                     the same to look at, with plots, in one file
  README.md                       the model card

Building again with the same inputs gives the same bytes. When something has
changed, the card's change history gets an entry with the reason of --why; its
date is today's, or that of SOURCE_DATE_EPOCH. What another ONNX model in the
folder reads is not changed: that is an error.

Examples:
  octavo build sentence-transformers/all-MiniLM-L6-v2 -o minilm-int8
  octavo build ./my-snapshot -o mine-int8
  octavo build SmolLM2.gguf -o smollm2-int8 --reference original.safetensors
  octavo build ./my-snapshot -o mine-int8 --profile accurate
  octavo build ./my-snapshot -o mine-int8 --profile closest
  octavo build ./my-snapshot -o mine-int8 --alpha 0.65 --why "as searched"
  octavo build SmolLM2.gguf -o smol --profile accurate --target-cos 0.998
  octavo build SmolLM2.gguf -o smollm2-int8 --alpha auto --max-size 200MB
  octavo build ./my-snapshot -o mine-int8 --retrieval manpages.jsonl

Exit codes: 0 done; 1 the smallest cosine is below --min-cos (the folder is
there, and its card says so); 2 wrong usage; 3 the work failed (the reason is on
stderr).)";

const std::map<std::string, Profile> kProfiles(kProfileNames.begin(), kProfileNames.end());

struct Flags {
  std::string source, output, texts, probe;
  std::string profile = "compat";
  AlphaFlags alpha;
  ProtectFlags protect;
  BuildOptions options;
  bool no_vanilla = false;
  bool json = false;
};

// https://reproducible-builds.org/specs/source-date-epoch/
Result<std::string> date_of_epoch(const char* seconds) {
  char* end = nullptr;
  const std::time_t time = std::strtoll(seconds, &end, 10);
  std::tm utc{};
  if (*seconds == '\0' || *end != '\0' || ::gmtime_r(&time, &utc) == nullptr)
    return Error{Code::invalid_input, std::string("SOURCE_DATE_EPOCH is \"") + seconds +
                                          "\", expected seconds since 1970"};
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return std::string(text);
}

void print(const BuildReport& report, const Flags& flags) {
  Table quality({"model", "cos_min", "p1", "p5", "p50", "cos_mean"});
  const auto add = [&](const std::string& name, const VerifyReport& v) {
    quality.add({name, fixed(v.cos_min, 5), fixed(v.cos_p1, 5), fixed(v.cos_p5, 5),
                 fixed(v.cos_p50, 5), fixed(v.cos_mean, 5)});
  };
  if (report.imported) add("FP32 ONNX", *report.imported);
  add("model.int8.onnx", report.smoothed);
  if (report.vanilla) add("model.int8.vanilla.onnx", *report.vanilla);
  const VerifyReport::Text& worst = report.smoothed.texts[report.smoothed.worst];
  std::printf("%s\nreference: %s\nworst text (%s): %s\n\n", quality.str().c_str(),
              report.smoothed.reference.c_str(), fixed(worst.cosine, 5).c_str(),
              worst.text.c_str());
  Table files({"file", "size"});
  for (const auto& file : report.files) files.add({file.name, human_bytes(file.size)});
  std::printf("%s\n", files.str().c_str());
  for (const auto& change : report.changes) std::printf("change: %s\n", change.c_str());
  std::printf("%s: cos_min %s, the gate is %s; see %s/report.html\n",
              report.passed ? "passed" : "FAILED", fixed(report.smoothed.cos_min, 5).c_str(),
              fixed(flags.options.min_cos, decimals_of(flags.options.min_cos, 2)).c_str(),
              flags.output.c_str());
}

void print_json(const Flags& flags, Context& context) {
  std::ifstream file(flags.output + "/report.json", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file) return context.fail({Code::io, flags.output + "/report.json: cannot be read back"});
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void run(Flags& flags, Context& context) {
  if (!flags.texts.empty()) {
    auto texts = read_text_file(flags.texts);
    if (!texts) return context.fail(texts.error());
    flags.options.texts = *std::move(texts);
  } else if (!flags.probe.empty()) {
    auto texts = probe_texts(flags.probe);
    if (!texts) return context.fail(texts.error());
    flags.options.texts = *std::move(texts);
  }
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr) {
    auto date = date_of_epoch(epoch);
    if (!date) return context.fail(date.error());
    flags.options.date = *std::move(date);
  }
  flags.options.vanilla = !flags.no_vanilla;
  std::string source = flags.source;
  if (const Status found = resolve_model(source, HubWeights::importable); !found)
    return context.fail(found.error());
  const auto report = build_model(source, flags.output, flags.options, context.progress());
  if (!report) return context.fail(report.error());
  const auto& notes = report->smoothed.notes;  // the card has these; some are warnings as well
  for (const auto& note : notes) std::fprintf(stderr, "octavo: note: %s\n", note.c_str());
  warn(report->quantization.warnings, notes);
  warn(report->smoothing.calibration_warnings);
  warn(report->quantization.calibration_warnings, report->smoothing.calibration_warnings);
  if (flags.json) {
    print_json(flags, context);
  } else {
    print(*report, flags);
  }
  if (!report->passed && context.exit_code == kOk) context.exit_code = kGateFailed;
}

// What makes no sense with the profile is a wrong usage, before anything is read.
void refuse_choices(const CLI::App& command, const BuildOptions& options) {
  if (options.profile == Profile::compat) {
    if (command.count("--no-rotate") > 0)
      throw CLI::ValidationError("--no-rotate", "--profile compat rotates nothing: leave it out");
    const bool spends = options.max_extra_macs.value_or(0) > 0;
    for (const char* option : {"--protect", "--target-cos", "--max-extra-macs", "--protect-log"})
      if (command.count(option) > 0 && (spends || std::string_view(option) != "--max-extra-macs"))
        throw CLI::ValidationError(option,
                                   "16-bit activations go with a scale for every token: add "
                                   "--profile accurate");
  }
  QuantizeOptions protecting;
  protecting.activations = Activations::per_token;
  protecting.protect = options.protect;
  if (const Status good = check_quantize_options(protecting); !good)
    throw CLI::ValidationError(good.error().message);
  if (options.profile != Profile::closest) return;
  for (const char* option : {"--alpha", "--search-log", "--evaluations", "--protect",
                             "--target-cos", "--max-extra-macs", "--protect-log"})
    if (command.count(option) > 0)
      throw CLI::ValidationError(option,
                                 "--profile closest has 16 bits everywhere and no alpha: there is "
                                 "nothing to choose. Leave it out, or take --profile accurate");
}

}  // namespace

void add_build(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("build", kDescription);
  command->footer(kFooter);
  command
      ->add_option("SOURCE", flags->source,
                   "snapshot folder, *.gguf file, or org/name[@revision] on the hub")
      ->required()
      ->type_name("DIR");
  command->add_option("-o,--output", flags->output, "output folder; created if need be")
      ->type_name("DIR")
      ->required();
  command
      ->add_option("--profile", flags->profile,
                   "compat: the file that quantize_dynamic writes; accurate: a scale for every "
                   "token, 16 bits for at most 15% more products, compensated rounding and an "
                   "int8 table, in standard ops; closest: the same with 16 bits everywhere and "
                   "without alpha, at 0.6 of the speed of accurate")
      ->type_name("NAME")
      ->check(one_of(kProfiles))
      ->capture_default_str();
  auto* alpha = add_alpha_flags(*command, flags->alpha);
  const std::string compat_alpha = flags->alpha.alpha;
  alpha->default_str(compat_alpha + ", with --profile accurate 0.5");
  command->add_flag("!--no-rotate", flags->options.rotate,
                    "with --profile accurate or closest: leave the residual stream as it is");
  command
      ->add_option("--protect", flags->options.protect,
                   "with --profile accurate: regular expression searched for in node names; nodes "
                   "that match get 16-bit activations. Repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_protect_flags(*command, flags->protect);
  add_max_size(*command, flags->options.max_size,
               "store the embedding table in the form that loses least with which all files but "
               "the vanilla variant and the reports fit this size (650MB, 620MiB or bytes), or "
               "fail");
  command
      ->add_option("--reference", flags->options.reference,
                   "measure against this file of tools/dump_reference.py (default: against the "
                   "imported FP32 model)")
      ->type_name("FILE");
  auto* texts =
      command
          ->add_option("--texts", flags->texts,
                       "probe texts, one a line or JSON Lines with \"text\" (default: 6 built-in "
                       "texts, English and German)")
          ->type_name("FILE");
  command
      ->add_option("--probe", flags->probe,
                   "built-in probe texts: small (6), or wide (285 in 31 languages and code)")
      ->check(probe_name())
      ->type_name("NAME")
      ->default_str("small")
      ->excludes(texts);
  command
      ->add_option("--calibration", flags->options.calibration,
                   "calibration texts, in the same form (default: the built-in set)")
      ->type_name("FILE");
  command
      ->add_option("--retrieval", flags->options.retrieval,
                   "measure search on this set, as octavo evaluate does, for the report")
      ->type_name("FILE");
  command
      ->add_option("--speed", flags->options.speed,
                   "what octavo bench --json printed, for the report")
      ->type_name("FILE");
  command->add_flag("--no-vanilla", flags->no_vanilla, "leave the variant without smoothing out");
  command
      ->add_option("--min-cos", flags->options.min_cos,
                   "exit 1 when the smoothed model's smallest cosine is below")
      ->type_name("COS")
      ->check(number(-1, 1))
      ->capture_default_str();
  command->add_option("--why", flags->options.why, "reason of a rebuild, for the change history")
      ->type_name("TEXT");
  command->add_flag("--json", flags->json, "print report.json instead of the tables");
  command->callback([flags, command, alpha, compat_alpha, &context] {
    flags->options.profile = kProfiles.at(flags->profile);
    // A default is left out of the command that the card shows; here it depends on the model.
    alpha->default_str(flags->options.profile == Profile::compat ? compat_alpha : "");
    if (flags->alpha.automatic()) {
      flags->options.search = flags->alpha.search;
    } else if (alpha->count() > 0) {
      flags->options.alpha = flags->alpha.number();
    }
    flags->options.target_cos = flags->protect.target_cos;
    flags->options.max_extra_macs = flags->protect.max_extra_macs;
    refuse_choices(*command, flags->options);
    refuse_without_budget(*command, flags->protect);
    refuse_search_options(*command, flags->alpha);
    flags->options.protect_log = flags->protect.log;
    // Wherever the folder was: the card is the same.
    flags->options.command_line = canonical_command(*command, {"--output", "--json", "--why",
                                                               "--search-log", "--protect-log"}) +
                                  " -o DIR";
    run(*flags, context);
  });
}

}  // namespace octavo::cli
