#include "toolkit/reference.h"

#include <algorithm>
#include <utility>

#include "formats/json.h"
#include "formats/weights.h"
#include "tensor/compare.h"

namespace octavo {

namespace {

constexpr std::string_view kFormat = "octavo-reference-1";

Error bad(const std::string& why) {
  return {Code::invalid_input, why + "; make it with tools/dump_reference.py"};
}

Result<std::string> field(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto at = metadata.find(key);
  if (at == metadata.end()) return bad(std::string("has no ") + key + " in its metadata");
  return at->second;
}

Result<std::vector<std::string>> texts_of(const std::map<std::string, std::string>& metadata) {
  OCTAVO_TRY(const auto list, field(metadata, "texts"));
  OCTAVO_TRY(const auto parsed, parse_json(list, "the texts in its metadata"));
  std::vector<std::string> texts;
  if (parsed.is_array()) {
    for (const auto& text : parsed) {
      if (!text.is_string()) return bad("a text in its metadata is not a string");
      texts.push_back(text.get<std::string>());
    }
  }
  if (texts.empty()) return bad("has no texts in its metadata");
  return texts;
}

// One tensor of a given element type and rank.
Result<Tensor> tensor_of(const WeightSource& source, const char* name, DType dtype, size_t rank) {
  OCTAVO_TRY(auto tensor, source.load_as_stored(name));
  if (tensor.dtype() != dtype || tensor.rank() != rank)
    return bad(std::string("the tensor ") + name + " is " +
               std::string(dtype_name(tensor.dtype())) + " " + to_string(tensor.shape()) +
               ", expected " + std::string(dtype_name(dtype)) + " of rank " + std::to_string(rank));
  return tensor;
}

// ids, cut at offsets[i] and offsets[i + 1].
Result<std::vector<std::vector<int64_t>>> ids_of(const WeightSource& source, size_t count) {
  OCTAVO_TRY(const auto ids, tensor_of(source, "ids", DType::i64, 1));
  OCTAVO_TRY(const auto offsets, tensor_of(source, "offsets", DType::i64, 1));
  const auto cuts = offsets.values<int64_t>();
  const auto all = ids.values<int64_t>();
  if (cuts.size() != count + 1 || cuts.front() != 0 ||
      cuts.back() != static_cast<int64_t>(all.size()) || !std::is_sorted(cuts.begin(), cuts.end()))
    return bad("the offsets do not cut the ids into " + std::to_string(count) + " texts");
  std::vector<std::vector<int64_t>> out;
  for (size_t i = 0; i < count; ++i) {
    const auto one =
        all.subspan(static_cast<size_t>(cuts[i]), static_cast<size_t>(cuts[i + 1] - cuts[i]));
    out.emplace_back(one.begin(), one.end());
  }
  return out;
}

Result<Reference> read(const std::filesystem::path& file, Pooling pooling) {
  OCTAVO_TRY(const auto metadata, safetensors_metadata(file));
  OCTAVO_TRY(const auto format, field(metadata, "format"));
  if (format != kFormat)
    return bad("its format is " + quote(format) + ", not " + std::string(kFormat));
  OCTAVO_TRY(const auto made_with, field(metadata, "pooling"));
  if (made_with != pooling_key(pooling))
    return Error{Code::invalid_input, "was made with pooling " + quote(made_with) +
                                          ", but the model's is " + pooling_key(pooling)};
  OCTAVO_TRY(const auto source, open_safetensors(file));
  Reference out;
  OCTAVO_TRY(out.texts, texts_of(metadata));
  OCTAVO_TRY(out.ids, ids_of(*source, out.texts.size()));
  OCTAVO_TRY(const auto rows, tensor_of(*source, "embeddings", DType::f32, 2));
  OCTAVO_TRY(const auto norms, tensor_of(*source, "norms", DType::f32, 1));
  if (static_cast<size_t>(rows.dim(0)) != out.texts.size() || rows.dim(0) != norms.dim(0) ||
      rows.dim(1) == 0)
    return bad("has " + std::to_string(out.texts.size()) + " texts, but embeddings " +
               to_string(rows.shape()) + " and norms " + to_string(norms.shape()));
  out.width = static_cast<size_t>(rows.dim(1));
  out.rows.assign(rows.values<float>().begin(), rows.values<float>().end());
  out.norms.assign(norms.values<float>().begin(), norms.values<float>().end());
  const auto made_by = metadata.find("made_by");
  out.name = file.filename().string();
  if (made_by != metadata.end()) out.name += " (" + made_by->second + ")";
  return out;
}

}  // namespace

std::string pooling_key(Pooling pooling) {
  switch (pooling) {
    case Pooling::cls:
      return "cls";
    case Pooling::last_token:
      return "last_token";
    case Pooling::mean:
      break;
  }
  return "mean";
}

Result<Reference> read_reference(const std::filesystem::path& file, Pooling pooling) {
  Result<Reference> read_in = read(file, pooling);
  // Errors of the file itself name it already.
  if (read_in || read_in.error().message.starts_with(file.string())) return read_in;
  return std::move(read_in).within(file.string());
}

Status check_same_ids(std::span<const std::vector<int64_t>> ids, const Reference& reference,
                      const Tokenizer& tokenizer) {
  const auto piece = [&](const std::vector<int64_t>& text, size_t at) {
    if (at >= text.size()) return std::string("nothing (the text ends)");
    return std::to_string(text[at]) + " " + quote(tokenizer.token(text[at]));
  };
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto& here = ids[i];
    const auto& there = reference.ids[i];
    if (here == there) continue;
    const auto differ = std::mismatch(here.begin(), here.end(), there.begin(), there.end());
    const auto at = static_cast<size_t>(differ.first - here.begin());
    return Error{Code::invalid_input,
                 "the token ids are not the reference's, so no cosine would mean anything: text " +
                     std::to_string(i + 1) + " " + quote(reference.texts[i]) +
                     " differs first at token " + std::to_string(at) + ": " + piece(here, at) +
                     " here, " + piece(there, at) + " in " + reference.name +
                     "; use the tokenizer files that belong to the model"};
  }
  return Done{};
}

}  // namespace octavo
