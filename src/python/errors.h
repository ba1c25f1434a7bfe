#pragma once
// An Error of the library as a Python exception: src/python/octavo/_errors.py has a class for every
// code.

#include <nanobind/nanobind.h>

#include <utility>

#include "octavo/result.h"

namespace octavo::python {

namespace nb = nanobind;

// How an Error gets through nanobind, which knows exceptions only.
struct Failure {
  Error error;
};

// Once, when the module is loaded.
void translate_failures();

template <class T>
T value_of(Result<T> result) {
  if (!result) throw Failure{std::move(result).error()};
  return *std::move(result);
}

// Bytes that need not be UTF-8 (names in files, paths) as a str; what is none becomes U+FFFD.
nb::str text_of(const std::string& bytes);

}  // namespace octavo::python
