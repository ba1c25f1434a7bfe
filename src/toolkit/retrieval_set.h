#pragma once
// A retrieval set, as tools/make_retrieval_set.py writes it: JSON Lines, first the head, then
// documents and queries in any order.
//
//   {"format": "octavo-retrieval-1", "name": "manpages", ...}
//   {"document": "en/ls.1/1", "language": "en", "text": "..."}
//   {"query": "en/ls.1", "language": "en", "kind": "same", "text": "...", "relevant":
//   ["en/ls.1/1"]}

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace octavo {

struct RetrievalSet {
  struct Query {
    std::string text, language, kind;  // kind "" when the set has none
    std::vector<size_t> relevant;      // documents, ascending
  };
  std::string name;
  std::vector<std::string> documents, document_languages;
  std::vector<Query> queries;
};

// Errors: invalid_input naming the line: no head, a key that is missing, an id twice, a query
// without relevant documents or with one that is not there; no document, no query.
Result<RetrievalSet> parse_retrieval_set(std::string_view content, const std::string& name);
Result<RetrievalSet> read_retrieval_set(const std::filesystem::path& file);

}  // namespace octavo
