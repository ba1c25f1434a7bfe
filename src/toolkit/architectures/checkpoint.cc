#include "toolkit/architectures/checkpoint.h"

#include <algorithm>

namespace octavo::architectures {

namespace {

// 32 x 32 floats are 4 kB on either side: both stay in the first-level cache.
constexpr int64_t kTile = 32;

Result<Tensor> transpose(const Tensor& from) {
  const int64_t rows = from.dim(0);
  const int64_t columns = from.dim(1);
  OCTAVO_TRY(Tensor to, Tensor::make(DType::f32, {columns, rows}));
  const float* in = from.data<float>();
  float* out = to.mutable_data<float>();
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      for (int64_t c = c0; c < std::min(c0 + kTile, columns); ++c) {
        for (int64_t r = r0; r < std::min(r0 + kTile, rows); ++r)
          out[c * rows + r] = in[r * columns + c];
      }
    }
  }
  return to;
}

}  // namespace

void Checkpoint::choose_prefix(const std::vector<std::string>& prefixes, const std::string& probe) {
  for (const auto& prefix : prefixes) {
    if (source_->find(prefix + probe) != nullptr) {
      prefix_ = prefix;
      return;
    }
  }
  std::string tried;
  for (const auto& prefix : prefixes)
    tried += (tried.empty() ? "\"" : ", \"") + prefix + probe + "\"";
  if (status_) status_ = Error{Code::not_found, "the checkpoint has no tensor " + tried};
}

const WeightEntry* Checkpoint::find(const std::string& name) const {
  if (const auto* entry = source_->find(prefix_ + name)) return entry;
  for (const auto& [suffix, old] : alternatives_) {
    if (!name.ends_with(suffix)) continue;
    const std::string stem = name.substr(0, name.size() - suffix.size());
    if (const auto* entry = source_->find(prefix_ + stem + old)) return entry;
  }
  return nullptr;
}

const WeightEntry* Checkpoint::take(const std::string& name, const Shape& shape) {
  const WeightEntry* entry = find(name);
  if (!status_) return nullptr;
  if (entry == nullptr) {
    status_ = Error{Code::not_found, "the checkpoint has no tensor \"" + prefix_ + name +
                                         "\", which config.json implies"};
    return nullptr;
  }
  if (entry->shape != shape) {
    status_ =
        Error{Code::invalid_input, "tensor \"" + entry->name + "\" is " + to_string(entry->shape) +
                                       ", but config.json implies " + to_string(shape)};
    return nullptr;
  }
  // Sizes are bounded by the checkpoint's own directory, so this cannot overflow.
  if (used_.insert(entry->name).second) parameters_ += *element_count(shape);
  return entry;
}

Value Checkpoint::weight(GraphBuilder& builder, const std::string& name, const Shape& shape) {
  const WeightEntry* entry = take(name, shape);
  if (entry == nullptr) return {&builder, name};
  return builder.initializer(
      {entry->name, DType::f32, shape,
       [source = source_, from = entry->name] { return source->load(from); }});
}

Value Checkpoint::transposed(GraphBuilder& builder, const std::string& name, int64_t in,
                             int64_t out) {
  const WeightEntry* entry = take(name, {out, in});
  if (entry == nullptr) return {&builder, name};
  const auto make = [source = source_, from = entry->name]() -> Result<Tensor> {
    OCTAVO_TRY(const Tensor stored, source->load(from));
    auto made = transpose(stored);
    stored.drop_pages();
    return made;
  };
  return builder.initializer({entry->name + ".T", DType::f32, {in, out}, make});
}

std::vector<std::string> Checkpoint::unused() const {
  std::vector<std::string> names;
  for (const auto& entry : source_->entries()) {
    if (!used_.contains(entry.name)) names.push_back(entry.name);
  }
  return names;
}

}  // namespace octavo::architectures
