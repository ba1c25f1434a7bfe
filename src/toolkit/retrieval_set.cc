#include "toolkit/retrieval_set.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/mapped_file.h"
#include "formats/json.h"

namespace octavo {

using nlohmann::json;

namespace {

constexpr const char* kFormat = "octavo-retrieval-1";

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  Result<RetrievalSet> read(std::string_view content) {
    size_t number = 0;
    while (!content.empty()) {
      const size_t end = content.find('\n');
      const std::string_view line = content.substr(0, end);
      content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
      where_ = name_ + ": line " + std::to_string(++number);
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      const auto object = parse_json(line, where_);
      if (!object && !headed_)
        return wrong("is no JSON; tools/make_retrieval_set.py makes a retrieval set");
      if (!object) return object.error();
      OCTAVO_CHECK(add(*object));
    }
    if (!headed_ || set_.documents.empty() || set_.queries.empty())
      return Error{Code::invalid_input,
                   name_ +
                       ": needs a head, documents and queries; tools/make_retrieval_set.py "
                       "makes such a file"};
    OCTAVO_CHECK(resolve());
    return std::move(set_);
  }

 private:
  Error wrong(const std::string& what) const { return {Code::invalid_input, where_ + ": " + what}; }

  Result<std::string> text_of(const json& object, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string() ||
        found->get_ref<const std::string&>().empty())
      return wrong(std::string("needs a string \"") + key + "\"");
    return found->get<std::string>();
  }

  Status add(const json& object) {
    if (!object.is_object()) return wrong("is not an object");
    if (!headed_) return head(object);
    if (object.contains("document")) return document(object);
    if (object.contains("query")) return query(object);
    return wrong("is neither a document nor a query");
  }

  Status head(const json& object) {
    if (json_string(object, "format", "") != kFormat)
      return wrong(std::string("the first line needs \"format\": \"") + kFormat +
                   "\"; tools/make_retrieval_set.py makes such a file");
    set_.name = json_string(object, "name", "unnamed");
    headed_ = true;
    return Done{};
  }

  Status document(const json& object) {
    OCTAVO_TRY(const std::string id, text_of(object, "document"));
    OCTAVO_TRY(std::string text, text_of(object, "text"));
    OCTAVO_TRY(std::string language, text_of(object, "language"));
    if (!index_.emplace(id, set_.documents.size()).second)
      return wrong("document " + quote(id) + " is there twice");
    set_.documents.push_back(std::move(text));
    set_.document_languages.push_back(std::move(language));
    return Done{};
  }

  Status query(const json& object) {
    OCTAVO_TRY(const std::string id, text_of(object, "query"));
    if (!asked_.insert(id).second) return wrong("query " + quote(id) + " is there twice");
    RetrievalSet::Query out;
    OCTAVO_TRY(out.text, text_of(object, "text"));
    OCTAVO_TRY(out.language, text_of(object, "language"));
    out.kind = json_string(object, "kind", "");
    const auto relevant = object.find("relevant");
    if (relevant == object.end() || !relevant->is_array() || relevant->empty())
      return wrong("query " + quote(id) + " needs a list \"relevant\" of documents");
    std::vector<std::string> names;
    for (const json& document : *relevant) {
      if (!document.is_string()) return wrong("\"relevant\" holds something that is no string");
      names.push_back(document.get<std::string>());
    }
    relevant_.push_back({where_, std::move(names)});
    set_.queries.push_back(std::move(out));
    return Done{};
  }

  // Documents may come after the queries that want them.
  Status resolve() {
    for (size_t i = 0; i < set_.queries.size(); ++i) {
      where_ = relevant_[i].first;
      auto& out = set_.queries[i].relevant;
      for (const std::string& name : relevant_[i].second) {
        const auto found = index_.find(name);
        if (found == index_.end()) return wrong("there is no document " + quote(name));
        out.push_back(found->second);
      }
      std::sort(out.begin(), out.end());
      if (std::adjacent_find(out.begin(), out.end()) != out.end())
        return wrong("a relevant document is named twice");
    }
    return Done{};
  }

  const std::string& name_;
  std::string where_;
  bool headed_ = false;
  RetrievalSet set_;
  std::unordered_map<std::string, size_t> index_;
  std::unordered_set<std::string> asked_;
  std::vector<std::pair<std::string, std::vector<std::string>>> relevant_;  // line, names
};

}  // namespace

Result<RetrievalSet> parse_retrieval_set(std::string_view content, const std::string& name) {
  return Reader(name).read(content);
}

Result<RetrievalSet> read_retrieval_set(const std::filesystem::path& file) {
  OCTAVO_TRY(const auto mapped, MappedFile::open(file));
  const auto bytes = mapped->bytes();
  return parse_retrieval_set({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                             file.string());
}

}  // namespace octavo
