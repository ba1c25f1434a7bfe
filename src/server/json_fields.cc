#include "server/json_fields.h"

#include <cmath>
#include <limits>
#include <utility>

#include "formats/json.h"

namespace octavo::server {

namespace {

using nlohmann::json;

Failure wrong(const std::string& name, const std::string& message) {
  return {Kind::malformed, name + " " + message, name};
}

Outcome<std::vector<int64_t>> token_ids(const json& array, const std::string& name) {
  std::vector<int64_t> ids;
  ids.reserve(array.size());
  for (const json& id : array) {
    if (!id.is_number_unsigned() ||
        id.get<uint64_t>() > uint64_t{std::numeric_limits<int32_t>::max()})
      return wrong(name, "holds a token id that is no whole number below 2^31");
    ids.push_back(static_cast<int64_t>(id.get<uint64_t>()));
  }
  return ids;
}

}  // namespace

Outcome<JsonFields> JsonFields::parse(std::string_view body) {
  if (body.empty()) return Failure{Kind::malformed, "the request has no body; it takes JSON"};
  Result<json> document = parse_json(body, "the request's JSON");
  if (!document) {
    const bool memory = document.error().code == Code::out_of_memory;
    return Failure{memory ? Kind::unavailable : Kind::malformed, document.error().message};
  }
  if (!document->is_object())
    return Failure{Kind::malformed,
                   std::string("the request's JSON is no object, but ") + document->type_name()};
  return JsonFields(*std::move(document));
}

Outcome<JsonFields> JsonFields::object(const char* name) {
  json value = take(name);
  if (value.is_null()) value = json::object();
  if (!value.is_object()) return wrong(name, "is no object");
  return JsonFields(std::move(value));
}

json JsonFields::take(const char* name) {
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() ? json() : std::move(*found);
}

void JsonFields::ignore(std::initializer_list<const char*> names) {
  for (const char* name : names) known_.insert(name);
}

Outcome<std::string> JsonFields::string(const char* name) {
  json value = take(name);
  if (value.is_null()) return std::string();
  if (!value.is_string()) return wrong(name, "is no string");
  return std::move(value.get_ref<std::string&>());
}

Outcome<std::optional<bool>> JsonFields::boolean(const char* name) {
  const json value = take(name);
  if (value.is_null()) return std::optional<bool>();
  if (!value.is_boolean()) return wrong(name, "is neither true nor false");
  return std::optional<bool>(value.get<bool>());
}

Outcome<size_t> JsonFields::whole(const char* name, size_t most) {
  const json value = take(name);
  if (value.is_null()) return size_t{0};
  if (!value.is_number_unsigned() || value.get<uint64_t>() == 0 || value.get<uint64_t>() > most)
    return wrong(name, "is no whole number from 1 to " + std::to_string(most));
  return static_cast<size_t>(value.get<uint64_t>());
}

Outcome<std::vector<Input>> JsonFields::inputs(const char* name) {
  json value = take(name);
  std::vector<Input> inputs;
  if (value.is_string()) {
    inputs.emplace_back(std::move(value.get_ref<std::string&>()));
    return inputs;
  }
  if (!value.is_array())
    return wrong(name, value.is_null() ? "is missing" : "is neither a text nor a list");
  if (!value.empty() && value.front().is_number()) {
    OCTAVO_TRY(std::vector<int64_t> ids, token_ids(value, name));
    inputs.emplace_back(std::move(ids));
    return inputs;
  }
  inputs.reserve(value.size());
  for (json& each : value) {
    if (each.is_string()) {
      inputs.emplace_back(std::move(each.get_ref<std::string&>()));
    } else if (each.is_array()) {
      OCTAVO_TRY(std::vector<int64_t> ids, token_ids(each, name));
      inputs.emplace_back(std::move(ids));
    } else {
      return wrong(name, "holds an element that is neither a text nor a list of token ids");
    }
  }
  return inputs;
}

Outcome<std::vector<std::vector<int64_t>>> JsonFields::id_lists(const char* name) {
  OCTAVO_TRY(std::vector<Input> inputs, this->inputs(name));
  std::vector<std::vector<int64_t>> lists;
  lists.reserve(inputs.size());
  for (Input& input : inputs) {
    auto* ids = std::get_if<std::vector<int64_t>>(&input);
    if (ids == nullptr) return wrong(name, "holds a text where token ids belong");
    lists.push_back(std::move(*ids));
  }
  return lists;
}

Outcome<std::vector<std::string>> JsonFields::strings(const char* name) {
  json value = take(name);
  if (!value.is_array()) return wrong(name, value.is_null() ? "is missing" : "is no list");
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (json& each : value) {
    if (!each.is_string()) return wrong(name, "holds an element that is no string");
    texts.push_back(std::move(each.get_ref<std::string&>()));
  }
  return texts;
}

Outcome<Done> JsonFields::finish() const {
  for (const auto& [name, value] : object_.items()) {
    if (known_.contains(name)) continue;
    std::string list;
    for (const std::string& other : known_) list += (list.empty() ? "" : ", ") + other;
    return Failure{Kind::malformed, "unknown field " + quote(name) + "; there are: " + list, name};
  }
  return Done{};
}

}  // namespace octavo::server
