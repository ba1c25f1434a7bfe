#pragma once
// The port: takes connections, gives each a session, and ends in order. Everything here runs on one
// thread, the one that calls run(); only stop() may come from another.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/result.h"
#include "server/api_keys.h"
#include "server/service.h"

namespace octavo::server {

class HttpSession;

class HttpServer {
 public:
  using AccessLog = std::function<void(std::string_view)>;

  HttpServer(Service& service, ApiKeys keys, AccessLog log);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  // Errors: invalid_input (not an address), io.
  Status listen(const std::string& host, uint16_t port);
  std::string url() const;
  // Until stop(), and then until the last session has ended. Errors: io, when the grace time ended
  // first.
  Status run();
  // In this order: not ready; after drain_time no new connections and no idle ones; after
  // grace_time no connection at all.
  void stop();

  // For sessions.
  boost::asio::io_context& io() { return io_; }
  Service& service() { return service_; }
  const ApiKeys& keys() const { return keys_; }
  bool stopping() const { return stopping_; }  // answers close their connections
  bool draining() const { return draining_; }  // no new requests
  void log(std::string_view line) const;
  // The memory for bodies: whether so much is left, and a part of it.
  bool room_for_body(size_t bytes) const;
  bool reserve_body(size_t bytes);
  void release_body(size_t bytes) { bodies_ -= bytes; }

 private:
  boost::asio::awaitable<void> accept();
  void open_session(boost::asio::ip::tcp::socket socket);
  void begin_stop();
  void begin_drain();
  void session_ended(const std::shared_ptr<HttpSession>& session);

  boost::asio::io_context io_{1};
  Service& service_;
  const ApiKeys keys_;
  const AccessLog log_;
  boost::asio::ip::tcp::acceptor acceptor_{io_};
  boost::asio::steady_timer pause_{io_};  // before accepting again after an error
  boost::asio::steady_timer clock_{io_};  // of stopping
  std::unordered_set<std::shared_ptr<HttpSession>> sessions_;
  size_t bodies_ = 0;
  bool stopping_ = false;
  bool draining_ = false;
  bool cut_ = false;  // the grace time ended first
};

}  // namespace octavo::server
