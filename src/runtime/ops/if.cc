// If and Loop. Their bodies are compiled once and run in frames of their own over the same arena;
// an If whose condition is constant never gets here (the planner splices its branch in).

#include <cstring>
#include <optional>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/shapes.h"

namespace octavo::ops {

namespace {

Result<bool> flag_of(const Tensor& t, const char* what) {
  if (t.dtype() != DType::boolean || t.size() != 1)
    return Error{Code::invalid_input, std::string(what) + " is not a single bool"};
  return bool(elements<Bool>(t)[0]);
}

class If final : public Op {
 public:
  If(std::unique_ptr<Subgraph> then_branch, std::unique_ptr<Subgraph> else_branch)
      : then_(std::move(then_branch)), else_(std::move(else_branch)) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(auto then_branch, init.subgraph("then_branch"));
    OCTAVO_TRY(auto else_branch, init.subgraph("else_branch"));
    for (const auto* branch : {then_branch.get(), else_branch.get()}) {
      if (branch->inputs() != 0 || branch->outputs() != init.outputs())
        return Error{Code::invalid_input, "a branch does not have its outputs"};
    }
    return make_op<If>(std::move(then_branch), std::move(else_branch));
  }

  Status run(OpContext& context) const override {
    OCTAVO_TRY(const bool condition, flag_of(context.required(0), "the condition"));
    OCTAVO_TRY(auto values, (condition ? then_ : else_)->run(context, {}));
    for (size_t i = 0; i < values.size(); ++i) context.give(i, std::move(values[i]));
    return Done{};
  }

 private:
  std::unique_ptr<Subgraph> then_;
  std::unique_ptr<Subgraph> else_;
};

class Loop final : public Op {
 public:
  Loop(std::unique_ptr<Subgraph> body, std::vector<ValueInfo> results, size_t carried)
      : body_(std::move(body)), results_(std::move(results)), carried_(carried) {}

  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(auto body, init.subgraph("body"));
    const size_t carried = init.inputs() - 2;
    if (body->inputs() != carried + 2 || body->outputs() != init.outputs() + 1 ||
        init.outputs() < carried)
      return Error{Code::invalid_input, "the body's inputs and outputs do not fit the node's"};
    auto results = std::get<std::shared_ptr<Graph>>(init.node().attributes.at("body"))->outputs;
    return make_op<Loop>(std::move(body), std::move(results), carried);
  }

  Status run(OpContext& context) const override {
    std::optional<int64_t> trips;
    if (const Tensor* m = context.input(0)) {
      OCTAVO_TRY(trips, int_of(*m, "the trip count"));
    }
    bool going = true;
    if (const Tensor* condition = context.input(1)) {
      OCTAVO_TRY(going, flag_of(*condition, "the condition"));
    }
    std::vector<RunValue> state;
    for (size_t i = 0; i < carried_; ++i) state.push_back(context.share(i + 2));
    std::vector<std::vector<RunValue>> scans(context.outputs() - carried_);
    const Status done = iterate(context, trips, going, state, scans);
    Status status = done.ok() ? finish(context, state, scans) : Status(done.error());
    for (RunValue& v : state) context.drop(v);
    for (auto& scan : scans) {
      for (RunValue& v : scan) context.drop(v);
    }
    return status;
  }

 private:
  Status iterate(OpContext& context, std::optional<int64_t> trips, bool going,
                 std::vector<RunValue>& state, std::vector<std::vector<RunValue>>& scans) const {
    for (int64_t i = 0; going && (!trips || i < *trips); ++i) {
      std::vector<RunValue> in;
      in.push_back({Tensor::scalar(i), -1});
      in.push_back({Tensor::scalar(true), -1});
      for (RunValue& v : state) in.push_back(std::move(v));
      state.clear();
      OCTAVO_TRY(auto out, body_->run(context, std::move(in)));
      const auto next = flag_of(out[0].tensor, "the body's condition");
      context.drop(out[0]);
      for (size_t k = 0; k < carried_; ++k) state.push_back(std::move(out[k + 1]));
      for (size_t k = 0; k < scans.size(); ++k)
        scans[k].push_back(std::move(out[k + 1 + carried_]));
      if (!next) return next.error();
      going = *next;
    }
    return Done{};
  }

  Status finish(OpContext& context, std::vector<RunValue>& state,
                const std::vector<std::vector<RunValue>>& scans) const {
    for (size_t k = 0; k < carried_; ++k) context.give(k, std::exchange(state[k], RunValue{}));
    for (size_t k = 0; k < scans.size(); ++k) {
      if (!context.wants(carried_ + k)) continue;
      const auto& scan = scans[k];
      Shape shape = {static_cast<int64_t>(scan.size())};
      DType dtype = results_[k + 1 + carried_].dtype;
      if (scan.empty()) {
        // No iteration: the dimensions are what the body declares, unknown ones 0.
        for (const Dim& d : results_[k + 1 + carried_].shape.value_or(std::vector<Dim>{})) {
          const auto* n = std::get_if<int64_t>(&d);
          shape.push_back(n != nullptr && *n > 0 ? *n : 0);
        }
      } else {
        dtype = scan[0].tensor.dtype();
        const Shape& each = scan[0].tensor.shape();
        shape.insert(shape.end(), each.begin(), each.end());
      }
      OCTAVO_TRY(Tensor * y, context.output(carried_ + k, dtype, std::move(shape)));
      std::byte* out = y->mutable_bytes().data();
      for (const RunValue& v : scan) {
        if (v.tensor.shape() != scan[0].tensor.shape() || v.tensor.dtype() != dtype)
          return Error{Code::invalid_input, "a scan output changes its shape or type"};
        if (v.tensor.bytes().empty()) continue;
        std::memcpy(out, v.tensor.bytes().data(), v.tensor.bytes().size());
        out += v.tensor.bytes().size();
      }
    }
    return Done{};
  }

  std::unique_ptr<Subgraph> body_;
  std::vector<ValueInfo> results_;
  size_t carried_;
};

}  // namespace

void register_if(Registry& registry) {
  registry.add({.op_type = "If",
                .since = 1,
                .min_inputs = 1,
                .max_inputs = 1,
                .max_outputs = kAnyNumber,
                .make = If::make});
  registry.add({.op_type = "Loop",
                .since = 11,
                .min_inputs = 0,
                .max_outputs = kAnyNumber,
                .make = [](OpInit& init) -> Result<std::unique_ptr<Op>> {
                  if (init.inputs() < 2)
                    return Error{Code::invalid_input, "has fewer than two inputs"};
                  return Loop::make(init);
                }});
}

}  // namespace octavo::ops
