#include "server/http_session.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <exception>

namespace octavo::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

// What is awaited gets named arguments: g++ 12 destroys temporaries of a conditional expression
// inside co_await twice.
constexpr auto kNext = asio::as_tuple(asio::use_awaitable);
// Of a body that nobody wants: read to keep the connection; beyond, it is closed.
constexpr size_t kSkippedBody = size_t{64} << 10;
// Read after a refusal, so that the answer arrives before the reset that unread bytes would cause.
constexpr size_t kLingerBytes = size_t{4} << 20;
constexpr auto kLingerTime = std::chrono::seconds(2);
constexpr size_t kReadAhead = size_t{64} << 10;
constexpr size_t kHeadPiece = 4096;

bool expects_continue(const RequestHead& head) {
  return beast::iequals(head[http::field::expect], "100-continue");
}

// A request that is no HTTP, in the words of the parser.
Failure unreadable(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return {Kind::header_too_large, "the request's header is too large"};
  return {Kind::malformed, "malformed HTTP: " + error.message()};
}

Failure unreadable_body(const error_code& error, size_t most) {
  if (error == http::error::body_limit)
    return {Kind::too_large,
            "the body is larger than the limit of " + std::to_string(most) + " bytes"};
  return unreadable(error);
}

bool is_unreadable(const error_code& error) {
  return error.category() == http::make_error_code(http::error::end_of_stream).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

// A request's part of the memory for bodies, and, once its body is there, of the requests that are
// being answered: who sends slowly takes no place from those who do not.
class InFlight {
 public:
  explicit InFlight(HttpServer& server) : server_(server) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (counted_) server_.service().metrics.requests.add(-1);
    server_.release_body(reserved_);
  }
  // `bytes` of a body are there: only what was sent counts, not what was announced.
  bool holds(size_t bytes) {
    if (bytes <= reserved_) return true;
    if (!server_.reserve_body(bytes - reserved_)) return false;
    reserved_ = bytes;
    return true;
  }
  bool count() {
    Service& service = server_.service();
    if (service.metrics.requests.value() >= static_cast<int64_t>(service.limits.requests))
      return false;
    service.metrics.requests.add(1);
    counted_ = true;
    return true;
  }

 private:
  HttpServer& server_;
  bool counted_ = false;
  size_t reserved_ = 0;
};

Failure too_many_bytes(Service& service) {
  service.metrics.reject(Rejected::bodies);
  return {Kind::overloaded, "too many bytes of requests at once", {}, 1};
}

Failure too_many_requests(Service& service) {
  service.metrics.reject(Rejected::requests);
  return {Kind::overloaded,
          std::to_string(service.limits.requests) + " requests are being answered, the limit",
          {},
          1};
}

// The dialect's own errors, whatever its handler throws.
void handle(const Route& route, const std::shared_ptr<Call>& call) {
  if (call->gone()) return;
  try {
    route.handle(call);
  } catch (const std::bad_alloc&) {
    const Failure failure{Kind::unavailable, "out of memory", {}, 1};
    call->answer(with_fields(route.fail(failure), failure));
  } catch (const std::exception& e) {
    call->answer(route.fail({Kind::internal, std::string("internal error: ") + e.what()}));
  }
}

}  // namespace

// What a session waits for while a dialect works: the reply, or that the client leaves.
struct HttpSession::Waiting {
  explicit Waiting(asio::io_context& io) : signal(io, Clock::time_point::max()) {}
  asio::steady_timer signal;
  std::optional<Reply> reply;
  bool gone = false;
};

Reply HttpSession::Exchange::failed(const Failure& failure) const {
  return with_fields((route != nullptr ? route->fail : failure_form(path))(failure), failure);
}

HttpSession::HttpSession(asio::ip::tcp::socket socket, HttpServer& server)
    : server_(server),
      service_(server.service()),
      limits_(service_.limits),
      stream_(std::move(socket)),
      buffer_(limits_.header_bytes + kReadAhead) {
  error_code ignored;
  const auto peer = stream_.socket().remote_endpoint(ignored);
  if (!ignored) client_ = peer.address().to_string();
}

asio::awaitable<void> HttpSession::run() {
  while (co_await serve_one()) {
  }
  error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.close();
}

void HttpSession::end_if_idle() {
  if (idle_) stream_.cancel();
}

void HttpSession::cut() {
  if (waiting_) {
    waiting_->gone = true;
    waiting_->signal.cancel();
  }
  stream_.close();
}

asio::awaitable<bool> HttpSession::first_byte() {
  if (server_.draining()) co_return false;
  idle_ = true;
  stream_.expires_after(first_ ? limits_.header_time : limits_.idle_time);
  const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4096), kNext);
  idle_ = false;
  first_ = false;
  buffer_.commit(size);
  co_return !error;
}

asio::awaitable<error_code> HttpSession::read_head(HeadParser& parser) {
  error_code error;
  while (!take_head(parser, buffer_, error)) {
    if (error) break;
    const size_t room = std::min(kHeadPiece, buffer_.max_size() - buffer_.size());
    if (room == 0) co_return http::error::buffer_overflow;
    const auto [ended, size] = co_await stream_.async_read_some(buffer_.prepare(room), kNext);
    if (ended) co_return ended;
    buffer_.commit(size);
  }
  co_return error;
}

asio::awaitable<bool> HttpSession::serve_one() {
  if (buffer_.size() == 0) {
    const bool more = co_await first_byte();
    if (!more) co_return false;
  }
  Exchange exchange;
  exchange.started = Clock::now();
  HeadParser parser;
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
  parser.body_limit(boost::none);
  stream_.expires_after(limits_.header_time);
  const error_code error = co_await read_head(parser);
  const RequestHead& head = parser.get().base();
  exchange.method = std::string(head.method_string());
  exchange.path = path_of(head);
  if (error) {
    if (!is_unreadable(error)) co_return false;
    Reply reply = exchange.failed(unreadable(error));
    co_await write(exchange, std::move(reply));
    co_await linger();
    co_return false;
  }
  exchange.version = head.version();
  if (std::optional<Failure> bad = check_head(head)) {
    Reply reply = exchange.failed(*bad);
    co_await write(exchange, std::move(reply));
    co_await linger();
    co_return false;
  }
  exchange.keep_alive = parser.get().keep_alive() && !server_.stopping();
  Outcome<const Route*> route = admit(parser, exchange);
  if (!route) {
    Reply reply = exchange.failed(route.error());
    const bool more = co_await refuse(parser, exchange, std::move(reply));
    co_return more;
  }
  exchange.route = *route;
  const bool more = co_await with_body(parser, exchange);
  co_return more;
}

Outcome<const Route*> HttpSession::admit(const HeadParser& parser, Exchange& exchange) const {
  Outcome<const Route*> route = find_route(exchange.method, exchange.path);
  if (!route || !(*route)->open) {
    if (!server_.keys().accepts(bearer_of(parser.get().base()))) {
      service_.metrics.reject(Rejected::unauthorized);
      return Failure{Kind::unauthorized, "a key is needed: Authorization: Bearer KEY"};
    }
  }
  if (!route) return route;
  exchange.route = *route;
  const size_t most = (*route)->light ? kSkippedBody : limits_.body_bytes;
  if (const auto length = parser.content_length(); length && *length > most)
    return Failure{Kind::too_large, "a body of " + std::to_string(*length) +
                                        " bytes; the limit is " + std::to_string(most)};
  if (!(*route)->light &&
      service_.metrics.requests.value() >= static_cast<int64_t>(limits_.requests))
    return too_many_requests(service_);
  return route;
}

asio::awaitable<bool> HttpSession::with_body(HeadParser& parser, Exchange& exchange) {
  const Route& route = *exchange.route;
  InFlight in_flight(server_);
  const size_t most = route.light ? kSkippedBody : limits_.body_bytes;
  const auto length = parser.content_length();
  if (length && !server_.room_for_body(static_cast<size_t>(*length))) {
    Reply reply = exchange.failed(too_many_bytes(service_));
    const bool more = co_await refuse(parser, exchange, std::move(reply));
    co_return more;
  }
  stream_.expires_after(limits_.body_time);
  if (expects_continue(parser.get().base())) {
    http::response<http::empty_body> go_on(http::status::continue_, exchange.version);
    const auto [failed, written] = co_await http::async_write(stream_, go_on, kNext);
    if (failed) co_return false;
  }
  http::request_parser<http::string_body> full(std::move(parser));
  full.body_limit(most);
  full.eager(true);
  error_code error;
  bool room = true;
  while (room && !error && !full.is_done()) {
    std::tie(error, std::ignore) = co_await http::async_read_some(stream_, buffer_, full, kNext);
    room = in_flight.holds(full.get().body().size());
  }
  if (error || !room) {
    if (error && !is_unreadable(error)) co_return false;
    exchange.keep_alive = false;
    Reply reply = exchange.failed(error ? unreadable_body(error, most) : too_many_bytes(service_));
    co_await write(exchange, std::move(reply));
    co_await linger();
    co_return false;
  }
  std::string body = std::move(full.get().body());
  exchange.bytes_in = body.size();
  if (!route.light && !in_flight.count()) {
    Reply refusal = exchange.failed(too_many_requests(service_));
    const bool more = co_await write(exchange, std::move(refusal));
    co_return more;
  }
  std::optional<Reply> reply = co_await answer_of(std::move(body), exchange);
  if (!reply) {
    service_.metrics.answered(std::string(route.path), 499, 0);
    note(exchange, 499, 0, true);
    co_return false;
  }
  if (server_.stopping()) exchange.keep_alive = false;
  Reply made = *std::move(reply);
  const bool more = co_await write(exchange, std::move(made));
  co_return more;
}

asio::awaitable<std::optional<Reply>> HttpSession::answer_of(std::string body, Exchange& exchange) {
  auto waiting = std::make_shared<Waiting>(server_.io());
  auto call =
      std::make_shared<Call>(service_, std::move(body), [waiting, &io = server_.io()](Reply reply) {
        asio::post(io, [waiting, made = std::move(reply)]() mutable {
          waiting->reply = std::move(made);
          waiting->signal.cancel();
        });
      });
  const Route& route = *exchange.route;
  if (route.light) {
    handle(route, call);
  } else {
    service_.post([&route, call] { handle(route, call); });
    // Bytes of a next request hide whether the connection still stands.
    if (buffer_.size() == 0) watch(waiting);
  }
  waiting_ = waiting;
  while (!waiting->reply && !waiting->gone) co_await waiting->signal.async_wait(kNext);
  waiting_.reset();
  if (!waiting->reply) {
    call->cancel(*service_.scheduler);
    service_.metrics.cancelled.add();
    co_return std::nullopt;
  }
  error_code ignored;
  stream_.socket().cancel(ignored);  // the watch
  exchange.facts = std::move(call->facts);
  co_return std::move(waiting->reply);
}

void HttpSession::watch(const std::shared_ptr<Waiting>& waiting) {
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_read,
                              [self = shared_from_this(), waiting](const error_code& error) {
                                if (error || waiting->reply) return;
                                char byte = 0;
                                const auto fd = self->stream_.socket().native_handle();
                                const ssize_t size = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
                                if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))
                                  return;
                                waiting->gone = true;
                                waiting->signal.cancel();
                              });
}

asio::awaitable<bool> HttpSession::refuse(HeadParser& parser, Exchange& exchange, Reply reply) {
  const auto length = parser.content_length();
  if (parser.chunked() || expects_continue(parser.get().base()) ||
      (length && *length > kSkippedBody))
    exchange.keep_alive = false;
  if (exchange.keep_alive && length && *length > 0) {
    http::request_parser<http::string_body> skipped(std::move(parser));
    stream_.expires_after(limits_.body_time);
    const auto [error, size] = co_await http::async_read(stream_, buffer_, skipped, kNext);
    if (error) co_return false;
  }
  const bool more = co_await write(exchange, std::move(reply));
  if (!more) co_await linger();
  co_return more;
}

asio::awaitable<bool> HttpSession::write(Exchange& exchange, Reply reply) {
  http::response<http::string_body> response(static_cast<http::status>(reply.status),
                                             exchange.version);
  response.set(http::field::server, "octavo");
  response.set(http::field::content_type, reply.content_type);
  for (const auto& [name, value] : reply.fields) response.set(name, value);
  response.keep_alive(exchange.keep_alive);
  response.body() = std::move(reply.body);
  response.prepare_payload();
  const size_t bytes = response.body().size();
  stream_.expires_after(limits_.write_time);
  error_code error;
  if (exchange.method == "HEAD") {
    http::response_serializer<http::string_body> head(response);
    std::tie(error, std::ignore) = co_await http::async_write_header(stream_, head, kNext);
  } else {
    std::tie(error, std::ignore) = co_await http::async_write(stream_, response, kNext);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - exchange.started).count();
  service_.metrics.answered(
      exchange.route != nullptr ? std::string(exchange.route->path) : std::string("other"),
      reply.status, seconds);
  note(exchange, reply.status, bytes, false);
  co_return !error && exchange.keep_alive;
}

asio::awaitable<void> HttpSession::linger() {
  error_code failed;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, failed);
  stream_.expires_after(kLingerTime);
  for (size_t total = 0; !failed && total < kLingerBytes;) {
    buffer_.clear();
    const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4096), kNext);
    failed = error;
    total += size;
  }
}

void HttpSession::note(const Exchange& exchange, unsigned status, size_t bytes_out,
                       bool cancelled) const {
  AccessEntry entry;
  entry.client = client_;
  entry.method = exchange.method;
  entry.path = exchange.path;
  entry.status = status;
  entry.bytes_in = exchange.bytes_in;
  entry.bytes_out = bytes_out;
  entry.seconds = std::chrono::duration<double>(Clock::now() - exchange.started).count();
  entry.cancelled = cancelled;
  entry.facts = &exchange.facts;
  server_.log(access_line(entry));
}

}  // namespace octavo::server
