#include "runtime/planner.h"

#include <algorithm>

#include "runtime/frame.h"
#include "runtime/registry.h"

namespace octavo {

namespace {

class CompiledSubgraph final : public Subgraph {
 public:
  CompiledSubgraph(Plan plan, std::vector<std::pair<int, int>> captures)
      : plan_(std::move(plan)),
        schedule_(make_schedule(plan_, plan_.outputs, {})),
        captures_(std::move(captures)) {}

  size_t inputs() const override { return plan_.inputs.size(); }
  size_t outputs() const override { return plan_.outputs.size(); }

  Result<std::vector<RunValue>> run(OpContext& context,
                                    std::vector<RunValue> inputs) const override {
    Frame& outer = context.frame();
    Frame frame(plan_, schedule_, outer.services, /*own=*/false);
    for (const auto& [there, here] : captures_) frame.set(here, outer.share(there));
    for (size_t i = 0; i < inputs.size(); ++i) frame.set(plan_.inputs[i], std::move(inputs[i]));
    OCTAVO_CHECK(frame.run({}, {}));
    std::vector<RunValue> out;
    for (const int id : plan_.outputs) out.push_back(frame.share(id));
    return out;
  }

 private:
  Plan plan_;
  Schedule schedule_;
  std::vector<std::pair<int, int>> captures_;
};

bool has_graph(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const auto& a) {
    return std::holds_alternative<std::shared_ptr<Graph>>(a.second);
  });
}

}  // namespace

int Planner::new_value(const std::string& name) {
  const auto id = static_cast<int>(plan_.names.size());
  plan_.names.push_back(name);
  plan_.constants.emplace_back();
  read_.push_back(0);
  scopes_.back()[name] = id;
  return id;
}

int Planner::lookup(const std::string& name) {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto it = scope->find(name);
    if (it != scope->end()) return it->second;
  }
  if (outer_ == nullptr) return -1;
  const int there = outer_->lookup(name);
  if (there < 0 || !outer_->load(there)) return -1;
  // Known here from now on, in the outermost scope: a branch spliced in later reads it too.
  const auto here = static_cast<int>(plan_.names.size());
  plan_.names.push_back(name);
  plan_.constants.push_back(outer_->plan_.constants[static_cast<size_t>(there)]);
  read_.push_back(0);
  scopes_.front()[name] = here;
  if (!is_constant(here)) {
    captures_.emplace_back(there, here);
    outer_->node_captures_.push_back(there);
  }
  return here;
}

Status Planner::load(int id) {
  const auto it = unloaded_.find(id);
  if (it == unloaded_.end()) return Done{};
  OCTAVO_TRY(plan_.constants[static_cast<size_t>(id)], it->second->tensor());
  unloaded_.erase(it);
  return Done{};
}

Status Planner::add_own_graph(Graph& graph) {
  scopes_.emplace_back();
  const GraphIndex index(graph);
  for (Initializer& i : graph.initializers) {
    const int id = new_value(i.name());
    unloaded_[id] = &i;
    own_[id] = &i;
    uses_[id] = index.uses(i.name()).size() + (index.is_graph_output(i.name()) ? 1 : 0);
  }
  return add_graph(graph);
}

Status Planner::add_graph(const Graph& graph) {
  if (scopes_.empty()) scopes_.emplace_back();
  for (const Initializer& i : graph.initializers) {
    if (!scopes_.back().contains(i.name())) unloaded_[new_value(i.name())] = &i;
  }
  for (const ValueInfo& v : graph.inputs) {
    // IR < 4 lists every initializer among the inputs too: those are constants.
    if (!scopes_.back().contains(v.name)) plan_.inputs.push_back(new_value(v.name));
  }
  OCTAVO_CHECK(add_nodes(graph));
  for (const ValueInfo& v : graph.outputs) {
    const int id = lookup(v.name);
    if (id < 0) return Error{Code::invalid_input, "output \"" + v.name + "\" is made by no node"};
    OCTAVO_CHECK(load(id));
    read_[static_cast<size_t>(id)] = 1;
    plan_.outputs.push_back(id);
  }
  return Done{};
}

Status Planner::add_nodes(const Graph& graph) {
  OCTAVO_TRY(const auto order, topological_order(graph));
  for (const size_t n : order) OCTAVO_CHECK(add_node(graph.nodes[n]));
  return Done{};
}

Status Planner::add_node(const Node& node) {
  Step step;
  step.where = node.describe();
  for (const std::string& name : node.inputs) {
    const int id = name.empty() ? -1 : lookup(name);
    if (id < 0 && !name.empty())
      return Error{Code::invalid_input,
                   step.where + " reads \"" + name + "\", which nothing before it makes"};
    if (id >= 0) OCTAVO_CHECK(load(id).within(step.where));
    step.inputs.push_back(id);
  }
  std::vector<Tensor> handles;  // compile() may move plan_.constants
  for (const int id : step.inputs)
    handles.push_back(id < 0 ? Tensor{} : plan_.constants[static_cast<size_t>(id)]);
  if (node.op_type == "If" && node.domain.empty() && !handles.empty() &&
      handles[0].dtype() == DType::boolean && handles[0].size() == 1)
    return add_branch(node, handles[0].data<bool>()[0]);

  std::vector<const Tensor*> constants;
  for (const Tensor& t : handles) constants.push_back(t.defined() ? &t : nullptr);
  const auto opset = opsets_.find(node.domain);
  OpInit init(node, opset == opsets_.end() ? 0 : opset->second, std::move(constants),
              *options_.pool, *options_.kernels, this);
  node_captures_.clear();
  auto op = Registry::instance().make(init);
  step.captures = std::move(node_captures_);
  for (const std::string& name : node.outputs)
    step.outputs.push_back(name.empty() ? -1 : new_value(name));
  if (!op) {
    problems_.push_back(std::move(op).error().within(step.where));
    return Done{};
  }
  step.op = *std::move(op);
  const bool folded = !has_graph(node) && fold(step);
  release_constants(init, step, folded);
  if (!folded) plan_.steps.push_back(std::move(step));
  return Done{};
}

Status Planner::add_branch(const Node& node, bool condition) {
  const auto it = node.attributes.find(condition ? "then_branch" : "else_branch");
  const auto* graph =
      it == node.attributes.end() ? nullptr : std::get_if<std::shared_ptr<Graph>>(&it->second);
  if (graph == nullptr || *graph == nullptr || (*graph)->outputs.size() != node.outputs.size())
    return Error{Code::invalid_input,
                 node.describe() + " has no branch with as many outputs as it has"};
  scopes_.emplace_back();
  for (const Initializer& i : (*graph)->initializers) unloaded_[new_value(i.name())] = &i;
  OCTAVO_CHECK(add_nodes(**graph).within(node.describe()));
  std::vector<int> results;
  for (const ValueInfo& v : (*graph)->outputs) results.push_back(lookup(v.name));
  scopes_.pop_back();
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i] < 0)
      return Error{Code::invalid_input, node.describe() + ": output \"" +
                                            (*graph)->outputs[i].name + "\" is made by no node"};
    OCTAVO_CHECK(load(results[i]));
    if (!node.outputs[i].empty()) scopes_.back()[node.outputs[i]] = results[i];
  }
  return Done{};
}

bool Planner::fold(const Step& step) {
  // Small results, or those of the size of their inputs (a transposed or converted weight): a graph
  // must not be able to blow up what it costs to load.
  constexpr size_t kSmall = size_t{1} << 20;
  constexpr size_t kGrowth = 4;  // int8 -> float32
  Plan part;
  Step local{step.op, {}, {}, {}, step.where};
  size_t bytes = 0;
  for (const int id : step.inputs) {
    if (id < 0) {
      local.inputs.push_back(-1);
      continue;
    }
    const Tensor& t = plan_.constants[static_cast<size_t>(id)];
    if (!t.defined()) return false;
    bytes += t.bytes().size();
    local.inputs.push_back(static_cast<int>(part.constants.size()));
    part.constants.push_back(t);
  }
  for (const int id : step.outputs) {
    local.outputs.push_back(id < 0 ? -1 : static_cast<int>(part.constants.size()));
    if (id < 0) continue;
    part.outputs.push_back(local.outputs.back());
    part.constants.emplace_back();
  }
  part.names.resize(part.constants.size());
  part.steps.push_back(std::move(local));
  const Schedule schedule = make_schedule(part, part.outputs, {});

  if (fold_arena_ == nullptr) {
    auto arena = Arena::create();
    if (!arena) return false;
    fold_arena_ = *std::move(arena);
  }
  RunMemory memory(*fold_arena_);
  Frame frame(part, schedule, {*options_.pool, *options_.kernels, memory}, /*own=*/true);
  frame.largest = std::max(kSmall, kGrowth * bytes);
  if (!frame.run({}, {})) return false;  // too large, or an error that run() will report
  std::vector<Tensor> results;
  for (const int id : part.outputs) {
    const RunValue& value = frame.values[static_cast<size_t>(id)];
    if (value.block < 0) {
      results.push_back(value.tensor);
      continue;
    }
    auto copy = value.tensor.clone();
    if (!copy) return false;
    results.push_back(*std::move(copy));
  }
  size_t next = 0;
  for (const int id : step.outputs) {
    if (id >= 0) plan_.constants[static_cast<size_t>(id)] = std::move(results[next++]);
  }
  return true;
}

void Planner::release_constants(const OpInit& init, const Step& step, bool folded) {
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    const int id = step.inputs[i];
    if (id < 0) continue;
    const bool done = folded || init.dropped(i);
    if (!done) read_[static_cast<size_t>(id)] = 1;
    const auto uses = uses_.find(id);
    if (uses == uses_.end()) continue;
    if (--uses->second == 0 && read_[static_cast<size_t>(id)] == 0) release(id);
  }
}

void Planner::release(int id) {
  constexpr size_t kWorthIt = size_t{1} << 16;
  Tensor& constant = plan_.constants[static_cast<size_t>(id)];
  if (constant.bytes().size() < kWorthIt) return;
  constant.drop_pages();
  const auto own = own_.find(id);
  if (own != own_.end() && !own->second->lazy() && !constant.file_backed()) {
    const Initializer& old = *own->second;
    const std::string name = old.name();
    *own->second = Initializer(name, old.dtype(), old.shape(), [name]() -> Result<Tensor> {
      return Error{Code::unsupported, "was packed for this session and is not kept beside"};
    });
  }
  constant = Tensor{};
}

Plan Planner::take() {
  for (size_t id = 0; id < plan_.constants.size(); ++id) {
    const auto own = own_.find(static_cast<int>(id));
    if (own != own_.end() && read_[id] == 0 && is_constant(static_cast<int>(id)))
      release(static_cast<int>(id));
  }
  // Only the outermost scope is left: the names that may be asked for.
  plan_.ids = std::move(scopes_.front());
  return std::move(plan_);
}

Result<std::unique_ptr<Subgraph>> Planner::compile(const Graph& graph) {
  Planner inner(opsets_, options_, this);
  OCTAVO_CHECK(inner.add_graph(graph));
  problems_.insert(problems_.end(), inner.problems_.begin(), inner.problems_.end());
  auto captures = inner.captures_;
  return std::unique_ptr<Subgraph>(
      std::make_unique<CompiledSubgraph>(inner.take(), std::move(captures)));
}

Result<Plan> make_plan(Model& model, const PlanOptions& options) {
  Planner planner(model.opset_imports, options);
  OCTAVO_CHECK(planner.add_own_graph(model.graph));
  const auto& problems = planner.problems();
  if (problems.empty()) return planner.take();
  constexpr size_t kListed = 50;
  const bool only_unsupported = std::all_of(
      problems.begin(), problems.end(), [](const Error& e) { return e.code == Code::unsupported; });
  std::string text = std::to_string(problems.size()) + " nodes cannot run:";
  for (size_t i = 0; i < std::min(problems.size(), kListed); ++i)
    text += "\n  " + problems[i].message;
  if (problems.size() > kListed) text += "\n  ...";
  return Error{only_unsupported ? Code::unsupported : problems[0].code, text};
}

}  // namespace octavo
