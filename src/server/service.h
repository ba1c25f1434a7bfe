#pragma once
// What every request can reach: the models, the queue, the limits, the counters, and threads for
// the work that is not a model's (JSON, tokens).

#include <atomic>
#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "embed/text_model.h"
#include "octavo/server.h"
#include "server/budget.h"
#include "server/failure.h"
#include "server/metrics.h"
#include "server/scheduler.h"

namespace octavo::server {

struct ServedModel {
  std::string name;
  size_t lane;  // of the scheduler
  TextModel model;
  std::time_t opened;
  uint64_t bytes;  // of the model file
};

struct Service {
  ServerLimits limits;
  bool truncate = false;
  std::deque<ServedModel> models;  // never changed while requests run
  std::unique_ptr<Scheduler> scheduler;
  Metrics metrics;
  Budget answers;  // that clients have yet to take
  std::atomic<bool> ready{false};
  size_t workers = 0;                               // threads that post() has
  std::function<void(std::function<void()>)> post;  // runs it on a worker

  // The model of that name; the first one for "". Errors: not_found, listing the names.
  Outcome<const ServedModel*> model(const std::string& name) const;
  // For an answer of so many bytes, until it is written (Reply::room). Errors: overloaded.
  Outcome<std::shared_ptr<void>> room_for_answer(size_t bytes);
};

// Models of the options, opened, each with a lane of the scheduler.
Status open_models(const ServerOptions& options, Service& service);

}  // namespace octavo::server
