#include "server/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "server/http_session.h"

namespace octavo::server {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    "Connection: close\r\nContent-Length: 32\r\n\r\n{\"error\":\"too many connections\"}";
static_assert(kTooMany.size() - kTooMany.find("\r\n\r\n") - 4 == 32);

Error io_error(const std::string& what, const error_code& error) {
  return {Code::io, what + ": " + error.message()};
}

}  // namespace

HttpServer::HttpServer(Service& service, ApiKeys keys, AccessLog log)
    : service_(service), keys_(std::move(keys)), log_(std::move(log)) {}

HttpServer::~HttpServer() = default;

Status HttpServer::listen(const std::string& host, uint16_t port) {
  error_code error;
  const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error)
    return Error{Code::invalid_input, "host " + host + ": not an IP address of this machine"};
  const tcp::endpoint endpoint(address, port);
  const std::string where = host + ", port " + std::to_string(port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return io_error(where, error);
  return Done{};
}

std::string HttpServer::url() const {
  error_code error;
  const tcp::endpoint endpoint = acceptor_.local_endpoint(error);
  const std::string address = endpoint.address().to_string();
  return "http://" + (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" +
         std::to_string(endpoint.port());
}

Status HttpServer::run() {
  service_.ready = true;
  asio::co_spawn(io_, accept(), asio::detached);
  for (;;) {
    try {
      io_.run();
      break;
    } catch (const std::exception&) {  // of one handler; the others go on
      service_.metrics.accept_errors.add();
    }
  }
  if (cut_) return Error{Code::io, "the grace time ended before every request was answered"};
  return Done{};
}

asio::awaitable<void> HttpServer::accept() {
  while (acceptor_.is_open()) {
    auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
    if (!acceptor_.is_open()) co_return;
    if (!error) {
      open_session(std::move(socket));
      continue;
    }
    // Out of file descriptors, as a rule: they come back when connections end.
    service_.metrics.accept_errors.add();
    pause_.expires_after(kAcceptPause);
    co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void HttpServer::open_session(tcp::socket socket) {
  error_code ignored;
  if (sessions_.size() >= service_.limits.connections) {
    service_.metrics.reject(Rejected::connections);
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kTooMany.data(), kTooMany.size()), ignored);
    return;
  }
  socket.set_option(tcp::no_delay(true), ignored);
  try {
    auto session = std::make_shared<HttpSession>(std::move(socket), *this);
    sessions_.insert(session);
    service_.metrics.connections.set(sessions_.size());
    asio::co_spawn(io_, session->run(),
                   [this, session](const std::exception_ptr&) { session_ended(session); });
  } catch (const std::bad_alloc&) {
    service_.metrics.accept_errors.add();
  }
}

void HttpServer::session_ended(const std::shared_ptr<HttpSession>& session) {
  sessions_.erase(session);
  service_.metrics.connections.set(sessions_.size());
  if (draining_ && sessions_.empty()) clock_.cancel();
}

void HttpServer::stop() {
  asio::post(io_, [this] { begin_stop(); });
}

void HttpServer::begin_stop() {
  if (stopping_) return;
  stopping_ = true;
  service_.ready = false;
  clock_.expires_after(service_.limits.drain_time);
  clock_.async_wait([this](const error_code&) { begin_drain(); });
}

void HttpServer::begin_drain() {
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  for (const auto& session : sessions_) session->end_if_idle();
  if (sessions_.empty()) return;
  clock_.expires_after(service_.limits.grace_time);
  clock_.async_wait([this](const error_code& cancelled) {
    if (cancelled) return;
    cut_ = true;
    for (const auto& session : sessions_) session->cut();
  });
}

void HttpServer::log(std::string_view line) const {
  if (log_) log_(line);
}

bool HttpServer::room_for_body(size_t bytes) const {
  return bytes <= service_.limits.bodies_bytes - std::min(bodies_, service_.limits.bodies_bytes);
}

bool HttpServer::reserve_body(size_t bytes) {
  if (!room_for_body(bytes)) return false;
  bodies_ += bytes;
  return true;
}

}  // namespace octavo::server
