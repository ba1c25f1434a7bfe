// Input: a tokenizer.json, a zero byte, a text. Whatever loads encodes, cuts on both sides, shows
// its pieces and decodes without a crash, keeps the limit, and gives the same ids every time.

#include "text/tokenizer.h"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string_view text = zero == std::string_view::npos ? "one two" : input.substr(zero + 1);
  const auto tokenizer = octavo::Tokenizer::parse(input.substr(0, zero), "fuzz");
  if (!tokenizer) return 0;
  const auto whole = tokenizer->encode(text);
  const auto again = tokenizer->encode(text);
  const auto cut = tokenizer->encode(text, 8);
  if (whole && (!again || whole->ids != again->ids)) std::abort();
  if (cut && (cut->ids.size() > 8 || cut->ids.size() != cut->type_ids.size())) std::abort();
  if (whole && cut && cut->full_length != whole->ids.size()) std::abort();
  const auto end = tokenizer->encode(text, 8, octavo::CutSide::start);
  if (!end != !cut || (cut && end->ids.size() != cut->ids.size())) std::abort();
  const auto pieces = tokenizer->pieces(text);
  if (!pieces != !whole) std::abort();
  if (whole) {
    if (pieces->size() != whole->ids.size()) std::abort();
    for (size_t i = 0; i < pieces->size(); ++i)
      if ((*pieces)[i].id != whole->ids[i]) std::abort();
  }
  if (whole) static_cast<void>(tokenizer->decode(whole->ids, true));
  static_cast<void>(tokenizer->token(static_cast<int64_t>(size)));
  return 0;
}
