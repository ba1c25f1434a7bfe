#pragma once
// Why a request is not answered, before a dialect turns it into its own status and form.

#include <string>
#include <utility>
#include <variant>

#include "base/result.h"

namespace octavo::server {

enum class Kind : unsigned char {
  malformed,     // not HTTP, not JSON, or not the JSON that was expected
  empty,         // no text, or one without a character
  invalid,       // well-formed, but a value that the model cannot take
  too_long,      // a text longer than the model's limit
  too_many,      // texts of a request
  unauthorized,  // no key, or a wrong one
  not_found,     // a path or a model
  bad_method,    // the path has other methods
  too_large,     // the body, or the answer it asks for
  header_too_large,
  overloaded,   // limits of what runs at once
  unavailable,  // memory ended, or the server is stopping
  internal      // the model gave no finite number; or our mistake
};

struct Failure {
  Kind kind = Kind::internal;
  std::string message;
  std::string param = {};    // the field that is wrong; "" when it is none
  unsigned retry_after = 0;  // seconds; 0: not said
  std::string allow = {};    // bad_method: the methods there are

  // In the common form; a dialect may use another status for some.
  static unsigned status(Kind kind);
  // An error of the library about what a client sent.
  static Failure of(Error error) {
    Kind kind = Kind::invalid;
    if (error.code == Code::out_of_memory) kind = Kind::unavailable;
    if (error.code == Code::internal || error.code == Code::io) kind = Kind::internal;
    return {kind, std::move(error.message)};
  }
};

inline unsigned Failure::status(Kind kind) {
  switch (kind) {
    case Kind::malformed:
    case Kind::empty:
    case Kind::invalid:
    case Kind::too_long:
      return 400;
    case Kind::unauthorized:
      return 401;
    case Kind::not_found:
      return 404;
    case Kind::bad_method:
      return 405;
    case Kind::too_many:
    case Kind::too_large:
      return 413;
    case Kind::overloaded:
      return 429;
    case Kind::header_too_large:
      return 431;
    case Kind::unavailable:
      return 503;
    case Kind::internal:
      break;
  }
  return 500;
}

// A value, or why there is none; OCTAVO_TRY and OCTAVO_CHECK pass both kinds of errors upward.
template <class T>
class [[nodiscard]] Outcome {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): return what you have
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Outcome(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Outcome(Error error) : state_(std::in_place_index<1>, Failure::of(std::move(error))) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  const Failure& error() const& { return *std::get_if<1>(&state_); }
  Failure&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Failure> state_;
};

}  // namespace octavo::server
