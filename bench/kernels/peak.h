#pragma once
// What one core can multiply at most, measured in this very process: the yardstick of every
// percentage the benchmarks print.

#include <string_view>

namespace octavo::bench {

// 1e9 multiply-adds a second of float FMA, and of 8-bit dot products, with the registers of that
// instruction set ("avx2", "avx512vnni"); 0 for others.
double peak_f32(std::string_view isa);
double peak_u8s8(std::string_view isa);

}  // namespace octavo::bench
