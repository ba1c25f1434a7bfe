#include "server/dialects/ollama.h"

#include <chrono>
#include <cstdio>
#include <ctime>

#include "octavo/version.h"
#include "server/json_fields.h"
#include "server/json_output.h"

namespace octavo::server::ollama {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostDimensions = size_t{1} << 24;

// What clients send that means nothing here: how long a model stays loaded, how it generates.
void ignore_others(JsonFields& fields) { fields.ignore({"keep_alive", "options"}); }

// "minilm:latest" is "minilm", as for Ollama's clients.
std::string without_tag(std::string name) {
  constexpr std::string_view kTag = ":latest";
  if (name.ends_with(kTag)) name.resize(name.size() - kTag.size());
  return name;
}

std::string nanoseconds(double seconds) {
  return std::to_string(static_cast<long long>(seconds * 1e9));
}

std::string rfc3339(std::time_t time) {
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace

Reply failure(const Failure& failure) {
  return {Failure::status(failure.kind), "{\"error\":" + json_quoted(failure.message) + "}"};
}

Outcome<EmbedRequest> parse_embed(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  EmbedRequest request;
  OCTAVO_TRY(std::string model, fields.string("model"));
  request.model = without_tag(std::move(model));
  OCTAVO_TRY(request.inputs, fields.inputs("input"));
  OCTAVO_TRY(request.truncate, fields.boolean("truncate"));
  OCTAVO_TRY(request.dimensions, fields.whole("dimensions", kMostDimensions));
  ignore_others(fields);
  OCTAVO_CHECK(fields.finish());
  return request;
}

Outcome<EmbedRequest> parse_embeddings(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  EmbedRequest request;
  request.inputs_name = "prompt";
  OCTAVO_TRY(std::string model, fields.string("model"));
  request.model = without_tag(std::move(model));
  OCTAVO_TRY(std::string prompt, fields.string("prompt"));
  request.inputs.emplace_back(std::move(prompt));
  ignore_others(fields);
  OCTAVO_CHECK(fields.finish());
  return request;
}

Reply format_embed(const EmbedAnswer& answer, double seconds) {
  Reply reply;
  std::string& out = reply.body;
  out = "{\"model\":" + json_quoted(answer.name) + ",\"embeddings\":[";
  for (size_t i = 0; i < answer.vectors.size(); ++i) {
    if (i != 0) out += ',';
    append_floats(out, answer.vectors[i]);
  }
  out += "],\"total_duration\":" + nanoseconds(seconds) +
         ",\"load_duration\":0,\"prompt_eval_count\":" + std::to_string(answer.tokens);
  if (!answer.truncated.empty()) append_truncated(out, answer);
  out += '}';
  return reply;
}

Reply format_embeddings(const EmbedAnswer& answer) {
  Reply reply;
  reply.body = "{\"embedding\":";
  append_floats(reply.body, answer.vectors.front());
  reply.body += '}';
  return reply;
}

void embed(const std::shared_ptr<Call>& call) {
  const auto start = Clock::now();
  Outcome<EmbedRequest> request = parse_embed(call->body());
  if (!request) return call->answer(failure(request.error()));
  server::embed(
      call, *std::move(request),
      [start](const EmbedAnswer& answer) {
        return format_embed(answer, std::chrono::duration<double>(Clock::now() - start).count());
      },
      failure);
}

void embeddings(const std::shared_ptr<Call>& call) {
  Outcome<EmbedRequest> request = parse_embeddings(call->body());
  if (!request) return call->answer(failure(request.error()));
  server::embed(call, *std::move(request), format_embeddings, failure);
}

void tags(const std::shared_ptr<Call>& call) {
  Reply reply;
  std::string& out = reply.body;
  out = "{\"models\":[";
  for (const ServedModel& served : call->service().models) {
    if (served.lane != 0) out += ',';
    const std::string name = json_quoted(served.name);
    out += "{\"name\":" + name + ",\"model\":" + name + ",\"modified_at\":\"" +
           rfc3339(served.opened) + "\",\"size\":" + std::to_string(served.bytes) +
           ",\"digest\":\"\",\"details\":{\"format\":\"onnx\",\"family\":\"embedding\"}}";
  }
  out += "]}";
  call->answer(std::move(reply));
}

void version(const std::shared_ptr<Call>& call) {
  call->answer({200, "{\"version\":\"" + std::string(kVersion) + "\"}"});
}

}  // namespace octavo::server::ollama
