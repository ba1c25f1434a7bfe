#include "runtime/ops/strided_copy.h"

#include <algorithm>
#include <cstring>

namespace octavo::ops {

namespace {

constexpr size_t kGrainBytes = size_t{1} << 16;

struct Walk {
  Ints dims;     // merged, none is 1
  Ints strides;  // of the input
  Ints places;   // strides of the output
};

// Dimensions of one are dropped; neighbours that the input walks through like one dimension merged.
Walk merged(std::span<const int64_t> dims, std::span<const int64_t> strides) {
  Walk w;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    if (!w.dims.empty() && w.strides.back() == strides[d] * dims[d]) {
      w.dims.back() *= dims[d];
      w.strides.back() = strides[d];
    } else {
      w.dims.push_back(dims[d]);
      w.strides.push_back(strides[d]);
    }
  }
  if (w.dims.empty()) {
    w.dims.push_back(1);
    w.strides.push_back(1);
  }
  w.places = strides_of(w.dims);
  return w;
}

// Visits the positions of all dimensions but those in `skip`, from flat index `begin` to `end`.
template <class F>
void each_outer(const Walk& w, const Ints& outer, size_t begin, size_t end, const F& f) {
  Ints index(outer.size(), 0);
  int64_t from = 0;
  int64_t to = 0;
  auto flat = static_cast<int64_t>(begin);
  for (size_t k = outer.size(); k-- > 0;) {
    const auto d = static_cast<size_t>(outer[k]);
    index[k] = flat % w.dims[d];
    flat /= w.dims[d];
    from += index[k] * w.strides[d];
    to += index[k] * w.places[d];
  }
  for (size_t i = begin; i < end; ++i) {
    f(from, to);
    for (size_t k = outer.size(); k-- > 0;) {
      const auto d = static_cast<size_t>(outer[k]);
      from += w.strides[d];
      to += w.places[d];
      if (++index[k] < w.dims[d]) break;
      index[k] = 0;
      from -= w.strides[d] * w.dims[d];
      to -= w.places[d] * w.dims[d];
    }
  }
}

template <class T>
void row(int64_t n, const T* in, int64_t stride, T* out) {
  if (stride == 1) {
    std::memcpy(out, in, static_cast<size_t>(n) * sizeof(T));
  } else if (stride == 0) {
    std::fill_n(out, n, *in);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = in[i * stride];
  }
}

// rows x columns: the input is dense along the rows' index, the output along the columns'. Squares
// of 16 keep both sides in L1: 16 lines each.
template <class T>
void transpose(int64_t rows, int64_t columns, const T* in, int64_t in_stride, T* out,
               int64_t out_stride) {
  constexpr int64_t kSquare = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kSquare) {
    const int64_t r1 = std::min(rows, r0 + kSquare);
    for (int64_t c0 = 0; c0 < columns; c0 += kSquare) {
      const int64_t c1 = std::min(columns, c0 + kSquare);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c) out[r * out_stride + c] = in[c * in_stride + r];
      }
    }
  }
}

template <class T>
void copy(ThreadPool& pool, const Walk& w, const T* in, T* out) {
  const size_t last = w.dims.size() - 1;
  // Which dimension the input is dense along, when it is not the last one.
  size_t dense = last;
  if (w.strides[last] != 1 && w.strides[last] != 0) {
    for (size_t d = 0; d < last; ++d) {
      if (w.strides[d] == 1) dense = d;
    }
  }
  Ints outer;
  size_t outer_count = 1;
  for (size_t d = 0; d < last; ++d) {
    if (d == dense) continue;
    outer.push_back(static_cast<int64_t>(d));
    outer_count *= static_cast<size_t>(w.dims[d]);
  }
  if (dense != last) {
    const int64_t rows = w.dims[dense];
    // Too few planes for the threads: bands of rows are tasks too.
    constexpr int64_t kBand = 64;
    const auto bands = static_cast<size_t>((rows + kBand - 1) / kBand);
    const auto task_elements = static_cast<size_t>(std::min(kBand, rows) * w.dims[last]);
    const size_t grain = std::max<size_t>(kGrainBytes / sizeof(T) / task_elements, 1);
    pool.parallel_for(outer_count * bands, grain, [&](size_t begin, size_t end) {
      for (size_t task = begin; task < end; ++task) {
        const auto r0 = static_cast<int64_t>(task % bands) * kBand;
        each_outer(w, outer, task / bands, task / bands + 1, [&](int64_t from, int64_t to) {
          transpose(std::min(kBand, rows - r0), w.dims[last], in + from + r0, w.strides[last],
                    out + to + r0 * w.places[dense], w.places[dense]);
        });
      }
    });
    return;
  }
  const int64_t n = w.dims[last];
  const size_t row_bytes = std::max<size_t>(static_cast<size_t>(n) * sizeof(T), 1);
  if (outer_count == 1) {
    pool.parallel_for(
        static_cast<size_t>(n), kGrainBytes / sizeof(T), [&](size_t begin, size_t end) {
          row(static_cast<int64_t>(end - begin), in + static_cast<int64_t>(begin) * w.strides[last],
              w.strides[last], out + begin);
        });
    return;
  }
  pool.parallel_for(
      outer_count, std::max<size_t>(kGrainBytes / row_bytes, 1), [&](size_t begin, size_t end) {
        each_outer(w, outer, begin, end,
                   [&](int64_t from, int64_t to) { row(n, in + from, w.strides[last], out + to); });
      });
}

}  // namespace

void strided_copy(ThreadPool& pool, std::span<const int64_t> dims, std::span<const int64_t> strides,
                  size_t element_size, const std::byte* in, std::byte* out) {
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return;
  const Walk w = merged(dims, strides);
  const auto as = [&]<class T>() {
    copy(pool, w, reinterpret_cast<const T*>(in), reinterpret_cast<T*>(out));
  };
  switch (element_size) {
    case 1:
      return as.template operator()<uint8_t>();
    case 2:
      return as.template operator()<uint16_t>();
    case 4:
      return as.template operator()<uint32_t>();
    default:
      return as.template operator()<uint64_t>();
  }
}

}  // namespace octavo::ops
