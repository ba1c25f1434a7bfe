#pragma once
// The memory of one run: a single reserved address range in which blocks live and die as the plan's
// lifetimes say. First fit: a forward pass holds a dozen blocks at a time, so the search is short
// and the same sizes find the same places run after run. Pages are committed when they are first
// touched and stay for the next run, up to what recent runs needed.

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"

namespace octavo {

// Whether the machine (and its cgroup) can still give that many bytes. Asked before large blocks
// only: with overcommit the system says yes to anything and kills the process later.
bool memory_available(size_t bytes);

class Arena {
 public:
  // Errors: out_of_memory when no address range can be had.
  static Result<std::unique_ptr<Arena>> create();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  // 64-byte aligned and uninitialised. Errors: out_of_memory when the range is full or the machine
  // (or its cgroup) does not have that much left.
  Result<std::byte*> allocate(size_t bytes);
  void release(const std::byte* block);  // exactly what allocate() returned
  bool owns(const std::byte* p) const { return p >= base_ && p < base_ + reserved_; }

  size_t peak() const { return peak_; }  // bytes, since the last reset()
  // Forgets every block, and gives pages back that recent runs did not need.
  void reset();

 private:
  struct Block {
    size_t begin;
    size_t end;
  };
  Arena(std::byte* base, size_t reserved) : base_(base), reserved_(reserved) {}

  std::byte* base_;
  size_t reserved_;
  std::vector<Block> used_;  // sorted, disjoint
  size_t peak_ = 0;
  size_t touched_ = 0;  // pages below this may be committed
  size_t recent_ = 0;   // decaying maximum of the peaks
};

// Arenas of a session: as many as runs at the same time, kept for the next ones.
class ArenaPool {
 public:
  Result<std::unique_ptr<Arena>> take();
  void give_back(std::unique_ptr<Arena> arena);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Arena>> idle_;
};

}  // namespace octavo
