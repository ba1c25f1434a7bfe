// octavo pull: a model of the hub into the cache.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/hub_source.h"
#include "octavo/hub.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Get a model from the Hugging Face hub into the cache.

Only what is needed: tokenizer and config files, and the weights as safetensors;
where there are none, as ONNX or as the one GGUF file. What is in the cache is
not got again, and a download that broke off goes on where it was. Sizes and
hashes are checked before a file appears.)";

constexpr const char* kFooter =
    R"(The cache is that of the Python hub client: HF_HUB_CACHE, or HF_HOME/hub, or
~/.cache/huggingface/hub; each uses what the other got. Other variables:
HF_ENDPOINT, HF_TOKEN (or the file HF_HOME/token), HF_HUB_OFFLINE,
HF_HUB_DOWNLOAD_TIMEOUT, SSL_CERT_FILE, HTTPS_PROXY, NO_PROXY.

import, build, embed, serve, bench, verify, evaluate and inspect take the name,
too, where they take a folder: they use what is cached, and pull what is not.
Only pull asks the hub whether a branch has moved.

Examples:
  octavo pull sentence-transformers/all-MiniLM-L6-v2
  octavo pull org/name@v1.5 --json
  octavo pull org/name-GGUF --include "*Q8_0.gguf"

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr).)";

struct Options {
  std::string name;
  PullOptions pull;
  bool json = false;
};

void print_json(const HubName& name, const PullReport& report) {
  nlohmann::ordered_json json;
  json["repository"] = name.repository;
  json["revision"] = name.revision;
  json["commit"] = report.commit;
  json["folder"] = report.folder.string();
  json["source"] = report.source.string();
  json["files"] = nlohmann::ordered_json::array();
  for (const PullReport::File& file : report.files)
    json["files"].push_back(
        {{"name", file.name}, {"bytes", file.size}, {"downloaded", file.downloaded}});
  json["downloaded_bytes"] = report.downloaded;
  // Names come from outside and may be any bytes.
  std::puts(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

void print_text(const HubName& name, const PullReport& report) {
  std::printf("%s@%s is commit %s\n\n", name.repository.c_str(), name.revision.c_str(),
              report.commit.c_str());
  Table table({"file", "size", ""});
  for (const PullReport::File& file : report.files)
    table.add({file.name, human_bytes(file.size), file.downloaded ? "downloaded" : "cached"});
  std::printf("%s\n%s\n", table.str().c_str(), report.source.c_str());
}

}  // namespace

void add_pull(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("pull", kDescription);
  command->footer(kFooter);
  command
      ->add_option("NAME", options->name,
                   "org/name, or org/name@revision (branch, tag or commit; default: main)")
      ->required()
      ->type_name("NAME");
  command
      ->add_option("--include", options->pull.include,
                   "get the files that match this glob instead of the usual weights (* also "
                   "crosses folders). Repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("GLOB");
  command->add_flag("--json", options->json, "print what there is now as JSON");
  command->callback([options, &context] {
    const auto name = parse_hub_name(options->name);
    if (!name) throw CLI::ValidationError("NAME", name.error().message);
    const auto settings = hub_settings();
    if (!settings) return context.fail(settings.error());
    const auto report = pull_model(*name, options->pull, *settings, download_bar());
    if (!report) return context.fail(report.error());
    for (const std::string& note : report->notes)
      std::fprintf(stderr, "octavo: warning: %s\n", note.c_str());
    if (options->json) {
      print_json(*name, *report);
    } else {
      print_text(*name, *report);
    }
  });
}

}  // namespace octavo::cli
