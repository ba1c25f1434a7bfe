#include "server/http_head.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <iterator>

namespace octavo::server {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Whether a line begins with a space or a tab.
bool is_folded(std::string_view lines) {
  return lines.find("\r\n ") != std::string_view::npos ||
         lines.find("\r\n\t") != std::string_view::npos;
}

}  // namespace

bool take_head(HeadParser& parser, beast::flat_buffer& buffer, boost::system::error_code& error) {
  error = {};
  // It takes the first line and all the fields, each when they are whole.
  while (!error && !parser.is_header_done()) {
    if (buffer.size() == 0) return false;
    const auto bytes = buffer.cdata();
    const size_t taken = parser.put(bytes, error);
    const bool folded = is_folded({static_cast<const char*>(bytes.data()), taken});
    buffer.consume(taken);
    if (folded && (!error || error == http::error::need_more)) error = http::error::bad_value;
  }
  if (error == http::error::need_more) {
    error = {};
    return false;
  }
  return !error;
}

std::optional<Failure> check_head(const RequestHead& head) {
  const auto malformed = [](const char* why) { return Failure{Kind::malformed, why}; };
  if (static_cast<size_t>(std::distance(head.begin(), head.end())) > kMostFields)
    return Failure{Kind::header_too_large,
                   "more than " + std::to_string(kMostFields) + " header fields"};
  if (head.version() != 10 && head.version() != 11)
    return malformed("the protocol is neither HTTP/1.0 nor HTTP/1.1");
  const size_t lengths = head.count(http::field::content_length);
  const size_t codings = head.count(http::field::transfer_encoding);
  if (lengths > 1) return malformed("two Content-Length fields");
  if (lengths == 1 && codings != 0) return malformed("both Content-Length and Transfer-Encoding");
  if (lengths == 1 && !all_digits(view(head[http::field::content_length])))
    return malformed("Content-Length is no number");
  if (codings > 1 ||
      (codings == 1 && !beast::iequals(head[http::field::transfer_encoding], "chunked")))
    return malformed("a Transfer-Encoding other than chunked");
  if (codings == 1 && head.version() == 10) return malformed("Transfer-Encoding in HTTP/1.0");
  const size_t hosts = head.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && head.version() == 11)) return malformed("not one Host field");
  if (head.target().empty() || head.target().front() != '/')
    return malformed("the request's target is no path");
  return std::nullopt;
}

std::string path_of(const RequestHead& head) {
  const std::string_view target = view(head.target());
  return std::string(target.substr(0, target.find_first_of("?#")));
}

std::string_view bearer_of(const RequestHead& head) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view value = view(head[http::field::authorization]);
  if (value.size() <= kScheme.size() ||
      !beast::iequals({value.data(), kScheme.size()}, {kScheme.data(), kScheme.size()}))
    return {};
  return value.substr(kScheme.size());
}

}  // namespace octavo::server
