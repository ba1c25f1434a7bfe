#include "server/dialects/openai.h"

#include "server/json_fields.h"
#include "server/json_output.h"

namespace octavo::server::openai {

namespace {

constexpr size_t kMostDimensions = size_t{1} << 24;

std::string_view type_of(Kind kind) {
  switch (kind) {
    case Kind::overloaded:
      return "rate_limit_error";
    case Kind::unavailable:
    case Kind::internal:
      return "server_error";
    default:
      return "invalid_request_error";
  }
}

// What programs look at; "" for null.
std::string_view code_of(Kind kind) {
  switch (kind) {
    case Kind::too_long:
      return "context_length_exceeded";
    case Kind::unauthorized:
      return "invalid_api_key";
    case Kind::overloaded:
      return "rate_limit_exceeded";
    default:
      return "";
  }
}

}  // namespace

Reply failure(const Failure& failure) {
  const bool model = failure.kind == Kind::not_found && failure.param == "model";
  const std::string_view code = model ? "model_not_found" : code_of(failure.kind);
  Reply reply;
  reply.status = Failure::status(failure.kind);
  reply.body = "{\"error\":{\"message\":" + json_quoted(failure.message) +
               ",\"type\":" + json_quoted(type_of(failure.kind)) +
               ",\"param\":" + (failure.param.empty() ? "null" : json_quoted(failure.param)) +
               ",\"code\":" + (code.empty() ? "null" : json_quoted(code)) + "}}";
  return reply;
}

Outcome<EmbeddingsRequest> parse_embeddings(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  EmbeddingsRequest request;
  OCTAVO_TRY(request.embed.model, fields.string("model"));
  OCTAVO_TRY(request.embed.inputs, fields.inputs("input"));
  OCTAVO_TRY(request.embed.dimensions, fields.whole("dimensions", kMostDimensions));
  OCTAVO_TRY(request.embed.prompt_name, fields.string("prompt_name"));
  OCTAVO_TRY(request.embed.truncate, fields.boolean("truncate"));
  OCTAVO_TRY(const std::string type, fields.string("input_type"));
  if (!type.empty()) {
    request.embed.input_type = input_type_of(type);
    if (!request.embed.input_type)
      return Failure{Kind::malformed, "input_type is neither \"query\" nor \"document\"",
                     "input_type"};
  }
  OCTAVO_TRY(const std::string encoding, fields.string("encoding_format"));
  if (!encoding.empty() && encoding != "float" && encoding != "base64")
    return Failure{Kind::malformed, "encoding_format is neither \"float\" nor \"base64\"",
                   "encoding_format"};
  request.base64 = encoding == "base64";
  fields.ignore({"user"});
  OCTAVO_CHECK(fields.finish());
  return request;
}

Reply format_embeddings(const EmbedAnswer& answer, bool base64) {
  Reply reply;
  std::string& out = reply.body;
  out = "{\"object\":\"list\",\"data\":[";
  for (size_t i = 0; i < answer.vectors.size(); ++i) {
    if (i != 0) out += ',';
    out += "{\"object\":\"embedding\",\"index\":" + std::to_string(i) + ",\"embedding\":";
    if (base64) {
      append_base64(out, answer.vectors[i]);
    } else {
      append_floats(out, answer.vectors[i]);
    }
    out += '}';
  }
  const std::string tokens = std::to_string(answer.tokens);
  out += "],\"model\":" + json_quoted(answer.name) + ",\"usage\":{\"prompt_tokens\":" + tokens +
         ",\"total_tokens\":" + tokens + "}";
  if (!answer.truncated.empty()) append_truncated(out, answer);
  out += '}';
  return reply;
}

void embeddings(const std::shared_ptr<Call>& call) {
  Outcome<EmbeddingsRequest> request = parse_embeddings(call->body());
  if (!request) return call->answer(failure(request.error()));
  const bool base64 = request->base64;
  embed(
      call, std::move(request->embed),
      [base64](const EmbedAnswer& answer) { return format_embeddings(answer, base64); }, failure);
}

void models(const std::shared_ptr<Call>& call) {
  Reply reply;
  std::string& out = reply.body;
  out = "{\"object\":\"list\",\"data\":[";
  for (const ServedModel& served : call->service().models) {
    if (served.lane != 0) out += ',';
    out += "{\"id\":" + json_quoted(served.name) +
           ",\"object\":\"model\",\"created\":" + std::to_string(served.opened) +
           ",\"owned_by\":\"octavo\"}";
  }
  out += "]}";
  call->answer(std::move(reply));
}

}  // namespace octavo::server::openai
