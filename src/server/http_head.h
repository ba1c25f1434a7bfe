#pragma once
// What the head of a request must be before anything of it is believed. Two readers of one
// connection (a proxy and this server) that do not agree where a request ends let a third one put
// words into another's mouth, so whatever could be read in two ways is refused and the connection
// is closed.

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "server/failure.h"

namespace octavo::server {

using RequestHead = boost::beast::http::request_header<boost::beast::http::fields>;

// Malformed: two lengths, a length and chunks, a transfer coding other than chunked, no Host or
// two, a target that is no path; header_too_large: more than kMostFields.
inline constexpr size_t kMostFields = 100;
std::optional<Failure> check_head(const RequestHead& head);

// "/embed" of "/embed?x=1".
std::string path_of(const RequestHead& head);

// The key of "Authorization: Bearer <key>"; "" when there is none.
std::string_view bearer_of(const RequestHead& head);

}  // namespace octavo::server
