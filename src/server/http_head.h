#pragma once
// What the head of a request must be before anything of it is believed. Two readers of one
// connection (a proxy and this server) that do not agree where a request ends let a third one put
// words into another's mouth, so whatever could be read in two ways is refused and the connection
// is closed.

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "server/failure.h"

namespace octavo::server {

using RequestHead = boost::beast::http::request_header<boost::beast::http::fields>;
using HeadParser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

// Parses what has come of a head and takes it out of the buffer; whether the head is whole. Without
// an error more has to come. Beast unfolds a field that goes on in a second line, which a proxy may
// read as a field of its own: it is an error here (bad_value).
bool take_head(HeadParser& parser, boost::beast::flat_buffer& buffer,
               boost::system::error_code& error);

// Malformed: two lengths, a length and chunks, a transfer coding other than chunked, no Host or
// two, a target that is no path; header_too_large: more than kMostFields.
inline constexpr size_t kMostFields = 100;
std::optional<Failure> check_head(const RequestHead& head);

// "/embed" of "/embed?x=1".
std::string path_of(const RequestHead& head);

// The key of "Authorization: Bearer <key>"; "" when there is none.
std::string_view bearer_of(const RequestHead& head);

}  // namespace octavo::server
