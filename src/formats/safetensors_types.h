#pragma once
// The element types of safetensors: their names in the file, ours, and their size.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "tensor/dtype.h"

namespace octavo {

struct SafetensorsType {
  std::string_view name;
  DType dtype;  // undefined: the format has it, we have no element type for it
  uint64_t bits;
};

constexpr std::array kSafetensorsTypes{
    SafetensorsType{"F32", DType::f32, 32},
    SafetensorsType{"BF16", DType::bf16, 16},
    SafetensorsType{"F16", DType::f16, 16},
    SafetensorsType{"F64", DType::f64, 64},
    SafetensorsType{"I64", DType::i64, 64},
    SafetensorsType{"I32", DType::i32, 32},
    SafetensorsType{"I16", DType::i16, 16},
    SafetensorsType{"I8", DType::i8, 8},
    SafetensorsType{"U64", DType::u64, 64},
    SafetensorsType{"U32", DType::u32, 32},
    SafetensorsType{"U16", DType::u16, 16},
    SafetensorsType{"U8", DType::u8, 8},
    SafetensorsType{"BOOL", DType::boolean, 8},
    SafetensorsType{"F8_E4M3", DType::undefined, 8},
    SafetensorsType{"F8_E5M2", DType::undefined, 8},
    SafetensorsType{"F8_E8M0", DType::undefined, 8},
    SafetensorsType{"F6_E2M3", DType::undefined, 6},
    SafetensorsType{"F6_E3M2", DType::undefined, 6},
    SafetensorsType{"F4", DType::undefined, 4},
    SafetensorsType{"C64", DType::undefined, 64},
};

// Null when the format has no such type.
constexpr const SafetensorsType* safetensors_type(std::string_view name) {
  const auto at = std::find_if(kSafetensorsTypes.begin(), kSafetensorsTypes.end(),
                               [&](const SafetensorsType& t) { return t.name == name; });
  return at == kSafetensorsTypes.end() ? nullptr : &*at;
}
constexpr const SafetensorsType* safetensors_type(DType dtype) {
  const auto at = std::find_if(kSafetensorsTypes.begin(), kSafetensorsTypes.end(),
                               [&](const SafetensorsType& t) { return t.dtype == dtype; });
  return at == kSafetensorsTypes.end() || dtype == DType::undefined ? nullptr : &*at;
}

}  // namespace octavo
