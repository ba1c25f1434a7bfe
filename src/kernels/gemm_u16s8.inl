// Products of 16-bit activations as two exact ones of 8 bits, over the `F` of <isa>/lanes.inl and
// the gemm_u8s8_s32 of each ISA and the height of its tiles, kTileRows. Included inside its
// anonymous namespace, after those and epilogue.inl.

// The rows of high and low bytes are one tile for the 8-bit product, so that weights that come from
// memory are read once.
constexpr size_t kWideRows = kTileRows / 2;

// f of 64 columns from the sums of the high bytes and, right after them, of the low ones. 256 times
// a float is exact, so that one rounding adds the two.
inline void scale_wide_sums(const int32_t* sums, float a_scale, const float* scale,
                            const float* bias, float* f) {
  for (size_t j = 0; j < kPanelS8; j += kLanes) {
    const F product = mul(set(a_scale), load(scale + j));
    const F sum = fma(load_s32(sums + j), set(256.0F), load_s32(sums + kPanelS8 + j));
    store(f + j, bias == nullptr ? mul(sum, product) : fma(sum, product, load(bias + j)));
  }
}

void gemm_u16s8_f32(size_t m, size_t n0, size_t n1, const uint8_t* a, size_t lda,
                    const float* a_scale, const uint8_t* a_zero, const LayerS8& layer,
                    Epilogue epilogue, float* c, size_t ldc) {
  alignas(64) int32_t sums[2 * kWideRows * kPanelS8];
  alignas(64) float f[kWideRows * kPanelS8];
  const size_t panel_bytes = packed_s8_bytes(layer.k, 1);
  for (size_t n = n0; n < n1; n += kPanelS8) {
    const size_t columns = n1 - n < kPanelS8 ? n1 - n : kPanelS8;
    float* to = c + (is_gated(epilogue) ? n / 2 : n);
    for (size_t i = 0; i < m; i += kWideRows) {
      const size_t rows = m - i < kWideRows ? m - i : kWideRows;
      gemm_u8s8_s32(2 * rows, 0, kPanelS8, layer.k, a + 2 * i * lda, lda, a_zero + 2 * i, 1,
                    layer.packed + n / kPanelS8 * panel_bytes, layer.column_sums + n, sums,
                    kPanelS8);
      for (size_t r = 0; r < rows; ++r) {
        scale_wide_sums(sums + 2 * r * kPanelS8, a_scale[i + r], layer.scale + n,
                        layer.bias == nullptr ? nullptr : layer.bias + n, f + r * kPanelS8);
      }
      finish(epilogue, rows, columns, f, to + i * ldc, ldc);
    }
  }
}
