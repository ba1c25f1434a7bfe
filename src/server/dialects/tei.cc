#include "server/dialects/tei.h"

#include "octavo/version.h"
#include "server/json_fields.h"
#include "server/json_output.h"
#include "tensor/compare.h"

namespace octavo::server::tei {

namespace {

constexpr size_t kMostDimensions = size_t{1} << 24;

std::string_view type_of(Kind kind) {
  switch (kind) {
    case Kind::empty:
      return "Empty";
    case Kind::overloaded:
      return "Overloaded";
    case Kind::unavailable:
      return "Unhealthy";
    case Kind::internal:
      return "Backend";
    default:
      return "Validation";
  }
}

// Its own numbers: JSON of another form and values that fit no model 422, what is too much 413, a
// model that failed 424. The rest as everywhere.
unsigned status_of(const Failure& failure) {
  switch (failure.kind) {
    case Kind::malformed:
      return failure.param.empty() ? 400 : 422;
    case Kind::invalid:
      return 422;
    case Kind::too_long:
      return 413;
    case Kind::internal:
      return 424;
    default:
      return Failure::status(failure.kind);
  }
}

// Options that /embed, /embed_all and /similarity share.
Outcome<Done> read_options(JsonFields& fields, EmbedRequest& request) {
  OCTAVO_TRY(request.truncate, fields.boolean("truncate"));
  OCTAVO_TRY(request.prompt_name, fields.string("prompt_name"));
  OCTAVO_TRY(const std::string direction, fields.string("truncation_direction"));
  if (direction == "Left" || direction == "left") {
    request.cut = CutSide::start;
  } else if (!direction.empty() && direction != "Right" && direction != "right") {
    return Failure{Kind::malformed, "truncation_direction is neither \"Left\" nor \"Right\"",
                   "truncation_direction"};
  }
  return Done{};
}

// What /embed and /embed_all share.
Outcome<EmbedRequest> read_inputs(JsonFields& fields) {
  EmbedRequest request;
  request.inputs_name = "inputs";
  OCTAVO_TRY(request.model, fields.string("model"));
  OCTAVO_TRY(request.inputs, fields.inputs("inputs"));
  OCTAVO_CHECK(read_options(fields, request));
  return request;
}

void run(const std::shared_ptr<Call>& call, Outcome<EmbedRequest> request,
         Reply (*format)(const EmbedAnswer&)) {
  if (!request) return call->answer(failure(request.error()));
  server::embed(call, *std::move(request), format, failure);
}

}  // namespace

Reply failure(const Failure& failure) {
  return {status_of(failure), "{\"error\":" + json_quoted(failure.message) +
                                  ",\"error_type\":" + json_quoted(type_of(failure.kind)) + "}"};
}

Outcome<EmbedRequest> parse_embed(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  OCTAVO_TRY(EmbedRequest request, read_inputs(fields));
  OCTAVO_TRY(request.normalize, fields.boolean("normalize"));
  OCTAVO_TRY(request.dimensions, fields.whole("dimensions", kMostDimensions));
  OCTAVO_CHECK(fields.finish());
  return request;
}

Outcome<EmbedRequest> parse_embed_all(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  OCTAVO_TRY(EmbedRequest request, read_inputs(fields));
  request.token_rows = true;
  OCTAVO_CHECK(fields.finish());
  return request;
}

Outcome<EmbedRequest> parse_similarity(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  EmbedRequest request;
  request.inputs_name = "inputs";
  OCTAVO_TRY(request.model, fields.string("model"));
  OCTAVO_TRY(JsonFields inputs, fields.object("inputs"));
  OCTAVO_TRY(std::string source, inputs.string("source_sentence"));
  OCTAVO_TRY(std::vector<std::string> sentences, inputs.strings("sentences"));
  OCTAVO_CHECK(inputs.finish());
  if (sentences.empty()) return Failure{Kind::empty, "inputs.sentences holds no text", "inputs"};
  request.inputs.emplace_back(std::move(source));
  for (std::string& sentence : sentences) request.inputs.emplace_back(std::move(sentence));
  OCTAVO_TRY(JsonFields options, fields.object("parameters"));
  OCTAVO_CHECK(read_options(options, request));
  OCTAVO_CHECK(options.finish());
  OCTAVO_CHECK(fields.finish());
  return request;
}

Reply format_embed(const EmbedAnswer& answer) {
  Reply reply;
  reply.body = "[";
  for (const std::vector<float>& vector : answer.vectors) {
    if (reply.body.size() > 1) reply.body += ',';
    append_floats(reply.body, vector);
  }
  reply.body += ']';
  return reply;
}

Reply format_embed_all(const EmbedAnswer& answer) {
  Reply reply;
  std::string& out = reply.body;
  out = "[";
  for (const std::vector<float>& rows : answer.vectors) {
    if (out.size() > 1) out += ',';
    out += '[';
    for (size_t at = 0; at < rows.size(); at += answer.width) {
      if (at != 0) out += ',';
      append_floats(out, std::span(rows).subspan(at, answer.width));
    }
    out += ']';
  }
  out += ']';
  return reply;
}

Reply format_similarity(const EmbedAnswer& answer) {
  std::vector<float> cosines;
  for (size_t i = 1; i < answer.vectors.size(); ++i)
    cosines.push_back(static_cast<float>(cosine(answer.vectors[0], answer.vectors[i])));
  Reply reply;
  append_floats(reply.body, cosines);
  return reply;
}

void embed(const std::shared_ptr<Call>& call) {
  run(call, parse_embed(call->body()), format_embed);
}

void embed_all(const std::shared_ptr<Call>& call) {
  run(call, parse_embed_all(call->body()), format_embed_all);
}

void similarity(const std::shared_ptr<Call>& call) {
  run(call, parse_similarity(call->body()), format_similarity);
}

}  // namespace octavo::server::tei
