#pragma once
// Bytes that many share. Who takes some holds a share of them, whose end gives them back; from any
// thread.

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace octavo::server {

class Budget {
 public:
  // Nothing when fewer than `bytes` of `most` are left. What is more than all of them is given to
  // who comes while nobody holds any.
  std::shared_ptr<void> take(size_t bytes, size_t most) {
    size_t now = used_->load(std::memory_order_relaxed);
    do {
      if (now != 0 && (bytes > most || now > most - bytes)) return nullptr;
    } while (!used_->compare_exchange_weak(now, now + bytes, std::memory_order_relaxed));
    return std::make_shared<Share>(used_, bytes);
  }
  size_t used() const { return used_->load(std::memory_order_relaxed); }

 private:
  class Share {
   public:
    Share(std::shared_ptr<std::atomic<size_t>> used, size_t bytes)
        : used_(std::move(used)), bytes_(bytes) {}
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() { used_->fetch_sub(bytes_, std::memory_order_relaxed); }

   private:
    const std::shared_ptr<std::atomic<size_t>> used_;
    const size_t bytes_;
  };
  // A share may outlive the budget.
  const std::shared_ptr<std::atomic<size_t>> used_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace octavo::server
