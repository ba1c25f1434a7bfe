#pragma once
// Result and Error (public, octavo/result.h) plus the two macros that pass errors upward.

#include "octavo/result.h"

#define OCTAVO_CONCAT2(a, b) a##b
#define OCTAVO_CONCAT(a, b) OCTAVO_CONCAT2(a, b)

// OCTAVO_TRY(auto file, MappedFile::open(path)); declares `file`, or returns the error.
#define OCTAVO_TRY(decl, expr) OCTAVO_TRY_IMPL(OCTAVO_CONCAT(octavo_try_, __LINE__), decl, expr)
#define OCTAVO_TRY_IMPL(tmp, decl, expr)   \
  auto tmp = (expr);                       \
  if (!tmp) return std::move(tmp).error(); \
  decl = *std::move(tmp)

// OCTAVO_CHECK(write(bytes)); returns the error of a Status (or of any Result, dropping its value).
#define OCTAVO_CHECK(expr)                                                                       \
  do {                                                                                           \
    if (auto octavo_checked = (expr); !octavo_checked) return std::move(octavo_checked).error(); \
  } while (false)
