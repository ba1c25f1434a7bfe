#include "toolkit/gguf_pre_tokenizer.h"

#include <map>
#include <vector>

namespace octavo {

namespace {

using nlohmann::json;

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json split(const char* regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

const json kDigits = {{"type", "Digits"}, {"individual_digits", true}};

json sequence(std::vector<json> steps) {
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

// Contractions, words with one leading mark, numbers in groups of up to three or digit by digit,
// punctuation with its line ends, blank lines, trailing and other blanks.
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const std::map<std::string, PreTokenizer, std::less<>>& table() {
  static const auto kTable = [] {
    const PreTokenizer gpt2{nullptr, byte_level(true), false, false};
    const PreTokenizer digits{nullptr, sequence({kDigits, byte_level(true)}), false, false};
    const PreTokenizer llama3{nullptr, sequence({split(kLlama3), byte_level(false)}), true, true};
    const PreTokenizer qwen2{
        {{"type", "NFC"}}, sequence({split(kQwen2), byte_level(false)}), false, false};
    const PreTokenizer deepseek_coder{
        nullptr,
        sequence({split("[\r\n]"), split(R"(\s?\p{L}+)"), split(R"(\s?\p{P}+)"),
                  split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), kDigits, byte_level(false)}),
        false, true};
    return std::map<std::string, PreTokenizer, std::less<>>{
        {"gpt-2", gpt2},
        {"gpt2", gpt2},
        {"smollm", digits},
        {"starcoder", digits},
        {"refact", digits},
        {"codeshell", digits},
        {"llama-bpe", llama3},
        {"llama3", llama3},
        {"llama-v3", llama3},
        {"qwen2", qwen2},
        {"deepseek-r1-qwen", qwen2},
        {"deepseek-coder", deepseek_coder},
    };
  }();
  return kTable;
}

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  const auto at = table().find(name);
  return at == table().end() ? nullptr : &at->second;
}

std::string known_pre_tokenizers() {
  std::string out;
  for (const auto& [name, unused] : table()) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace octavo
