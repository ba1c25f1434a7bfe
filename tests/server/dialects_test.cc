// Each interface: its JSON to a request, vectors and failures to its JSON.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "server/dialects/ollama.h"
#include "server/dialects/openai.h"
#include "server/routes.h"

namespace octavo::server {
namespace {

using nlohmann::json;

EmbedAnswer answer() {
  EmbedAnswer made;
  made.name = "m";
  made.vectors = {{1, 2}, {0.5F, -1}};
  made.width = 2;
  made.tokens = 9;
  return made;
}

TEST(OpenAi, ReadsARequest) {
  const auto got = openai::parse_embeddings(
      R"({"input": ["a", "b"], "model": "m", "dimensions": 3, "encoding_format": "base64",
          "user": "u", "truncate": true, "input_type": "search_query"})");
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->base64);
  EXPECT_EQ(got->embed.model, "m");
  EXPECT_EQ(got->embed.inputs.size(), 2U);
  EXPECT_EQ(got->embed.dimensions, 3U);
  EXPECT_EQ(got->embed.truncate, true);
  EXPECT_EQ(got->embed.input_type, InputType::query);
  EXPECT_FALSE(openai::parse_embeddings(R"({"input": "a", "encoding_format": "int8"})"));
  EXPECT_FALSE(openai::parse_embeddings(R"({"input": "a", "input_type": "classification"})"));
  EXPECT_FALSE(openai::parse_embeddings(R"({"input": "a", "inputs": "a"})"));
  EXPECT_FALSE(openai::parse_embeddings(R"({"model": "m"})"));
}

TEST(OpenAi, WritesAnAnswer) {
  EmbedAnswer made = answer();
  made.truncated.push_back({1, 900, 512});
  EXPECT_EQ(json::parse(openai::format_embeddings(made, false).body), json::parse(R"({
    "object": "list", "model": "m", "usage": {"prompt_tokens": 9, "total_tokens": 9},
    "data": [{"object": "embedding", "index": 0, "embedding": [1, 2]},
             {"object": "embedding", "index": 1, "embedding": [0.5, -1]}],
    "truncated": [{"index": 1, "tokens": 900, "used": 512}]})"));
  EXPECT_EQ(json::parse(openai::format_embeddings(answer(), true).body)["data"][0]["embedding"],
            "AACAPwAAAEA=");
}

TEST(OpenAi, WritesAFailure) {
  const Reply reply = openai::failure({Kind::too_long, "long \"text\"", "input"});
  EXPECT_EQ(reply.status, 400U);
  EXPECT_EQ(json::parse(reply.body), json::parse(R"({"error": {
    "message": "long \"text\"", "type": "invalid_request_error", "param": "input",
    "code": "context_length_exceeded"}})"));
  EXPECT_EQ(json::parse(openai::failure({Kind::internal, "x"}).body)["error"]["type"],
            "server_error");
  EXPECT_EQ(json::parse(openai::failure({Kind::not_found, "x", "model"}).body)["error"]["code"],
            "model_not_found");
}

TEST(Ollama, ReadsRequests) {
  const auto got = ollama::parse_embed(
      R"({"model": "m:latest", "input": "a", "truncate": false, "dimensions": 2,
          "keep_alive": "5m", "options": {"num_ctx": 3}})");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->model, "m");
  EXPECT_EQ(got->truncate, false);
  EXPECT_EQ(got->dimensions, 2U);
  const auto older = ollama::parse_embeddings(R"({"model": "m", "prompt": "a b"})");
  ASSERT_TRUE(older);
  EXPECT_EQ(std::get<std::string>(older->inputs.at(0)), "a b");
  EXPECT_FALSE(ollama::parse_embed(R"({"model": "m", "prompt": "a"})"));
  EXPECT_FALSE(ollama::parse_embeddings(R"({"model": "m", "input": "a"})"));
}

TEST(Ollama, WritesAnswersAndFailures) {
  EXPECT_EQ(json::parse(ollama::format_embed(answer(), 0.5).body), json::parse(R"({
    "model": "m", "embeddings": [[1, 2], [0.5, -1]], "total_duration": 500000000,
    "load_duration": 0, "prompt_eval_count": 9})"));
  EXPECT_EQ(json::parse(ollama::format_embeddings(answer()).body),
            json::parse(R"({"embedding": [1, 2]})"));
  const Reply reply = ollama::failure({Kind::overloaded, "full"});
  EXPECT_EQ(reply.status, 429U);
  EXPECT_EQ(json::parse(reply.body), json::parse(R"({"error": "full"})"));
}

TEST(Routes, AreFoundByMethodAndPath) {
  EXPECT_EQ((*find_route("POST", "/v1/embeddings"))->path, "/v1/embeddings");
  EXPECT_EQ((*find_route("HEAD", "/health"))->path, "/health");
  const auto wrong = find_route("PUT", "/v1/embeddings");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, Kind::bad_method);
  EXPECT_EQ(wrong.error().allow, "POST");
  EXPECT_EQ(find_route("GET", "/v1/embeddings/").error().kind, Kind::not_found);
  EXPECT_EQ(find_route("DELETE", "/health").error().allow, "GET, HEAD");
  EXPECT_EQ((*find_route("POST", "/"))->path, "/");
}

TEST(Routes, FailuresHaveTheFormOfTheirPath) {
  const Failure failure{Kind::not_found, "x"};
  EXPECT_TRUE(json::parse(failure_form("/v1/x")(failure).body)["error"].is_object());
  EXPECT_TRUE(json::parse(failure_form("/api/x")(failure).body)["error"].is_string());
  EXPECT_TRUE(json::parse(failure_form("/embed")(failure).body).contains("error_type"));
  EXPECT_FALSE(json::parse(failure_form("/embedx")(failure).body).contains("error_type"));
}

}  // namespace
}  // namespace octavo::server
