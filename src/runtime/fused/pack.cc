#include "runtime/fused/pack.h"

#include <algorithm>
#include <memory>

#include "base/half.h"
#include "graph/raised_ops.h"
#include "kernels/kernels.h"

namespace octavo::fused {

namespace {

Error unsupported(const LinearSource& s, const std::string& why) {
  return {Code::unsupported, s.node->describe() + ": " + why};
}

size_t elements(const Initializer& i) {
  size_t n = 1;
  for (const int64_t d : i.shape()) n *= static_cast<size_t>(d);
  return n;
}

Result<std::vector<float>> to_floats(const Tensor& t) {
  const auto n = static_cast<size_t>(t.size());
  std::vector<float> out(n);
  switch (t.dtype()) {
    case DType::f32:
      std::copy_n(t.data<float>(), n, out.begin());
      break;
    case DType::f16:
      std::transform(t.data<uint16_t>(), t.data<uint16_t>() + n, out.begin(), f16_to_f32);
      break;
    case DType::bf16:
      std::transform(t.data<uint16_t>(), t.data<uint16_t>() + n, out.begin(), bf16_to_f32);
      break;
    default:
      return Error{Code::unsupported,
                   "a constant of " + std::string(dtype_name(t.dtype())) + " where floats are due"};
  }
  return out;
}

// The s8 weight [k][n] row-major of a source: u8 with zero point 128 is s8 moved up by 128.
Result<std::vector<int8_t>> read_s8(const LinearSource& s) {
  OCTAVO_TRY(const Tensor weight, s.weight->tensor());
  std::vector<int8_t> out(s.k * s.n);
  if (weight.dtype() == DType::i8) {
    std::copy_n(weight.data<int8_t>(), out.size(), out.begin());
  } else {
    const uint8_t* from = weight.data<uint8_t>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int8_t>(from[i] - 128);
  }
  weight.drop_pages();
  return out;
}

// MatMulNBits with 8 bits: B [N][K / block][block] u8, scales [N][K / block], zero points [N][K /
// block] or 128. Widened to float, [k][n].
Result<std::vector<float>> read_nbits(const LinearSource& s) {
  const auto block = static_cast<size_t>(std::max<int64_t>(s.node->int_or("block_size", 32), 1));
  const size_t blocks = (s.k + block - 1) / block;
  OCTAVO_TRY(const Tensor weight, s.weight->tensor());
  OCTAVO_TRY(const std::vector<float> scales, read_floats(*s.scale, s.n * blocks));
  Tensor zeros;
  if (s.zero_point != nullptr) {
    OCTAVO_TRY(zeros, s.zero_point->tensor());
  }
  std::vector<float> out(s.k * s.n);
  const uint8_t* bytes = weight.data<uint8_t>();
  for (size_t n = 0; n < s.n; ++n) {
    for (size_t k = 0; k < s.k; ++k) {
      const size_t b = n * blocks + k / block;
      const int zero = zeros.defined() ? zeros.data<uint8_t>()[b] : 128;
      const int value = bytes[b * block + k % block] - zero;
      out[k * s.n + n] = static_cast<float>(value) * scales[b];
    }
  }
  return out;
}

// Shared by the tensors of one linear, which are made one after the other.
struct Sources {
  LinearSpec spec;
  std::vector<LinearSource> parts;
  Tensor sums;  // left by the packing of the weight, for the tensor that follows it
};

Tensor zeros(DType dtype, size_t n) {
  Result<Tensor> made = Tensor::make(dtype, {static_cast<int64_t>(n)});
  return made ? *std::move(made) : Tensor();
}

// First packed column and, when gated, the way of a part's column j.
size_t column(const Sources& s, size_t part, size_t j) {
  if (s.spec.gated) return j / 32 * 64 + part * 32 + j % 32;
  return s.spec.begin(part) + j;
}

// A number a packed column, from `read` a part.
Result<Tensor> spread(const Sources& s,
                      const std::function<Result<std::vector<float>>(const LinearSource&)>& read) {
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, {static_cast<int64_t>(s.spec.columns())}));
  for (size_t p = 0; p < s.parts.size(); ++p) {
    OCTAVO_TRY(const std::vector<float> values, read(s.parts[p]));
    if (values.empty()) continue;
    for (size_t j = 0; j < s.parts[p].n; ++j)
      out.mutable_data<float>()[column(s, p, j)] = values.size() == 1 ? values[0] : values[j];
  }
  return out;
}

// The columns of all parts in packed order, [k][columns], zeros where there is none; packing reads
// it once more, which costs a copy of one linear and spares a packer for each arrangement.
Result<std::vector<int8_t>> arrange_s8(const Sources& s) {
  const size_t columns = s.spec.columns();
  std::vector<int8_t> all(s.spec.k * columns);
  for (size_t p = 0; p < s.parts.size(); ++p) {
    OCTAVO_TRY(const std::vector<int8_t> part, read_s8(s.parts[p]));
    const size_t n = s.parts[p].n;
    const size_t run = s.spec.gated ? 32 : n;
    for (size_t k = 0; k < s.spec.k; ++k)
      for (size_t j = 0; j < n; j += run)
        std::copy_n(&part[k * n + j], std::min(run, n - j), &all[k * columns + column(s, p, j)]);
  }
  return all;
}

Result<Tensor> make_s8(Sources& s, bool sums) {
  if (sums && s.sums.defined()) return std::move(s.sums);
  OCTAVO_TRY(const std::vector<int8_t> all, arrange_s8(s));
  const size_t columns = s.spec.columns();
  Tensor packed = zeros(DType::i8, kernels::packed_s8_bytes(s.spec.k, columns));
  Tensor column_sums = zeros(DType::i32, columns);
  if (!packed.defined() || !column_sums.defined())
    return Error{Code::out_of_memory, "packing \"" + s.spec.name + "\""};
  kernels::pack_s8(s.spec.k, columns, all.data(), columns, 1, packed.mutable_data<int8_t>(),
                   column_sums.mutable_data<int32_t>());
  if (sums) return column_sums;
  s.sums = std::move(column_sums);
  return packed;
}

Result<Tensor> make_float(const Sources& s) {
  const size_t k = s.spec.k;
  const bool wide = s.spec.kind == WeightKind::f32;
  Tensor packed =
      zeros(wide ? DType::f32 : DType::bf16, kernels::packed_f32_floats(k, s.spec.columns()));
  if (!packed.defined()) return Error{Code::out_of_memory, "packing \"" + s.spec.name + "\""};
  for (size_t p = 0; p < s.parts.size(); ++p) {
    const LinearSource& part = s.parts[p];
    const bool transposed = part.node->int_or("transposed", 0) != 0;
    const size_t row = transposed ? 1 : part.n;
    const size_t col = transposed ? k : 1;
    const size_t at = s.spec.begin(p) * k;  // panels of 32 columns of k numbers
    OCTAVO_TRY(const Tensor weight, part.weight->tensor());
    if (!wide) {
      kernels::pack_bf16(k, part.n, weight.data<uint16_t>(), row, col,
                         packed.mutable_data<uint16_t>() + at);
    } else if (weight.dtype() == DType::f32) {
      kernels::pack_f32(k, part.n, weight.data<float>(), row, col,
                        packed.mutable_data<float>() + at);
    } else {
      OCTAVO_TRY(const std::vector<float> floats,
                 weight.dtype() == DType::u8 ? read_nbits(part) : to_floats(weight));
      kernels::pack_f32(k, part.n, floats.data(), row, col, packed.mutable_data<float>() + at);
    }
    weight.drop_pages();
  }
  return packed;
}

Status describe_int8(LinearSource& s) {
  const DType dtype = s.weight->dtype();
  if (s.weight->shape().size() != 2 || s.scale == nullptr)
    return unsupported(s, "an int8 weight that is no matrix with a scale");
  s.k = static_cast<size_t>(s.weight->shape()[0]);
  s.n = static_cast<size_t>(s.weight->shape()[1]);
  s.kind = WeightKind::s8;
  const std::string scales = s.node->string_or("scales", raised::kPerTensor);
  s.scales = scales == raised::kPerRow16 ? RowScales::row16
             : scales == raised::kPerRow ? RowScales::row
                                         : RowScales::tensor;
  if (dtype != DType::i8 && dtype != DType::u8)
    return unsupported(s, "an int8 weight of " + std::string(dtype_name(dtype)));
  const int wanted = dtype == DType::i8 ? 0 : 128;
  if (s.zero_point == nullptr)
    return wanted == 0 ? Status(Done{}) : unsupported(s, "a uint8 weight without zero point 128");
  OCTAVO_TRY(const Tensor zero, s.zero_point->tensor());
  if (zero.dtype() != dtype) return unsupported(s, "a zero point of another type than the weight");
  for (size_t i = 0; i < static_cast<size_t>(zero.size()); ++i) {
    const int value = dtype == DType::i8 ? zero.data<int8_t>()[i] : zero.data<uint8_t>()[i];
    if (value != wanted)
      return unsupported(s, "an asymmetric weight: zero point " + std::to_string(value) +
                                ", the fused product takes " + std::to_string(wanted));
  }
  return Done{};
}

Status describe_nbits(LinearSource& s) {
  s.kind = WeightKind::f32;
  s.k = static_cast<size_t>(s.node->int_or("K", 0));
  s.n = static_cast<size_t>(s.node->int_or("N", 0));
  const auto block = static_cast<size_t>(std::max<int64_t>(s.node->int_or("block_size", 32), 1));
  if (s.node->int_or("bits", 4) != 8) return unsupported(s, "4-bit weights");
  const size_t blocks = (s.k + block - 1) / block;
  const bool zeros = s.zero_point == nullptr || (s.zero_point->dtype() == DType::u8 &&
                                                 elements(*s.zero_point) == s.n * blocks);
  if (s.weight->dtype() != DType::u8 || s.scale == nullptr || !zeros ||
      elements(*s.weight) != s.n * blocks * block || elements(*s.scale) != s.n * blocks)
    return unsupported(s, "weights, scales or zero points of another size than K and N say");
  return Done{};
}

}  // namespace

Result<std::vector<float>> read_floats(const Initializer& initializer, size_t n) {
  OCTAVO_TRY(const Tensor tensor, initializer.tensor());
  if (static_cast<size_t>(tensor.size()) != n)
    return Error{Code::unsupported, "constant \"" + initializer.name() + "\" has " +
                                        std::to_string(tensor.size()) + " elements, expected " +
                                        std::to_string(n)};
  return to_floats(tensor).within("constant \"" + initializer.name() + "\"");
}

Status describe_linear(LinearSource& s) {
  const std::string kind = s.node->string_or("kind", "float");
  if (kind == "int8") return describe_int8(s);
  if (kind == "nbits") return describe_nbits(s);
  const Shape& shape = s.weight->shape();
  if (shape.size() != 2) return unsupported(s, "a weight that is no matrix");
  const bool transposed = s.node->int_or("transposed", 0) != 0;
  s.k = static_cast<size_t>(shape[transposed ? 1 : 0]);
  s.n = static_cast<size_t>(shape[transposed ? 0 : 1]);
  const DType dtype = s.weight->dtype();
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16)
    return unsupported(s, "a weight of " + std::string(dtype_name(dtype)));
  s.kind = dtype == DType::bf16 ? WeightKind::bf16 : WeightKind::f32;
  return Done{};
}

LinearSpec pack_linear(const std::string& name, std::vector<LinearSource> sources, bool gated,
                       std::vector<PackedTensor>& tensors) {
  auto s = std::make_shared<Sources>();
  s->parts = std::move(sources);
  LinearSpec& spec = s->spec;
  spec.name = name;
  spec.kind = s->parts[0].kind;
  spec.scales = s->parts[0].scales;
  spec.k = s->parts[0].k;
  spec.gated = gated;
  spec.has_factor = s->parts[0].factor != nullptr;
  for (const LinearSource& part : s->parts) {
    if (!gated || spec.sections.empty()) spec.sections.push_back(part.n);
    spec.has_bias = spec.has_bias || part.bias != nullptr;
  }
  const auto columns = static_cast<int64_t>(spec.columns());
  const auto floats = static_cast<int64_t>(kernels::packed_f32_floats(spec.k, spec.columns()));
  if (spec.kind == WeightKind::s8) {
    tensors.push_back({name + ".weight",
                       DType::i8,
                       {static_cast<int64_t>(kernels::packed_s8_bytes(spec.k, spec.columns()))},
                       [s] { return make_s8(*s, false); }});
    tensors.push_back({name + ".sums", DType::i32, {columns}, [s] { return make_s8(*s, true); }});
    tensors.push_back({name + ".scale", DType::f32, {columns}, [s] {
                         return spread(*s, [](const LinearSource& part) {
                           return read_floats(*part.scale, elements(*part.scale));
                         });
                       }});
  } else {
    tensors.push_back(
        {name + ".weight", spec.kind == WeightKind::f32 ? DType::f32 : DType::bf16, {floats}, [s] {
           return make_float(*s);
         }});
  }
  if (spec.has_bias)
    tensors.push_back({name + ".bias", DType::f32, {columns}, [s] {
                         return spread(*s, [](const LinearSource& part) {
                           return part.bias == nullptr
                                      ? Result<std::vector<float>>(std::vector<float>())
                                      : read_floats(*part.bias, part.n);
                         });
                       }});
  if (spec.has_factor)
    tensors.push_back(
        {name + ".factor", DType::f32, {static_cast<int64_t>(spec.k)}, [s]() -> Result<Tensor> {
           OCTAVO_TRY(const std::vector<float> values, read_floats(*s->parts[0].factor, s->spec.k));
           return Tensor::of<float>({static_cast<int64_t>(s->spec.k)}, values);
         }});
  return spec;
}

}  // namespace octavo::fused
