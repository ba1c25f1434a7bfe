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
  ValueShapes shapes;
  uint64_t texts = 0;
  uint64_t tokens = 0;
};

}  // namespace octavo
