// The two integer products of attention, exact by the limits of kernels/attention.h.

void tile_scores(size_t rows, size_t vectors, size_t d, const int16_t* q, size_t ldq,
                 const int16_t* keys, int32_t* products) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t j = 0; j < vectors * kLanes; ++j) {
      int32_t sum = 0;
      for (size_t c = 0; c < d; ++c) {
        sum += q[r * ldq + c] * keys[(c / 2 * kBlockKeys + j) * 2 + c % 2];
      }
      products[r * kBlockKeys + j] = sum;
    }
  }
}

// out[c] = out[c] * before + now * float(p . v[c]) over 32 keys a half.
void tile_values(size_t rows, size_t halves, size_t padded, const int16_t* probabilities,
                 const int16_t* values, const float* before, const float* now, float* out) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < padded; ++c) {
      int32_t sum = 0;
      for (size_t i = 0; i < halves * 16; ++i) {
        const int16_t* p = probabilities + r * kBlockKeys + 2 * i;
        const int16_t* v = values + (i * padded + c) * 2;
        sum += p[0] * v[0] + p[1] * v[1];
      }
      float& o = out[r * padded + c];
      o = __builtin_fmaf(static_cast<float>(sum), now[r], o * before[r]);
    }
  }
}
