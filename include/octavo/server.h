#pragma once
// Models behind HTTP: the interfaces of OpenAI, text-embeddings-inference and Ollama, one queue of
// tokens for all clients. Every vector has the bits that Embedder::embed() gives.
//
//   auto server = octavo::Server::open({.models = {{"minilm", "minilm-int8/"}}});
//   if (!server) return complain(server.error().message);
//   server->run();  // until stop() from another thread

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "octavo/embedder.h"
#include "octavo/result.h"

namespace octavo {

// What a client may ask for; what is beyond is refused with an error that names the limit.
struct ServerLimits {
  size_t requests = 512;                          // being answered at once; beyond: 429
  size_t queue_tokens = 65'536;                   // waiting for the models; beyond: 429
  size_t texts = 2048;                            // of a request; beyond: 413
  size_t body_bytes = size_t{16} << 20;           // of a request; beyond: 413
  size_t bodies_bytes = size_t{256} << 20;        // of all requests at once; beyond: 429
  size_t answers_bytes = size_t{256} << 20;       // that clients have yet to take; beyond: 429
  size_t header_bytes = size_t{16} << 10;         // beyond: 431
  size_t connections = 1024;                      // beyond: 503
  std::chrono::milliseconds header_time{10'000};  // for a request's line and fields
  std::chrono::milliseconds body_time{30'000};    // for its body
  std::chrono::milliseconds write_time{30'000};   // for the client to take the answer
  std::chrono::milliseconds idle_time{75'000};    // between two requests of a connection
  std::chrono::milliseconds drain_time{1'000};    // from "not ready" to "no new connections"
  std::chrono::milliseconds grace_time{30'000};   // for what is in flight after that
};

struct ServerOptions {
  struct Model {
    std::string name;  // what clients call it
    std::filesystem::path folder;
  };
  std::vector<Model> models;  // the first one answers where an interface names no model
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: any that is free
  EmbedderOptions embedder = {};
  bool truncate = false;  // cut long texts where a request does not say; else they are an error
  std::vector<std::string> api_keys = {};  // none: open to everybody who can reach it
  ServerLimits limits = {};
  // One JSON line a request, without its text. From the server's own thread, and quickly: it waits.
  std::function<void(std::string_view line)> access_log = {};
};

class Server {
 public:
  // Loads the models and takes the port. Errors: those of Embedder::open(); invalid_input (no
  // model, a name twice, a host that is no address); io (the port is taken).
  static Result<Server> open(ServerOptions options);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  // Serves until it has been stopped and what was in flight is answered. Errors: io; when the grace
  // time ended first.
  Status run();
  // From any thread: /health says not ready at once, new connections are refused drain_time later,
  // requests that came before are answered, then run() returns.
  void stop();

  // "http://127.0.0.1:8080"
  std::string url() const;
  // What had to be guessed about the models, and how each of them runs.
  std::vector<std::string> warnings() const;
  std::vector<std::string> explain() const;

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octavo
