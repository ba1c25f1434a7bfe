#pragma once
// Which channel's factor multiplies each element of a value. Smoothing divides an activation by one
// number a channel; as that division is carried backwards through the graph, the channel axis moves
// (Transpose), splits into heads (Reshape), or covers only a part (Split, Slice). A map says where
// it is without naming any factor, so that the trace needs no numbers.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/shape.h"

namespace octavo {

struct ChannelMap {
  static constexpr int32_t kUntouched = -1;  // factor 1

  // One entry an axis of the value: its full size where the channel depends on that axis, else 1.
  Shape dims;
  std::vector<int32_t> ids;  // row-major over dims

  // Channel = index on the last axis.
  static ChannelMap last_axis(size_t rank, int64_t channels);
  bool untouched() const;
  bool operator==(const ChannelMap&) const = default;
};

// Two channels that a fold forces to share one factor.
struct ChannelTie {
  int32_t a;
  int32_t b;
};

// All of the following take the map of an op's output and give that of its input. An Error is a
// refusal: the factor can't be written as one number an element of the input.

// Input axis perm[i] is output axis i, as in Transpose.
Result<ChannelMap> through_transpose(const ChannelMap& map, std::span<const int64_t> perm);

// Any op that only regroups elements in row-major order: Reshape, Flatten, Squeeze, Unsqueeze. The
// shapes are those of the same runs, one entry a run.
Result<ChannelMap> through_reshape(const ChannelMap& map, std::span<const Shape> input,
                                   std::span<const Shape> output);

// numpy broadcasting of an input of that shape up to the map's rank, an axis of size 1 included:
// every output element that reads one input element must agree, so their channels are tied.
Result<ChannelMap> through_expand(const ChannelMap& map, std::span<const int64_t> input,
                                  std::vector<ChannelTie>& ties);

// Output position i on `axis` reads input position sources[i] of `size`: Slice, Gather, Split,
// Concat's inverse, Tile. Positions that nothing reads stay untouched; positions read twice are
// tied.
Result<ChannelMap> through_selection(const ChannelMap& map, size_t axis,
                                     std::span<const int64_t> sources, int64_t size,
                                     std::vector<ChannelTie>& ties);

// The part of the map at those positions of `axis` (which may have extent 1: then all of it).
ChannelMap select(const ChannelMap& map, size_t axis, std::span<const int64_t> positions);

// The map of an operand of that shape in an elementwise op. With may_grow an axis of size 1 is
// accepted: the operand is a constant that will be written out in full. Errors: the operand does
// not vary along the channel.
Result<ChannelMap> for_operand(const ChannelMap& map, std::span<const int64_t> operand,
                               bool may_grow);

}  // namespace octavo
