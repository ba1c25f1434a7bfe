#pragma once
// The built-in probe texts with their languages ("code" is one): written for this project, like the
// calibration texts, of which they repeat none.

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace octavo {

struct ProbeText {
  std::string language, text;
};

// 31 languages, most with a few short texts and one long, and code: where a model's vectors break
// depends on script and length, so that six texts of two languages can miss it altogether.
std::span<const ProbeText> wide_probe();

}  // namespace octavo
