#include "tensor/dtype.h"

namespace octavo {

size_t dtype_bits(DType dtype) {
  switch (dtype) {
    case DType::u4:
    case DType::i4:
      return 4;
    case DType::u8:
    case DType::i8:
    case DType::boolean:
      return 8;
    case DType::u16:
    case DType::i16:
    case DType::f16:
    case DType::bf16:
      return 16;
    case DType::f32:
    case DType::i32:
    case DType::u32:
      return 32;
    case DType::f64:
    case DType::i64:
    case DType::u64:
      return 64;
    case DType::undefined:
    case DType::string:
      break;
  }
  return 0;
}

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::undefined:
      return "undefined";
    case DType::f32:
      return "float32";
    case DType::u8:
      return "uint8";
    case DType::i8:
      return "int8";
    case DType::u16:
      return "uint16";
    case DType::i16:
      return "int16";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
    case DType::string:
      return "string";
    case DType::boolean:
      return "bool";
    case DType::f16:
      return "float16";
    case DType::f64:
      return "float64";
    case DType::u32:
      return "uint32";
    case DType::u64:
      return "uint64";
    case DType::bf16:
      return "bfloat16";
    case DType::u4:
      return "uint4";
    case DType::i4:
      return "int4";
  }
  return "unknown";
}

bool is_known_dtype(int32_t onnx_number) {
  return onnx_number > 0 && onnx_number < 64 && dtype_bits(static_cast<DType>(onnx_number)) != 0;
}

}  // namespace octavo
