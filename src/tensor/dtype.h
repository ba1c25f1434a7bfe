#pragma once
// Element types. The numbers are ONNX TensorProto.DataType, so formats/onnx needs no table.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace octavo {

enum class DType : uint8_t {
  undefined = 0,
  f32 = 1,
  u8 = 2,
  i8 = 3,
  u16 = 4,
  i16 = 5,
  i32 = 6,
  i64 = 7,
  string = 8,  // never held by a Tensor; formats/onnx keeps such initializers opaque
  boolean = 9,
  f16 = 10,
  f64 = 11,
  u32 = 12,
  u64 = 13,
  bf16 = 16,
  u4 = 21,  // two in a byte, the even index in the low half
  i4 = 22,
};

// Bits of one element; 0 for undefined and string.
size_t dtype_bits(DType dtype);
// "float32", "uint8", ... as numpy names them ("bfloat16", "uint4", "int4" beyond numpy).
std::string_view dtype_name(DType dtype);
// Whether the number is a type that Tensor can hold.
bool is_known_dtype(int32_t onnx_number);

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::f32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::f64;
}
template <>
constexpr DType dtype_of<uint8_t>() {
  return DType::u8;
}
template <>
constexpr DType dtype_of<int8_t>() {
  return DType::i8;
}
template <>
constexpr DType dtype_of<uint16_t>() {
  return DType::u16;
}
template <>
constexpr DType dtype_of<int16_t>() {
  return DType::i16;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::i32;
}
template <>
constexpr DType dtype_of<int64_t>() {
  return DType::i64;
}
template <>
constexpr DType dtype_of<uint32_t>() {
  return DType::u32;
}
template <>
constexpr DType dtype_of<uint64_t>() {
  return DType::u64;
}
template <>
constexpr DType dtype_of<bool>() {
  return DType::boolean;
}

}  // namespace octavo
