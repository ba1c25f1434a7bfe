// Some columns of a constant matrix: query, key and value out of one fused product. The bytes are
// cut when they are asked for.

#include <cstring>

#include "graph/raised_ops.h"
#include "passes/raise_parts.h"

namespace octavo::raise {

namespace {

std::string part_name(const std::string& name, int64_t begin, int64_t end) {
  return name + "/" + std::to_string(begin) + "_" + std::to_string(end);
}

// Elements [begin, end) of the last axis, or of the first.
Initializer cut(const Initializer& from, bool first_axis, int64_t begin, int64_t end) {
  Shape shape = from.shape();
  const size_t axis = first_axis ? 0 : shape.size() - 1;
  const int64_t whole = shape[axis];
  shape[axis] = end - begin;
  const auto make = [from, axis, whole, shape, begin]() -> Result<Tensor> {
    OCTAVO_TRY(const Tensor all, from.tensor());
    OCTAVO_TRY(Tensor part, Tensor::make(all.dtype(), shape));
    size_t inner = dtype_bits(all.dtype()) / 8;
    for (size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
    const size_t run = static_cast<size_t>(shape[axis]) * inner;
    const std::byte* source = all.bytes().data() + static_cast<size_t>(begin) * inner;
    std::byte* to = part.mutable_bytes().data();
    for (size_t done = 0; done < part.bytes().size(); done += run) {
      std::memcpy(to + done, source, run);
      source += static_cast<size_t>(whole) * inner;
    }
    return part;
  };
  return {part_name(from.name(), begin, end), from.dtype(), shape, make};
}

std::optional<Initializer> cut_each(const std::optional<Initializer>& from, int64_t columns,
                                    int64_t begin, int64_t end) {
  if (!from) return std::nullopt;
  const auto count = element_count(from->shape());
  if (!count || *count != columns || from->shape().empty()) return from;  // one for all
  return cut(*from, false, begin, end);
}

}  // namespace

Initializer take_elements(const Initializer& vector, int64_t begin, int64_t end) {
  return cut(vector, false, begin, end);
}

Initializer take_rows(const Initializer& matrix, int64_t begin, int64_t end) {
  return cut(matrix, true, begin, end);
}

namespace {

// MatMulNBits keeps the numbers of a column side by side: B [N, blocks, bytes], the others flat or
// [N, ..].
std::optional<Linear> take_block_columns(const Linear& linear, int64_t begin, int64_t end) {
  Linear part = linear;
  const auto cut_rows = [&](Initializer& i) {
    const auto count = element_count(i.shape());
    if (!count || i.shape().empty() || *count % linear.n != 0) return false;
    const bool flat = i.shape()[0] != linear.n;
    if (flat && i.shape().size() != 1) return false;
    const int64_t step = flat ? *count / linear.n : 1;
    i = cut(i, true, begin * step, end * step);
    return true;
  };
  if (!cut_rows(part.weight) || !part.scale || !cut_rows(*part.scale)) return std::nullopt;
  if (part.zero_point && !cut_rows(*part.zero_point)) return std::nullopt;
  part.bias = cut_each(linear.bias, linear.n, begin, end);
  part.n = end - begin;
  part.attributes["N"] = part.n;
  return part;
}

}  // namespace

std::optional<Linear> take_columns(const Linear& linear, int64_t begin, int64_t end) {
  const bool bytes = dtype_bits(linear.weight.dtype()) % 8 == 0;
  if (!bytes || begin < 0 || end <= begin || end > linear.n) return std::nullopt;
  if (linear.kind == raised::kNBits) return take_block_columns(linear, begin, end);
  Linear part = linear;
  part.weight = cut(linear.weight, linear.transposed, begin, end);
  part.n = end - begin;
  part.scale = cut_each(linear.scale, linear.n, begin, end);
  part.zero_point = cut_each(linear.zero_point, linear.n, begin, end);
  part.bias = cut_each(linear.bias, linear.n, begin, end);
  return part;
}

}  // namespace octavo::raise
