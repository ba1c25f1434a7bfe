#include "passes/channel_map.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace octavo {

namespace {

Error refuse(std::string why) { return {Code::unsupported, std::move(why)}; }

int64_t product(std::span<const int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

// Elements before, on, and after one axis.
struct Split {
  int64_t outer, size, inner;
};
Split split_at(const Shape& dims, size_t axis) {
  const std::span<const int64_t> all(dims);
  return {product(all.first(axis)), dims[axis], product(all.subspan(axis + 1))};
}

// [begin, end) of the axes on each side that hold the same elements.
struct Block {
  size_t in_begin, in_end, out_begin, out_end;
};

// The finest common grouping of two shapes with the same number of elements. Axes of size 1 belong
// to the block before them.
std::vector<Block> blocks_of(const Shape& in, const Shape& out) {
  std::vector<Block> blocks;
  size_t i = 0;
  size_t o = 0;
  while (i < in.size() || o < out.size()) {
    Block b{i, i, o, o};
    int64_t a = 1;
    int64_t c = 1;
    if (i < in.size()) a = in[i++];
    if (o < out.size()) c = out[o++];
    while (a != c && (i < in.size() || o < out.size())) {
      if ((a < c && i < in.size()) || o == out.size()) {
        a *= in[i++];
      } else {
        c *= out[o++];
      }
    }
    while (i < in.size() && in[i] == 1) ++i;
    while (o < out.size() && out[o] == 1) ++o;
    b.in_end = i;
    b.out_end = o;
    blocks.push_back(b);
  }
  return blocks;
}

bool same_blocks(const std::vector<Block>& a, const std::vector<Block>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Block& x, const Block& y) {
    return x.in_begin == y.in_begin && x.in_end == y.in_end && x.out_begin == y.out_begin &&
           x.out_end == y.out_end;
  });
}

// The dims that the map would have if it were written out over whole blocks; refuses where a block
// that the map touches has a size that changes from run to run.
Result<Shape> full_dims(const ChannelMap& map, const std::vector<Block>& blocks,
                        std::span<const Shape> output) {
  Shape full = map.dims;
  for (const Block& b : blocks) {
    bool touched = false;
    for (size_t o = b.out_begin; o < b.out_end; ++o) touched = touched || map.dims[o] != 1;
    if (!touched) continue;
    for (size_t o = b.out_begin; o < b.out_end; ++o) {
      full[o] = output[0][o];
      for (const Shape& run : output) {
        if (run[o] != full[o])
          return refuse("a reshape mixes the channels with an axis whose size is not fixed");
      }
      if (map.dims[o] != 1 && map.dims[o] != full[o])
        return refuse("a reshape has another size than its channels");
    }
  }
  return full;
}

// The map repeated along the axes where `full` is larger.
ChannelMap written_out(const ChannelMap& map, const Shape& full) {
  ChannelMap wide{full, std::vector<int32_t>(static_cast<size_t>(product(full)))};
  Shape index(full.size(), 0);
  for (int32_t& id : wide.ids) {
    int64_t from = 0;
    for (size_t d = 0; d < full.size(); ++d)
      from = from * map.dims[d] + (map.dims[d] == 1 ? 0 : index[d]);
    id = map.ids[static_cast<size_t>(from)];
    for (size_t d = full.size(); d-- > 0;) {
      if (++index[d] < full[d]) break;
      index[d] = 0;
    }
  }
  return wide;
}

Status tie(int32_t& into, int32_t id, std::vector<ChannelTie>& ties) {
  if (into == id) return Done{};
  if (into == ChannelMap::kUntouched || id == ChannelMap::kUntouched)
    return refuse("one element feeds both a scaled and an unscaled position");
  ties.push_back({into, id});
  return Done{};
}

}  // namespace

ChannelMap ChannelMap::last_axis(size_t rank, int64_t channels) {
  ChannelMap map{Shape(rank, 1), std::vector<int32_t>(static_cast<size_t>(channels))};
  map.dims.back() = channels;
  std::iota(map.ids.begin(), map.ids.end(), 0);
  return map;
}

bool ChannelMap::untouched() const {
  return std::all_of(ids.begin(), ids.end(), [](int32_t id) { return id == kUntouched; });
}

Result<ChannelMap> through_transpose(const ChannelMap& map, std::span<const int64_t> perm) {
  const size_t rank = map.dims.size();
  if (perm.size() != rank) return refuse("a Transpose has another rank than its output");
  ChannelMap in{Shape(rank, 1), std::vector<int32_t>(map.ids.size())};
  std::vector<bool> seen(rank, false);
  for (size_t o = 0; o < rank; ++o) {
    if (perm[o] < 0 || perm[o] >= static_cast<int64_t>(rank) || seen[static_cast<size_t>(perm[o])])
      return refuse("a Transpose has an invalid perm");
    seen[static_cast<size_t>(perm[o])] = true;
    in.dims[static_cast<size_t>(perm[o])] = map.dims[o];
  }
  Shape stride(rank, 1);  // of the input map
  for (size_t d = rank; d-- > 1;) stride[d - 1] = stride[d] * in.dims[d];
  Shape index(rank, 0);
  for (const int32_t id : map.ids) {
    int64_t to = 0;
    for (size_t o = 0; o < rank; ++o) to += index[o] * stride[static_cast<size_t>(perm[o])];
    in.ids[static_cast<size_t>(to)] = id;
    for (size_t d = rank; d-- > 0;) {
      if (++index[d] < map.dims[d]) break;
      index[d] = 0;
    }
  }
  return in;
}

Result<ChannelMap> through_reshape(const ChannelMap& map, std::span<const Shape> input,
                                   std::span<const Shape> output) {
  if (input.empty() || input.size() != output.size())
    return refuse("the shapes around a reshape were not observed");
  for (size_t run = 0; run < input.size(); ++run) {
    if (input[run].size() != input[0].size() || output[run].size() != map.dims.size() ||
        product(input[run]) != product(output[run]) || product(input[run]) == 0)
      return refuse("the shapes around a reshape do not fit");
  }
  const std::vector<Block> blocks = blocks_of(input[0], output[0]);
  for (size_t run = 1; run < input.size(); ++run) {
    if (!same_blocks(blocks, blocks_of(input[run], output[run])))
      return refuse("a reshape groups the axes differently for other batch or sequence sizes");
  }
  OCTAVO_TRY(const Shape full, full_dims(map, blocks, output));
  ChannelMap in = written_out(map, full);
  in.dims.assign(input[0].size(), 1);
  for (const Block& b : blocks) {
    bool touched = false;
    for (size_t o = b.out_begin; o < b.out_end; ++o) touched = touched || map.dims[o] != 1;
    if (!touched) continue;
    // Equal products in every run and fixed output sizes do not fix how the input splits them.
    for (size_t i = b.in_begin; i < b.in_end; ++i) {
      for (const Shape& run : input) {
        if (run[i] != input[0][i])
          return refuse("a reshape mixes the channels with an axis whose size is not fixed");
      }
      in.dims[i] = input[0][i];
    }
  }
  return in;
}

Result<ChannelMap> through_expand(const ChannelMap& map, std::span<const int64_t> input,
                                  std::vector<ChannelTie>& ties) {
  if (input.size() > map.dims.size()) return refuse("an Expand lowers the rank");
  const size_t added = map.dims.size() - input.size();
  ChannelMap in{map.dims, {}};
  for (size_t d = 0; d < map.dims.size(); ++d) {
    const int64_t have = d < added ? 1 : input[d - added];
    if (have == 1) {
      in.dims[d] = 1;
    } else if (map.dims[d] != 1 && map.dims[d] != have) {
      return refuse("an Expand has another size than its channels");
    }
  }
  in.ids.assign(static_cast<size_t>(product(in.dims)), 0);
  std::vector<bool> set(in.ids.size(), false);
  Shape index(map.dims.size(), 0);
  for (const int32_t id : map.ids) {
    int64_t to = 0;
    for (size_t d = 0; d < index.size(); ++d)
      to = to * in.dims[d] + (in.dims[d] == 1 ? 0 : index[d]);
    const auto at = static_cast<size_t>(to);
    if (set[at]) {
      OCTAVO_CHECK(tie(in.ids[at], id, ties));
    } else {
      in.ids[at] = id;
      set[at] = true;
    }
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < map.dims[d]) break;
      index[d] = 0;
    }
  }
  in.dims.erase(in.dims.begin(), in.dims.begin() + static_cast<std::ptrdiff_t>(added));
  return in;
}

Result<ChannelMap> through_selection(const ChannelMap& map, size_t axis,
                                     std::span<const int64_t> sources, int64_t size,
                                     std::vector<ChannelTie>& ties) {
  Shape full = map.dims;
  full[axis] = static_cast<int64_t>(sources.size());
  if (map.dims[axis] != 1 && map.dims[axis] != full[axis])
    return refuse("a selection has another size than its channels");
  const ChannelMap wide = written_out(map, full);
  ChannelMap in{full, {}};
  in.dims[axis] = size;
  in.ids.assign(static_cast<size_t>(product(in.dims)), ChannelMap::kUntouched);
  std::vector<bool> set(in.ids.size(), false);
  const Split s = split_at(full, axis);
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t i = 0; i < s.size; ++i) {
      const int64_t source = sources[static_cast<size_t>(i)];
      if (source < 0 || source >= size) return refuse("a selection reads outside its input");
      for (int64_t k = 0; k < s.inner; ++k) {
        const auto to = static_cast<size_t>((o * size + source) * s.inner + k);
        const int32_t id = wide.ids[static_cast<size_t>((o * s.size + i) * s.inner + k)];
        if (set[to]) {
          OCTAVO_CHECK(tie(in.ids[to], id, ties));
        } else {
          in.ids[to] = id;
          set[to] = true;
        }
      }
    }
  }
  return in;
}

ChannelMap select(const ChannelMap& map, size_t axis, std::span<const int64_t> positions) {
  if (map.dims[axis] == 1) return map;
  const Split s = split_at(map.dims, axis);
  ChannelMap part{map.dims, {}};
  part.dims[axis] = static_cast<int64_t>(positions.size());
  part.ids.reserve(static_cast<size_t>(product(part.dims)));
  for (int64_t o = 0; o < s.outer; ++o) {
    for (const int64_t p : positions) {
      const auto from = map.ids.begin() + (o * s.size + p) * s.inner;
      part.ids.insert(part.ids.end(), from, from + s.inner);
    }
  }
  return part;
}

Result<ChannelMap> for_operand(const ChannelMap& map, std::span<const int64_t> operand,
                               bool may_grow) {
  if (operand.size() > map.dims.size())
    return refuse("an operand has a higher rank than its result");
  const size_t dropped = map.dims.size() - operand.size();
  ChannelMap own = map;
  for (size_t d = 0; d < map.dims.size(); ++d) {
    if (map.dims[d] == 1) continue;
    if (d < dropped) return refuse("an operand does not vary along the channels");
    const int64_t have = operand[d - dropped];
    if (have == map.dims[d] || (have == 1 && may_grow)) continue;
    return refuse("an operand does not vary along the channels");
  }
  own.dims.erase(own.dims.begin(), own.dims.begin() + static_cast<std::ptrdiff_t>(dropped));
  return own;
}

}  // namespace octavo
