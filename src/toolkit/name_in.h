#pragma once

namespace octavo {

// The name that a table of pairs (octavo/quantize.h, octavo/build.h) has for a value.
template <class Names, class T>
const char* name_in(const Names& names, T wanted) {
  for (const auto& [name, value] : names)
    if (value == wanted) return name;
  return "";
}

}  // namespace octavo
