#include "server/embed_request.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <string_view>

#include "embed/pooling.h"  // all_finite
#include "embed/ragged.h"   // text_name
#include "formats/json.h"   // quote

namespace octavo::server {

namespace {

// Floats of an answer with a row for every token: some 50 MB of JSON.
constexpr size_t kMostTokenFloats = size_t{1} << 22;
// Of an answer, while it is made: the number itself, and its digits.
constexpr size_t kBytesOfFloat = 16;

// The ids of one input; over the model's limit they are cut, or it is an error.
class Tokens {
 public:
  Tokens(const EmbedRequest& request, const ServedModel& served, bool truncate, std::string prefix)
      : request_(request), served_(served), truncate_(truncate), prefix_(std::move(prefix)) {}

  Outcome<std::vector<int64_t>> of(size_t index, EmbedAnswer& answer) const {
    const Input& input = request_.inputs[index];
    const size_t limit = served_.model.dir().max_length;
    std::vector<int64_t> ids;
    size_t full = 0;
    if (const auto* text = std::get_if<std::string>(&input)) {
      OCTAVO_CHECK(fit(*text, index));
      OCTAVO_TRY(Encoding encoding, served_.model.tokenizer().encode(
                                        prefix_ + *text, truncate_ ? limit : 0, request_.cut));
      ids = std::move(encoding.ids);
      full = encoding.full_length;
    } else {
      ids = std::get<std::vector<int64_t>>(input);
      full = ids.size();
      if (ids.empty()) return wrong(Kind::empty, text_name(index) + " holds no token ids");
      // Cutting would lose the special token at their end.
      if (full > limit)
        return wrong(Kind::too_long, text_name(index) + " has " + std::to_string(full) +
                                         " token ids; the limit of " + served_.name + " is " +
                                         std::to_string(limit));
    }
    if (full > limit && !truncate_)
      return wrong(Kind::too_long, text_name(index) + " has " + std::to_string(full) +
                                       " tokens; the limit of " + served_.name + " is " +
                                       std::to_string(limit) +
                                       ". Shorten it, or set \"truncate\": true to have it cut");
    if (Status fine = served_.model.check(ids, index); !fine)
      return wrong(Kind::invalid, std::move(fine).error().message);
    if (full > ids.size()) answer.truncated.push_back({index, full, ids.size()});
    answer.tokens += ids.size();
    return ids;
  }

 private:
  Failure wrong(Kind kind, std::string message) const {
    return {kind, std::move(message), request_.inputs_name};
  }
  Outcome<Done> fit(const std::string& text, size_t index) const {
    if (text.empty()) return wrong(Kind::empty, text_name(index) + " is empty");
    if (text.find('\0') != std::string::npos)
      return wrong(Kind::malformed, text_name(index) + " contains the character U+0000");
    return Done{};
  }

  const EmbedRequest& request_;
  const ServedModel& served_;
  const bool truncate_;
  const std::string prefix_;
};

Outcome<std::string> prefix_of(const EmbedRequest& request, const ServedModel& served) {
  const bool any_ids =
      std::any_of(request.inputs.begin(), request.inputs.end(),
                  [](const Input& i) { return std::holds_alternative<std::vector<int64_t>>(i); });
  if (!request.prompt_name.empty() && request.input_type)
    return Failure{Kind::malformed, "give a prompt name or an input type, not both", "prompt_name"};
  if (any_ids && (!request.prompt_name.empty() || request.input_type))
    return Failure{Kind::malformed, "token ids are taken as they are, without a prompt",
                   request.inputs_name};
  std::string name = request.prompt_name;
  if (request.input_type) {
    name = prompt_name_of(served.model.dir(), *request.input_type);
    if (name.empty()) return std::string();
  }
  Result<std::string> prompt = served.model.prompt(name);
  if (!prompt) return Failure{Kind::invalid, std::move(prompt).error().message, "prompt_name"};
  return *std::move(prompt);
}

// Vectors of the rows that the model gave. Errors: a number that is not finite.
Outcome<Done> take_rows(const EmbedRequest& request, Work& work, EmbedAnswer& answer) {
  if (work.error) {
    // What was sent had been checked: the model is to blame.
    Failure failure = Failure::of(*work.error);
    if (failure.kind == Kind::invalid) failure.kind = Kind::internal;
    return failure;
  }
  const TextModel& model = answer.model->model;
  for (size_t i = 0; i < work.rows.size(); ++i) {
    std::vector<float> vector =
        request.token_rows ? std::move(work.rows[i])
                           : model.vector(work.rows[i], request.dimensions, request.normalize);
    if (!all_finite(vector))
      return Failure{Kind::internal, text_name(i) + ": the model's output is not a finite number"};
    answer.vectors.push_back(std::move(vector));
  }
  return Done{};
}

double seconds_between(Work::Clock::time_point from, Work::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

std::optional<InputType> input_type_of(const std::string& name) {
  if (name == "query" || name == "search_query" || name == "retrieval.query")
    return InputType::query;
  if (name == "document" || name == "passage" || name == "search_document" ||
      name == "retrieval.passage")
    return InputType::document;
  return std::nullopt;
}

std::string prompt_name_of(const ModelDir& dir, InputType type) {
  static constexpr std::array<const char*, 3> kQuery = {"query", "search_query", "retrieval.query"};
  static constexpr std::array<const char*, 4> kDocument = {"document", "passage", "search_document",
                                                           "retrieval.passage"};
  const auto first = [&](const auto& names) -> std::string {
    for (const char* name : names)
      if (dir.prompts.contains(name)) return name;
    return {};
  };
  return type == InputType::query ? first(kQuery) : first(kDocument);
}

Outcome<std::shared_ptr<Work>> prepare(const EmbedRequest& request, const Service& service,
                                       EmbedAnswer& answer) {
  OCTAVO_TRY(answer.model, service.model(request.model));
  const ServedModel& served = *answer.model;
  answer.name = served.name;
  if (request.inputs.empty())
    return Failure{Kind::empty, request.inputs_name + " holds no text", request.inputs_name};
  if (request.inputs.size() > service.limits.texts)
    return Failure{Kind::too_many,
                   std::to_string(request.inputs.size()) + " texts in one request; the limit is " +
                       std::to_string(service.limits.texts),
                   request.inputs_name};
  if (request.dimensions > served.model.width())
    return Failure{Kind::invalid,
                   std::to_string(request.dimensions) + " dimensions; " + served.name + " has " +
                       std::to_string(served.model.width()),
                   "dimensions"};
  answer.width = request.dimensions == 0 ? served.model.width() : request.dimensions;
  OCTAVO_TRY(std::string prefix, prefix_of(request, served));
  const Tokens tokens(request, served, request.truncate.value_or(service.truncate),
                      std::move(prefix));
  auto work = std::make_shared<Work>();
  work->lane = served.lane;
  work->token_rows = request.token_rows;
  work->ids.reserve(request.inputs.size());
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    OCTAVO_TRY(std::vector<int64_t> ids, tokens.of(i, answer));
    work->ids.push_back(std::move(ids));
  }
  if (request.token_rows && answer.tokens > kMostTokenFloats / answer.width)
    return Failure{Kind::too_large,
                   std::to_string(answer.tokens) +
                       " tokens in one request for the vectors of all " + "tokens; the limit is " +
                       std::to_string(kMostTokenFloats / answer.width),
                   request.inputs_name};
  return work;
}

void append_truncated(std::string& out, const EmbedAnswer& answer) {
  out += ",\"truncated\":[";
  for (size_t i = 0; i < answer.truncated.size(); ++i) {
    const EmbedAnswer::Cut& cut = answer.truncated[i];
    out += (i == 0 ? "" : ",");
    out += "{\"index\":" + std::to_string(cut.index) + ",\"tokens\":" + std::to_string(cut.tokens) +
           ",\"used\":" + std::to_string(cut.used) + "}";
  }
  out += ']';
}

namespace {

// A request between its tokens and its answer.
struct Embedding {
  EmbedRequest request;
  EmbedAnswer answer;
  FormatAnswer format;
  FormatFailure fail;
  std::shared_ptr<void> room = {};

  Reply reply(Call& call, Work& work) {
    const auto now = Work::Clock::now();
    call.facts.queue_seconds = seconds_between(work.submitted, work.started);
    call.facts.model_seconds = seconds_between(work.started, now);
    call.service().metrics.queue_seconds.observe(call.facts.queue_seconds);
    if (Outcome<Done> taken = take_rows(request, work, answer); !taken) return fail(taken.error());
    Reply made = format(answer);
    made.room = std::move(room);
    if (!answer.truncated.empty())
      made.fields.emplace_back("Octavo-Truncated", std::to_string(answer.truncated.size()));
    return made;
  }
};

// An answer, come what may.
template <class F>
void answered(Call& call, FormatFailure fail, F&& body) {
  try {
    body();
  } catch (const std::bad_alloc&) {
    const Failure failure{Kind::unavailable, "out of memory", {}, 1};
    call.answer(with_fields(fail(failure), failure));
  } catch (const std::exception& e) {
    call.answer(fail({Kind::internal, std::string("internal error: ") + e.what()}));
  }
}

}  // namespace

void embed(const std::shared_ptr<Call>& call, EmbedRequest request, FormatAnswer format,
           FormatFailure fail) {
  Service& service = call->service();
  auto state =
      std::make_shared<Embedding>(Embedding{std::move(request), {}, std::move(format), fail});
  Outcome<std::shared_ptr<Work>> work = prepare(state->request, service, state->answer);
  if (!work) return call->answer(fail(work.error()));
  call->drop_body();
  const EmbedAnswer& answer = state->answer;
  const size_t rows =
      state->request.token_rows ? static_cast<size_t>(answer.tokens) : (*work)->ids.size();
  // Before the model has worked for it.
  Outcome<std::shared_ptr<void>> room =
      service.room_for_answer(rows * answer.width * kBytesOfFloat);
  if (!room) return call->answer(with_fields(fail(room.error()), room.error()));
  state->room = *std::move(room);
  call->facts.model = answer.name;
  call->facts.texts = state->request.inputs.size();
  call->facts.tokens = answer.tokens;
  call->facts.truncated = answer.truncated.size();
  state->request.inputs.clear();
  // The work must not hold itself: who finishes it holds it.
  (*work)->done = [call, state, weak = std::weak_ptr<Work>(*work)] {
    const std::shared_ptr<Work> done = weak.lock();
    if (!done) return;
    call->service().post([call, state, done] {
      answered(*call, state->fail, [&] { call->answer(state->reply(*call, *done)); });
    });
  };
  const size_t cut = answer.truncated.size();
  if (const std::optional<unsigned> later = call->submit(*work, *service.scheduler)) {
    service.metrics.reject(Rejected::queue);
    const Failure full{Kind::overloaded,
                       "the queue holds " + std::to_string(service.limits.queue_tokens) +
                           " tokens and is full; try again in " + std::to_string(*later) + " s",
                       {},
                       *later};
    return call->answer(with_fields(fail(full), full));
  }
  service.metrics.truncated_texts.add(cut);
}

}  // namespace octavo::server
