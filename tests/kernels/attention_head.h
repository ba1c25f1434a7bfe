#pragma once
// One head of attention for tests: random q, k, v in guarded buffers, packed by a table, run by a
// table, and the same from the formula in double.

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "kernels/guarded.h"
#include "kernels/random.h"
#include "kernels/tables.h"

namespace octavo::test {

struct Head {
  size_t tokens;
  size_t d;
  size_t ld;  // of q, k, v and out
  bool causal = true;
  size_t window = 0;
  float scale;
  Guarded<float> q, k, v;

  Head(size_t tokens_, size_t d_, float sharpness = 1, size_t slack = 0)
      : tokens(tokens_),
        d(d_),
        ld(d_ + slack),
        scale(1 / std::sqrt(static_cast<float>(d_))),
        q((tokens - 1) * ld + d),
        k(q.size()),
        v(q.size()) {
    Random random(tokens * 1009 + d);
    for (float& x : q.span()) x = random.uniform(-2, 2) * sharpness;
    for (float& x : k.span()) x = random.uniform(-2, 2);
    for (float& x : v.span()) x = random.uniform(-1, 1);
  }

  bool sees(size_t position, size_t key) const {
    if (causal && key > position) return false;
    if (window == 0) return true;
    return key + window > position && (causal || key < position + window);
  }

  // Row `position` in double.
  std::vector<double> exact(size_t position) const {
    std::vector<double> score(tokens, -INFINITY);
    double top = -INFINITY;
    for (size_t j = 0; j < tokens; ++j) {
      if (!sees(position, j)) continue;
      double dot = 0;
      for (size_t c = 0; c < d; ++c) dot += double{q[position * ld + c]} * k[j * ld + c];
      score[j] = dot * scale;
      top = std::max(top, score[j]);
    }
    std::vector<double> out(d);
    double sum = 0;
    for (size_t j = 0; j < tokens; ++j) {
      if (!sees(position, j)) continue;
      const double p = std::exp(score[j] - top);
      sum += p;
      for (size_t c = 0; c < d; ++c) out[c] += p * v[j * ld + c];
    }
    for (double& x : out) x /= sum;
    return out;
  }
};

struct Packed16 {
  Guarded<int16_t> q, keys, values;
  Guarded<float> q_scale, key_scale, value_scale;
  kernels::Keys view;

  Packed16(const Head& h, const kernels::Table& table)
      : q(h.tokens * h.d),
        keys(kernels::key_blocks(h.tokens) * kernels::packed_key_s16(h.d)),
        values(kernels::key_blocks(h.tokens) * kernels::packed_value_s16(h.d)),
        q_scale(h.tokens),
        key_scale(kernels::key_blocks(h.tokens) * kernels::kBlockKeys),
        value_scale(key_scale.size()),
        view{h.tokens,
             keys.data(),
             kernels::packed_key_s16(h.d),
             key_scale.data(),
             kernels::kBlockKeys,
             values.data(),
             kernels::packed_value_s16(h.d),
             value_scale.data(),
             kernels::kBlockKeys} {
    keys.fill(99);
    values.fill(99);
    table.quantize_rows_f32_s16(h.tokens, h.d, h.q.data(), h.ld, q.data(), h.d, q_scale.data());
    for (size_t b = 0; b < kernels::key_blocks(h.tokens); ++b) {
      const size_t from = b * kernels::kBlockKeys;
      const size_t count = std::min(h.tokens - from, kernels::kBlockKeys);
      table.pack_key_s16(count, h.d, h.k.data() + from * h.ld, h.ld,
                         keys.data() + b * view.key_stride, key_scale.data() + from);
      table.pack_value_s16(count, h.d, h.v.data() + from * h.ld, h.ld,
                           values.data() + b * view.value_stride, value_scale.data() + from);
    }
  }
};

struct PackedF32 {
  Guarded<float> keys;
  kernels::KeysF32 view;

  explicit PackedF32(const Head& h)
      : keys(kernels::key_blocks(h.tokens) * kernels::packed_key_f32(h.d)),
        view{h.tokens, keys.data(), kernels::packed_key_f32(h.d), h.v.data(), h.ld} {
    for (size_t b = 0; b < kernels::key_blocks(h.tokens); ++b) {
      const size_t from = b * kernels::kBlockKeys;
      kernels::pack_key_f32(std::min(h.tokens - from, kernels::kBlockKeys), h.d,
                            h.k.data() + from * h.ld, h.ld, keys.data() + b * view.key_stride);
    }
  }
};

// Rows [from, to).
inline Guarded<float> run_s16(const Head& h, const Packed16& p, const kernels::Table& table,
                              size_t from, size_t to) {
  Guarded<float> out((to - from - 1) * h.ld + h.d);
  out.fill(-777);
  Guarded<char> scratch(kernels::attention_scratch(to - from, h.d));
  scratch.fill(-1);  // NaN
  table.attention_s16(to - from, h.d, p.q.data() + from * h.d, h.d, p.q_scale.data() + from,
                      h.scale, from, h.causal, h.window, p.view, out.data(), h.ld, scratch.data());
  return out;
}
inline Guarded<float> run_s16(const Head& h, const kernels::Table& table) {
  return run_s16(h, Packed16(h, table), table, 0, h.tokens);
}

inline Guarded<float> run_f32(const Head& h, const PackedF32& p, const kernels::Table& table,
                              size_t from, size_t to) {
  Guarded<float> out((to - from - 1) * h.ld + h.d);
  out.fill(-777);
  Guarded<char> scratch(kernels::attention_scratch(to - from, h.d));
  scratch.fill(-1);
  table.attention_f32(to - from, h.d, h.q.data() + from * h.ld, h.ld, h.scale, from, h.causal,
                      h.window, p.view, out.data(), h.ld, scratch.data());
  return out;
}
inline Guarded<float> run_f32(const Head& h, const kernels::Table& table) {
  return run_f32(h, PackedF32(h), table, 0, h.tokens);
}

// The largest distance from `exact`, every `step`th row.
inline double distance(const Head& h, const Guarded<float>& out, size_t step = 1) {
  double worst = 0;
  for (size_t i = 0; i < h.tokens; i += step) {
    const auto want = h.exact(i);
    for (size_t c = 0; c < h.d; ++c) {
      const double error = std::abs(out[i * h.ld + c] - want[c]);
      worst = error <= worst ? worst : error;  // a NaN is the worst
    }
  }
  return worst;
}

}  // namespace octavo::test
