#include "runtime/ops/gemm_s32.h"

#include <algorithm>
#include <string>

#include "runtime/ops/product.h"

namespace octavo::ops {

namespace {

using kernels::kPanelS8;

constexpr size_t kLeastWork = 1U << 18U;
constexpr size_t kRowBlockBytes = 512U << 10U;

constexpr size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

// sums[i] = sum of row i.
void row_sums(ThreadPool& pool, size_t m, size_t k, const uint8_t* a, int32_t* sums) {
  pool.parallel_for(m, std::max<size_t>(1, 65536 / std::max<size_t>(k, 1)),
                    [&](size_t begin, size_t end) {
                      for (size_t i = begin; i < end; ++i) {
                        int32_t sum = 0;
                        for (size_t p = 0; p < k; ++p) sum += a[i * k + p];
                        sums[i] = sum;
                      }
                    });
}

}  // namespace

Result<PackedS8> PackedS8::make(size_t k, size_t n, const std::byte* b, bool is_signed) {
  if (k > kMostK)
    return Error{Code::unsupported, "sums " + std::to_string(k) + " products of 8-bit numbers; " +
                                        std::to_string(kMostK) + " are sure to fit an int32"};
  PackedS8 packed;
  packed.k_ = k;
  packed.n_ = n;
  OCTAVO_TRY(packed.bytes_,
             Tensor::make(DType::i8, {static_cast<int64_t>(kernels::packed_s8_bytes(k, n))}));
  packed.sums_.resize(n);
  auto* to = packed.bytes_.mutable_data<int8_t>();
  if (is_signed) {
    kernels::pack_s8(k, n, reinterpret_cast<const int8_t*>(b), n, 1, to, packed.sums_.data());
    return packed;
  }
  std::vector<int8_t> flipped(k * n);
  for (size_t i = 0; i < flipped.size(); ++i)
    flipped[i] = static_cast<int8_t>(std::to_integer<uint8_t>(b[i]) ^ 0x80U);
  kernels::pack_s8(k, n, flipped.data(), n, 1, to, packed.sums_.data());
  return packed;
}

bool ZeroPoints::all_zero() const {
  return std::all_of(values.begin(), values.end(), [](int32_t v) { return v == 0; });
}

Result<ZeroPoints> ZeroPoints::make(const Tensor* t, DType dtype, int32_t shift) {
  if (dtype != DType::i8 && dtype != DType::u8)
    return Error{Code::invalid_input, std::string(dtype_name(dtype)) + " operand; 8 bits it is"};
  ZeroPoints zero;
  zero.values.assign(1, shift);
  if (t == nullptr) return zero;
  if (t->dtype() != dtype)
    return Error{Code::invalid_input, "a zero point of type " +
                                          std::string(dtype_name(t->dtype())) +
                                          " for values of type " + std::string(dtype_name(dtype))};
  if (t->size() == 0) return Error{Code::invalid_input, "a zero point without a value"};
  zero.values.resize(static_cast<size_t>(t->size()));
  for (size_t i = 0; i < zero.values.size(); ++i)
    zero.values[i] = shift + (dtype == DType::i8 ? t->data<int8_t>()[i] : t->data<uint8_t>()[i]);
  return zero;
}

void multiply_integers(const kernels::Table& table, ThreadPool& pool, size_t m, const std::byte* a,
                       bool a_signed, const ZeroPoints& a_zero, size_t first_row, const PackedS8& b,
                       const ZeroPoints& b_zero, uint8_t* work, int32_t* c) {
  const size_t k = b.k();
  const size_t n = b.n();
  if (m == 0 || n == 0) return;
  const auto* rows = reinterpret_cast<const uint8_t*>(a);
  if (a_signed) {
    pool.parallel_for(m * k, 65536, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) work[i] = rows[i] ^ 0x80U;
    });
    rows = work;
  }
  const size_t zero_stride = a_zero.values.size() == 1 ? 0 : 1;
  std::vector<uint8_t> zeros(zero_stride == 0 ? 1 : m);
  for (size_t i = 0; i < zeros.size(); ++i)
    zeros[i] = static_cast<uint8_t>(a_zero.at(first_row + i));

  // Of whole tiles, so that none runs half empty.
  const size_t fits = kRowBlockBytes / std::max<size_t>(k, 1) / table.tile_rows * table.tile_rows;
  const size_t block = std::max(fits, ceil_div(24, table.tile_rows) * table.tile_rows);
  const size_t row_tasks = ceil_div(m, block);
  const size_t panels = ceil_div(n, kPanelS8);
  const auto threads = static_cast<size_t>(pool.threads());
  const size_t wanted = threads == 1 ? 1 : ceil_div(threads * 4, row_tasks);
  const size_t affordable = std::max<size_t>(1, std::min(block, m) * n * k / kLeastWork);
  const size_t column_tasks = std::clamp<size_t>(std::min(wanted, affordable), 1, panels);
  const size_t width = ceil_div(panels, column_tasks) * kPanelS8;
  const size_t across = ceil_div(n, width);
  pool.parallel_for(row_tasks * across, 1, [&](size_t begin, size_t end) {
    for (size_t task = begin; task < end; ++task) {
      const size_t i = task / across * block;
      const size_t j = task % across * width;
      table.gemm_u8s8_s32(std::min(block, m - i), j, std::min(n, j + width), k, rows + i * k, k,
                          zeros.data() + i * zero_stride, zero_stride, b.data(), b.column_sums(),
                          c + i * n, n);
    }
  });

  if (b_zero.all_zero()) return;
  std::vector<int32_t> sums(m);
  row_sums(pool, m, k, rows, sums.data());
  pool.parallel_for(m, std::max<size_t>(1, 16384 / n), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const int32_t row = sums[i] - static_cast<int32_t>(k) * zeros[i * zero_stride];
      // Wrapping: the corrected sum fits, what is between need not.
      for (size_t j = 0; j < n; ++j) {
        const uint32_t off = static_cast<uint32_t>(b_zero.at(j)) * static_cast<uint32_t>(row);
        c[i * n + j] = static_cast<int32_t>(static_cast<uint32_t>(c[i * n + j]) - off);
      }
    }
  });
}

Status integer_products(OpContext& context, const ProductShape& p, const Tensor& a,
                        const ZeroPoints& a_zero, const Tensor* b, const PackedS8* packed,
                        const ZeroPoints& b_zero, int32_t* c) {
  const bool a_signed = a.dtype() == DType::i8;
  const size_t rows = p.count * p.m;
  const size_t a_zeros = a_zero.values.size();
  if (a_zeros != 1 && a_zeros != p.m && a_zeros != rows)
    return Error{Code::invalid_input,
                 std::to_string(a_zeros) + " zero points for " + std::to_string(p.m) + " rows"};
  const size_t b_zeros = b_zero.values.size();
  const size_t b_matrices =
      p.b_index.empty() ? 1 : *std::max_element(p.b_index.begin(), p.b_index.end()) + 1;
  if (b_zeros != 1 && b_zeros != p.n && b_zeros != p.n * b_matrices)
    return Error{Code::invalid_input,
                 std::to_string(b_zeros) + " zero points for " + std::to_string(p.n) + " columns"};
  uint8_t* work = nullptr;
  if (a_signed) {
    OCTAVO_TRY(const auto scratch, context.scratch(static_cast<size_t>(a.size())));
    work = reinterpret_cast<uint8_t*>(scratch.data());
  }
  const kernels::Table& table = context.kernels();
  ThreadPool& pool = context.pool();
  if (packed != nullptr) {
    multiply_integers(table, pool, rows, a.bytes().data(), a_signed, a_zero, 0, *packed, b_zero,
                      work, c);
    return Done{};
  }
  const size_t products = p.one_b ? std::min<size_t>(p.count, 1) : p.count;
  const size_t m = p.one_b ? rows : p.m;
  PackedS8 fresh;
  size_t fresh_index = static_cast<size_t>(-1);
  ZeroPoints columns = b_zero;
  for (size_t i = 0; i < products; ++i) {
    const size_t matrix = p.b_index[i];
    if (matrix != fresh_index) {
      OCTAVO_TRY(fresh, PackedS8::make(p.k, p.n, b->bytes().data() + matrix * p.k * p.n,
                                       b->dtype() == DType::i8));
      fresh_index = matrix;
      if (b_zeros > p.n) {
        const auto first = b_zero.values.begin() + static_cast<std::ptrdiff_t>(matrix * p.n);
        columns.values.assign(first, first + static_cast<std::ptrdiff_t>(p.n));
      }
    }
    multiply_integers(table, pool, m, a.bytes().data() + p.a_index[i] * p.m * p.k, a_signed, a_zero,
                      a_zeros == rows ? i * p.m : 0, fresh, columns, work, c + i * p.m * p.n);
  }
  return Done{};
}

}  // namespace octavo::ops
