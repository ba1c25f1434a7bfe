#pragma once
// Which channels of a value must share one factor: the classes that ties make; tiny union-find.

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include "passes/channel_map.h"

namespace octavo {

class ChannelClasses {
 public:
  ChannelClasses(size_t count, std::span<const ChannelTie> ties) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
    for (const ChannelTie& tie : ties)
      parent_[of(static_cast<size_t>(tie.a))] = of(static_cast<size_t>(tie.b));
  }
  size_t of(size_t channel) {
    while (parent_[channel] != channel) channel = parent_[channel] = parent_[parent_[channel]];
    return channel;
  }

  // Every channel gets what `join` makes of its class's numbers, from T{0} and in their order.
  template <class T, class Join>
  std::vector<T> joined(std::span<const T> values, const Join& join) {
    std::vector<T> shared(values.size(), T{0});
    for (size_t j = 0; j < values.size(); ++j) shared[of(j)] = join(shared[of(j)], values[j]);
    std::vector<T> out(values.size());
    for (size_t j = 0; j < values.size(); ++j) out[j] = shared[of(j)];
    return out;
  }

 private:
  std::vector<size_t> parent_;
};

}  // namespace octavo
