#pragma once
// Small tokenizer.json files for tests, whole or with one part replaced.

#include <string>

namespace octavo::test {

// WordLevel on whitespace, "[CLS] text [SEP]", with truncation and padding switched on in the file.
inline const std::string kWordLevel = R"({
  "version": "1.0",
  "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
  "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null,
              "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
  "added_tokens": [
    {"id": 1, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false,
     "normalized": false, "special": true},
    {"id": 2, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false,
     "normalized": false, "special": true},
    {"id": 7, "content": "<extra>", "single_word": false, "lstrip": false, "rstrip": false,
     "normalized": false, "special": false}],
  "normalizer": null,
  "pre_tokenizer": {"type": "WhitespaceSplit"},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
               {"Sequence": {"id": "A", "type_id": 1}},
               {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
                       "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}}},
  "decoder": null,
  "model": {"type": "WordLevel", "unk_token": "[PAD]",
            "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "one": 3, "two": 4, "three": 5,
                      "\ufffd": 6}}
})";

// Byte-level BPE in the manner of GPT-2 over a handful of merges.
inline const std::string kBpe = R"({
  "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                    "use_regex": true},
  "post_processor": null,
  "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
              "use_regex": true},
  "model": {"type": "BPE", "dropout": 0.5, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": {"a": 0, "b": 1, "ab": 2, "abab": 3, "A": 4, "AA": 5, "AAAA": 6, "_": 7,
                      "__": 8, "\u0120": 9, "\u0120\u0120": 10, "\u010a": 11, "\u010a\u010a": 12,
                      "e": 13, "\u00cc": 14, "\u0123": 15, "\u00cc\u0123": 16},
            "merges": ["a b", "ab ab", "A A", "AA AA", "_ _", "\u0120 \u0120", "\u010a \u010a",
                       "\u00cc \u0123"]}
})";

// The text with its one occurrence of `from` replaced.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  return at == std::string::npos ? "(no " + from + ")" : text.replace(at, from.size(), to);
}

}  // namespace octavo::test
