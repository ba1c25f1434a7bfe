#include "runtime/op.h"

#include <algorithm>

#include "runtime/frame.h"
#include "runtime/subgraph.h"

namespace octavo {

namespace {

Result<size_t> bytes_of(DType dtype, const Shape& shape, size_t largest) {
  OCTAVO_TRY(const size_t bytes, byte_count(dtype, shape));
  if (bytes > largest)
    return Error{Code::invalid_input, "the result " + to_string(shape) + " would take " +
                                          std::to_string(bytes) + " bytes"};
  return bytes;
}

}  // namespace

Result<std::unique_ptr<Subgraph>> OpInit::subgraph(const std::string& attribute) {
  const auto it = node_.attributes.find(attribute);
  const auto* graph =
      it == node_.attributes.end() ? nullptr : std::get_if<std::shared_ptr<Graph>>(&it->second);
  if (graph == nullptr || *graph == nullptr)
    return Error{Code::invalid_input, "has no graph in the attribute " + attribute};
  if (compiler_ == nullptr) return Error{Code::internal, "subgraphs cannot be compiled here"};
  return compiler_->compile(**graph).within(attribute);
}

size_t OpContext::inputs() const { return step_.inputs.size(); }

size_t OpContext::outputs() const { return step_.outputs.size(); }

const Tensor* OpContext::input(size_t i) const {
  return i < step_.inputs.size() ? frame_.find(step_.inputs[i]) : nullptr;
}

bool OpContext::wants(size_t i) const {
  return i < step_.outputs.size() && step_.outputs[i] >= 0 &&
         frame_.schedule.used[static_cast<size_t>(step_.outputs[i])] != 0;
}

Result<Tensor*> OpContext::output(size_t i, DType dtype, Shape shape) {
  OCTAVO_TRY(const size_t bytes, bytes_of(dtype, shape, frame_.largest));
  const int id = i < step_.outputs.size() ? step_.outputs[i] : -1;
  if (id < 0) return Error{Code::internal, "writes an output that the node does not have"};
  const auto n = static_cast<size_t>(id);
  if (frame_.own_results && frame_.schedule.kept[n] != 0) {
    if (!memory_available(bytes))
      return Error{Code::out_of_memory, "a result of " + std::to_string(bytes) + " bytes"};
    OCTAVO_TRY(Tensor made, Tensor::make(dtype, std::move(shape)));
    frame_.set(id, {std::move(made), -1});
  } else {
    OCTAVO_TRY(const auto piece, frame_.services.memory.allocate(bytes));
    auto made = Tensor::borrow(dtype, std::move(shape), {piece.data, bytes}, nullptr);
    if (!made) {
      frame_.services.memory.release(piece.block);
      return std::move(made).error();
    }
    frame_.set(id, {*std::move(made), piece.block});
  }
  return &frame_.values[n].tensor;
}

Result<Tensor*> OpContext::output_over(size_t i, DType dtype, Shape shape,
                                       std::span<const size_t> inputs) {
  OCTAVO_TRY(const size_t bytes, bytes_of(dtype, shape, frame_.largest));
  const int out = i < step_.outputs.size() ? step_.outputs[i] : -1;
  if (out < 0 || (frame_.own_results && frame_.schedule.kept[static_cast<size_t>(out)] != 0))
    return output(i, dtype, std::move(shape));
  const auto& dying = frame_.schedule.dying[frame_.at];
  for (const size_t j : inputs) {
    const int in = j < step_.inputs.size() ? step_.inputs[j] : -1;
    if (in < 0 || std::find(dying.begin(), dying.end(), in) == dying.end()) continue;
    const RunValue& value = frame_.values[static_cast<size_t>(in)];
    if (value.block < 0 || frame_.services.memory.shared(value.block) ||
        value.tensor.bytes().size() != bytes)
      continue;
    OCTAVO_TRY(Tensor made, Tensor::borrow(dtype, std::move(shape), value.tensor.bytes(), nullptr));
    frame_.services.memory.share(value.block);
    frame_.set(out, {std::move(made), value.block});
    return &frame_.values[static_cast<size_t>(out)].tensor;
  }
  return output(i, dtype, std::move(shape));
}

Status OpContext::output_view(size_t i, size_t j, Shape shape) {
  const Tensor* in = input(j);
  if (in == nullptr) return Error{Code::internal, "views an input that is not there"};
  OCTAVO_TRY(Tensor view, in->reshaped(std::move(shape)));
  const int block = frame_.values[static_cast<size_t>(step_.inputs[j])].block;
  frame_.services.memory.share(block);
  give(i, {std::move(view), block});
  return Done{};
}

RunValue OpContext::share(size_t i) const {
  return i < step_.inputs.size() && step_.inputs[i] >= 0 ? frame_.share(step_.inputs[i])
                                                         : RunValue{};
}

void OpContext::give(size_t i, RunValue value) {
  if (i < step_.outputs.size() && step_.outputs[i] >= 0) {
    frame_.set(step_.outputs[i], std::move(value));
  } else {
    drop(value);
  }
}

void OpContext::drop(RunValue& value) {
  frame_.services.memory.release(value.block);
  value = RunValue{};
}

Result<std::span<std::byte>> OpContext::scratch(size_t bytes) {
  if (bytes > frame_.largest)
    return Error{Code::invalid_input, "needs " + std::to_string(bytes) + " bytes to work in"};
  OCTAVO_TRY(const auto piece, frame_.services.memory.allocate(bytes));
  frame_.scratch.push_back(piece.block);
  return std::span<std::byte>(piece.data, bytes);
}

ThreadPool& OpContext::pool() const { return frame_.services.pool; }

const kernels::Table& OpContext::kernels() const { return frame_.services.kernels; }

}  // namespace octavo
