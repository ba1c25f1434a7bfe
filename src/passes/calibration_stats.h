#pragma once
// What calibration learned about activations, as a plain value: passes never run a model themselves
// (toolkit/calibrate does, with a Session).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tensor/shape.h"

namespace octavo {

// value name -> its shape in each of a few runs that differ in batch and sequence length. A
// dimension that is the same in every run is a property of the model; the others are the caller's.
using ValueShapes = std::map<std::string, std::vector<Shape>>;

struct CalibrationStats {
  // value name -> max |x| per channel of its last axis, over every token of every text.
  std::map<std::string, std::vector<float>> channel_absmax;
  // value name -> how large each channel is beside the others of its token: the fourth root of the
  // mean, over the same tokens, of (|x| / root mean square of the token)^4. For activations with a
  // scale a token: what a few tokens with huge numbers do to their own scale is theirs alone. Empty
  // where that was not asked for; smoothquant() uses it where it is there.
  std::map<std::string, std::vector<float>> channel_share;
  // value name -> the mean over the tokens of (x / root mean square of the token)^2. For
  // activations with 16 bits. Empty where that was not asked for; smoothquant() uses it where it
  // is there.
  std::map<std::string, std::vector<float>> channel_energy;
  ValueShapes shapes;
  uint64_t texts = 0;
  uint64_t tokens = 0;
};

}  // namespace octavo
