#pragma once
// Standard containers say that memory has ended by throwing. The outermost functions of the library
// run inside this, so that who calls them gets an Error, as for everything else.

#include <new>
#include <utility>

#include "base/result.h"

namespace octavo {

template <class F>
auto or_out_of_memory(F&& body) -> decltype(std::forward<F>(body)()) {
  try {
    return std::forward<F>(body)();
  } catch (const std::bad_alloc&) {
    return Error{Code::out_of_memory, "out of memory"};  // short enough to need none
  }
}

}  // namespace octavo
