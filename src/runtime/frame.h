#pragma once
// The state of one run of a plan: a tensor for every live value, and which block of the arena holds
// it. Blocks are counted, since views share them and an element-wise op may hand one on.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/arena.h"
#include "runtime/op.h"
#include "runtime/plan.h"
#include "runtime/session.h"

namespace octavo {

// A tensor larger than this is a broken or hostile shape, whatever the machine: 64 GiB.
inline constexpr size_t kLargestTensor = size_t{1} << 36;

// Blocks of a run, shared by the frames of its subgraphs.
class RunMemory {
 public:
  explicit RunMemory(Arena& arena) : arena_(arena) {}
  struct Piece {
    int block;
    std::byte* data;
  };
  Result<Piece> allocate(size_t bytes);
  void share(int block);    // -1 is allowed and does nothing
  void release(int block);  // the same
  bool shared(int block) const { return blocks_[static_cast<size_t>(block)].uses > 1; }
  size_t peak() const { return arena_.peak(); }

 private:
  struct Block {
    std::byte* data = nullptr;
    int uses = 0;
  };
  Arena& arena_;
  std::vector<Block> blocks_;
  std::vector<int> free_;
};

class Frame {
 public:
  struct Services {
    ThreadPool& pool;
    const kernels::Table& kernels;
    RunMemory& memory;
  };
  // own: what is asked for is made on the heap, to outlive the arena.
  Frame(const Plan& of, const Schedule& chosen, const Services& given, bool own)
      : plan(of), schedule(chosen), services(given), own_results(own), values(of.names.size()) {}
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  ~Frame();

  using Show = std::function<Status(int id, const Tensor& tensor)>;
  // Runs the schedule. `show` sees the values whose flag in `watched` is set as soon as they are
  // made.
  Status run(const Show& show, const std::vector<char>& watched,
             std::vector<StepTime>* times = nullptr);

  // Null when the value is not there (yet, or any more).
  const Tensor* find(int id) const;
  void set(int id, RunValue value);
  void clear(int id);
  // The value's bytes, to be owned by another frame.
  RunValue share(int id);

  const Plan& plan;
  const Schedule& schedule;
  Services services;
  bool own_results;
  size_t largest = kLargestTensor;  // bytes of one result
  std::vector<RunValue> values;
  size_t at = 0;             // index into schedule.steps
  std::vector<int> scratch;  // blocks of the step that runs

 private:
  Status run_step(const Step& step);
};

}  // namespace octavo
