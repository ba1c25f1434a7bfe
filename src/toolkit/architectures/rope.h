#pragma once
// Rotary position embedding: the frequencies a config asks for. Formulas: RoFormer
// (arXiv 2104.09864); "linear" is position interpolation (arXiv 2306.15595); "llama3" keeps high
// frequencies, divides low ones, and blends between (Llama 3.1).

#include <cstdint>
#include <vector>

#include "toolkit/architectures/config.h"

namespace octavo::architectures {

// head_dim / 2 angles a position, in the float32 steps of the reference implementation. Reads
// rope_theta and rope_scaling, or rope_parameters (newer configs). Scalings other than default,
// linear and llama3 are an unsupported error naming them.
std::vector<float> rope_frequencies(Config& config, int64_t head_dim);

}  // namespace octavo::architectures
