#include "runtime/frame.h"

#include <chrono>

namespace octavo {

Result<RunMemory::Piece> RunMemory::allocate(size_t bytes) {
  OCTAVO_TRY(std::byte * data, arena_.allocate(bytes));
  int block = 0;
  if (free_.empty()) {
    block = static_cast<int>(blocks_.size());
    blocks_.emplace_back();
  } else {
    block = free_.back();
    free_.pop_back();
  }
  blocks_[static_cast<size_t>(block)] = {data, 1};
  return Piece{block, data};
}

void RunMemory::share(int block) {
  if (block >= 0) ++blocks_[static_cast<size_t>(block)].uses;
}

void RunMemory::release(int block) {
  if (block < 0) return;
  Block& b = blocks_[static_cast<size_t>(block)];
  if (--b.uses > 0) return;
  arena_.release(b.data);
  free_.push_back(block);
}

Frame::~Frame() {
  for (const RunValue& v : values) services.memory.release(v.block);
  for (const int block : scratch) services.memory.release(block);
}

const Tensor* Frame::find(int id) const {
  if (id < 0) return nullptr;
  const auto n = static_cast<size_t>(id);
  const Tensor& made = values[n].tensor;
  if (made.defined()) return &made;
  const Tensor& constant = plan.constants[n];
  return constant.defined() ? &constant : nullptr;
}

void Frame::set(int id, RunValue value) {
  clear(id);
  values[static_cast<size_t>(id)] = std::move(value);
}

void Frame::clear(int id) {
  RunValue& v = values[static_cast<size_t>(id)];
  services.memory.release(v.block);
  v = RunValue{};
}

RunValue Frame::share(int id) {
  const Tensor* tensor = find(id);
  if (tensor == nullptr) return {};
  const int block = values[static_cast<size_t>(id)].block;
  services.memory.share(block);
  return {*tensor, block};
}

Status Frame::run_step(const Step& step) {
  OpContext context(*this, step);
  OCTAVO_CHECK(step.op->run(context).within(step.where));
  for (const int block : scratch) services.memory.release(block);
  scratch.clear();
  for (const int out : step.outputs) {
    if (out < 0) continue;
    const auto n = static_cast<size_t>(out);
    if (!values[n].tensor.defined() && schedule.used[n] != 0)
      return Error{Code::internal,
                   step.where + ": did not make its output \"" + plan.names[n] + "\""};
  }
  return Done{};
}

Status Frame::run(const Show& show, const std::vector<char>& watched,
                  std::vector<StepTime>* times) {
  using Clock = std::chrono::steady_clock;
  for (at = 0; at < schedule.steps.size(); ++at) {
    const Step& step = plan.steps[schedule.steps[at]];
    const auto start = times != nullptr ? Clock::now() : Clock::time_point();
    OCTAVO_CHECK(run_step(step));
    if (times != nullptr) {
      StepTime time{step.where, std::chrono::duration<double>(Clock::now() - start).count(), 0};
      for (const int out : step.outputs) {
        if (out >= 0) time.bytes += values[static_cast<size_t>(out)].tensor.bytes().size();
      }
      times->push_back(std::move(time));
    }
    if (show) {
      for (const int out : step.outputs) {
        if (out >= 0 && watched[static_cast<size_t>(out)] != 0)
          OCTAVO_CHECK(show(out, values[static_cast<size_t>(out)].tensor));
      }
    }
    for (const int dead : schedule.dying[at]) clear(dead);
  }
  return Done{};
}

}  // namespace octavo
