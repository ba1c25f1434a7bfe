#include "formats/stored_tensor.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "base/half.h"

namespace octavo {

namespace {

// Reads with memcpy: the source may be unaligned.
template <class T, class F>
void convert(std::span<const std::byte> bytes, std::span<float> out, F to_float) {
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = to_float(value);
  }
}

template <class T>
void convert(std::span<const std::byte> bytes, std::span<float> out) {
  convert<T>(bytes, out, [](T v) { return static_cast<float>(v); });
}

bool convert_to_f32(DType dtype, std::span<const std::byte> bytes, std::span<float> out) {
  switch (dtype) {
    case DType::f32:
      convert<float>(bytes, out);
      return true;
    case DType::f64:
      convert<double>(bytes, out);
      return true;
    case DType::f16:
      convert<uint16_t>(bytes, out, f16_to_f32);
      return true;
    case DType::bf16:
      convert<uint16_t>(bytes, out, bf16_to_f32);
      return true;
    case DType::i8:
      convert<int8_t>(bytes, out);
      return true;
    case DType::u8:
    case DType::boolean:
      convert<uint8_t>(bytes, out);
      return true;
    case DType::i16:
      convert<int16_t>(bytes, out);
      return true;
    case DType::u16:
      convert<uint16_t>(bytes, out);
      return true;
    case DType::i32:
      convert<int32_t>(bytes, out);
      return true;
    case DType::u32:
      convert<uint32_t>(bytes, out);
      return true;
    case DType::i64:
      convert<int64_t>(bytes, out);
      return true;
    case DType::u64:
      convert<uint64_t>(bytes, out);
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<Tensor> tensor_as_stored(DType dtype, const Shape& shape, const FileBytes& data) {
  const size_t size = dtype_bits(dtype) / 8;
  if (size <= 1 || reinterpret_cast<uintptr_t>(data.bytes.data()) % size == 0)
    return Tensor::borrow(dtype, shape, data.bytes, data.keeper, data.mapped);
  OCTAVO_TRY(Tensor copy, Tensor::make(dtype, shape));
  if (!data.bytes.empty())
    std::memcpy(copy.mutable_bytes().data(), data.bytes.data(), data.bytes.size());
  return copy;
}

Result<Tensor> tensor_as_f32(DType dtype, const Shape& shape, const FileBytes& data) {
  if (dtype == DType::f32) return tensor_as_stored(dtype, shape, data);
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, shape));
  if (!convert_to_f32(dtype, data.bytes,
                      {out.mutable_data<float>(), static_cast<size_t>(out.size())}))
    return Error{Code::unsupported,
                 "the element type " + std::string(dtype_name(dtype)) + " as float32"};
  data.drop();  // converted once; a file is read tensor by tensor, not kept resident
  return out;
}

Status check_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000U;
  for (size_t begin = 0; begin < values.size(); begin += 4096) {
    const auto part = values.subspan(begin, std::min<size_t>(4096, values.size() - begin));
    // No early exit inside a part, so that it is a few vector instructions.
    uint32_t bad = 0;
    for (const float v : part)
      bad |= static_cast<uint32_t>((std::bit_cast<uint32_t>(v) & kExponent) == kExponent);
    if (bad == 0) continue;
    for (size_t i = 0; i < part.size(); ++i) {
      if (!std::isfinite(part[i]))
        return Error{Code::invalid_input,
                     "element " + std::to_string(begin + i) + " is " +
                         (std::isnan(part[i]) ? "NaN" : "infinite") +
                         "; the file is damaged, or the model was saved after it had diverged"};
    }
  }
  return Done{};
}

}  // namespace octavo
