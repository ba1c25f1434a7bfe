// The part of text-embeddings-inference's interface that needs no model: /tokenize and /decode.

#include "server/dialects/tei.h"
#include "server/json_fields.h"
#include "server/json_output.h"

namespace octavo::server::tei {

namespace {

// Of all texts of a request: an answer takes up to a hundred bytes for one of a text.
constexpr size_t kMostTextBytes = size_t{4} << 20;
// Of all lists of a request.
constexpr size_t kMostIds = size_t{1} << 20;

Outcome<const ServedModel*> model_for(Call& call, const std::string& name, size_t inputs,
                                      const char* field) {
  const size_t most = call.service().limits.texts;
  if (inputs == 0) return Failure{Kind::empty, std::string(field) + " holds nothing", field};
  if (inputs > most)
    return Failure{Kind::too_many,
                   std::to_string(inputs) + " in one request; the limit is " + std::to_string(most),
                   field};
  OCTAVO_TRY(const ServedModel* served, call.service().model(name));
  call.facts.model = served->name;
  call.facts.texts = inputs;
  return served;
}

Outcome<Reply> tokenized(Call& call) {
  OCTAVO_TRY(const TokenizeRequest request, parse_tokenize(call.body()));
  OCTAVO_TRY(const ServedModel* served,
             model_for(call, request.model, request.texts.size(), "inputs"));
  Result<std::string> prompt = served->model.prompt(request.prompt_name);
  if (!prompt) return Failure{Kind::invalid, std::move(prompt).error().message, "prompt_name"};
  size_t bytes = 0;
  for (const std::string& text : request.texts) bytes += text.size() + prompt->size();
  if (bytes > kMostTextBytes)
    return Failure{Kind::too_large,
                   std::to_string(bytes) + " bytes of text; " + std::to_string(kMostTextBytes) +
                       " can be shown as tokens at once",
                   "inputs"};
  const Tokenizer& tokenizer = served->model.tokenizer();
  Reply reply;
  reply.body = "[";
  for (const std::string& text : request.texts) {
    const std::string whole = *prompt + text;
    OCTAVO_TRY(const std::vector<TokenPiece> pieces, tokenizer.pieces(whole, request.special));
    if (reply.body.size() > 1) reply.body += ',';
    append_tokens(reply.body, whole, pieces, tokenizer);
    call.facts.tokens += pieces.size();
  }
  reply.body += ']';
  OCTAVO_TRY(reply.room, call.service().room_for_answer(reply.body.size()));
  return reply;
}

Outcome<Reply> decoded(Call& call) {
  OCTAVO_TRY(const DecodeRequest request, parse_decode(call.body()));
  OCTAVO_TRY(const ServedModel* served, model_for(call, request.model, request.ids.size(), "ids"));
  const Tokenizer& tokenizer = served->model.tokenizer();
  for (const std::vector<int64_t>& ids : request.ids) call.facts.tokens += ids.size();
  if (call.facts.tokens > kMostIds)
    return Failure{
        Kind::too_large,
        std::to_string(call.facts.tokens) + " token ids; the limit is " + std::to_string(kMostIds),
        "ids"};
  Reply reply;
  reply.body = "[";
  for (const std::vector<int64_t>& ids : request.ids) {
    for (const int64_t id : ids)
      if (tokenizer.token(id).empty())
        return Failure{Kind::invalid,
                       "no token of " + served->name + " has the id " + std::to_string(id), "ids"};
    OCTAVO_TRY(const std::string text, tokenizer.decode(ids, request.skip_special));
    if (reply.body.size() > 1) reply.body += ',';
    append_string(reply.body, text);
  }
  reply.body += ']';
  OCTAVO_TRY(reply.room, call.service().room_for_answer(reply.body.size()));
  return reply;
}

}  // namespace

Outcome<TokenizeRequest> parse_tokenize(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  TokenizeRequest request;
  OCTAVO_TRY(request.model, fields.string("model"));
  OCTAVO_TRY(std::vector<Input> inputs, fields.inputs("inputs"));
  for (Input& input : inputs) {
    auto* text = std::get_if<std::string>(&input);
    if (text == nullptr)
      return Failure{Kind::malformed, "inputs are texts here; /decode takes token ids", "inputs"};
    if (text->find('\0') != std::string::npos)
      return Failure{Kind::malformed, "a text contains the character U+0000", "inputs"};
    request.texts.push_back(std::move(*text));
  }
  OCTAVO_TRY(request.prompt_name, fields.string("prompt_name"));
  OCTAVO_TRY(const std::optional<bool> special, fields.boolean("add_special_tokens"));
  request.special = special.value_or(true);
  OCTAVO_CHECK(fields.finish());
  return request;
}

Outcome<DecodeRequest> parse_decode(std::string_view body) {
  OCTAVO_TRY(JsonFields fields, JsonFields::parse(body));
  DecodeRequest request;
  OCTAVO_TRY(request.model, fields.string("model"));
  OCTAVO_TRY(request.ids, fields.id_lists("ids"));
  OCTAVO_TRY(const std::optional<bool> skip, fields.boolean("skip_special_tokens"));
  request.skip_special = skip.value_or(true);
  OCTAVO_CHECK(fields.finish());
  return request;
}

void append_tokens(std::string& out, std::string_view text, std::span<const TokenPiece> pieces,
                   const Tokenizer& tokenizer) {
  out += '[';
  for (size_t i = 0; i < pieces.size(); ++i) {
    const TokenPiece& piece = pieces[i];
    // A special token stands for no part of the text.
    const bool part = !piece.special && piece.start <= piece.stop && piece.stop <= text.size();
    out += (i == 0 ? "{\"id\":" : ",{\"id\":") + std::to_string(piece.id) + ",\"text\":";
    append_string(out, part ? text.substr(piece.start, piece.stop - piece.start)
                            : std::string_view(tokenizer.token(piece.id)));
    out += piece.special ? ",\"special\":true" : ",\"special\":false";
    out += ",\"start\":" + (part ? std::to_string(piece.start) : "null") +
           ",\"stop\":" + (part ? std::to_string(piece.stop) : "null") + "}";
  }
  out += ']';
}

void tokenize(const std::shared_ptr<Call>& call) {
  Outcome<Reply> reply = tokenized(*call);
  call->answer(reply ? *std::move(reply) : with_fields(failure(reply.error()), reply.error()));
}

void decode(const std::shared_ptr<Call>& call) {
  Outcome<Reply> reply = decoded(*call);
  call->answer(reply ? *std::move(reply) : with_fields(failure(reply.error()), reply.error()));
}

}  // namespace octavo::server::tei
