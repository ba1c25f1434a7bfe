// bf16 weights give the bits that the same weights give as floats, on every instruction set.

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::kernels {
namespace {

using test::Guarded;
using test::Random;

float widened(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

TEST(GemmBf16, TheBitsOfFloatWeights) {
  for (const size_t m : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25}) {
    for (const size_t n : {1, 15, 16, 31, 32, 33, 64, 65, 100}) {
      for (const size_t k : {1, 2, 17, 64}) {
        Random random(m * 10007 + n * 101 + k);
        const size_t ldc = n + m % 3;
        const auto a = Guarded<float>::of(random.floats(m * k));
        const auto bias = Guarded<float>::of(random.floats(n));
        Guarded<uint16_t> b(k * n);
        // Every exponent but the last two, so that no product is infinite.
        for (uint16_t& x : b.span()) x = static_cast<uint16_t>(random.bits() & 0xbfffU);
        Guarded<float> wide(k * n);
        for (size_t i = 0; i < b.size(); ++i) wide[i] = widened(b[i]);
        Guarded<uint16_t> packed(packed_f32_floats(k, n));
        packed.fill(0x4321);
        pack_bf16(k, n, b.data(), n, 1, packed.data());
        Guarded<float> packed_wide(packed_f32_floats(k, n));
        pack_f32(k, n, wide.data(), n, 1, packed_wide.data());
        for (size_t i = 0; i < packed.size(); ++i) ASSERT_EQ(widened(packed[i]), packed_wide[i]);

        const float* given = n % 2 == 0 ? bias.data() : nullptr;
        Guarded<float> want((m - 1) * ldc + n);
        want.fill(-777);
        kRef.gemm_f32(m, 0, n, k, a.data(), k, packed_wide.data(), given, want.data(), ldc);
        for (const Table* table : test::tables()) {
          Guarded<float> c(want.size());
          c.fill(-777);
          table->gemm_bf16_f32(m, 0, n, k, a.data(), k, packed.data(), given, c.data(), ldc);
          ASSERT_TRUE(test::same_bytes(want, c))
              << table->name << " m " << m << " n " << n << " k " << k;
        }
      }
    }
  }
}

TEST(GemmBf16, ColumnsMayBeSplit) {
  constexpr size_t kM = 7, kN = 150, kK = 40;
  Random random(3);
  const auto a = Guarded<float>::of(random.floats(kM * kK));
  const auto bias = Guarded<float>::of(random.floats(kN));
  Guarded<uint16_t> packed(packed_f32_floats(kK, kN));
  for (uint16_t& x : packed.span()) x = static_cast<uint16_t>(random.bits() & 0xbfffU);
  Guarded<float> want(kM * kN);
  kRef.gemm_bf16_f32(kM, 0, kN, kK, a.data(), kK, packed.data(), bias.data(), want.data(), kN);
  for (const Table* table : test::tables()) {
    Guarded<float> c(kM * kN);
    for (const auto& [from, to] : {std::pair<size_t, size_t>{64, 96}, {96, kN}, {0, 64}}) {
      table->gemm_bf16_f32(kM, from, to, kK, a.data(), kK, packed.data(), bias.data(), c.data(),
                           kN);
    }
    EXPECT_TRUE(test::same_bytes(want, c)) << table->name;
  }
}

TEST(PackBf16, EitherOrder) {
  for (const size_t k : {1, 15, 16, 17, 40}) {
    for (const size_t n : {1, 31, 32, 33, 70}) {
      Random random(k * 100 + n);
      Guarded<uint16_t> b(k * n);
      for (uint16_t& x : b.span()) x = static_cast<uint16_t>(random.bits());
      for (const bool transposed : {false, true}) {
        Guarded<uint16_t> packed(packed_f32_floats(k, n));
        packed.fill(99);
        pack_bf16(k, n, b.data(), transposed ? 1 : n, transposed ? k : 1, packed.data());
        for (size_t i = 0; i < packed.size(); ++i) {
          const size_t column = i / (k * 32) * 32 + i % 32;
          const size_t p = i / 32 % k;
          const int want = column < n ? b[transposed ? column * k + p : p * n + column] : 0;
          ASSERT_EQ(packed[i], want) << k << " " << n << " " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace octavo::kernels
