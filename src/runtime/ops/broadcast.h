#pragma once
// numpy broadcasting of up to three inputs: the result's shape, and a loop over it in rows in which
// every input either walks along (step 1) or stays (step 0). Neighbouring dimensions that behave
// alike are merged, so [B, S, H] + [H] is B*S rows of H and equal shapes are one row.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "tensor/shape.h"

namespace octavo::ops {

// The shape that all of them broadcast to. Errors: dimensions that differ and are not 1.
Result<Shape> broadcast_shape(std::span<const Shape* const> shapes);

class Broadcast {
 public:
  static constexpr size_t kMost = 3;
  static Result<Broadcast> make(std::span<const Shape* const> shapes);

  const Shape& shape() const { return shape_; }
  int64_t size() const { return size_; }

  // Part of a row: n results from `out` on, input i starting at in[i] and moving by step[i].
  struct Piece {
    int64_t out;
    int64_t n;
    std::array<int64_t, kMost> in;
    std::array<int64_t, kMost> step;
  };

  // Calls f(piece) for pieces that cover everything, chunks of about `grain` results on any thread.
  template <class F>
  void run(ThreadPool& pool, size_t grain, const F& f) const {
    pool.parallel_for(static_cast<size_t>(size_), grain, [&](size_t begin, size_t end) {
      Cursor at = locate(static_cast<int64_t>(begin));
      for (auto i = static_cast<int64_t>(begin); i < static_cast<int64_t>(end);) {
        const int64_t inner = dims_.back();
        const int64_t n = std::min(inner - at.index.back(), static_cast<int64_t>(end) - i);
        f(Piece{i, n, at.offset, step_});
        i += n;
        advance(at, n);
      }
    });
  }

 private:
  struct Cursor {
    std::vector<int64_t> index;
    std::array<int64_t, kMost> offset{};
  };
  Cursor locate(int64_t flat) const;
  void advance(Cursor& at, int64_t n) const;

  Shape shape_;
  int64_t size_ = 0;
  size_t inputs_ = 0;
  std::vector<int64_t> dims_;                        // merged; at least one
  std::vector<std::array<int64_t, kMost>> strides_;  // beside dims_
  std::array<int64_t, kMost> step_{};                // strides_.back()
};

}  // namespace octavo::ops
