// How a pull ends that nobody wants any more; tests/oracle/test_hub.py has the rest.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <stdexcept>
#include <thread>

#include "base/digest.h"
#include "hub/http.h"
#include "octavo/hub.h"
#include "temp_folder.h"

namespace octavo {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kSoon{10};  // far below the minute of silence that is borne

const std::string kCommit(40, 'c');
const std::string kContent(100'000, 'x');

// A hub with one file, of which it sends a half before it falls silent.
class SilentHub {
 public:
  SilentHub() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* general = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, general, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, general, &size) != 0)
      throw std::runtime_error("no socket on loopback");
    endpoint_ = "http://127.0.0.1:" + std::to_string(::ntohs(address.sin_port));
    thread_ = std::jthread([this](const std::stop_token& stop) {
      for (int fd = -1; (fd = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(fd)) {
        answer(fd, stop);
        if (stop.stop_requested()) break;
      }
    });
  }
  SilentHub(const SilentHub&) = delete;
  SilentHub& operator=(const SilentHub&) = delete;
  ~SilentHub() {
    thread_.request_stop();
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  const std::string& endpoint() const { return endpoint_; }
  // From then on there is no answer at all.
  void fall_silent() { silent_ = true; }

 private:
  void answer(int fd, const std::stop_token& stop) const {
    std::string request;
    char bytes[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
      if (got <= 0) return;
      request.append(bytes, static_cast<size_t>(got));
    }
    const bool file = request.find("/resolve/") != std::string::npos;
    const std::string sha = *hash_of(kContent, HashKind::sha256);
    std::string body = R"([{"type": "file", "path": "model.onnx", "size": 100000, "oid": ")" +
                       std::string(40, 'a') + R"(", "lfs": {"oid": ")" + sha +
                       R"(", "size": 100000}}])";
    if (request.find("/revision/") != std::string::npos) body = R"({"sha": ")" + kCommit + R"("})";
    if (file) body = kContent;
    const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"" + sha +
                             "\"\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    if (silent_) return wait(fd, stop);
    send(fd, head);
    if (request.starts_with("HEAD")) return;
    send(fd, file ? body.substr(0, body.size() / 2) : body);
    if (file) wait(fd, stop);
  }
  static void send(int fd, const std::string& bytes) {
    EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Until the other end has gone.
  static void wait(int fd, const std::stop_token& stop) {
    char byte = 0;
    while (!stop.stop_requested() && ::recv(fd, &byte, 1, MSG_DONTWAIT) != 0)
      std::this_thread::sleep_for(milliseconds(5));
  }

  int listener_;
  std::string endpoint_;
  std::atomic<bool> silent_{false};
  std::jthread thread_;
};

class HubPull : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    settings_.endpoint = hub_.endpoint();
    settings_.cache = folder_;
    settings_.stall_time = std::chrono::seconds(60);
  }
  std::string kept() const {
    return read(folder_ / "models--org--name" / "blobs" /
                (*hash_of(kContent, HashKind::sha256) + ".incomplete"));
  }
  SilentHub hub_;
  HubSettings settings_;
  HubName name_{"org/name", "main"};
  std::stop_source stop_;
  PullOptions options_{.stop = stop_.get_token()};
};

TEST_F(HubPull, EndsWhenAStopIsAskedForInTheMiddleOfABody) {
  // The first bytes that are reported ask for the stop.
  const auto begin = Clock::now();
  const auto got =
      pull_model(name_, options_, settings_, [&](std::string_view, uint64_t done, uint64_t) {
        if (done > 0) stop_.request_stop();
      });
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::io);
  EXPECT_EQ(got.error().message, "org/name: the download was stopped; what has arrived is kept");
  EXPECT_LT(Clock::now() - begin, kSoon);
  EXPECT_FALSE(kept().empty());
  EXPECT_TRUE(kContent.starts_with(kept()));
}

TEST_F(HubPull, EndsWhenAStopIsAskedForWhileNothingComes) {
  hub_.fall_silent();
  const std::jthread asks([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop_.request_stop();
  });
  const auto begin = Clock::now();
  const auto got = pull_model(name_, options_, settings_);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::io);
  EXPECT_LT(Clock::now() - begin, kSoon);
}

TEST_F(HubPull, EndsWhenAStopIsAskedForBetweenTwoTries) {
  settings_.endpoint = "http://127.0.0.1:1";
  settings_.first_wait = std::chrono::seconds(30);
  const std::jthread asks([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop_.request_stop();
  });
  const auto begin = Clock::now();
  const auto got = pull_model(name_, options_, settings_);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message.find("was stopped"), std::string::npos) << got.error().message;
  EXPECT_LT(Clock::now() - begin, kSoon);
}

// libcurl is C: an exception does not find its way through it.
TEST_F(HubPull, MemoryThatEndsInsideARequestIsThrownByIt) {
  hub::Http http(settings_);
  const hub::Receiver full = [](const hub::Reply&, std::string_view) -> bool {
    throw std::bad_alloc();
  };
  const hub::Request request{.url = hub_.endpoint() + "/org/name/resolve/main/model.onnx"};
  EXPECT_THROW((void)http.send(request, full), std::bad_alloc);
  const auto enough = [](const hub::Reply&, std::string_view) { return false; };
  EXPECT_EQ(http.send(request, enough).transport, hub::Transport::stopped);  // it can go on
}

// Not through libcurl, which is C, and not out of another thread, where it would end the program.
TEST_F(HubPull, HandsOnWhatProgressThrows) {
  const auto begin = Clock::now();
  const Progress tired = [](std::string_view, uint64_t done, uint64_t) {
    if (done > 0) throw std::runtime_error("enough");
  };
  try {
    (void)pull_model(name_, {}, settings_, tired);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& thrown) {
    EXPECT_STREQ(thrown.what(), "enough");
  }
  EXPECT_LT(Clock::now() - begin, kSoon);
  EXPECT_FALSE(kept().empty());
}

}  // namespace
}  // namespace octavo
