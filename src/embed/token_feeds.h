#pragma once
// Token ids -> what a graph wants to be fed: ids, a mask of ones, types of zeros, positions counted
// from 0, caches that are empty. Texts run unpadded, so nothing else is needed.

#include <cstdint>
#include <span>
#include <vector>

#include "embed/signature.h"
#include "runtime/session.h"

namespace octavo {

// [rows][length]; ids.size() is rows * length.
Result<std::vector<Feed>> token_feeds(std::span<const Signature::Input> inputs,
                                      std::span<const int64_t> ids, int64_t rows);

}  // namespace octavo
