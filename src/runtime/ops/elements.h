#pragma once
// Element types of ops: half-precision values as types of their own, a tensor's bytes as elements,
// and the one dispatch from a DType to a template.

#include <cstdint>
#include <string>
#include <type_traits>

#include "base/half.h"
#include "runtime/op.h"

namespace octavo::ops {

// Stored as bits, computed as float.
struct F16 {
  uint16_t bits = 0;
  F16() = default;
  explicit F16(float v) : bits(f32_to_f16(v)) {}
  explicit operator float() const { return f16_to_f32(bits); }
};
struct BF16 {
  uint16_t bits = 0;
  BF16() = default;
  explicit BF16(float v) : bits(f32_to_bf16(v)) {}
  explicit operator float() const { return bf16_to_f32(bits); }
};

// A byte that is false when zero: a file may hold any byte, which a real bool must not.
struct Bool {
  uint8_t bits = 0;
  Bool() = default;
  explicit Bool(bool v) : bits(v ? 1 : 0) {}
  explicit operator bool() const { return bits != 0; }
};

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, F16> || std::is_same_v<T, BF16>;
// The type arithmetic on T is done in.
template <class T>
using Compute =
    std::conditional_t<kIsHalf<T>, float, std::conditional_t<std::is_same_v<T, Bool>, bool, T>>;
template <class T>
inline constexpr bool kIsFloat = kIsHalf<T> || std::is_floating_point_v<T>;
template <class T>
inline constexpr bool kIsSigned = kIsFloat<T> || std::is_signed_v<T>;

template <class T>
constexpr DType element_dtype() {
  if constexpr (std::is_same_v<T, F16>) {
    return DType::f16;
  } else if constexpr (std::is_same_v<T, BF16>) {
    return DType::bf16;
  } else if constexpr (std::is_same_v<T, Bool>) {
    return DType::boolean;
  } else {
    return dtype_of<T>();
  }
}

// Precondition: T is the element type (or only its size matters to the caller).
template <class T>
const T* elements(const Tensor& t) {
  return reinterpret_cast<const T*>(t.bytes().data());
}
template <class T>
T* elements(Tensor& t) {
  return reinterpret_cast<T*>(t.mutable_bytes().data());
}

template <class... Ts>
struct Types {};
using Floats = Types<float, double, F16, BF16>;
using Integers = Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using SignedNumbers = Types<float, double, F16, BF16, int8_t, int16_t, int32_t, int64_t>;
using Numbers = Types<float, double, F16, BF16, int8_t, int16_t, int32_t, int64_t, uint8_t,
                      uint16_t, uint32_t, uint64_t>;
using NumbersAndBool = Types<float, double, F16, BF16, int8_t, int16_t, int32_t, int64_t, uint8_t,
                             uint16_t, uint32_t, uint64_t, Bool>;

inline Error unsupported_dtype(DType dtype) {
  return Error{Code::unsupported, "does not take " + std::string(dtype_name(dtype)) + " here"};
}

// body.template operator()<T>() for the T of the list that dtype names; errors when none does.
template <class... Ts, class Body>
Status dispatch(Types<Ts...> /*list*/, DType dtype, Body&& body) {
  Status status = unsupported_dtype(dtype);
  const auto attempt = [&]<class T>() {
    if (element_dtype<T>() != dtype) return false;
    status = body.template operator()<T>();
    return true;
  };
  (attempt.template operator()<Ts>() || ...);
  return status;
}

// The same by element size alone, for ops that only move elements.
template <class Body>
Status dispatch_size(DType dtype, Body&& body) {
  switch (dtype_bits(dtype)) {
    case 8:
      return body.template operator()<uint8_t>();
    case 16:
      return body.template operator()<uint16_t>();
    case 32:
      return body.template operator()<uint32_t>();
    case 64:
      return body.template operator()<uint64_t>();
    default:
      return unsupported_dtype(dtype);
  }
}

// Both inputs of the same type, as the standard asks of nearly every op.
inline Status same_dtype(const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return Done{};
  return Error{Code::invalid_input,
               "inputs of different types: " + std::string(dtype_name(a.dtype())) + " and " +
                   std::string(dtype_name(b.dtype()))};
}

// A divisor of integers must be this: the standard leaves x / 0 open, and the CPU traps.
template <class T>
Status no_zero(const Tensor& divisor) {
  const T* p = elements<T>(divisor);
  for (int64_t i = 0; i < divisor.size(); ++i) {
    if (p[i] == T{0}) return Error{Code::invalid_input, "divides an integer by zero"};
  }
  return Done{};
}

}  // namespace octavo::ops
