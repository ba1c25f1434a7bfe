#pragma once
// The buffers of one run. They grow and stay for the next run, so that a server touches no new
// pages; what they hold between the steps is documented in forward.cc.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/result.h"

namespace octavo::fused {

// 64-byte aligned, uninitialised, its old content lost when it grows.
class Buffer {
 public:
  Status reserve(size_t bytes) {
    if (bytes <= size_) return Done{};
    data_.reset();
    size_ = 0;
    const size_t whole = rounded(bytes);
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(64, whole)));
    if (!data_)
      return Error{Code::out_of_memory, std::to_string(whole) +
                                            " bytes of activations; fewer tokens in a batch "
                                            "(--max-batch-tokens) need less"};
    size_ = whole;
    return Done{};
  }
  static constexpr size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

struct Workspace {
  // Of all tokens, for the whole run or the whole layer.
  Buffer x;                // residual stream [tokens][hidden] f32
  Buffer q, q_scale;       // [tokens][heads][d] s16 or f32; scale [heads][tokens]
  Buffer keys, key_scale;  // [blocks][kv_heads][packed]
  Buffer values, value_scale;
  // Of the rows of one chunk.
  Buffer normed;  // [rows][widest k] f32
  Buffer bytes, scale,
      zero;       // [rows][widest k] u8 (twice for 16 bits), a scale and zero point a row
  Buffer wide;    // q|k|v, attention's output, or the MLP's inner rows, f32
  Buffer gate;    // the gate when it is not fused into the up projection
  Buffer sum;     // a projection before it is added to the residual
  Buffer picked;  // rows that the last layer goes on with
};

}  // namespace octavo::fused
