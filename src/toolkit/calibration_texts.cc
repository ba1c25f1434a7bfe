#include "toolkit/calibration_texts.h"

#include "toolkit/calibrate.h"

namespace octavo {

std::span<const std::string> default_calibration_texts() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> all;
    for (const auto family : {calibration::english, calibration::germanic, calibration::romance,
                              calibration::slavic, calibration::european, calibration::asian,
                              calibration::code, calibration::fragments, calibration::messages}) {
      for (const std::string_view text : family()) all.emplace_back(text);
    }
    return all;
  }();
  return texts;
}

}  // namespace octavo
