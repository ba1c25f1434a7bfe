#include "runtime/streamed.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "graph/inline.h"
#include "runtime/registry.h"

namespace octavo {

namespace {

// A part's ops are made when its turn comes, which may be after minutes.
Status check_ops(const Model& model) {
  std::string missing;
  for (const Node& node : model.graph.nodes) {
    const auto opset = model.opset_imports.find(node.domain);
    const int64_t version = opset == model.opset_imports.end() ? 0 : opset->second;
    if (Registry::instance().find(node.domain, node.op_type, version) == nullptr)
      missing += "\n  " + node.describe();
  }
  if (missing.empty()) return Done{};
  return Error{Code::unsupported, "ops that are not here at the model's opset:" + missing};
}

}  // namespace

Result<StreamedModel> StreamedModel::create(Model model, StreamedOptions options) {
  StreamedModel out;
  out.pool_ = options.pool ? std::move(options.pool) : std::make_shared<ThreadPool>();
  OCTAVO_CHECK(inline_functions(model));
  OCTAVO_CHECK(check(model));
  OCTAVO_TRY(out.parts_, split_by_weights(model, options.weight_bytes));
  if (out.parts_.size() > 1) {
    OCTAVO_CHECK(check_ops(model));
    out.graph_ = std::move(model.graph);
  } else {
    model = Model();  // the session is the only one to hold the weights, and lets go of them
    OCTAVO_TRY(out.whole_, Session::create(std::move(out.parts_[0].model), {.pool = out.pool_}));
  }
  return out;
}

Status StreamedModel::run(StreamedRun run) const {
  StreamedPass pass(*this, std::move(run));
  while (!pass.done()) OCTAVO_CHECK(pass.step());
  return Done{};
}

StreamedPass::StreamedPass(const StreamedModel& model, StreamedRun run)
    : model_(model), run_(std::move(run)), order_(run_.texts.size()), held_(run_.texts.size()) {
  const auto size = [&](size_t text) {
    return run_.texts[text].empty() ? 0 : run_.texts[text][0].second.size();
  };
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](size_t a, size_t b) { return size(a) > size(b); });
  for (size_t p = 0; p < model_.parts_.size(); ++p)
    for (const ValueInfo& input : model_.parts_[p].model.graph.inputs) until_[input.name] = p;
  for (const ValueInfo& output : model_.graph().outputs) until_[output.name] = model_.parts_.size();
}

const Tensor* StreamedPass::find(size_t text, const std::string& name) const {
  for (const auto* from : {&held_[text], &run_.texts[text]}) {
    const auto at = std::find_if(from->begin(), from->end(),
                                 [&](const Feed& feed) { return feed.first == name; });
    if (at != from->end()) return &at->second;
  }
  return nullptr;
}

Status StreamedPass::step() {
  if (run_.texts.empty()) {
    part_ = model_.parts_.size();
    return Done{};
  }
  if (model_.whole_) return run_part(*model_.whole_);
  Model model = model_.parts_[part_].model;
  for (ValueInfo& input : model.graph.inputs) {
    const Tensor* tensor = find(0, input.name);
    if (tensor != nullptr && input.dtype == DType::undefined) input.dtype = tensor->dtype();
  }
  OCTAVO_TRY(const Session session, Session::create(std::move(model), {.pool = model_.pool_}));
  return run_part(session);
}

Status StreamedPass::run_part(const Session& session) {
  const std::unordered_set<std::string> made(model_.parts_[part_].made.begin(),
                                             model_.parts_[part_].made.end());
  std::vector<std::string> watch;
  for (const std::string& name : run_.watch)
    if (run_.tap && made.contains(name)) watch.push_back(name);
  std::vector<std::optional<Error>> errors(order_.size());
  std::mutex counting;
  std::exception_ptr thrown;  // the pool's threads must not throw
  std::atomic<bool> stopped{false};
  const auto work = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end && !stopped; ++i) {
      if (Status status = run_text(session, watch, order_[i]); !status)
        errors[order_[i]] = std::move(status).error();
      const std::lock_guard lock(counting);
      ++finished_;
      if (!run_.progress || stopped) continue;
      try {
        run_.progress(finished_, order_.size() * model_.parts_.size());
      } catch (...) {
        thrown = std::current_exception();
        stopped = true;
      }
    }
  };
  // One text a thread: most are too short to keep two threads busy inside one matrix product.
  if (!run_.one_by_one && order_.size() >= 2 * static_cast<size_t>(model_.pool_->threads())) {
    model_.pool_->parallel_for(order_.size(), 1, work);
  } else {
    work(0, order_.size());
  }
  if (thrown) std::rethrow_exception(thrown);
  for (size_t text = 0; text < errors.size(); ++text) {
    if (!errors[text]) continue;
    if (run_.what.empty()) return *std::move(errors[text]);
    return (*std::move(errors[text])).within(run_.what + " " + std::to_string(text + 1));
  }
  ++part_;
  return Done{};
}

Status StreamedPass::run_text(const Session& session, std::span<const std::string> watch,
                              size_t text) {
  RunOptions options;
  for (const ValueInfo& output : session.graph().outputs) options.outputs.push_back(output.name);
  options.watch.assign(watch.begin(), watch.end());
  if (!watch.empty())
    options.tap = [&](const std::string& value, const Tensor& tensor) {
      return run_.tap(text, value, tensor);
    };
  std::vector<Feed>& held = held_[text];
  std::vector<Tensor> made;
  if (model_.whole_) {
    OCTAVO_TRY(made, session.run(run_.texts[text], options));
  } else {
    std::vector<Feed> feeds;
    for (const ValueInfo& input : session.graph().inputs) {
      const Tensor* tensor = find(text, input.name);
      if (tensor != nullptr) feeds.emplace_back(input.name, *tensor);
    }
    OCTAVO_TRY(made, session.run(feeds, options));
  }
  std::erase_if(held, [&](const Feed& feed) { return until_.at(feed.first) <= part_; });
  for (size_t i = 0; i < made.size(); ++i)
    held.emplace_back(options.outputs[i], std::move(made[i]));
  if (part_ + 1 < model_.parts_.size()) return Done{};
  std::vector<Tensor> results;
  for (const ValueInfo& output : model_.graph().outputs) {
    const Tensor* tensor = find(text, output.name);
    if (tensor == nullptr)
      return Error{Code::internal, "output \"" + output.name + "\" was not made"};
    results.push_back(*tensor);
  }
  held.clear();
  return run_.take ? run_.take(text, std::move(results)) : Status(Done{});
}

}  // namespace octavo
