#pragma once
// Runs a graph over many texts with a bounded amount of its weights in memory: a part of the graph
// (graph/split.h) is packed, runs over all texts, and is let go of before the next. What a text
// holds between two parts is what crosses the cut, as a rule its hidden states. The numbers are
// those of a Session. For calibration and for measuring; to answer one text at a time, a Session.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "graph/split.h"
#include "runtime/session.h"

namespace octavo {

struct StreamedOptions {
  std::shared_ptr<ThreadPool> pool;  // null: a pool of all usable CPUs
  // Most bytes of weights in one part. A model with fewer is one Session, packed once.
  size_t weight_bytes = size_t{512} << 20;
};

// What is run: feeds of each text, as Session::run() takes them. Everything that is called back may
// be called from many threads at once, and must outlive the pass.
struct StreamedRun {
  std::span<const std::vector<Feed>> texts;
  std::vector<std::string> watch;  // values that tap sees; names that no node makes are passed over
  std::function<Status(size_t text, const std::string& value, const Tensor& tensor)> tap = {};
  // The graph's outputs of a text, as soon as all are made; null: they are dropped.
  std::function<Status(size_t text, std::vector<Tensor> outputs)> take = {};
  // Texts one after another, the longest first, each on all threads: what tap adds up has one
  // order.
  bool one_by_one = false;
  // done of total (texts times parts). By one thread at a time; what it throws comes out of step(),
  // as soon as the texts at work are done.
  std::function<void(size_t done, size_t total)> progress = {};
  std::string what = "text";  // how errors call one; empty: they name none
};

class StreamedModel {
 public:
  // Errors: as Session::create(), and of nodes whose op is not there before anything has run.
  static Result<StreamedModel> create(Model model, StreamedOptions options = {});

  // As many threads as texts side by side, or threads inside the ops where there are few texts.
  // Errors: of the first text (by number, counted from 1) that failed.
  Status run(StreamedRun run) const;

  const Graph& graph() const { return whole_ ? whole_->graph() : graph_; }
  size_t parts() const { return parts_.size(); }
  ThreadPool& pool() const { return *pool_; }

 private:
  friend class StreamedPass;
  std::shared_ptr<ThreadPool> pool_;
  std::vector<GraphPart> parts_;
  std::optional<Session> whole_;  // of the only part
  Graph graph_;                   // of several
};

// run() in steps, so that two models can be followed side by side. The model outlives it.
class StreamedPass {
 public:
  StreamedPass(const StreamedModel& model, StreamedRun run);
  bool done() const { return part_ == model_.parts_.size(); }
  // The next part, over all texts. Precondition: not done().
  Status step();

 private:
  Status run_part(const Session& session);
  Status run_text(const Session& session, std::span<const std::string> watch, size_t text);
  // What crosses from part to part, of one text.
  const Tensor* find(size_t text, const std::string& name) const;

  const StreamedModel& model_;
  StreamedRun run_;
  std::vector<size_t> order_;                      // longest text first
  std::vector<std::vector<Feed>> held_;            // by text
  std::unordered_map<std::string, size_t> until_;  // the last part that reads a value
  size_t part_ = 0;
  size_t finished_ = 0;  // texts times parts
};

}  // namespace octavo
