#include "text/tokenizer.h"

#include <limits>

#include "base/mapped_file.h"

// src/text/rust/src/lib.rs.
extern "C" {
struct OctavoTokenizer;
struct OctavoBytes {
  uint8_t* data;
  size_t size;
};
struct OctavoIds {
  uint32_t* ids;
  uint32_t* type_ids;
  size_t size;
  size_t full_size;
};
struct OctavoPieces {
  uint32_t* ids;
  size_t* spans;  // start and stop of each
  uint8_t* special;
  size_t size;
};
int32_t octavo_tokenizer_new(const uint8_t* json, size_t size, OctavoTokenizer** out,
                             OctavoBytes* error);
void octavo_tokenizer_free(OctavoTokenizer* tokenizer);
int32_t octavo_tokenizer_encode(const OctavoTokenizer* tokenizer, const uint8_t* text, size_t size,
                                size_t max_length, bool cut_start, OctavoIds* out,
                                OctavoBytes* error);
int32_t octavo_tokenizer_pieces(const OctavoTokenizer* tokenizer, const uint8_t* text, size_t size,
                                bool add_special, OctavoPieces* out, OctavoBytes* error);
void octavo_pieces_free(OctavoPieces pieces);
int32_t octavo_tokenizer_decode(const OctavoTokenizer* tokenizer, const uint32_t* ids, size_t size,
                                bool skip_special, OctavoBytes* out, OctavoBytes* error);
int32_t octavo_tokenizer_token(const OctavoTokenizer* tokenizer, uint32_t id, OctavoBytes* out,
                               OctavoBytes* error);
int32_t octavo_tokenizer_id(const OctavoTokenizer* tokenizer, const uint8_t* token, size_t size,
                            int64_t* out, OctavoBytes* error);
int32_t octavo_tokenizer_vocabulary_size(const OctavoTokenizer* tokenizer, size_t* out,
                                         OctavoBytes* error);
void octavo_bytes_free(OctavoBytes bytes);
void octavo_ids_free(OctavoIds ids);
}

namespace octavo {

namespace {

// Published tokenizer.json files reach 35 MB; loading takes some ten times the file.
constexpr size_t kLargestFile = size_t{256} << 20;

const uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// What Rust gave, freed also when there is no memory for a copy of it.
struct Bytes {
  explicit Bytes(OctavoBytes from) : bytes(from) {}
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() { octavo_bytes_free(bytes); }
  OctavoBytes bytes;
};

struct Ids {
  Ids() = default;
  Ids(const Ids&) = delete;
  Ids& operator=(const Ids&) = delete;
  ~Ids() {
    if (ids.ids != nullptr) octavo_ids_free(ids);
  }
  OctavoIds ids{};
};

struct Pieces {
  Pieces() = default;
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;
  ~Pieces() {
    if (pieces.ids != nullptr) octavo_pieces_free(pieces);
  }
  OctavoPieces pieces{};
};

// Copies the bytes and frees them.
std::string take(OctavoBytes from) {
  const Bytes owner(from);
  return from.data == nullptr ? std::string()
                              : std::string(reinterpret_cast<const char*>(from.data), from.size);
}

Error error_of(int32_t code, OctavoBytes message) {
  if (code == 1) return Error{Code::invalid_input, take(message)};
  return Error{Code::internal, "the tokenizer failed: " + take(message)};
}

}  // namespace

struct Tokenizer::State {
  OctavoTokenizer* tokenizer = nullptr;
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (tokenizer != nullptr) octavo_tokenizer_free(tokenizer);
  }
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::open(const std::filesystem::path& tokenizer_json) {
  OCTAVO_TRY(const auto file, MappedFile::open(tokenizer_json));
  const auto bytes = file->bytes();
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
               tokenizer_json.string());
}

Result<Tokenizer> Tokenizer::parse(std::string_view json, const std::string& name) {
  if (json.size() > kLargestFile) {
    return Error{Code::invalid_input, name + ": " + std::to_string(json.size()) +
                                          " bytes; a tokenizer has at most " +
                                          std::to_string(kLargestFile)};
  }
  auto state = std::make_unique<State>();
  OctavoBytes message{};
  const int32_t code =
      octavo_tokenizer_new(bytes_of(json), json.size(), &state->tokenizer, &message);
  if (code != 0) {
    Error error = error_of(code, message);
    // Whatever the crate trips over while it reads a file is wrong with the file.
    error.code = Code::invalid_input;
    return std::move(error).within(name);
  }
  return Tokenizer(std::move(state));
}

Result<Encoding> Tokenizer::encode(std::string_view text, size_t max_length, CutSide cut) const {
  Ids owner;
  OctavoIds& ids = owner.ids;
  OctavoBytes message{};
  const int32_t code = octavo_tokenizer_encode(state_->tokenizer, bytes_of(text), text.size(),
                                               max_length, cut == CutSide::start, &ids, &message);
  if (code != 0) return error_of(code, message);
  Encoding encoding;
  encoding.ids.assign(ids.ids, ids.ids + ids.size);
  encoding.type_ids.assign(ids.type_ids, ids.type_ids + ids.size);
  encoding.full_length = ids.full_size;
  return encoding;
}

Result<std::vector<TokenPiece>> Tokenizer::pieces(std::string_view text, bool add_special) const {
  Pieces owner;
  OctavoPieces& found = owner.pieces;
  OctavoBytes message{};
  const int32_t code = octavo_tokenizer_pieces(state_->tokenizer, bytes_of(text), text.size(),
                                               add_special, &found, &message);
  if (code != 0) return error_of(code, message);
  std::vector<TokenPiece> pieces(found.size);
  for (size_t i = 0; i < pieces.size(); ++i)
    pieces[i] = {found.ids[i], found.spans[2 * i], found.spans[2 * i + 1], found.special[i] != 0};
  return pieces;
}

Result<std::string> Tokenizer::decode(std::span<const int64_t> ids, bool skip_special) const {
  std::vector<uint32_t> narrow;
  narrow.reserve(ids.size());
  for (const int64_t id : ids) {
    if (id < 0 || id > std::numeric_limits<int32_t>::max())
      return Error{Code::invalid_input, "no token has the id " + std::to_string(id)};
    narrow.push_back(static_cast<uint32_t>(id));
  }
  OctavoBytes text{};
  OctavoBytes message{};
  const int32_t code = octavo_tokenizer_decode(state_->tokenizer, narrow.data(), narrow.size(),
                                               skip_special, &text, &message);
  if (code != 0) return error_of(code, message);
  return take(text);
}

std::string Tokenizer::token(int64_t id) const {
  if (id < 0 || id > std::numeric_limits<int32_t>::max()) return {};
  OctavoBytes token{};
  OctavoBytes message{};
  const auto narrow = static_cast<uint32_t>(id);
  if (octavo_tokenizer_token(state_->tokenizer, narrow, &token, &message) != 0) {
    octavo_bytes_free(message);
    return {};
  }
  return take(token);
}

int64_t Tokenizer::id_of(std::string_view token) const {
  int64_t id = -1;
  OctavoBytes message{};
  if (octavo_tokenizer_id(state_->tokenizer, bytes_of(token), token.size(), &id, &message) != 0)
    octavo_bytes_free(message);
  return id;
}

size_t Tokenizer::vocabulary_size() const {
  size_t size = 0;
  OctavoBytes message{};
  if (octavo_tokenizer_vocabulary_size(state_->tokenizer, &size, &message) != 0)
    octavo_bytes_free(message);
  return size;
}

}  // namespace octavo
