// text-embeddings-inference's interface: its JSON to requests, vectors, tokens and failures to its
// JSON.

#include "server/dialects/tei.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "text/tiny_tokenizer.h"

namespace octavo::server {
namespace {

using nlohmann::json;
using Ids = std::vector<int64_t>;

EmbedAnswer answer_of(std::vector<std::vector<float>> vectors) {
  EmbedAnswer answer;
  answer.name = "m";
  answer.vectors = std::move(vectors);
  answer.width = 2;
  return answer;
}

TEST(TextEmbeddingsInference, ReadsTexts) {
  const auto got = tei::parse_embed(
      R"({"inputs": ["a", "b"], "normalize": false, "truncate": true, "truncation_direction": "Left",
          "prompt_name": "query", "dimensions": 3, "model": "m"})");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->inputs.size(), 2U);
  EXPECT_EQ(got->inputs_name, "inputs");
  EXPECT_EQ(got->normalize, false);
  EXPECT_EQ(got->truncate, true);
  EXPECT_EQ(got->cut, CutSide::start);
  EXPECT_EQ(got->prompt_name, "query");
  EXPECT_EQ(got->dimensions, 3U);
  EXPECT_EQ(got->model, "m");
  EXPECT_FALSE(got->token_rows);
  const auto plain = tei::parse_embed(R"({"inputs": "a", "truncation_direction": "right"})");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->cut, CutSide::end);
  EXPECT_EQ(plain->normalize, std::nullopt);
  EXPECT_EQ(plain->truncate, std::nullopt);
}

TEST(TextEmbeddingsInference, ReadsTokenIds) {
  const auto one = tei::parse_embed(R"({"inputs": [1, 2, 3]})");
  ASSERT_TRUE(one);
  ASSERT_EQ(one->inputs.size(), 1U);
  EXPECT_EQ(std::get<Ids>(one->inputs[0]), (Ids{1, 2, 3}));
  const auto two = tei::parse_embed(R"({"inputs": [[1], "a"]})");
  ASSERT_TRUE(two);
  EXPECT_EQ(std::get<Ids>(two->inputs.at(0)), Ids{1});
  EXPECT_EQ(std::get<std::string>(two->inputs.at(1)), "a");
}

TEST(TextEmbeddingsInference, RefusesWhatItDoesNotKnow) {
  for (const char* body : {R"({"input": "a"})", R"({"inputs": {"a": 1}})", R"([])",
                           R"({"inputs": "a", "truncation_direction": "Up"})",
                           R"({"inputs": "a", "normalise": true})"})
    EXPECT_FALSE(tei::parse_embed(body)) << body;
  EXPECT_FALSE(tei::parse_embed_all(R"({"inputs": "a", "normalize": true})"));
  EXPECT_TRUE(tei::parse_embed_all(R"({"inputs": "a"})")->token_rows);
}

TEST(TextEmbeddingsInference, ReadsSimilarity) {
  const auto got = tei::parse_similarity(
      R"({"inputs": {"source_sentence": "s", "sentences": ["a", "b"]},
          "parameters": {"truncate": true, "prompt_name": "p", "truncation_direction": "left"}})");
  ASSERT_TRUE(got);
  ASSERT_EQ(got->inputs.size(), 3U);
  EXPECT_EQ(std::get<std::string>(got->inputs[0]), "s");
  EXPECT_EQ(std::get<std::string>(got->inputs[2]), "b");
  EXPECT_EQ(got->truncate, true);
  EXPECT_EQ(got->cut, CutSide::start);
  EXPECT_TRUE(tei::parse_similarity(
      R"({"inputs": {"source_sentence": "s", "sentences": ["a"]}, "parameters": null})"));
  const auto none =
      tei::parse_similarity(R"({"inputs": {"source_sentence": "s", "sentences": []}})");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, Kind::empty);
  EXPECT_FALSE(tei::parse_similarity(R"({"inputs": ["a", "b"]})"));
  EXPECT_FALSE(tei::parse_similarity(R"({"inputs": {"source_sentence": "s"}})"));
  EXPECT_FALSE(tei::parse_similarity(
      R"({"inputs": {"source_sentence": "s", "sentences": ["a"]}, "parameters": {"x": 1}})"));
}

TEST(TextEmbeddingsInference, ReadsTokenizeAndDecode) {
  const auto tokens = tei::parse_tokenize(R"({"inputs": ["a", ""], "add_special_tokens": false})");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->texts, (std::vector<std::string>{"a", ""}));
  EXPECT_FALSE(tokens->special);
  EXPECT_TRUE(tei::parse_tokenize(R"({"inputs": "a"})")->special);
  EXPECT_FALSE(tei::parse_tokenize(R"({"inputs": [1]})"));
  EXPECT_FALSE(tei::parse_tokenize(R"({"inputs": "a\u0000"})"));
  const auto ids = tei::parse_decode(R"({"ids": [[1, 2], [3]], "skip_special_tokens": false})");
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->ids, (std::vector<Ids>{{1, 2}, {3}}));
  EXPECT_FALSE(ids->skip_special);
  EXPECT_EQ(tei::parse_decode(R"({"ids": [7]})")->ids, std::vector<Ids>{{7}});
  EXPECT_FALSE(tei::parse_decode(R"({"ids": ["a"]})"));
  EXPECT_FALSE(tei::parse_decode(R"({"ids": [-1]})"));
}

TEST(TextEmbeddingsInference, WritesVectors) {
  const EmbedAnswer answer = answer_of({{1, 2}, {0.5F, -1}});
  EXPECT_EQ(json::parse(tei::format_embed(answer).body), json::parse("[[1, 2], [0.5, -1]]"));
  const EmbedAnswer rows = answer_of({{1, 2, 3, 4}, {5, 6}});
  EXPECT_EQ(json::parse(tei::format_embed_all(rows).body),
            json::parse("[[[1, 2], [3, 4]], [[5, 6]]]"));
  const EmbedAnswer angles = answer_of({{2, 0}, {1, 0}, {0, 3}, {-4, 0}, {0, 0}});
  EXPECT_EQ(json::parse(tei::format_similarity(angles).body), json::parse("[1.0, 0.0, -1.0, 0.0]"));
}

TEST(TextEmbeddingsInference, WritesTokens) {
  const auto tokenizer = Tokenizer::parse(test::kWordLevel, "tokenizer.json");
  ASSERT_TRUE(tokenizer);
  const std::string text = "one  two[SEP]";
  const auto pieces = tokenizer->pieces(text);
  ASSERT_TRUE(pieces);
  std::string out;
  tei::append_tokens(out, text, *pieces, *tokenizer);
  EXPECT_EQ(json::parse(out), json::parse(R"([
    {"id": 1, "text": "[CLS]", "special": true, "start": null, "stop": null},
    {"id": 3, "text": "one", "special": false, "start": 0, "stop": 3},
    {"id": 4, "text": "two", "special": false, "start": 5, "stop": 8},
    {"id": 2, "text": "[SEP]", "special": false, "start": 8, "stop": 13},
    {"id": 2, "text": "[SEP]", "special": true, "start": null, "stop": null}])"));
}

TEST(TextEmbeddingsInference, FailuresHaveItsNumbersAndNames) {
  struct Case {
    Failure failure;
    unsigned status;
    const char* type;
  };
  for (const Case& c : {Case{{Kind::malformed, "not JSON"}, 400, "Validation"},
                        Case{{Kind::malformed, "no list", "inputs"}, 422, "Validation"},
                        Case{{Kind::empty, "no text", "inputs"}, 400, "Empty"},
                        Case{{Kind::invalid, "no such prompt"}, 422, "Validation"},
                        Case{{Kind::too_long, "long"}, 413, "Validation"},
                        Case{{Kind::too_many, "many"}, 413, "Validation"},
                        Case{{Kind::too_large, "large"}, 413, "Validation"},
                        Case{{Kind::internal, "broken"}, 424, "Backend"},
                        Case{{Kind::overloaded, "full"}, 429, "Overloaded"},
                        Case{{Kind::unavailable, "memory"}, 503, "Unhealthy"},
                        Case{{Kind::unauthorized, "key"}, 401, "Validation"},
                        Case{{Kind::not_found, "model", "model"}, 404, "Validation"}}) {
    const Reply reply = tei::failure(c.failure);
    EXPECT_EQ(reply.status, c.status) << c.failure.message;
    EXPECT_EQ(json::parse(reply.body),
              (json{{"error", c.failure.message}, {"error_type", c.type}}));
  }
}

}  // namespace
}  // namespace octavo::server
