#include "formats/json.h"

#include <cmath>
#include <iterator>
#include <new>
#include <utility>
#include <vector>

#include "base/mapped_file.h"

namespace octavo {

namespace {

using nlohmann::json;

// Tells how far the lexer came, which nlohmann's own callbacks do not.
class Counting {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Counting() = default;
  Counting(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  Counting& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  Counting operator++(int) {
    Counting old = *this;
    ++*this;
    return old;
  }
  bool operator==(const Counting& other) const { return at_ == other.at_; }
  bool operator!=(const Counting& other) const { return at_ != other.at_; }

 private:
  const char* at_ = nullptr;
  const char** reached_ = nullptr;
};

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..." without the
// part that speaks of the library.
std::string plain(const std::string& what) {
  constexpr size_t kMost = 300;  // it quotes the token it met, which may be the whole file
  size_t from = what.find("syntax error");
  if (from == std::string::npos)
    from = what.find("] ") == std::string::npos ? 0 : what.find("] ") + 2;
  return what.substr(from, kMost);
}

// Counts the depth, then hands on.
class Limited final : public nlohmann::json_sax<json> {
 public:
  explicit Limited(JsonReceiver& to) : to_(to) {}

  bool null() override { return to_.null(); }
  bool boolean(bool v) override { return to_.boolean(v); }
  bool number_integer(json::number_integer_t v) override { return to_.number_integer(v); }
  bool number_unsigned(json::number_unsigned_t v) override { return to_.number_unsigned(v); }
  bool number_float(json::number_float_t v, const std::string& text) override {
    return to_.number_float(v, text);
  }
  bool string(std::string& v) override { return to_.string(v); }
  bool binary(json::binary_t& /*v*/) override { return false; }  // JSON text has none
  bool start_object(size_t n) override { return deeper() && to_.start_object(n); }
  bool key(std::string& v) override { return to_.key(v); }
  bool end_object() override {
    --depth_;
    return to_.end_object();
  }
  bool start_array(size_t n) override { return deeper() && to_.start_array(n); }
  bool end_array() override {
    --depth_;
    return to_.end_array();
  }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const json::exception& error) override {
    to_.problem = plain(error.what());
    return false;
  }

 private:
  bool deeper() {
    if (++depth_ <= kMaxJsonDepth) return true;
    to_.problem = "nested deeper than " + std::to_string(kMaxJsonDepth);
    return false;
  }
  JsonReceiver& to_;
  size_t depth_ = 0;
};

// Builds the document. nlohmann's own builder lets the last of two equal keys win, silently.
class Builder final : public JsonReceiver {
 public:
  json document;

  bool null() override { return put(nullptr); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(json::number_integer_t v) override { return put(v); }
  bool number_unsigned(json::number_unsigned_t v) override { return put(v); }
  bool number_float(json::number_float_t v, const std::string& /*text*/) override { return put(v); }
  bool string(std::string& v) override { return put(std::move(v)); }
  bool start_object(size_t /*size*/) override { return open(json::object()); }
  bool start_array(size_t /*size*/) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& v) override {
    auto [place, fresh] = open_.back()->get_ref<json::object_t&>().try_emplace(v);
    if (!fresh) return stop("the key " + quote(v) + " is there twice");
    member_ = &place->second;
    return true;
  }

 private:
  json* place(json value) {
    if (open_.empty()) {
      document = std::move(value);
      return &document;
    }
    if (open_.back()->is_array()) {
      auto& array = open_.back()->get_ref<json::array_t&>();
      array.push_back(std::move(value));
      return &array.back();
    }
    *member_ = std::move(value);
    return member_;
  }
  bool put(json value) {
    place(std::move(value));
    return true;
  }
  bool open(json value) {
    // The pointer stays good: while a container is open nothing is added to the one around it.
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  std::vector<json*> open_;
  json* member_ = nullptr;
};

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

Status parse_json_into(std::string_view text, const std::string& name, JsonReceiver& receiver,
                       size_t max_bytes) {
  if (text.size() > max_bytes)
    return Error{Code::invalid_input, name + ": " + std::to_string(text.size()) +
                                          " bytes of JSON, more than the limit of " +
                                          std::to_string(max_bytes)};
  const char* reached = text.data();
  try {
    Limited limited(receiver);
    const char* begin = text.data();
    if (json::sax_parse(Counting(begin, &reached), Counting(begin + text.size(), &reached),
                        &limited))
      return Done{};
  } catch (const std::bad_alloc&) {
    return Error{Code::out_of_memory, name + ": no memory for its JSON"};
  } catch (const std::exception& e) {
    receiver.problem = plain(e.what());
  }
  return Error{Code::invalid_input,
               name + ": byte " + std::to_string(reached - text.data()) + ": " +
                   (receiver.problem.empty() ? "not valid JSON" : receiver.problem)};
}

Result<json> parse_json(std::string_view text, const std::string& name, size_t max_bytes) {
  Builder builder;
  OCTAVO_CHECK(parse_json_into(text, name, builder, max_bytes));
  return std::move(builder.document);
}

Result<json> read_json(const std::filesystem::path& file) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  const auto bytes = mapped->bytes();
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

Result<std::string> json_text(const json& document, int indent) {
  try {
    return document.dump(indent) + "\n";
  } catch (const std::bad_alloc&) {
    return Error{Code::out_of_memory, "no memory for JSON text"};
  } catch (const std::exception& e) {
    return Error{Code::invalid_input, plain(e.what())};
  }
}

int64_t json_int(const json& object, const char* key, int64_t fallback) {
  const json* v = member(object, key);
  if (v == nullptr) return fallback;
  if (v->is_number_unsigned()) {
    const auto n = v->get<uint64_t>();
    return n > static_cast<uint64_t>(INT64_MAX) ? fallback : static_cast<int64_t>(n);
  }
  if (v->is_number_integer()) return v->get<int64_t>();
  if (v->is_number_float()) {  // some exporters write 512.0
    const auto d = v->get<double>();
    if (d == std::floor(d) && std::abs(d) < 9007199254740992.0) return static_cast<int64_t>(d);
  }
  return fallback;
}

double json_double(const json& object, const char* key, double fallback) {
  const json* v = member(object, key);
  return v != nullptr && v->is_number() ? v->get<double>() : fallback;
}

bool json_bool(const json& object, const char* key, bool fallback) {
  const json* v = member(object, key);
  return v != nullptr && v->is_boolean() ? v->get<bool>() : fallback;
}

std::string json_string(const json& object, const char* key, const std::string& fallback) {
  const json* v = member(object, key);
  return v != nullptr && v->is_string() ? v->get_ref<const std::string&>() : fallback;
}

std::string quote(std::string_view name) {
  constexpr size_t kMost = 200;
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : name.substr(0, kMost)) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) {
      out += "\\x";
      out += kHex[u >> 4];
      out += kHex[u & 15];
    } else {
      out += c;
    }
  }
  return out + (name.size() > kMost ? "...\"" : "\"");
}

}  // namespace octavo
