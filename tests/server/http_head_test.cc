// Requests that two readers could read in two ways, keys, and the lines of the log.

#include "server/http_head.h"

#include <gtest/gtest.h>

#include <boost/beast/http/error.hpp>
#include <nlohmann/json.hpp>

#include "server/access_log.h"
#include "server/api_keys.h"

namespace octavo::server {
namespace {

namespace http = boost::beast::http;

// The failure of a head, or the parser's own.
std::optional<Failure> checked(const std::string& text) {
  HeadParser parser;
  parser.body_limit(boost::none);
  boost::beast::flat_buffer buffer;
  buffer.commit(boost::asio::buffer_copy(buffer.prepare(text.size()), boost::asio::buffer(text)));
  boost::system::error_code error;
  take_head(parser, buffer, error);
  if (error) return Failure{Kind::malformed, error.message()};
  EXPECT_TRUE(parser.is_header_done());
  return check_head(parser.get().base());
}

std::string post(const std::string& fields) {
  return "POST /embed HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

TEST(HttpHead, AcceptsWhatCanBeReadInOneWay) {
  for (const std::string& text :
       {post("Content-Length: 0\r\n"), post("Transfer-Encoding: chunked\r\n"),
        post("Transfer-Encoding: Chunked\r\n"), post("content-length: 12\r\n"),
        std::string("GET / HTTP/1.0\r\n\r\n"), std::string("GET /a?b HTTP/1.1\r\nHost: \r\n\r\n")})
    EXPECT_EQ(checked(text).has_value(), false) << text;
}

TEST(HttpHead, RefusesWhatCanBeReadInTwo) {
  for (const std::string& text :
       {post("Content-Length: 1\r\nContent-Length: 1\r\n"),
        post("Content-Length: 1\r\nContent-Length: 2\r\n"),
        post("Content-Length: 1, 1\r\n"),
        post("Content-Length: +1\r\n"),
        post("Content-Length: -1\r\n"),
        post("Content-Length: 0x1\r\n"),
        post("Content-Length:\r\n"),
        post("Content-Length: 99999999999999999999999\r\n"),
        post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        post("Transfer-Encoding: gzip, chunked\r\n"),
        post("Transfer-Encoding: xchunked\r\n"),
        post("Transfer-Encoding: identity\r\n"),
        post("Transfer-Encoding : chunked\r\n"),
        post("Host: b\r\n"),
        std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        std::string("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string("GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        post("Transfer-Encoding:\r\n chunked\r\n"),
        post("X: a\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 1\r\n"),
        std::string("GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        std::string("GET / HTTP/1.1\nHost: a\n\n")}) {
    const auto failure = checked(text);
    ASSERT_TRUE(failure.has_value()) << text;
    EXPECT_EQ(failure->kind, Kind::malformed) << text;
  }
}

TEST(HttpHead, ComesInAnyPieces) {
  const std::string text = post("Content-Length: 3\r\n");
  const std::string folded = post("X: a\r\n b\r\n");
  for (size_t piece = 1; piece <= text.size(); ++piece)
    for (const std::string& whole : {text, folded}) {
      HeadParser parser;
      boost::beast::flat_buffer buffer;
      boost::system::error_code error;
      bool done = false;
      for (size_t at = 0; at < whole.size() && !done && !error; at += piece) {
        const std::string part = whole.substr(at, piece);
        buffer.commit(
            boost::asio::buffer_copy(buffer.prepare(part.size()), boost::asio::buffer(part)));
        done = take_head(parser, buffer, error);
      }
      EXPECT_EQ(done, whole == text) << piece;
      EXPECT_EQ(error == http::error::bad_value, whole == folded) << piece;
    }
}

TEST(HttpHead, RefusesTooManyFields) {
  std::string fields;
  for (size_t i = 0; i < kMostFields; ++i) fields += "X-" + std::to_string(i) + ": 1\r\n";
  const auto failure = checked(post(fields));
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, Kind::header_too_large);
}

TEST(HttpHead, PathAndKey) {
  RequestHead head;
  head.target("/embed?key=1");
  EXPECT_EQ(path_of(head), "/embed");
  EXPECT_EQ(bearer_of(head), "");
  for (const char* value : {"Bearer k1", "bearer k1", "BEARER k1"}) {
    head.set(http::field::authorization, value);
    EXPECT_EQ(bearer_of(head), "k1");
  }
  for (const char* value : {"Basic k1", "Bearer", "Bearer ", "k1", ""}) {
    head.set(http::field::authorization, value);
    EXPECT_EQ(bearer_of(head), "");
  }
}

TEST(ApiKeys, OnlyTheWholeKeyOpens) {
  EXPECT_TRUE(ApiKeys({}).accepts(""));
  const ApiKeys keys({"first-key", "second"});
  EXPECT_TRUE(keys.accepts("first-key") && keys.accepts("second"));
  for (const char* wrong : {"", "first-ke", "first-key1", "First-key", "secondsecond", "first-kez"})
    EXPECT_FALSE(keys.accepts(wrong)) << wrong;
  EXPECT_FALSE(same_secret("", ""));
}

TEST(AccessLog, IsOneLineOfJsonWhateverTheClientSent) {
  AccessEntry entry;
  CallFacts facts;
  facts.texts = 2;
  facts.model = "m\"";
  entry.client = "::1";
  entry.method = "GE\nT";
  const std::string path = "/\"\xff\x01\n" + std::string(1000, 'x');
  entry.path = path;
  entry.status = 400;
  entry.seconds = 0.0125;
  entry.facts = &facts;
  const std::string line = access_line(entry);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["status"], 400);
  EXPECT_EQ(parsed["ms"], 12.5);
  EXPECT_EQ(parsed["model"], "m\"");
  EXPECT_LT(parsed["path"].get<std::string>().size(), 210U);
  EXPECT_EQ(parsed["time"].get<std::string>().size(), 24U);
}

}  // namespace
}  // namespace octavo::server
