// Input: what a client sends on a connection. The server's own reader, checks, routes and dialects
// take it request by request, once in one piece and once in pieces of a few bytes: both must come
// to the same. What is refused gets an answer in the form of its path, which is JSON and one line
// of the log; what is accepted could be read in one way only, and holds texts that are UTF-8.

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "server/access_log.h"
#include "server/dialects/ollama.h"
#include "server/dialects/openai.h"
#include "server/dialects/tei.h"
#include "server/http_head.h"
#include "server/json_output.h"
#include "server/routes.h"

namespace {

using namespace octavo::server;
namespace http = boost::beast::http;
using boost::system::error_code;

// More than any input: whether a head somewhat above the limit is refused depends on how much of it
// comes at once.
constexpr std::uint32_t kHeaderBytes = 1 << 20;
constexpr std::uint64_t kBodyBytes = 2048;

void demand(bool truth) {
  if (!truth) std::abort();
}

// A connection that has all of the input and gives at most `piece` bytes of it at once.
class Connection {
 public:
  Connection(std::string_view rest, size_t piece) : rest_(rest), piece_(piece) {}
  template <class Buffers>
  size_t read_some(const Buffers& buffers, error_code& error) {
    error = {};
    const size_t size = boost::asio::buffer_copy(
        buffers, boost::asio::buffer(rest_.data(), std::min(rest_.size(), piece_)));
    if (size == 0 && boost::asio::buffer_size(buffers) != 0) error = boost::asio::error::eof;
    rest_.remove_prefix(size);
    return size;
  }
  template <class Buffers>
  size_t read_some(const Buffers& buffers) {
    error_code error;
    return read_some(buffers, error);
  }

 private:
  std::string_view rest_;
  const size_t piece_;
};

std::string show(const Failure& failure, const Reply& reply) {
  demand(reply.status >= 400 && reply.status < 500);
  demand(!failure.message.empty() && nlohmann::json::parse(reply.body).contains("error"));
  return std::to_string(reply.status) + " " + reply.body + "\n";
}

template <class Ids>
std::string show_ids(const Ids& ids) {
  std::string out;
  for (const auto id : ids) {
    demand(id >= 0 && id <= 0x7fffffff);
    out += std::to_string(id) + " ";
  }
  return out + "\n";
}

std::string show(const EmbedRequest& request) {
  std::string out = json_quoted(request.model) + json_quoted(request.prompt_name) +
                    std::to_string(request.dimensions) + (request.token_rows ? "t" : "") +
                    (request.truncate.value_or(false) ? "c" : "") + "\n";
  for (const Input& input : request.inputs) {
    const auto* text = std::get_if<std::string>(&input);
    if (text == nullptr) {
      out += show_ids(std::get<std::vector<int64_t>>(input));
      continue;
    }
    // Nothing was put in place of a bad byte: it had none.
    demand(nlohmann::json::parse(json_quoted(*text)).get<std::string>() == *text);
    out += json_quoted(*text) + "\n";
  }
  return out;
}

std::string show(const openai::EmbeddingsRequest& request) {
  return show(request.embed) + (request.base64 ? "base64\n" : "");
}

std::string show(const tei::TokenizeRequest& request) {
  std::string out = json_quoted(request.model) + json_quoted(request.prompt_name);
  for (const std::string& text : request.texts) out += json_quoted(text) + "\n";
  return out;
}

std::string show(const tei::DecodeRequest& request) {
  std::string out = json_quoted(request.model);
  for (const auto& ids : request.ids) out += show_ids(ids);
  return out;
}

template <class T>
std::string show(const Outcome<T>& outcome, const Route& route) {
  if (outcome) return show(*outcome);
  return show(outcome.error(), route.fail(outcome.error()));
}

// What the route makes of a body; the paths without one take none.
std::string dispatched(const Route& route, std::string_view body) {
  if (route.path == "/v1/embeddings") return show(openai::parse_embeddings(body), route);
  if (route.path == "/api/embed") return show(ollama::parse_embed(body), route);
  if (route.path == "/api/embeddings") return show(ollama::parse_embeddings(body), route);
  if (route.path == "/embed_all") return show(tei::parse_embed_all(body), route);
  if (route.path == "/similarity") return show(tei::parse_similarity(body), route);
  if (route.path == "/tokenize") return show(tei::parse_tokenize(body), route);
  if (route.path == "/decode") return show(tei::parse_decode(body), route);
  if (route.method == "POST") return show(tei::parse_embed(body), route);
  return std::string(route.path) + "\n";
}

void check_log(const std::string& method, const std::string& path) {
  const CallFacts facts;
  AccessEntry entry;
  entry.method = method;
  entry.path = path;
  entry.facts = &facts;
  const std::string line = access_line(entry);
  demand(line.find('\n') == std::string::npos && nlohmann::json::parse(line).is_object());
}

// One way to read it: at most one length, in digits, and no chunks beside it.
void check_framing(const RequestHead& head) {
  demand(head.count(http::field::content_length) + head.count(http::field::transfer_encoding) <= 1);
  for (const char c : head[http::field::content_length]) demand(c >= '0' && c <= '9');
}

// All requests of a connection and what became of each, until it would be closed.
std::string story(std::string_view input, size_t piece) {
  Connection connection(input, piece);
  boost::beast::flat_buffer buffer(kHeaderBytes + 4096);
  std::string out;
  for (;;) {
    HeadParser parser;
    parser.header_limit(kHeaderBytes);
    parser.body_limit(boost::none);
    error_code error;
    while (!error && !take_head(parser, buffer, error)) {
      if (!error) buffer.commit(connection.read_some(buffer.prepare(512), error));
    }
    // Which error it is depends on what was there when the input ended.
    if (error) return out + "no header";
    const RequestHead& head = parser.get().base();
    const std::string path = path_of(head);
    const std::string method(head.method_string());
    check_log(method, path);
    if (const auto bad = check_head(head)) return out + show(*bad, failure_form(path)(*bad));
    check_framing(head);
    out += method + " " + path + " " + std::string(bearer_of(head)) + "\n";
    const bool keep = parser.get().keep_alive();
    http::request_parser<http::string_body> full(std::move(parser));
    full.body_limit(kBodyBytes);
    full.eager(true);
    while (!error && !full.is_done()) http::read_some(connection, buffer, full, error);
    if (error) return out + "no body";
    demand(full.get().body().size() <= kBodyBytes);
    if (const Outcome<const Route*> route = find_route(method, path)) {
      out += dispatched(**route, full.get().body());
    } else {
      out += show(route.error(), failure_form(path)(route.error()));
    }
    if (!keep) return out + "closed";
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = story(input, size + 1);
  const std::string pieces = story(input, 1 + size % 7);
  if (whole != pieces) {
    std::fprintf(stderr, "in one piece:\n%s\n\nin pieces:\n%s\n", whole.c_str(), pieces.c_str());
    std::abort();
  }
  return 0;
}
