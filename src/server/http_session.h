#pragma once
// One connection: requests one after the other, each read under limits and deadlines, answered by
// its route. A client that leaves while it waits takes its request out of the queue.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "server/access_log.h"
#include "server/http_head.h"
#include "server/http_server.h"
#include "server/routes.h"

namespace octavo::server {

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(boost::asio::ip::tcp::socket socket, HttpServer& server);

  boost::asio::awaitable<void> run();
  // Closes the connection if it waits for a request.
  void end_if_idle();
  void cut();

 private:
  struct Waiting;
  // One request, from its first byte to the end of its answer.
  struct Exchange {
    std::chrono::steady_clock::time_point started;
    std::string method;
    std::string path;
    const Route* route = nullptr;
    bool keep_alive = false;
    unsigned version = 11;
    size_t bytes_in = 0;
    CallFacts facts;

    Reply failed(const Failure& failure) const;
  };

  // Whether another request may follow.
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> first_byte();
  boost::asio::awaitable<boost::system::error_code> read_head(HeadParser& parser);
  // The route, or why the request is turned away before its body is read.
  Outcome<const Route*> admit(const HeadParser& parser, Exchange& exchange) const;
  boost::asio::awaitable<bool> with_body(HeadParser& parser, Exchange& exchange);
  // Nothing when the client left first.
  boost::asio::awaitable<std::optional<Reply>> answer_of(std::string body, Exchange& exchange);
  // Answers without having read the body, which is skipped when it is short.
  boost::asio::awaitable<bool> refuse(HeadParser& parser, Exchange& exchange, Reply reply);
  boost::asio::awaitable<bool> write(Exchange& exchange, Reply reply);
  // Lets the client read an answer that it does not expect before the connection is gone.
  boost::asio::awaitable<void> linger();
  void watch(const std::shared_ptr<Waiting>& waiting);
  void note(const Exchange& exchange, unsigned status, size_t bytes_out, bool cancelled) const;

  HttpServer& server_;
  Service& service_;
  const ServerLimits& limits_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  std::string client_;
  std::shared_ptr<Waiting> waiting_;  // for an answer
  bool idle_ = false;                 // waits for a request
  bool first_ = true;
};

}  // namespace octavo::server
