#include "runtime/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace octavo {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kPage = 4096;
// Address space only; a process under a limit (ulimit -v) gets the largest power of two it may
// have.
constexpr size_t kReserve = size_t{1} << 40;
constexpr size_t kSmallestReserve = size_t{1} << 26;
// Below this, asking the system how much is free costs more than it saves.
constexpr size_t kUnchecked = size_t{1} << 28;
constexpr size_t kMostIdle = 8;

std::optional<size_t> number_in(const char* file) {
  std::ifstream in(file);
  size_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

// What the machine could still give, in bytes: MemAvailable, cut down to the cgroup's limit.
size_t available_memory() {
  size_t available = SIZE_MAX;
  std::ifstream info("/proc/meminfo");
  for (std::string key, unit; info >> key;) {
    size_t kib = 0;
    info >> kib;
    std::getline(info, unit);
    if (key == "MemAvailable:") {
      available = kib * 1024;
      break;
    }
  }
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto current = number_in("/sys/fs/cgroup/memory.current");
  if (limit && current) available = std::min(available, *limit - std::min(*limit, *current));
  return available;
}

}  // namespace

bool memory_available(size_t bytes) { return bytes <= kUnchecked || bytes <= available_memory(); }

Result<std::unique_ptr<Arena>> Arena::create() {
  for (size_t bytes = kReserve; bytes >= kSmallestReserve; bytes /= 2) {
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base != MAP_FAILED)
      return std::unique_ptr<Arena>(new Arena(static_cast<std::byte*>(base), bytes));
  }
  return Error{Code::out_of_memory, "no address range for the memory of a run"};
}

Arena::~Arena() { munmap(base_, reserved_); }

Result<std::byte*> Arena::allocate(size_t bytes) {
  if (bytes > reserved_)
    return Error{Code::out_of_memory, "a block of " + std::to_string(bytes) + " bytes"};
  const size_t size = std::max((bytes + kAlignment - 1) / kAlignment, size_t{1}) * kAlignment;
  size_t begin = 0;
  auto place = used_.begin();
  for (; place != used_.end() && place->begin - begin < size; ++place) begin = place->end;
  const size_t end = begin + size;
  if (end > reserved_ || (end > touched_ && !memory_available(end - touched_)))
    return Error{Code::out_of_memory, "a block of " + std::to_string(bytes) + " bytes, with " +
                                          std::to_string(touched_) + " in use by this run"};
  used_.insert(place, {begin, end});
  peak_ = std::max(peak_, end);
  touched_ = std::max(touched_, end);
  return base_ + begin;
}

void Arena::release(const std::byte* block) {
  const auto begin = static_cast<size_t>(block - base_);
  const auto it = std::lower_bound(used_.begin(), used_.end(), begin,
                                   [](const Block& b, size_t at) { return b.begin < at; });
  if (it != used_.end() && it->begin == begin) used_.erase(it);
}

void Arena::reset() {
  used_.clear();
  // A single long text must not keep its memory for ever, but alternating lengths must not fault
  // their pages in each time: the bound decays by an eighth a run.
  recent_ = std::max(peak_, recent_ - recent_ / 8);
  peak_ = 0;
  const size_t keep = (recent_ + kPage - 1) / kPage * kPage;
  if (touched_ > 2 * keep) {
    madvise(base_ + keep, touched_ - keep, MADV_DONTNEED);
    touched_ = keep;
  }
}

Result<std::unique_ptr<Arena>> ArenaPool::take() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      auto arena = std::move(idle_.back());
      idle_.pop_back();
      return arena;
    }
  }
  return Arena::create();
}

void ArenaPool::give_back(std::unique_ptr<Arena> arena) {
  arena->reset();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(arena));
}

}  // namespace octavo
