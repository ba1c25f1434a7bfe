#include "formats/gguf_dequant.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/half.h"

namespace octavo {

namespace {

float half_at(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return f16_to_f32(bits);
}

// Blocks of 32 values: scale d, then (for _1) minimum m, then for 5 bits the 32 top bits, then 16
// bytes whose low halves are values 0..15 and high halves values 16..31. value = d * q + m, or
// d * (q - half of the range) without a minimum.
template <int kBits, bool kMin>
void block32(const std::byte* blocks, size_t count, float* out) {
  constexpr size_t kHead = 2 + (kMin ? 2 : 0) + (kBits == 5 ? 4 : 0);
  const auto* p = reinterpret_cast<const uint8_t*>(blocks);
  for (size_t b = 0; b < count; ++b, p += kHead + 16, out += 32) {
    const float d = half_at(p);
    const float m = kMin ? half_at(p + 2) : 0.0F;
    uint32_t top = 0;
    if constexpr (kBits == 5) std::memcpy(&top, p + kHead - 4, 4);
    const uint8_t* q = p + kHead;
    for (uint32_t i = 0; i < 16; ++i) {
      int low = q[i] & 15;
      int high = q[i] >> 4;
      if constexpr (kBits == 5) {
        low |= static_cast<int>((top >> i) & 1U) << 4;
        high |= static_cast<int>((top >> (i + 16)) & 1U) << 4;
      }
      if constexpr (kMin) {
        out[i] = d * static_cast<float>(low) + m;
        out[i + 16] = d * static_cast<float>(high) + m;
      } else {
        out[i] = d * static_cast<float>(low - (1 << (kBits - 1)));
        out[i + 16] = d * static_cast<float>(high - (1 << (kBits - 1)));
      }
    }
  }
}

void q8_0(const std::byte* blocks, size_t count, float* out) {
  const auto* p = reinterpret_cast<const uint8_t*>(blocks);
  for (size_t b = 0; b < count; ++b, p += 34, out += 32) {
    const float d = half_at(p);
    for (size_t i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(p[2 + i])) * d;
  }
}

// Superblocks of 256 values in eight groups of 32. Eight 6-bit scales and eight 6-bit minima lie in
// 12 bytes: bytes 0..3 and 4..7 hold the first four of each, their top two bits belong to the last
// four, whose low halves are in bytes 8..11.
struct ScaleMin {
  float scale;
  float minimum;
};
ScaleMin scale_min(const uint8_t* packed, size_t group) {
  const size_t k = group & 3;
  if (group < 4)
    return {static_cast<float>(packed[k] & 63), static_cast<float>(packed[k + 4] & 63)};
  const int scale = (packed[k + 8] & 15) | ((packed[k] >> 6) << 4);
  const int minimum = (packed[k + 8] >> 4) | ((packed[k + 4] >> 6) << 4);
  return {static_cast<float>(scale), static_cast<float>(minimum)};
}

// d, dmin, the packed scales, for 5 bits 32 bytes whose bit g is the top bit of group g, then four
// times 32 bytes: low halves are an even group, high halves the odd one after it.
template <int kBits>
void k45(const std::byte* blocks, size_t count, float* out) {
  constexpr size_t kTop = kBits == 5 ? 32 : 0;
  const auto* p = reinterpret_cast<const uint8_t*>(blocks);
  for (size_t b = 0; b < count; ++b, p += 16 + kTop + 128) {
    const float d = half_at(p);
    const float dmin = half_at(p + 2);
    const uint8_t* top = p + 16;
    for (size_t group = 0; group < 8; ++group, out += 32) {
      const auto [scale, minimum] = scale_min(p + 4, group);
      const float dl = d * scale;
      const float ml = dmin * minimum;
      const uint8_t* q = p + 16 + kTop + group / 2 * 32;
      const unsigned shift = (group & 1) * 4;
      for (size_t i = 0; i < 32; ++i) {
        int v = (q[i] >> shift) & 15;
        if constexpr (kBits == 5) v |= ((top[i] >> group) & 1) << 4;
        out[i] = dl * static_cast<float>(v) - ml;
      }
    }
  }
}

// 128 bytes of low halves, 64 bytes of two top bits, sixteen signed scales (one for 16 values), d.
// Each half of the block: value 32 * g + i has its low half in byte 32 * (g & 1) + i (low half for
// g < 2, high half else) and its top bits at 2 * g of byte i.
void q6_k(const std::byte* blocks, size_t count, float* out) {
  const auto* p = reinterpret_cast<const uint8_t*>(blocks);
  for (size_t b = 0; b < count; ++b, p += 210) {
    const float d = half_at(p + 208);
    for (size_t half = 0; half < 2; ++half) {
      const uint8_t* low = p + half * 64;
      const uint8_t* top = p + 128 + half * 32;
      for (size_t g = 0; g < 4; ++g) {
        const uint8_t* l = low + (g & 1) * 32;
        for (size_t part = 0; part < 2; ++part, out += 16) {
          const auto scale = static_cast<int8_t>(p[192 + half * 8 + g * 2 + part]);
          const float dl = d * static_cast<float>(scale);
          for (size_t i = 0; i < 16; ++i) {
            const size_t at = part * 16 + i;
            const int v = ((l[at] >> (g / 2 * 4)) & 15) | (((top[at] >> (2 * g)) & 3) << 4);
            out[i] = dl * static_cast<float>(v - 32);
          }
        }
      }
    }
  }
}

constexpr DType kNone = DType::undefined;
constexpr std::array kTypes{
    GgmlType{0, "F32", 1, 4, DType::f32, nullptr},
    GgmlType{1, "F16", 1, 2, DType::f16, nullptr},
    GgmlType{2, "Q4_0", 32, 18, kNone, block32<4, false>},
    GgmlType{3, "Q4_1", 32, 20, kNone, block32<4, true>},
    GgmlType{6, "Q5_0", 32, 22, kNone, block32<5, false>},
    GgmlType{7, "Q5_1", 32, 24, kNone, block32<5, true>},
    GgmlType{8, "Q8_0", 32, 34, kNone, q8_0},
    GgmlType{9, "Q8_1", 32, 40, kNone, nullptr},
    GgmlType{10, "Q2_K", 256, 84, kNone, nullptr},
    GgmlType{11, "Q3_K", 256, 110, kNone, nullptr},
    GgmlType{12, "Q4_K", 256, 144, kNone, k45<4>},
    GgmlType{13, "Q5_K", 256, 176, kNone, k45<5>},
    GgmlType{14, "Q6_K", 256, 210, kNone, q6_k},
    GgmlType{15, "Q8_K", 256, 292, kNone, nullptr},
    GgmlType{16, "IQ2_XXS", 256, 66, kNone, nullptr},
    GgmlType{17, "IQ2_XS", 256, 74, kNone, nullptr},
    GgmlType{18, "IQ3_XXS", 256, 98, kNone, nullptr},
    GgmlType{19, "IQ1_S", 256, 50, kNone, nullptr},
    GgmlType{20, "IQ4_NL", 32, 18, kNone, nullptr},
    GgmlType{21, "IQ3_S", 256, 110, kNone, nullptr},
    GgmlType{22, "IQ2_S", 256, 82, kNone, nullptr},
    GgmlType{23, "IQ4_XS", 256, 136, kNone, nullptr},
    GgmlType{24, "I8", 1, 1, DType::i8, nullptr},
    GgmlType{25, "I16", 1, 2, DType::i16, nullptr},
    GgmlType{26, "I32", 1, 4, DType::i32, nullptr},
    GgmlType{27, "I64", 1, 8, DType::i64, nullptr},
    GgmlType{28, "F64", 1, 8, DType::f64, nullptr},
    GgmlType{29, "IQ1_M", 256, 56, kNone, nullptr},
    GgmlType{30, "BF16", 1, 2, DType::bf16, nullptr},
    GgmlType{34, "TQ1_0", 256, 54, kNone, nullptr},
    GgmlType{35, "TQ2_0", 256, 66, kNone, nullptr},
    GgmlType{39, "MXFP4", 32, 17, kNone, nullptr},
    GgmlType{40, "NVFP4", 64, 36, kNone, nullptr},
    GgmlType{41, "Q1_0", 128, 18, kNone, nullptr},
};

}  // namespace

const GgmlType* ggml_type(uint32_t id) {
  const auto at =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const GgmlType& t) { return t.id == id; });
  return at == kTypes.end() ? nullptr : &*at;
}

std::string_view readable_ggml_types() {
  return "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K";
}

}  // namespace octavo
