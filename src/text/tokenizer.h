#pragma once
// HF `tokenizers`, linked statically behind a small C ABI (src/text/rust). Encoding adds the
// special tokens of the tokenizer's post-processor; truncation cuts the text, never the special
// tokens, and is always reported.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

struct Encoding {
  std::vector<int64_t> ids;
  std::vector<int64_t> type_ids;
  size_t full_length = 0;  // tokens it would have had without truncation, special ones included
  bool truncated() const { return full_length > ids.size(); }
};

// Which tokens of a text that is too long go: those at its end, or those at its start.
enum class CutSide : uint8_t { end, start };

// One token of a text, and where it came from.
struct TokenPiece {
  int64_t id = 0;
  size_t start = 0;  // bytes [start, stop) of the text; none for a special token
  size_t stop = 0;
  bool special = false;  // put there by the post-processor
};

class Tokenizer {
 public:
  // Reads tokenizer.json. Errors: not_found, invalid_input (with what is wrong with it).
  static Result<Tokenizer> open(const std::filesystem::path& tokenizer_json);
  static Result<Tokenizer> parse(std::string_view json, const std::string& name);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // max_length counts special tokens; 0 means no limit. Padding and truncation settings inside
  // tokenizer.json are switched off: the caller decides. Text need not be valid UTF-8 (bad bytes
  // become U+FFFD). Thread-safe. Errors: max_length smaller than the special tokens need.
  Result<Encoding> encode(std::string_view text, size_t max_length = 0,
                          CutSide cut = CutSide::end) const;

  // The tokens of the text, all of them, for people to look at: slower than encode(). Bytes count
  // as they are after bad ones became U+FFFD. Thread-safe.
  Result<std::vector<TokenPiece>> pieces(std::string_view text, bool add_special = true) const;

  Result<std::string> decode(std::span<const int64_t> ids, bool skip_special = false) const;
  // The piece for an id as the vocabulary writes it; empty when there is none.
  std::string token(int64_t id) const;
  int64_t id_of(std::string_view token) const;  // -1 when there is none
  size_t vocabulary_size() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octavo
