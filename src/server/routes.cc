#include "server/routes.h"

#include <string>

#include "server/dialects/documents.h"
#include "server/dialects/ollama.h"
#include "server/dialects/openai.h"
#include "server/dialects/status.h"
#include "server/dialects/tei.h"

namespace octavo::server {

namespace {

constexpr bool kLight = true;
constexpr bool kOpen = true;

constexpr Route kRoutes[] = {
    {"POST", "/v1/embeddings", openai::embeddings, openai::failure},
    {"GET", "/v1/models", openai::models, openai::failure, kLight},
    {"POST", "/embed", tei::embed, tei::failure},
    {"POST", "/", tei::embed, tei::failure},  // where Hugging Face's InferenceClient sends
    {"GET", "/", documents::page, status::failure, kLight, kOpen},
    {"POST", "/embed_all", tei::embed_all, tei::failure},
    {"POST", "/similarity", tei::similarity, tei::failure},
    {"POST", "/tokenize", tei::tokenize, tei::failure},
    {"POST", "/decode", tei::decode, tei::failure},
    {"GET", "/info", tei::info, tei::failure, kLight},
    {"POST", "/api/embed", ollama::embed, ollama::failure},
    {"POST", "/api/embeddings", ollama::embeddings, ollama::failure},
    {"GET", "/api/tags", ollama::tags, ollama::failure, kLight},
    {"GET", "/api/version", ollama::version, ollama::failure, kLight},
    {"GET", "/health", status::health, status::failure, kLight, kOpen},
    {"GET", "/metrics", status::metrics, status::failure, kLight},
    {"GET", "/openapi.json", documents::openapi, status::failure, kLight, kOpen},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

Outcome<const Route*> find_route(std::string_view method, std::string_view path) {
  const std::string_view as = method == "HEAD" ? std::string_view("GET") : method;
  std::string allow;
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    if (route.method == as) return &route;
    allow += (allow.empty() ? "" : ", ") + std::string(route.method);
    if (route.method == "GET") allow += ", HEAD";
  }
  if (allow.empty()) {
    std::string known;
    for (const Route& route : kRoutes)
      if (const std::string one = " " + std::string(route.path); !known.ends_with(one))
        known += one;
    return Failure{Kind::not_found, "no such path; there are" + known};
  }
  return Failure{Kind::bad_method, "this path answers " + allow, {}, 0, allow};
}

Reply (*failure_form(std::string_view path))(const Failure&) {
  for (const Route& route : kRoutes)
    if (route.path == path) return route.fail;
  if (path.starts_with("/v1/")) return openai::failure;
  if (path.starts_with("/api/")) return ollama::failure;
  return status::failure;
}

}  // namespace octavo::server
