#include "passes/compensated_rounding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "base/float_environment.h"
#include "kernels/kernels.h"
#include "kernels/select.h"

namespace octavo {

namespace {

constexpr size_t kBlock = 32;
constexpr size_t kColumns = 96;  // of the weight, that a task works on
constexpr size_t kRows = 256;    // of activations, that are multiplied at once

// y += a * x, element by element: the same bits on every instruction set.
void add_scaled(size_t n, double a, const double* x, double* y) {
  for (size_t i = 0; i < n; ++i) y[i] += a * x[i];
}

// Symmetric H [k][k], upper triangle filled: becomes U (unit diagonal not written) above the
// diagonal and D on it. False when a pivot is not positive.
bool decompose(size_t k, std::vector<double>& h, ThreadPool& pool) {
  // U as rows of columns: u[c][i] = U_ic for i < c, of the block at hand.
  std::vector<double> u(kBlock * k);
  for (size_t end = k; end > 0;) {
    const size_t begin = end > kBlock ? end - kBlock : 0;
    // The block's own columns, from the last: each takes what the later ones of the block do to it.
    for (size_t c = end; c-- > begin;) {
      double* column = &u[(c - begin) * k];
      for (size_t i = 0; i <= c; ++i) column[i] = h[i * k + c];
      for (size_t later = c + 1; later < end; ++later) {
        const double* other = &u[(later - begin) * k];
        add_scaled(c + 1, -other[c] * h[later * k + later], other, column);
      }
      const double pivot = column[c];
      if (!(pivot > 0)) return false;
      h[c * k + c] = pivot;
      for (size_t i = 0; i < c; ++i) column[i] /= pivot;
      column[c] = 1;
    }
    // What the block leaves of everything before it.
    pool.parallel_for(begin, 16, [&](size_t first, size_t last) {
      const FloatEnvironment environment;
      for (size_t c = begin; c < end; ++c) {
        const double* column = &u[(c - begin) * k];
        const double pivot = h[c * k + c];
        for (size_t i = first; i < last; ++i)
          add_scaled(begin - i, -column[i] * pivot, column + i, &h[i * k + i]);
      }
    });
    for (size_t c = begin; c < end; ++c)
      for (size_t i = 0; i < c; ++i) h[i * k + c] = u[(c - begin) * k + i];
    end = begin;
  }
  return true;
}

// One column of a weight on its way to the grid of its scale.
class Column {
 public:
  // from, to: its first element; rows of the weight are stride apart.
  Column(const float* from, float* to, size_t k, size_t stride)
      : from_(from), to_(to), k_(k), stride_(stride) {
    for (size_t i = 0; i < k; ++i)
      if (std::abs(given(i)) > std::abs(given(top_))) top_ = i;
    const double scale = 2 * std::abs(double{given(top_)}) / 254;
    if (scale >= double{std::numeric_limits<float>::min()}) scale_ = static_cast<float>(scale);
  }
  size_t size() const { return k_; }
  float given(size_t i) const { return from_[i * stride_]; }
  float rounded(size_t i) const { return to_[i * stride_]; }
  float error(size_t i) const { return given(i) - rounded(i); }
  // The largest weight keeps its place, or the scale would be another.
  bool is_fixed(size_t i) const { return i == top_; }
  // Puts row i on the grid, as near to wanted as it may be. Returns the error that is left.
  float round(size_t i, float wanted) {
    if (is_fixed(i)) wanted = given(i);
    to_[i * stride_] = std::clamp(std::nearbyint(wanted / scale_), -127.0F, 127.0F) * scale_;
    return error(i);
  }

 private:
  const float* from_;
  float* to_;
  size_t k_;
  size_t stride_;
  size_t top_ = 0;
  float scale_ = 1;
};

// slopes: H times the column's errors, kept up to date. added: to the diagonal of h [k][k].
void descend(Column& column, float* slopes, const float* h, float added, size_t sweeps) {
  const size_t k = column.size();
  for (size_t changed = 1; changed > 0 && sweeps > 0; --sweeps) {
    changed = 0;
    for (size_t i = 0; i < k; ++i) {
      const float own = h[i * k + i] + added;
      if (column.is_fixed(i) || !(own > 0)) continue;
      const float before = column.rounded(i);
      column.round(i, before + slopes[i] / own);
      const float by = column.rounded(i) - before;
      if (by == 0) continue;
      ++changed;
      for (size_t j = 0; j < k; ++j) slopes[j] -= by * h[i * k + j];
      slopes[i] -= by * added;
    }
  }
}

}  // namespace

void SecondMoments::add(const float* x, size_t rows, ThreadPool& pool) {
  for (size_t r = 0; r < rows; ++r) {
    waiting_.insert(waiting_.end(), x + r * k_, x + (r + 1) * k_);
    if (waiting_.size() == kRows * k_) finish(pool);
  }
}

void SecondMoments::finish(ThreadPool& pool) {
  const size_t rows = waiting_.size() / std::max<size_t>(k_, 1);
  if (rows == 0) return;
  const kernels::Table& table = *kernels::best();
  std::vector<float> packed(kernels::packed_f32_floats(rows, k_));
  kernels::pack_f32(rows, k_, waiting_.data(), k_, 1, packed.data());
  std::vector<float> turned(k_ * rows);
  for (size_t r = 0; r < rows; ++r)
    for (size_t i = 0; i < k_; ++i) turned[i * rows + r] = waiting_[r * k_ + i];
  pool.parallel_for(k_, 48, [&](size_t begin, size_t end) {
    const FloatEnvironment environment;
    std::vector<float> product((end - begin) * k_);
    table.gemm_f32(end - begin, 0, k_, rows, turned.data() + begin * rows, rows, packed.data(),
                   nullptr, product.data(), k_);
    float* sums = sums_.data() + begin * k_;
    for (size_t i = 0; i < product.size(); ++i) sums[i] += product[i];
  });
  waiting_.clear();
}

Result<CompensatedRounding> CompensatedRounding::create(const SecondMoments& moments, double noise,
                                                        ThreadPool& pool) {
  const size_t k = moments.k();
  const std::span<const float> sums = moments.sums();
  CompensatedRounding out;
  out.moments_ = &moments;
  // Inputs of much energy first: their errors are the dearest, and all others can still answer.
  std::vector<size_t>& order = out.order_;
  order.resize(k);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sums[a * k + a] > sums[b * k + b]; });
  double trace = 0;
  for (size_t i = 0; i < k; ++i) trace += sums[i * k + i];
  if (!(trace > 0) || !std::isfinite(trace))
    return Error{Code::invalid_input, "calibration saw no input that is a number"};
  const double added = noise * trace / static_cast<double>(k);
  out.added_ = static_cast<float>(added);
  std::vector<double> h(k * k);
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = i; j < k; ++j) h[i * k + j] = sums[order[i] * k + order[j]];
    h[i * k + i] += added;
  }
  if (!decompose(k, h, pool))
    return Error{Code::invalid_input, "the second moments of its inputs are not positive"};
  out.u_.assign(h.begin(), h.end());
  return out;
}

Result<Tensor> CompensatedRounding::round(const Tensor& weight, ThreadPool& pool,
                                          size_t sweeps) const {
  const size_t k = order_.size();
  if (weight.dtype() != DType::f32 || weight.rank() != 2 ||
      static_cast<size_t>(weight.shape()[0]) != k)
    return Error{Code::internal, "second moments of another size than the weight"};
  const auto n = static_cast<size_t>(weight.shape()[1]);
  OCTAVO_TRY(Tensor out, Tensor::make(DType::f32, weight.shape()));
  const float* w = weight.data<float>();
  float* to = out.mutable_data<float>();
  const kernels::Table& table = *kernels::best();
  const std::span<const float> sums = moments_->sums();
  // For each block of rows, U above it: what the rows before it are multiplied with. And H, whose
  // rows are as good as columns.
  std::vector<std::vector<float>> above((k + kBlock - 1) / kBlock);
  std::vector<std::vector<float>> beside(sweeps > 0 ? above.size() : 0);
  pool.parallel_for(above.size(), 1, [&](size_t begin, size_t end) {
    for (size_t b = begin; b < end; ++b) {
      const size_t first = b * kBlock;
      const size_t count = std::min(kBlock, k - first);
      above[b].resize(kernels::packed_f32_floats(first, count));
      if (first > 0) kernels::pack_f32(first, count, u_.data() + first, k, 1, above[b].data());
      if (sweeps == 0) continue;
      beside[b].resize(kernels::packed_f32_floats(k, count));
      kernels::pack_f32(k, count, sums.data() + first, k, 1, beside[b].data());
    }
  });
  pool.parallel_for((n + kColumns - 1) / kColumns, 1, [&](size_t begin, size_t end) {
    const FloatEnvironment environment;
    std::vector<float> errors(kColumns * k);  // a row of them a column of the weight
    std::vector<float> slopes(sweeps > 0 ? kColumns * k : 0);
    std::vector<float> partial(kColumns * kBlock);
    for (size_t c = begin * kColumns; c < std::min(n, end * kColumns); c += kColumns) {
      const size_t count = std::min(kColumns, n - c);
      std::vector<Column> columns;
      for (size_t j = 0; j < count; ++j) columns.emplace_back(w + c + j, to + c + j, k, n);
      for (size_t b = 0; b < above.size(); ++b) {
        const size_t first = b * kBlock;
        const size_t rows = std::min(kBlock, k - first);
        std::fill(partial.begin(), partial.end(), 0.0F);
        if (first > 0)
          table.gemm_f32(count, 0, rows, first, errors.data(), k, above[b].data(), nullptr,
                         partial.data(), kBlock);
        for (size_t j = 0; j < count; ++j) {
          float* error = &errors[j * k];
          for (size_t i = first; i < first + rows; ++i) {
            float sum = partial[j * kBlock + i - first];
            for (size_t e = first; e < i; ++e) sum += u_[e * k + i] * error[e];
            error[i] = columns[j].round(order_[i], columns[j].given(order_[i]) + sum);
          }
        }
      }
      if (sweeps == 0) continue;
      for (size_t j = 0; j < count; ++j)
        for (size_t i = 0; i < k; ++i) errors[j * k + i] = columns[j].error(i);
      for (size_t b = 0; b < beside.size(); ++b)
        table.gemm_f32(count, 0, std::min(kBlock, k - b * kBlock), k, errors.data(), k,
                       beside[b].data(), nullptr, &slopes[b * kBlock], k);
      for (size_t j = 0; j < count; ++j) {
        for (size_t i = 0; i < k; ++i) slopes[j * k + i] += added_ * errors[j * k + i];
        descend(columns[j], &slopes[j * k], sums.data(), added_, sweeps);
      }
    }
  });
  return out;
}

}  // namespace octavo
