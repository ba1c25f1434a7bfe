#pragma once
// Ollama: POST /api/embed, POST /api/embeddings, GET /api/tags, GET /api/version. Unlike Ollama's
// own, a text that is too long is an error unless the request says "truncate": true.

#include <memory>

#include "server/call.h"
#include "server/embed_request.h"

namespace octavo::server::ollama {

Outcome<EmbedRequest> parse_embed(std::string_view body);
// The older form: one text in "prompt".
Outcome<EmbedRequest> parse_embeddings(std::string_view body);
Reply format_embed(const EmbedAnswer& answer, double seconds);
Reply format_embeddings(const EmbedAnswer& answer);
Reply failure(const Failure& failure);

void embed(const std::shared_ptr<Call>& call);
void embeddings(const std::shared_ptr<Call>& call);
void tags(const std::shared_ptr<Call>& call);
void version(const std::shared_ptr<Call>& call);

}  // namespace octavo::server::ollama
