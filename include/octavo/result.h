#pragma once
// The one error type of the library. Every public function that can meet bad input returns
// Result<T>: a value, or an Error that says what is wrong, where, and what to do about it.
//
//   octavo::Result<octavo::Embedder> e = octavo::Embedder::open("model/");
//   if (!e) return complain(e.error().message);

#include <string>
#include <utility>
#include <variant>

namespace octavo {

// What kind of failure, for programs. The message is for people.
enum class Code : unsigned char {
  invalid_input,  // a file, flag or text breaks its format or our limits
  unsupported,    // well-formed, but names something we do not have; the message names it
  not_found,      // a file, tensor or prompt name that is not there
  io,             // the operating system said no: permission, full disk, broken pipe
  out_of_memory,
  internal  // our own mistake; please report
};

struct [[nodiscard]] Error {
  Code code;
  std::string message;

  // Adds where we were, outermost first: "model.onnx: node /layers.3/mlp: ...".
  Error within(const std::string& where) && {
    message = where + ": " + message;
    return std::move(*this);
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): return what you have
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): an error is a result, too
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  const Error& error() const& { return *std::get_if<1>(&state_); }
  Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

  // The same result, its error prefixed with a place.
  Result within(const std::string& where) && {
    if (!ok()) return std::move(*std::get_if<1>(&state_)).within(where);
    return std::move(*this);
  }

 private:
  std::variant<T, Error> state_;
};

// Success without a value.
struct Done {};
using Status = Result<Done>;

}  // namespace octavo
