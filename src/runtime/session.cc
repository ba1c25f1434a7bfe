#include "runtime/session.h"

#include <algorithm>
#include <map>

#include "base/float_environment.h"
#include "graph/inline.h"
#include "kernels/no_kernels.h"
#include "runtime/arena.h"
#include "runtime/frame.h"
#include "runtime/plan.h"

namespace octavo {

struct Session::State {
  Model model;
  std::shared_ptr<ThreadPool> pool;
  const kernels::Table* kernels = nullptr;
  Plan plan;
  Schedule schedule;  // of the graph's own outputs
  mutable ArenaPool arenas;

  Status feed(Frame& frame, std::span<const Feed> feeds) const;
  Status check_feed(const ValueInfo& input, const Tensor& tensor,
                    std::map<std::string, int64_t>& symbols) const;
  Result<int> value_of(const std::string& name) const;
  // What the run was asked for but no step makes: feeds and constants.
  Result<Tensor> ready(const Frame& frame, int id) const;
};

namespace {

std::string describe_shape(const std::vector<Dim>& dims) {
  std::string text = "[";
  for (const Dim& d : dims) {
    if (text.size() > 1) text += ", ";
    if (const auto* n = std::get_if<int64_t>(&d)) {
      text += std::to_string(*n);
    } else {
      const auto& symbol = std::get<std::string>(d);
      text += symbol.empty() ? "?" : symbol;
    }
  }
  return text + "]";
}

bool within_feeds(std::span<const Feed> feeds, const Tensor& t) {
  return std::any_of(feeds.begin(), feeds.end(), [&](const Feed& f) {
    const auto bytes = f.second.bytes();
    return t.bytes().data() >= bytes.data() && t.bytes().data() < bytes.data() + bytes.size();
  });
}

}  // namespace

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::create(Model model, const SessionOptions& options) {
  const kernels::Table* kernels = kernels::best();
  if (kernels == nullptr) return Error{Code::unsupported, kernels::no_kernels()};
  OCTAVO_CHECK(inline_functions(model));
  OCTAVO_CHECK(check(model));
  for (const ValueInfo& v : model.graph.inputs) {
    if (v.dtype == DType::undefined || v.dtype == DType::string)
      return Error{Code::unsupported,
                   "input \"" + v.name + "\" is not a tensor of numbers or has no element type"};
  }
  const FloatEnvironment ieee;
  auto state = std::make_unique<State>();
  state->model = std::move(model);
  state->pool = options.pool ? options.pool : std::make_shared<ThreadPool>(options.threads);
  state->kernels = kernels;
  OCTAVO_TRY(state->plan, make_plan(state->model, {.pool = state->pool.get(), .kernels = kernels}));
  state->schedule = make_schedule(state->plan, state->plan.outputs, {});
  return Session(std::move(state));
}

const Graph& Session::graph() const { return state_->model.graph; }

ThreadPool& Session::pool() const { return *state_->pool; }

Status Session::State::check_feed(const ValueInfo& input, const Tensor& tensor,
                                  std::map<std::string, int64_t>& symbols) const {
  if (tensor.dtype() != input.dtype)
    return Error{Code::invalid_input, "is " + std::string(dtype_name(tensor.dtype())) +
                                          ", the model takes " +
                                          std::string(dtype_name(input.dtype))};
  if (!input.shape) return Done{};
  bool fits = input.shape->size() == tensor.rank();
  for (size_t d = 0; fits && d < tensor.rank(); ++d) {
    const Dim& dim = (*input.shape)[d];
    if (const auto* n = std::get_if<int64_t>(&dim)) {
      fits = *n < 0 || *n == tensor.dim(d);  // some exporters write -1 for "any"
    } else if (const auto& symbol = std::get<std::string>(dim); !symbol.empty()) {
      const auto [it, fresh] = symbols.try_emplace(symbol, tensor.dim(d));
      if (!fresh && it->second != tensor.dim(d))
        return Error{Code::invalid_input, "has shape " + to_string(tensor.shape()) +
                                              ": its dimension " + symbol + " is " +
                                              std::to_string(tensor.dim(d)) +
                                              ", another input's is " + std::to_string(it->second)};
    }
  }
  if (!fits)
    return Error{Code::invalid_input, "has shape " + to_string(tensor.shape()) +
                                          ", the model takes " + describe_shape(*input.shape)};
  return Done{};
}

Status Session::State::feed(Frame& frame, std::span<const Feed> feeds) const {
  std::map<std::string, int64_t> symbols;
  for (const Feed& f : feeds) {
    const auto input = std::find_if(model.graph.inputs.begin(), model.graph.inputs.end(),
                                    [&](const ValueInfo& v) { return v.name == f.first; });
    const auto id = plan.ids.find(f.first);
    if (input == model.graph.inputs.end() || id == plan.ids.end())
      return Error{Code::not_found, "the model has no input \"" + f.first + "\""};
    if (std::find(plan.inputs.begin(), plan.inputs.end(), id->second) == plan.inputs.end())
      return Error{Code::unsupported,
                   "input \"" + f.first + "\" is a constant of this model and cannot be fed"};
    if (frame.find(id->second) != nullptr)
      return Error{Code::invalid_input, "input \"" + f.first + "\" is fed twice"};
    OCTAVO_CHECK(check_feed(*input, f.second, symbols).within("input \"" + f.first + "\""));
    frame.set(id->second, {f.second, -1});
  }
  for (const int id : plan.inputs) {
    if (frame.find(id) == nullptr && frame.schedule.used[static_cast<size_t>(id)] != 0)
      return Error{Code::invalid_input,
                   "input \"" + plan.names[static_cast<size_t>(id)] + "\" is missing"};
  }
  return Done{};
}

Result<int> Session::State::value_of(const std::string& name) const {
  const auto it = plan.ids.find(name);
  if (it == plan.ids.end())
    return Error{Code::not_found, "the model has no value \"" + name + "\""};
  return it->second;
}

Result<Tensor> Session::State::ready(const Frame& frame, int id) const {
  if (const Tensor* t = frame.find(id)) return *t;
  const std::string& name = plan.names[static_cast<size_t>(id)];
  if (const Initializer* i = model.graph.find_initializer(name)) return i->tensor();
  return Error{Code::internal, "value \"" + name + "\" was not made"};
}

Result<std::vector<Tensor>> Session::run(std::span<const Feed> feeds,
                                         const RunOptions& options) const {
  const State& s = *state_;
  const FloatEnvironment ieee;
  std::vector<int> results;
  for (const std::string& name : options.outputs) {
    OCTAVO_TRY(const int id, s.value_of(name));
    results.push_back(id);
  }
  if (options.outputs.empty()) results = s.plan.outputs;
  std::vector<int> seen;
  std::map<int, std::vector<std::string>> names;  // one value may be watched under two names
  for (const std::string& name : options.watch) {
    OCTAVO_TRY(const int id, s.value_of(name));
    if (names[id].empty()) seen.push_back(id);
    names[id].push_back(name);
  }
  Schedule own;
  if (!options.outputs.empty() || !seen.empty()) own = make_schedule(s.plan, results, seen);
  const Schedule& schedule = own.used.empty() ? s.schedule : own;

  OCTAVO_TRY(auto arena, s.arenas.take());
  Result<std::vector<Tensor>> out = std::vector<Tensor>{};
  {
    RunMemory memory(*arena);
    Frame frame(s.plan, schedule, {*s.pool, *s.kernels, memory}, /*own=*/true);
    const auto show = [&](int id, const Tensor& tensor) -> Status {
      for (const std::string& name : names[id]) OCTAVO_CHECK(options.tap(name, tensor));
      return Done{};
    };
    out = [&]() -> Result<std::vector<Tensor>> {
      OCTAVO_CHECK(s.feed(frame, feeds));
      std::vector<char> made(s.plan.names.size(), 0);
      for (const size_t n : schedule.steps) {
        for (const int v : s.plan.steps[n].outputs) {
          if (v >= 0) made[static_cast<size_t>(v)] = 1;
        }
      }
      for (const int id : seen) {
        if (made[static_cast<size_t>(id)] != 0 || !options.tap) continue;
        OCTAVO_TRY(const Tensor tensor, s.ready(frame, id));
        OCTAVO_CHECK(show(id, tensor));
      }
      std::vector<char> watched(seen.empty() ? 0 : s.plan.names.size(), 0);
      for (const int id : seen) watched[static_cast<size_t>(id)] = 1;
      OCTAVO_CHECK(frame.run(options.tap && !seen.empty() ? Frame::Show(show) : Frame::Show(),
                             watched, options.times));
      std::vector<Tensor> tensors;
      for (const int id : results) {
        OCTAVO_TRY(Tensor t, s.ready(frame, id));
        // Made on the heap for this, or a constant: both outlive the run. What lies in the arena or
        // in a feed (a reshape of one) does not.
        if (frame.values[static_cast<size_t>(id)].block < 0 && !within_feeds(feeds, t)) {
          tensors.push_back(std::move(t));
        } else {
          OCTAVO_TRY(Tensor copy, t.clone());
          tensors.push_back(std::move(copy));
        }
      }
      return tensors;
    }();
  }
  s.arenas.give_back(std::move(arena));
  return out;
}

}  // namespace octavo
