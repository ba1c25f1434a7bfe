#pragma once
// Models from the Hugging Face hub, kept in the cache that the Python hub client uses too:
//
//   auto settings = octavo::hub_settings();          // HF_ENDPOINT, HF_TOKEN, HF_HOME, ...
//   auto name = octavo::parse_hub_name("sentence-transformers/all-MiniLM-L6-v2");
//   auto pulled = octavo::pull_model(*name, {}, *settings);
//   octavo::import_model(pulled->source, "fp32");

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo {

struct HubName {
  std::string repository;         // "org/name"
  std::string revision = "main";  // branch, tag, "refs/pr/1" or commit
};

// "org/name" or "org/name@revision". Errors: invalid_input, saying what such a name looks like.
Result<HubName> parse_hub_name(std::string_view text);

struct HubSettings {
  std::string endpoint = "https://huggingface.co";
  std::string token;                          // goes to the endpoint's own host only; "" for none
  std::string token_from;                     // what to call it in messages: "HF_TOKEN", a file
  std::filesystem::path cache;                // holds models--org--name
  std::string ca_file;                        // certificates to trust; "": the system's
  bool offline = false;                       // speak to nobody
  std::chrono::seconds stall_time{30};        // without a byte: the connection is taken for broken
  std::chrono::milliseconds first_wait{500};  // before the first retry; doubles with each
};

// From HF_ENDPOINT; HF_TOKEN, or the file HF_TOKEN_PATH, or HF_HOME/token; HF_HUB_CACHE, or
// HF_HOME/hub, or ~/.cache/huggingface/hub; HF_HUB_OFFLINE; HF_HUB_DOWNLOAD_TIMEOUT; SSL_CERT_FILE.
// Errors: invalid_input naming the variable.
Result<HubSettings> hub_settings();

// Which weights are wanted.
enum class HubWeights : std::uint8_t {
  any,         // safetensors; where there are none ONNX; where there is none of these GGUF
  importable,  // safetensors, else GGUF: what import and build read
  onnx         // what embed runs
};

struct PullOptions {
  HubWeights weights = HubWeights::any;
  // Instead of the choice above: what matches one of these globs (* also crosses folders), beside
  // the tokenizer and config files.
  std::vector<std::string> include = {};
  // When a stop is asked for, the pull ends within a second or so, with an io error; what has
  // arrived is kept for the next one.
  std::stop_token stop = {};
};

struct PullReport {
  struct File {
    std::string name;  // in the repository
    uint64_t size = 0;
    bool downloaded = false;  // false: was in the cache
  };
  std::filesystem::path folder;  // the snapshot
  std::filesystem::path source;  // what import takes: the folder, or the one GGUF file in it
  std::string commit;            // 40 hex digits
  std::vector<File> files;
  uint64_t downloaded = 0;         // bytes of the files that were downloaded
  std::vector<std::string> notes;  // what the reader should know
};

// Asks the hub what the revision is, gets what is not in the cache yet, and only then makes the
// snapshot and the revision point to it; cut off at any moment, the next call goes on where this
// one was. Progress: stage "pull", bytes. Errors: not_found (repository, revision, file; offline
// and not cached); unsupported (the repository has no such weights); invalid_input (the hub's
// answers or file names are not what they have to be, a file does not have the hash that the hub
// tells); io (gated or private without a token, network, disk), with what to do.
Result<PullReport> pull_model(const HubName& name, const PullOptions& options,
                              const HubSettings& settings, const Progress& progress = {});

// The cached snapshot, without the network; errors: not_found when what is wanted is not there
// whole. A snapshot that another program wrote counts as whole only when the cache says of each
// tokenizer and config file that it is there or that the repository has none.
Result<PullReport> find_cached(const HubName& name, const PullOptions& options,
                               const HubSettings& settings);

// The cached one, else the one of the hub.
Result<PullReport> get_model(const HubName& name, const PullOptions& options,
                             const HubSettings& settings, const Progress& progress = {});

struct ModelSource {
  std::filesystem::path path;
  std::vector<std::string> notes;  // what the reader should know
};

// Where a command or a function takes a model: an argument that is a path stays as it is, any other
// is a name, and the model is the cached one, else the one of the hub. `file`: the model file that
// is wanted of it, "" for the usual ones. Errors: not_found for what is neither; those of
// get_model().
Result<ModelSource> resolve_model(const std::string& argument, PullOptions options,
                                  const std::string& file = "", const Progress& progress = {});

// The name, when an argument that may also be a path is meant as one: it has the form, there is no
// such file or folder, and it does not end like a model file.
std::optional<HubName> hub_name_in(std::string_view argument);

}  // namespace octavo
