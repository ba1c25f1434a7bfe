#pragma once
// What calibration learned about activations, as a plain value: passes never run a model themselves
// (toolkit/calibrate does, with a Session).

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace octavo {

struct CalibrationStats {
  // value name -> max |x| per channel of its last axis, over every token of every text.
  std::map<std::string, std::vector<float>> channel_absmax;
  uint64_t texts = 0;
  uint64_t tokens = 0;
};

}  // namespace octavo
