#pragma once
// What this machine can do at most, measured: the yardstick of every percentage that `octavo bench`
// and bench_kernels print. Each function measures the thread that calls it, so with several threads
// the sum over all of them, running at once, is the machine's.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace octavo::kernels {

// 1e9 multiply-adds a second of float FMA, of exact products of bytes, and of 16-bit integers (as
// in attention), with the registers of the instruction set that a Table names; 0 for "ref" and for
// what this CPU cannot run. Takes about `seconds`, of which the best moment counts.
double measure_f32_peak(std::string_view isa, double seconds = 0.03);
double measure_u8s8_peak(std::string_view isa, double seconds = 0.03);
double measure_s16_peak(std::string_view isa, double seconds = 0.03);

// 1e9 bytes a second read from `bytes` at p (8 at least), in one pass. Memory bandwidth when that
// is several times the last cache and has been written before: untouched pages are all the same
// one.
double measure_read_bandwidth(const void* p, size_t bytes);

}  // namespace octavo::kernels
