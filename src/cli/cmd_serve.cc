// octavo serve: models behind HTTP, until a signal.

#include <signal.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/hub_source.h"
#include "cli/interrupt.h"
#include "octavo/server.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Serve models over HTTP.

One queue of tokens for all clients, no padding: a text's vector has the bits
that octavo embed gives, whoever else asks at the same time. A text longer than
the model's limit is an error, unless the request (or --truncate) says to cut
it; what was cut is reported in the answer.)";

constexpr const char* kFooter =
    R"(Interfaces: OpenAI (/v1/embeddings, /v1/models), text-embeddings-inference
(/embed, /embed_all, /similarity, /tokenize, /decode, /info), Ollama
(/api/embed, /api/embeddings, /api/tags, /api/version), /health, /metrics
(Prometheus), /openapi.json, and / in a browser: a page to try it with.

SIGTERM or Ctrl-C: /health says 503, then no new connections are taken, then
what is in flight is answered; a second one ends at once.

Examples:
  octavo serve minilm-int8
  octavo serve minilm-int8 search=qwen3-int8 --port 9000
  curl http://127.0.0.1:8080/v1/embeddings -d '{"input": "hello"}'

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr).)";

constexpr uint64_t kMostBytes = uint64_t{1} << 32;
constexpr uint64_t kMostSeconds = 86'400;
// Access lines that wait for a slow reader of the log; beyond, the oldest are dropped.
constexpr size_t kLogLines = 8192;

struct Options {
  std::vector<std::string> models;
  std::string api_key_file;
  std::string access_log;
  bool no_access_log = false;
  bool no_cache = false;
  unsigned header_seconds = 10;
  unsigned body_seconds = 30;
  unsigned write_seconds = 30;
  unsigned idle_seconds = 75;
  unsigned drain_seconds = 1;
  unsigned grace_seconds = 30;
  ServerOptions server;
};

// "name=folder" or "folder", whose last part is the name; of a hub's "org/name@revision" it is
// name.
ServerOptions::Model model_of(const std::string& text) {
  const size_t at = text.find('=');
  if (at != std::string::npos && text.find('/') > at)
    return {text.substr(0, at), text.substr(at + 1)};
  if (const auto hub = hub_name_in(text))
    return {hub->repository.substr(hub->repository.find('/') + 1), text};
  std::filesystem::path folder = std::filesystem::path(text).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  std::string name = folder.filename().string();
  if (name.empty() || name == "." || name == "..")
    name = std::filesystem::absolute(folder).lexically_normal().parent_path().filename().string();
  return {name.empty() ? "model" : name, text};
}

// One key a line; empty lines and those that start with # say nothing.
Result<std::vector<std::string>> read_keys(const std::string& path) {
  OCTAVO_TRY(const auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  std::vector<std::string> keys;
  std::string line;
  const auto add = [&] {
    const size_t end = line.find_last_not_of(" \t\r");
    line.resize(end == std::string::npos ? 0 : end + 1);
    if (!line.empty() && line[0] != '#') keys.push_back(line);
    line.clear();
  };
  for (const auto byte : bytes) {
    const char c = static_cast<char>(byte);
    if (c == '\n') {
      add();
    } else {
      line += c;
    }
  }
  add();
  if (keys.empty()) return Error{Code::invalid_input, path + ": no key in it (one a line)"};
  return keys;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1";
}

// spdlog would make the folders of a misspelt path.
Status check_log_folder(const std::string& log) {
  const std::filesystem::path folder = std::filesystem::path(log).parent_path();
  std::error_code none;
  if (folder.empty() || std::filesystem::is_directory(folder, none)) return Done{};
  return Error{Code::not_found,
               log + ": there is no folder " + folder.string() + "; make it, or correct the path"};
}

// Lines are written by a thread of their own: a full pipe or a slow disk does not stop the server.
std::shared_ptr<spdlog::logger> open_log(const std::string& path) {
  spdlog::init_thread_pool(kLogLines, 1);
  spdlog::sink_ptr sink;
  if (path.empty() || path == "-") {
    sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
  }
  sink->set_pattern("%v");
  auto log = std::make_shared<spdlog::async_logger>("access", sink, spdlog::thread_pool(),
                                                    spdlog::async_overflow_policy::overrun_oldest);
  log->flush_on(spdlog::level::info);
  return log;
}

Status run(Options& options) {
  // Who reads the log may go; the server stays.
  ::signal(SIGPIPE, SIG_IGN);
  ServerOptions& server_options = options.server;
  if (!options.api_key_file.empty()) {
    OCTAVO_TRY(server_options.api_keys, read_keys(options.api_key_file));
  }
  if (!options.no_access_log) OCTAVO_CHECK(check_log_folder(options.access_log));
  for (const std::string& text : options.models) {
    ServerOptions::Model model = model_of(text);
    std::string folder = model.folder.string();
    OCTAVO_CHECK(resolve_model(folder, HubWeights::onnx));
    model.folder = folder;
    server_options.models.push_back(std::move(model));
  }
  if (!options.no_access_log) {
    try {
      server_options.access_log = [log = open_log(options.access_log)](std::string_view line) {
        log->info("{}", line);
      };
    } catch (const spdlog::spdlog_ex& e) {
      return Error{Code::io, e.what()};
    }
  }
  const bool open_to_all = server_options.api_keys.empty() && !is_loopback(server_options.host);
  OCTAVO_TRY(Server server, Server::open(std::move(server_options)));
  for (const std::string& warning : server.warnings())
    std::fprintf(stderr, "octavo: warning: %s\n", warning.c_str());
  if (open_to_all)
    std::fprintf(stderr,
                 "octavo: warning: whoever can reach this address can use it; --api-key-file FILE "
                 "asks for a key\n");
  for (const std::string& line : server.explain())
    std::fprintf(stderr, "octavo: %s\n", line.c_str());
  // First: who has read that it serves may end it.
  const InterruptHandler first_signal([&server] { server.stop(); });
  std::fprintf(stderr, "octavo: serving on %s\n", server.url().c_str());
  const Status status = server.run();
  spdlog::shutdown();  // writes what waits
  return status;
}

void add_limits(CLI::App& command, Options& options) {
  ServerLimits& limits = options.server.limits;
  const auto count = [&](const char* name, size_t& value, uint64_t most, const char* what) {
    command.add_option(name, value, what)->check(whole(1, most))->type_name("N")->group("Limits");
  };
  const auto seconds = [&](const char* name, unsigned& value, uint64_t least, const char* what) {
    command.add_option(name, value, what)
        ->check(whole(least, kMostSeconds))
        ->type_name("S")
        ->group("Limits");
  };
  count("--max-requests", limits.requests, kMostTokens,
        "requests being answered at once (default 512); beyond: 429");
  count("--max-queue-tokens", limits.queue_tokens, kMostTokens,
        "tokens that wait for the models (default 65536); beyond: 429");
  count("--max-texts", limits.texts, kMostTokens, "texts of a request (default 2048)");
  count("--max-body-bytes", limits.body_bytes, kMostBytes,
        "bytes of a request (default 16 MiB); beyond: 413");
  count("--max-answer-bytes", limits.answers_bytes, kMostBytes,
        "bytes of all answers that wait for their clients (default 256 MiB); beyond: 429");
  count("--max-connections", limits.connections, kMostTokens,
        "connections (default 1024); beyond: 503");
  seconds("--header-timeout", options.header_seconds, 1,
          "seconds for a request's header (default 10)");
  seconds("--body-timeout", options.body_seconds, 1, "seconds for a request's body (default 30)");
  seconds("--write-timeout", options.write_seconds, 1,
          "seconds for a client to take its answer (default 30)");
  seconds("--idle-timeout", options.idle_seconds, 1,
          "seconds that a connection waits for its next request (default 75)");
  seconds("--drain", options.drain_seconds, 0,
          "seconds between \"not ready\" and the end of new connections (default 1)");
  seconds("--grace", options.grace_seconds, 0,
          "seconds for what is in flight after that (default 30)");
}

}  // namespace

void add_serve(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", kDescription);
  command->footer(kFooter);
  command
      ->add_option("MODEL", options->models,
                   "model folders, or org/name[@revision] on the hub, the first one for requests "
                   "that name none; NAME=DIR gives another name than the folder's")
      ->required()
      ->type_name("MODEL");
  command
      ->add_option("--host", options->server.host,
                   "address to listen on (default 127.0.0.1: this machine alone)")
      ->type_name("ADDRESS");
  command->add_option("--port", options->server.port, "port (default 8080; 0: any that is free)")
      ->check(whole(0, 65535))
      ->type_name("N");
  command
      ->add_option("--api-key-file", options->api_key_file,
                   "keys that clients may use, one a line (Authorization: Bearer KEY)")
      ->type_name("FILE");
  command->add_flag("--truncate", options->server.truncate,
                    "cut long texts where a request does not say, and report it");
  command
      ->add_option("--access-log", options->access_log,
                   "one JSON line a request, without its text (default: standard output)")
      ->type_name("FILE");
  command->add_flag("--no-access-log", options->no_access_log, "none")->excludes("--access-log");
  command
      ->add_option("--max-batch-tokens", options->server.embedder.max_batch_tokens,
                   "tokens that run together (default 4096): bounds memory, changes no result")
      ->check(whole(1, kMostTokens))
      ->type_name("N");
  add_threads(*command, options->server.embedder.threads);
  command->add_flag("--no-cache", options->no_cache, "keep no packed weights in the cache folder");
  add_limits(*command, *options);
  command->callback([options, &context] {
    ServerLimits& limits = options->server.limits;
    limits.header_time = std::chrono::seconds(options->header_seconds);
    limits.body_time = std::chrono::seconds(options->body_seconds);
    limits.write_time = std::chrono::seconds(options->write_seconds);
    limits.idle_time = std::chrono::seconds(options->idle_seconds);
    limits.drain_time = std::chrono::seconds(options->drain_seconds);
    limits.grace_time = std::chrono::seconds(options->grace_seconds);
    // A body that is allowed must fit into what all may have.
    limits.bodies_bytes = std::max(limits.bodies_bytes, limits.body_bytes);
    options->server.embedder.cache = !options->no_cache;
    if (const Status status = run(*options); !status) context.fail(status.error());
  });
}

}  // namespace octavo::cli
