#pragma once
// OpenAI: POST /v1/embeddings, GET /v1/models.

#include <memory>

#include "server/call.h"
#include "server/embed_request.h"

namespace octavo::server::openai {

struct EmbeddingsRequest {
  EmbedRequest embed;
  bool base64 = false;
};

Outcome<EmbeddingsRequest> parse_embeddings(std::string_view body);
Reply format_embeddings(const EmbedAnswer& answer, bool base64);
Reply failure(const Failure& failure);

void embeddings(const std::shared_ptr<Call>& call);
void models(const std::shared_ptr<Call>& call);

}  // namespace octavo::server::openai
