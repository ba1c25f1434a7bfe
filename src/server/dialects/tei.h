#pragma once
// text-embeddings-inference: POST /embed, /embed_all, /similarity, /tokenize, /decode, GET /info.
// Its own requests name no model, and the first one answers; "model" is ours. Unlike its own, a
// vector has the length that the model says unless "normalize" is given.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/call.h"
#include "server/embed_request.h"

namespace octavo::server::tei {

struct TokenizeRequest {
  std::string model;
  std::vector<std::string> texts;
  std::string prompt_name;  // "": the model's default
  bool special = true;      // add the special tokens
};

struct DecodeRequest {
  std::string model;
  std::vector<std::vector<int64_t>> ids;
  bool skip_special = true;
};

Outcome<EmbedRequest> parse_embed(std::string_view body);
Outcome<EmbedRequest> parse_embed_all(std::string_view body);
// The source sentence first, then the others.
Outcome<EmbedRequest> parse_similarity(std::string_view body);
Outcome<TokenizeRequest> parse_tokenize(std::string_view body);
Outcome<DecodeRequest> parse_decode(std::string_view body);

Reply format_embed(const EmbedAnswer& answer);
Reply format_embed_all(const EmbedAnswer& answer);
// The cosine of the first vector with each other one.
Reply format_similarity(const EmbedAnswer& answer);
// Appends the tokens of one text, in which their bytes are counted.
void append_tokens(std::string& out, std::string_view text, std::span<const TokenPiece> pieces,
                   const Tokenizer& tokenizer);
Reply failure(const Failure& failure);

void embed(const std::shared_ptr<Call>& call);
void embed_all(const std::shared_ptr<Call>& call);
void similarity(const std::shared_ptr<Call>& call);
void tokenize(const std::shared_ptr<Call>& call);
void decode(const std::shared_ptr<Call>& call);
void info(const std::shared_ptr<Call>& call);

}  // namespace octavo::server::tei
