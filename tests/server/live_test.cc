// A whole server in this process, many clients on sockets: right answers, refusals, clients that
// leave, a signal in the middle. With ThreadSanitizer it is about what the threads share.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "embed/raised_folder.h"
#include "octavo/server.h"

namespace octavo {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Answer = http::response<http::string_body>;

class Client {
 public:
  explicit Client(uint16_t port) {
    socket_.connect({asio::ip::address_v4::loopback(), port}, error_);
  }
  bool connected() const { return !error_; }
  void send(const std::string& bytes) { asio::write(socket_, asio::buffer(bytes), error_); }
  // Nothing when the connection ended first; half an answer is a failure.
  std::optional<Answer> receive() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(size_t{1} << 30);
    if (!error_) http::read(socket_, buffer_, parser, error_);
    EXPECT_NE(error_, http::error::partial_message);
    if (error_) return std::nullopt;
    return parser.release();
  }
  std::optional<Answer> ask(const std::string& bytes) {
    send(bytes);
    return receive();
  }
  // With a reset instead of an orderly end.
  void leave() {
    socket_.set_option(asio::socket_base::linger(true, 0), error_);
    socket_.close(error_);
  }

 private:
  asio::io_context io_;
  tcp::socket socket_{io_};
  boost::beast::flat_buffer buffer_;
  error_code error_;
};

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

std::string post(const std::string& path, const std::string& body) {
  return "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class Live : public RaisedFolder {
 protected:
  void SetUp() override {
    // As octavo serve does: before there are threads, so that none of them is ended by it.
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    RaisedFolder::SetUp();
    texts_ = texts(32, 60);
    const Embedder embedder = open(folder_ / "int8", {.threads = 1});
    width_ = embedder.width();
    wanted_ = embedder.embed(texts_)->values;
  }
  void TearDown() override {
    if (runner_.joinable()) {
      server_->stop();
      runner_.join();
    }
    server_.reset();
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    RaisedFolder::TearDown();
  }
  void start(ServerLimits limits = {}) {
    limits.drain_time = std::min(limits.drain_time, std::chrono::milliseconds(200));
    ServerOptions options;
    options.models = {{"m", folder_ / "int8"}, {"other", folder_ / "float"}};
    options.port = 0;
    options.embedder = {.threads = 2, .max_batch_tokens = 256};
    options.limits = limits;
    options.access_log = [this](std::string_view line) { logged_ += line.empty() ? 0 : 1; };
    auto opened = Server::open(std::move(options));
    ASSERT_TRUE(opened) << opened.error().message;
    server_.emplace(*std::move(opened));
    const std::string url = server_->url();
    port_ = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    runner_ = std::thread([this] { status_ = server_->run(); });
  }
  Status ended() {
    runner_.join();
    return status_;
  }
  std::string body(size_t from, size_t count) const {
    nlohmann::json document;
    for (size_t i = 0; i < count; ++i)
      document["inputs"].push_back(texts_[(from + i) % texts_.size()]);
    return document.dump();
  }
  std::string embed(size_t from, size_t count) const { return post("/embed", body(from, count)); }
  // Whether the answer has the bits of Embedder::embed().
  bool right(const Answer& answer, size_t from, size_t count) const {
    const auto rows = nlohmann::json::parse(answer.body(), nullptr, false);
    if (answer.result_int() != 200 || !rows.is_array() || rows.size() != count) return false;
    for (size_t i = 0; i < count; ++i) {
      std::vector<float> row;
      for (const auto& value : rows[i]) row.push_back(static_cast<float>(value.get<double>()));
      if (row.size() != width_ ||
          std::memcmp(row.data(), &wanted_[(from + i) % texts_.size() * width_],
                      width_ * sizeof(float)) != 0)
        return false;
    }
    return true;
  }
  void wait_for(const std::string& metric) const {
    for (Client client(port_);;) {
      const auto answer = client.ask(get("/metrics"));
      ASSERT_TRUE(answer);
      if (answer->body().find("\n" + metric + "\n") != std::string::npos) return;
      std::this_thread::yield();
    }
  }
  // Runs it on so many threads, with the number of each.
  template <class F>
  static void together(size_t count, F&& body) {
    std::vector<std::thread> threads;
    for (size_t t = 0; t < count; ++t) threads.emplace_back([&body, t] { body(t); });
    for (auto& thread : threads) thread.join();
  }

  sigset_t signals_{};
  sigset_t before_{};
  Texts texts_;
  size_t width_ = 0;
  std::vector<float> wanted_;
  std::optional<Server> server_;
  std::thread runner_;
  Status status_ = Done{};
  uint16_t port_ = 0;
  size_t logged_ = 0;  // by the server's own thread alone
};

TEST_F(Live, ManyClientsOfEveryKind) {
  start();
  std::atomic<size_t> answered{0};
  together(8, [&](size_t t) {
    std::optional<Client> kept(std::in_place, port_);
    for (size_t n = 0; n < 32; ++n) {
      const size_t from = t * 13 + n * 5;
      const size_t count = 1 + (t + n) % 4;
      Client passing(port_);
      switch ((t + n) % 8) {
        case 0:
          EXPECT_EQ(kept->ask(post("/embed", "{\"inputs\": 7}"))->result_int(), 422U);
          break;
        case 1:
          EXPECT_EQ(kept->ask(get("/metrics"))->result_int(), 200U);
          break;
        case 2:
          passing.send(embed(from, 32));
          passing.leave();
          continue;
        case 3:
          passing.send(embed(from, count).substr(0, 40 + n));
          passing.leave();
          continue;
        case 4:
          EXPECT_EQ(passing.ask("GET / HTTP/1.1\r\n\r\n")->result_int(), 400U);
          break;
        case 5:
          EXPECT_EQ(kept->ask(post("/tokenize", body(from, count)))->result_int(), 200U);
          break;
        case 6: {  // two at once on one connection
          kept->send(embed(from, count) + embed(from + 1, count));
          const auto first = kept->receive();
          const auto second = kept->receive();
          ASSERT_TRUE(first && second);
          EXPECT_TRUE(right(*first, from, count) && right(*second, from + 1, count));
          ++answered;
          break;
        }
        default: {
          const auto answer = kept->ask(embed(from, count));
          ASSERT_TRUE(answer);
          EXPECT_TRUE(right(*answer, from, count));
        }
      }
      ++answered;
    }
  });
  wait_for("octavo_requests_in_flight 0");
  server_->stop();
  EXPECT_TRUE(ended());
  EXPECT_GE(logged_, answered);
}

TEST_F(Live, AFloodIsTurnedAway) {
  ServerLimits limits;
  limits.requests = 4;
  limits.queue_tokens = 256;
  limits.connections = 10;
  start(limits);
  std::atomic<size_t> fine{0};
  std::atomic<size_t> refused{0};
  together(12, [&](size_t t) {
    for (size_t n = 0; n < 12; ++n) {
      Client client(port_);
      const auto answer = client.ask(embed(t + n, 6));
      if (!answer) continue;  // no room for the connection
      if (answer->result_int() == 200) {
        EXPECT_TRUE(right(*answer, t + n, 6));
        ++fine;
      } else {
        EXPECT_TRUE(answer->result_int() == 429 || answer->result_int() == 503);
        EXPECT_FALSE((*answer)[http::field::retry_after].empty());
        ++refused;
      }
    }
  });
  EXPECT_GT(fine, 0U);
  EXPECT_GT(refused, 0U);
  wait_for("octavo_queue_tokens 0");
  Client client(port_);
  EXPECT_TRUE(right(*client.ask(embed(0, 1)), 0, 1));
}

TEST_F(Live, ASignalInTheMiddle) {
  ServerLimits limits;
  limits.queue_tokens = 1'000'000;  // room for the large request, whoever comes first
  start(limits);
  std::thread waiting([&] {
    int number = 0;
    ASSERT_EQ(::sigwait(&signals_, &number), 0);
    server_->stop();
  });
  std::atomic<size_t> answered{0};
  // Under way when the signal comes.
  constexpr size_t kMany = 2048;
  Client large(port_);
  large.send(post("/embed", body(0, kMany)));
  together(8, [&](size_t t) {
    for (size_t n = 0;; ++n) {
      Client client(port_);
      if (!client.connected()) return;  // refused: it is over
      while (const auto answer = client.ask(embed(t + n, 2))) {
        EXPECT_TRUE(right(*answer, t + n, 2));
        const bool now = ++answered == 40;
        EXPECT_TRUE(!now || ::kill(::getpid(), SIGTERM) == 0);
        if (!answer->keep_alive()) break;
      }
    }
  });
  const auto answer = large.receive();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(right(*answer, 0, kMany)) << answer->result_int();
  waiting.join();
  EXPECT_TRUE(ended());
  EXPECT_GE(answered, 40U);
  EXPECT_FALSE(Client(port_).connected());
}

TEST_F(Live, GraceHasAnEndAndWorkIsLeftBehind) {
  ServerLimits limits;
  limits.drain_time = std::chrono::milliseconds(0);
  limits.grace_time = std::chrono::milliseconds(0);
  limits.queue_tokens = 10'000'000;
  start(limits);
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<Client>(port_));
    clients.back()->send(post("/embed", body(i, 2000)));
  }
  wait_for("octavo_requests_in_flight 6");
  server_->stop();
  EXPECT_FALSE(ended());
  for (const auto& client : clients) EXPECT_FALSE(client->receive());
  server_.reset();  // while the model may still run
}

}  // namespace
}  // namespace octavo
