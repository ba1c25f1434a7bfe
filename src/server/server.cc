#include "octavo/server.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/out_of_memory.h"
#include "base/thread_pool.h"
#include "server/http_server.h"
#include "server/service.h"

namespace octavo {

namespace {

// JSON and tokens cost a hundredth of what a model does; more threads would only take its time.
size_t worker_threads() { return static_cast<size_t>(std::clamp(usable_cpus(), 2, 4)); }

}  // namespace

struct Server::State {
  // The order of destruction is the reverse: no worker and no batch when the sessions go, nothing
  // that posts when the service goes.
  server::Service service;
  std::unique_ptr<server::HttpServer> http;
  std::unique_ptr<boost::asio::thread_pool> workers;

  ~State() {
    if (workers) {
      workers->stop();
      workers->join();
    }
    service.scheduler.reset();
  }

  static Result<std::unique_ptr<State>> open(ServerOptions options) {
    auto state = std::make_unique<State>();
    server::Service& service = state->service;
    service.limits = options.limits;
    service.truncate = options.truncate;
    state->http = std::make_unique<server::HttpServer>(
        service, server::ApiKeys(std::move(options.api_keys)), std::move(options.access_log));
    // Before the models: a port that is taken is known at once.
    OCTAVO_CHECK(state->http->listen(options.host, options.port));
    OCTAVO_CHECK(open_models(options, service));
    try {
      service.workers = worker_threads();
      state->workers = std::make_unique<boost::asio::thread_pool>(service.workers);
    } catch (const std::exception& e) {
      return Error{Code::out_of_memory, std::string("no threads for requests: ") + e.what()};
    }
    service.post = [workers = state->workers.get()](std::function<void()> task) {
      boost::asio::post(*workers, std::move(task));
    };
    return state;
  }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::open(ServerOptions options) {
  return or_out_of_memory([&]() -> Result<Server> {
    OCTAVO_TRY(auto state, State::open(std::move(options)));
    return Server(std::move(state));
  });
}

Status Server::run() { return state_->http->run(); }
void Server::stop() { state_->http->stop(); }
std::string Server::url() const { return state_->http->url(); }

std::vector<std::string> Server::warnings() const {
  std::vector<std::string> all;
  for (const server::ServedModel& served : state_->service.models)
    for (const std::string& warning : served.model.dir().warnings)
      all.push_back(served.name + ": " + warning);
  return all;
}

std::vector<std::string> Server::explain() const {
  std::vector<std::string> all;
  for (const server::ServedModel& served : state_->service.models)
    all.push_back(served.name + ": " + served.model.explain());
  return all;
}

}  // namespace octavo
