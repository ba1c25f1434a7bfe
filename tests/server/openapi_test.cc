// The OpenAPI document and the table of routes are about the same server.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "octavo/version.h"
#include "server/documents.h"
#include "server/routes.h"

namespace octavo::server {
namespace {

using nlohmann::json;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return std::tolower(c); });
  return out;
}

void collect_references(const json& value, std::set<std::string>& found) {
  if (value.is_object() && value.contains("$ref")) found.insert(value["$ref"].get<std::string>());
  if (value.is_structured())
    for (const json& each : value) collect_references(each, found);
}

TEST(OpenApi, HasEveryRouteAndNoOther) {
  const json document = json::parse(kOpenApi);
  std::set<std::string> described;
  for (const auto& [path, methods] : document["paths"].items())
    for (const auto& [method, operation] : methods.items()) described.insert(method + " " + path);
  std::set<std::string> answered;
  for (const Route& route : routes())
    answered.insert(lower(route.method) + " " + std::string(route.path));
  EXPECT_EQ(described, answered);
}

TEST(OpenApi, SaysWhichPathsNeedNoKey) {
  const json document = json::parse(kOpenApi);
  for (const Route& route : routes()) {
    const json& operation = document["paths"][std::string(route.path)][lower(route.method)];
    EXPECT_EQ(operation.contains("security"), route.open) << route.path;
    EXPECT_EQ(operation["responses"].contains("401"), !route.open) << route.path;
  }
}

TEST(OpenApi, IsOfThisVersion) {
  const json document = json::parse(kOpenApi);
  EXPECT_TRUE(document["openapi"].get<std::string>().starts_with("3.1."));
  EXPECT_EQ(document["info"]["version"], kVersion);
}

TEST(OpenApi, ReferencesLeadSomewhereAndNothingIsUnused) {
  const json document = json::parse(kOpenApi);
  std::set<std::string> used;
  collect_references(document, used);
  std::set<std::string> there;
  for (const char* kind : {"schemas", "responses", "headers"})
    for (const auto& [name, value] : document["components"][kind].items())
      there.insert("#/components/" + std::string(kind) + "/" + name);
  EXPECT_EQ(used, there);
}

}  // namespace
}  // namespace octavo::server
