#pragma once
// One request on its way: what HTTP hands to a dialect, and how the answer comes back.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "server/failure.h"
#include "server/reply.h"
#include "server/scheduler.h"

namespace octavo::server {

struct Service;

// What the access log says of a request besides HTTP's own facts; never a text.
struct CallFacts {
  std::string model;
  size_t texts = 0;
  uint64_t tokens = 0;
  size_t truncated = 0;
  double queue_seconds = 0;
  double model_seconds = 0;
};

class Call {
 public:
  // `answer` is called once at most, from any thread.
  Call(Service& service, std::string body, std::function<void(Reply)> answer)
      : service_(service), body_(std::move(body)), answer_(std::move(answer)) {}

  Service& service() { return service_; }
  const std::string& body() const { return body_; }
  // Its memory is needed no more.
  void drop_body() { std::string().swap(body_); }
  // Written before answer().
  CallFacts facts;

  void answer(Reply reply) {
    std::function<void(Reply)> to;
    {
      const std::lock_guard lock(mutex_);
      to.swap(answer_);
      work_.reset();
    }
    if (to) to(std::move(reply));
  }

  // Queues the work, unless nobody wants its result any more. See Scheduler::submit.
  std::optional<unsigned> submit(std::shared_ptr<Work> work, Scheduler& scheduler) {
    const std::lock_guard lock(mutex_);
    if (gone_) return std::nullopt;
    work_ = work;
    return scheduler.submit(std::move(work));
  }
  // Whether the client has left: then nothing is worth doing.
  bool gone() {
    const std::lock_guard lock(mutex_);
    return gone_;
  }
  // The client has left.
  void cancel(Scheduler& scheduler) {
    std::shared_ptr<Work> work;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      answer_ = nullptr;
      work.swap(work_);
    }
    if (work) scheduler.cancel(work);
  }

 private:
  Service& service_;
  std::string body_;
  std::mutex mutex_;
  std::function<void(Reply)> answer_;
  std::shared_ptr<Work> work_;
  bool gone_ = false;
};

}  // namespace octavo::server
