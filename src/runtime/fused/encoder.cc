#include "runtime/fused/encoder.h"

#include <mutex>

#include "base/float_environment.h"
#include "kernels/no_kernels.h"
#include "runtime/fused/forward.h"
#include "runtime/fused/weights.h"

namespace octavo::fused {

struct FusedEncoder::State {
  Weights weights;
  const kernels::Table* table = nullptr;
  // Workspaces that no run uses: as many as there were runs at once.
  std::mutex mutex;
  std::vector<std::unique_ptr<Workspace>> idle;
};

FusedEncoder::FusedEncoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
FusedEncoder::FusedEncoder(FusedEncoder&&) noexcept = default;
FusedEncoder& FusedEncoder::operator=(FusedEncoder&&) noexcept = default;
FusedEncoder::~FusedEncoder() = default;

Result<FusedEncoder> FusedEncoder::create(EncoderSpec spec, const Lookup& lookup) {
  auto state = std::make_unique<State>();
  state->table = kernels::best();
  if (state->table == nullptr) return Error{Code::unsupported, kernels::no_kernels()};
  state->weights.spec = std::move(spec);
  if (state->weights.spec.layers.empty())
    return Error{Code::unsupported, "an encoder without layers"};
  OCTAVO_CHECK(find_weights(state->weights, lookup));
  return FusedEncoder(std::move(state));
}

const EncoderSpec& FusedEncoder::spec() const { return state_->weights.spec; }
size_t FusedEncoder::weight_bytes() const { return state_->weights.bytes; }
size_t FusedEncoder::workspace_bytes(const EncoderSpec& spec, size_t tokens) {
  return Forward::bytes(spec, tokens);
}
size_t FusedEncoder::workspace_held() const {
  const std::lock_guard lock(state_->mutex);
  size_t sum = 0;
  for (const auto& workspace : state_->idle) sum += Forward::held(*workspace);
  return sum;
}

Status FusedEncoder::run(std::span<const int64_t> ids, std::span<const size_t> offsets,
                         ThreadPool& pool, const RunOptions& options, float* out) const {
  State& s = *state_;
  std::unique_ptr<Workspace> workspace;
  {
    const std::lock_guard lock(s.mutex);
    if (!s.idle.empty()) {
      workspace = std::move(s.idle.back());
      s.idle.pop_back();
    }
  }
  if (!workspace) workspace = std::make_unique<Workspace>();
  const FloatEnvironment ieee;
  const ThreadPool::Busy busy(pool);
  const kernels::Table& table = options.kernels == nullptr ? *s.table : *options.kernels;
  Status status = Forward(s.weights, table, pool, *workspace, options).run(ids, offsets, out);
  const std::lock_guard lock(s.mutex);
  s.idle.push_back(std::move(workspace));
  return status;
}

}  // namespace octavo::fused
