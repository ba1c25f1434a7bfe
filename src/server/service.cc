#include "server/service.h"

#include <utility>

#include "formats/json.h"  // quote

namespace octavo::server {

Outcome<const ServedModel*> Service::model(const std::string& name) const {
  if (name.empty()) return &models.front();
  std::string known;
  for (const ServedModel& served : models) {
    if (served.name == name) return &served;
    known += (known.empty() ? "" : ", ") + served.name;
  }
  return Failure{Kind::not_found, "no model named " + quote(name) + "; there is: " + known,
                 "model"};
}

Outcome<std::shared_ptr<void>> Service::room_for_answer(size_t bytes) {
  if (std::shared_ptr<void> room = answers.take(bytes, limits.answers_bytes)) return room;
  metrics.reject(Rejected::answers);
  return Failure{Kind::overloaded,
                 "answers of " + std::to_string(answers.used()) +
                     " bytes are being made or wait to be taken, and " +
                     std::to_string(limits.answers_bytes) + " are the limit",
                 {},
                 1};
}

namespace {

// With the file of weights that exporters put beside it.
uint64_t bytes_of(const std::filesystem::path& model_file) {
  uint64_t bytes = 0;
  for (const char* suffix : {"", ".data"}) {
    std::error_code missing;
    const auto size = std::filesystem::file_size(model_file.string() + suffix, missing);
    if (!missing) bytes += size;
  }
  return bytes;
}

}  // namespace

Status open_models(const ServerOptions& options, Service& service) {
  if (options.models.empty()) return Error{Code::invalid_input, "no model to serve"};
  std::vector<Scheduler::Lane> lanes;
  for (const ServerOptions::Model& asked : options.models) {
    for (const ServedModel& other : service.models)
      if (other.name == asked.name)
        return Error{Code::invalid_input, "two models are called " + quote(asked.name) +
                                              "; give one another name: NAME=DIR"};
    OCTAVO_TRY(TextModel model, TextModel::open(asked.folder, options.embedder));
    const uint64_t bytes = bytes_of(model.dir().model_file);
    service.models.push_back(
        {asked.name, service.models.size(), std::move(model), std::time(nullptr), bytes});
    const TextModel& opened = service.models.back().model;
    Scheduler::Lane lane;
    lane.budget = opened.max_batch_tokens();
    lane.rows = [&opened](std::span<const std::vector<int64_t>> ids) { return opened.rows(ids); };
    lane.token_rows = [&opened](std::span<const int64_t> ids) { return opened.token_rows(ids); };
    lanes.push_back(std::move(lane));
  }
  OCTAVO_TRY(service.scheduler,
             Scheduler::start(std::move(lanes), service.limits.queue_tokens, service.metrics));
  return Done{};
}

}  // namespace octavo::server
