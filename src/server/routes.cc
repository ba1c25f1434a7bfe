#include "server/routes.h"

#include <string>

#include "server/dialects/ollama.h"
#include "server/dialects/openai.h"
#include "server/dialects/status.h"

namespace octavo::server {

namespace {

constexpr bool kLight = true;
constexpr bool kOpen = true;

constexpr Route kRoutes[] = {
    {"POST", "/v1/embeddings", openai::embeddings, openai::failure},
    {"GET", "/v1/models", openai::models, openai::failure, kLight},
    {"POST", "/api/embed", ollama::embed, ollama::failure},
    {"POST", "/api/embeddings", ollama::embeddings, ollama::failure},
    {"GET", "/api/tags", ollama::tags, ollama::failure, kLight},
    {"GET", "/api/version", ollama::version, ollama::failure, kLight},
    {"GET", "/health", status::health, status::failure, kLight, kOpen},
    {"GET", "/metrics", status::metrics, status::failure, kLight},
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
    for (const Route& route : kRoutes) known += " " + std::string(route.path);
    return Failure{Kind::not_found, "no such path; there are" + known};
  }
  return Failure{Kind::bad_method, "this path answers " + allow, {}, 0, allow};
}

Reply (*failure_form(std::string_view path))(const Failure&) {
  if (path.starts_with("/v1/")) return openai::failure;
  if (path.starts_with("/api/")) return ollama::failure;
  return status::failure;
}

}  // namespace octavo::server
