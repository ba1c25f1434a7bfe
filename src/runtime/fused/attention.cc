// From q|k|v rows to attended rows: head norms, rotary positions, packing, and the walk over blocks
// of keys.

#include <algorithm>
#include <array>

#include "runtime/fused/forward.h"

namespace octavo::fused {

namespace {

// 64 rows of 256 channels: fewer than 48 at a time would not go through the matrix unit's tiles.
// One row of 1,024 channels, the widest head (weights.cc), takes 72 KiB of it.
constexpr size_t kScratch = size_t{132} << 10;
static_assert(kernels::attention_scratch(64, 256) <= kScratch);
static_assert(kernels::attention_scratch(1, 1024) <= kScratch);

size_t even(size_t d) { return (d + 1) / 2 * 2; }

// First column of section i of q|k|v in the rows that project_qkv makes.
size_t section(const Layer& l, size_t i) {
  if (l.qkv.size() == 1) return l.spec->qkv[0].begin(i);
  size_t column = 0;
  for (size_t j = 0; j < i; ++j) column += l.spec->qkv[j].columns();
  return column;
}

}  // namespace

size_t qkv_width(const LayerSpec& l) {
  size_t width = 0;
  for (const LinearSpec& s : l.qkv) width += s.columns();
  return width;
}

void Forward::project_qkv(const Layer& l, const Input& input, bool queries, bool keys) {
  auto* wide = s_.wide.as<float>();
  const size_t width = qkv_width(*l.spec);
  if (l.qkv.size() == 1) {
    linear(l.qkv[0], l.attention_norm, input, queries ? 0 : section(l, 1),
           keys ? width : section(l, 1), kernels::Epilogue::store, wide, width);
    return;
  }
  for (size_t i = 0; i < 3; ++i) {
    if (i == 0 ? !queries : !keys) continue;
    linear(l.qkv[i], l.attention_norm, input, 0, l.qkv[i].spec->columns(), kernels::Epilogue::store,
           wide + section(l, i), width);
  }
}

void Forward::turn_head(const Layer& l, const Norm& norm, size_t position, float* head) const {
  const size_t d = l.spec->head_dim;
  if (norm.kind != NormKind::none) norm_row(norm, d, head, head);
  if (l.spec->rotary) t_.rotate_half_f32(d, head, w_.cos + position * d, w_.sin + position * d);
}

void Forward::pack_queries(const Layer& l, size_t head, float* rows, size_t count, size_t position,
                           size_t slot) {
  const LayerSpec& spec = *l.spec;
  const size_t d = spec.head_dim;
  const size_t width = qkv_width(spec);
  float* x = rows + head * d;
  for (size_t i = 0; i < count; ++i) turn_head(l, l.q_norm, position + i, x + i * width);
  if (fixed_point(l)) {
    const size_t step = spec.heads * even(d);
    int16_t* q = s_.q.as<int16_t>() + slot * step + head * even(d);
    t_.quantize_rows_f32_s16(count, d, x, width, q, step,
                             s_.q_scale.as<float>() + head * slots_ + slot);
    if (d % 2 != 0)
      for (size_t i = 0; i < count; ++i) q[i * step + d] = 0;
    return;
  }
  const size_t step = spec.heads * d;
  float* q = s_.q.as<float>() + slot * step + head * d;
  for (size_t i = 0; i < count; ++i) std::copy_n(x + i * width, d, q + i * step);
}

void Forward::pack_keys(const Layer& l, size_t group, size_t block, float* rows) {
  const LayerSpec& spec = *l.spec;
  const Block& b = blocks_[block];
  const size_t d = spec.head_dim;
  const size_t width = qkv_width(spec);
  float* k = rows + section(l, 1) + group * d;
  const float* v = rows + section(l, 2) + group * d;
  for (size_t i = 0; i < b.count; ++i) turn_head(l, l.k_norm, b.first + i, k + i * width);
  const size_t at = block * spec.kv_heads + group;
  if (fixed_point(l)) {
    t_.pack_key_s16(b.count, d, k, width, s_.keys.as<int16_t>() + at * kernels::packed_key_s16(d),
                    s_.key_scale.as<float>() + at * kernels::kBlockKeys);
    t_.pack_value_s16(b.count, d, v, width,
                      s_.values.as<int16_t>() + at * kernels::packed_value_s16(d),
                      s_.value_scale.as<float>() + at * kernels::kBlockKeys);
    return;
  }
  kernels::pack_key_f32(b.count, d, k, width,
                        s_.keys.as<float>() + at * kernels::packed_key_f32(d));
  const size_t step = spec.kv_heads * d;
  float* to = s_.values.as<float>() + b.row * step + group * d;
  for (size_t i = 0; i < b.count; ++i) std::copy_n(v + i * width, d, to + i * step);
}

void Forward::attend(const Layer& l, size_t head, size_t slot, size_t rows, size_t first,
                     const Text& text, float* out) const {
  const LayerSpec& spec = *l.spec;
  const size_t d = spec.head_dim;
  const size_t group = head / (spec.heads / spec.kv_heads);
  const size_t at = text.block * spec.kv_heads + group;
  const size_t ldo = spec.heads * d;
  // 64 rows of 256 channels fit, wider heads go in groups of fewer rows, which changes no bit.
  size_t fit = rows;
  while (fit > 1 && kernels::attention_scratch(fit, d) > kScratch) --fit;
  if (fit < rows) {
    for (size_t i = 0; i < rows; i += fit)
      attend(l, head, slot + i, std::min(fit, rows - i), first + i, text, out + i * ldo);
    return;
  }
  // On the stack, since every thread needs its own.
  alignas(64) std::array<std::byte, kScratch> scratch;
  if (fixed_point(l)) {
    const size_t step = spec.heads * even(d);
    const kernels::Keys keys{text.length,
                             s_.keys.as<int16_t>() + at * kernels::packed_key_s16(d),
                             spec.kv_heads * kernels::packed_key_s16(d),
                             s_.key_scale.as<float>() + at * kernels::kBlockKeys,
                             spec.kv_heads * kernels::kBlockKeys,
                             s_.values.as<int16_t>() + at * kernels::packed_value_s16(d),
                             spec.kv_heads * kernels::packed_value_s16(d),
                             s_.value_scale.as<float>() + at * kernels::kBlockKeys,
                             spec.kv_heads * kernels::kBlockKeys};
    t_.attention_s16(rows, d, s_.q.as<int16_t>() + slot * step + head * even(d), step,
                     s_.q_scale.as<float>() + head * slots_ + slot, spec.scale, first, spec.causal,
                     spec.window, keys, out + head * d, ldo, scratch.data());
    return;
  }
  const kernels::KeysF32 keys{text.length, s_.keys.as<float>() + at * kernels::packed_key_f32(d),
                              spec.kv_heads * kernels::packed_key_f32(d),
                              s_.values.as<float>() + text.row * spec.kv_heads * d + group * d,
                              spec.kv_heads * d};
  t_.attention_f32(rows, d, s_.q.as<float>() + slot * ldo + head * d, ldo, spec.scale, first,
                   spec.causal, spec.window, keys, out + head * d, ldo, scratch.data());
}

}  // namespace octavo::fused
