#pragma once
// Strict reading of a request's JSON object: each member by name and type, and an error for one
// that nobody asked about (a misspelt option must not be ignored).

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/embed_request.h"
#include "server/failure.h"

namespace octavo::server {

class JsonFields {
 public:
  // Errors (malformed): not JSON behind the limits of formats/json.h, not an object.
  static Outcome<JsonFields> parse(std::string_view body);

  // Absent and null are the same. Errors (malformed): another type, a number out of range.
  Outcome<std::string> string(const char* name);
  Outcome<std::optional<bool>> boolean(const char* name);
  Outcome<size_t> whole(const char* name, size_t most);
  // One text or token ids, or an array of either.
  Outcome<std::vector<Input>> inputs(const char* name);
  Outcome<std::vector<std::string>> strings(const char* name);
  // One list of token ids, or a list of such lists; never texts.
  Outcome<std::vector<std::vector<int64_t>>> id_lists(const char* name);
  // An object inside; an absent one is empty.
  Outcome<JsonFields> object(const char* name);
  void ignore(std::initializer_list<const char*> names);

  // Errors (malformed): a member that was not read.
  Outcome<Done> finish() const;

 private:
  explicit JsonFields(nlohmann::json object) : object_(std::move(object)) {}
  // What is there; null when it is absent.
  nlohmann::json take(const char* name);
  nlohmann::json object_;
  std::set<std::string> known_;
};

}  // namespace octavo::server
