#include "runtime/fused/forward.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"

namespace octavo::fused {

namespace {

// Rows that go through a layer's steps together: enough to read each weight panel for many rows,
// few enough that their activations (512 x 3,072 floats) stay in the last-level cache, and that
// memory does not grow with the length of a text but for its residual rows, q, k and v.
constexpr size_t kChunkRows = 512;

struct Sizes {
  size_t wide = 0;  // floats a row: q|k|v, attended heads, or inner
  size_t gate = 0;
  size_t widest_k = 0;
  size_t byte_rows = 1;  // of quantized activations, a token
  size_t heads = 0;      // of q, k and v, the widest layer: elements a token
  size_t head_count = 0;
  size_t key_block = 0, value_block = 0, kv_heads = 0;
  size_t values = 0;
};

Sizes sizes(const EncoderSpec& spec) {
  Sizes s;
  for (const LayerSpec& l : spec.layers) {
    const size_t q = l.heads * (l.head_dim + 1);
    s.wide = std::max({s.wide, qkv_width(l), q, round_up(l.inner, 32)});
    if (l.up.size() == 2) s.gate = std::max(s.gate, round_up(l.inner, 32));
    s.widest_k = std::max({s.widest_k, spec.hidden, l.heads * l.head_dim, l.inner});
    s.heads = std::max(s.heads, q);
    s.head_count = std::max(s.head_count, l.heads);
    s.key_block = std::max(s.key_block, l.kv_heads * std::max(kernels::packed_key_f32(l.head_dim),
                                                              kernels::packed_key_s16(l.head_dim)));
    s.value_block = std::max(s.value_block, l.kv_heads * kernels::packed_value_s16(l.head_dim));
    s.values = std::max(s.values, l.kv_heads * l.head_dim);
    s.kv_heads = std::max(s.kv_heads, l.kv_heads);
    for (const auto* all : {&l.qkv, &l.up})
      for (const LinearSpec& x : *all)
        if (x.scales == RowScales::row16) s.byte_rows = 2;
    if (l.out.scales == RowScales::row16 || l.down.scales == RowScales::row16) s.byte_rows = 2;
  }
  for (const LinearSpec& x : spec.final_linear)
    if (x.scales == RowScales::row16) s.byte_rows = 2;
  return s;
}

}  // namespace

void Forward::timed(const char* step, uint64_t macs) {
  if (options_.times == nullptr) return;
  const auto now = std::chrono::steady_clock::now();
  const auto seconds = [](auto d) { return std::chrono::duration<double>(d).count(); };
  options_.times->push_back({layer_, step, seconds(mark_ - begin_), seconds(now - mark_), macs});
  mark_ = now;
}

Status Forward::plan(std::span<const int64_t> ids, std::span<const size_t> offsets) {
  const auto vocabulary = static_cast<int64_t>(w_.spec.vocabulary);
  tokens_ = ids.size();
  for (size_t t = 0; t + 1 < offsets.size(); ++t) {
    const Text text{offsets[t], offsets[t + 1] - offsets[t], blocks_.size()};
    const std::string name = "text " + std::to_string(t + 1);
    if (w_.spec.positions != 0 && text.length > w_.spec.positions)
      return Error{Code::invalid_input, name + " has " + std::to_string(text.length) +
                                            " tokens; the model has " +
                                            std::to_string(w_.spec.positions) + " positions"};
    for (size_t i = 0; i < text.length; ++i) {
      const int64_t id = ids[text.row + i];
      if (id < 0 || id >= vocabulary)
        return Error{Code::invalid_input, name + ": token id " + std::to_string(id) +
                                              " is outside the vocabulary of " +
                                              std::to_string(vocabulary)};
    }
    texts_.push_back(text);
    for (size_t first = 0; first < text.length; first += kernels::kBlockKeys) {
      const Block block{t, text.row + first, std::min(kernels::kBlockKeys, text.length - first),
                        first};
      if (chunks_.empty() || block.row + block.count - chunks_.back().begin > kChunkRows)
        chunks_.push_back({blocks_.size(), blocks_.size(), block.row, block.row});
      blocks_.push_back(block);
      chunks_.back().block_end = blocks_.size();
      chunks_.back().end = block.row + block.count;
    }
    if (options_.rows != Rows::all)
      picked_.push_back(options_.rows == Rows::first ? text.row : text.row + text.length - 1);
  }
  return Done{};
}

Forward::Need Forward::need(const EncoderSpec& spec, const Amount& n) {
  const Sizes z = sizes(spec);
  constexpr size_t kFloat = sizeof(float);
  const size_t element = n.floating ? kFloat : sizeof(int16_t);
  const size_t rows = std::min(std::max(n.tokens, n.texts), kChunkRows);
  const size_t scales = n.fixed ? n.blocks * z.kv_heads * kernels::kBlockKeys * kFloat : 0;
  const size_t values = std::max(n.blocks * z.value_block * sizeof(int16_t),
                                 n.floating ? n.tokens * z.values * kFloat : 0);
  using W = Workspace;
  return {{{&W::x, n.tokens * spec.hidden * kFloat},
           {&W::q, std::max(n.tokens, n.texts) * z.heads * element},
           {&W::q_scale, n.fixed ? n.tokens * z.head_count * kFloat : 0},
           {&W::keys, n.blocks * z.key_block * element},
           {&W::key_scale, scales},
           {&W::values, values},
           {&W::value_scale, scales},
           {&W::normed, rows * z.widest_k * kFloat},
           {&W::bytes, rows * z.byte_rows * byte_row(z.widest_k)},
           {&W::scale, rows * kFloat},
           {&W::zero, rows * z.byte_rows},
           {&W::wide, rows * z.wide * kFloat},
           {&W::gate, rows * z.gate * kFloat},
           // Whatever kind q, k and v are of, the projections after them may be of another.
           {&W::sum, rows * spec.hidden * kFloat},
           {&W::picked, n.picked ? n.texts * spec.hidden * kFloat : 0}}};
}

Status Forward::reserve() {
  Amount amount{tokens_,          texts_.size(), blocks_.size(),
                !picked_.empty(), false,         options_.exact_onnx};
  for (const Layer& l : w_.layers) (fixed_point(l) ? amount.fixed : amount.floating) = true;
  for (const auto& [buffer, size] : need(w_.spec, amount)) OCTAVO_CHECK((s_.*buffer).reserve(size));
  return Done{};
}

size_t Forward::bytes(const EncoderSpec& spec, size_t tokens) {
  Amount most{tokens, std::max<size_t>(1, tokens / kShortestText), 0, true, false, false};
  // Full blocks, and one a text that is not.
  most.blocks = tokens / kernels::kBlockKeys + most.texts;
  for (const LayerSpec& l : spec.layers)
    (l.qkv[0].kind == WeightKind::s8 ? most.fixed : most.floating) = true;
  size_t sum = 0;
  for (const auto& [buffer, size] : need(spec, most)) sum += Buffer::rounded(size);
  return sum;
}

size_t Forward::held(const Workspace& workspace) {
  size_t sum = 0;
  for (const auto& [buffer, size] : need({}, {})) sum += (workspace.*buffer).size();
  return sum;
}

void Forward::embed(std::span<const int64_t> ids) {
  const size_t width = w_.spec.hidden;
  auto* x = s_.x.as<float>();
  const auto table_row = [&](int64_t id, float* to) {
    const size_t at = static_cast<size_t>(id) * width;
    if (w_.table.dtype() == DType::f32) {
      std::memcpy(to, w_.table.data<float>() + at, width * sizeof(float));
    } else if (w_.table.dtype() == DType::bf16) {
      t_.widen_bf16_f32(width, w_.table.data<uint16_t>() + at, to);
    } else if (w_.table.dtype() == DType::i8) {
      t_.dequantize_s8_f32(width, w_.table.data<int8_t>() + at, w_.table_scale[id], to);
    } else {
      const uint16_t* half = w_.table.data<uint16_t>() + at;
      for (size_t j = 0; j < width; ++j) to[j] = f16_to_f32(half[j]);
    }
  };
  each(blocks_.size(), 2 * width * std::min(tokens_, kernels::kBlockKeys),
       [&](size_t begin, size_t end) {
         for (size_t b = begin; b < end; ++b) {
           for (size_t i = 0; i < blocks_[b].count; ++i) {
             const size_t row = blocks_[b].row + i;
             const size_t position = blocks_[b].first + i;
             float* to = x + row * width;
             table_row(ids[row], to);
             if (w_.token_type != nullptr) t_.add_f32(width, w_.token_type, to);
             if (w_.position != nullptr) t_.add_f32(width, w_.position + position * width, to);
           }
         }
       });
  norm_rows(w_.embedding_norm, tokens_, x, x);
  timed("embed", 0);
}

void Forward::keys_and_values(const Layer& l, bool queries) {
  const LayerSpec& spec = *l.spec;
  const size_t hidden = w_.spec.hidden;
  const size_t width = qkv_width(spec);
  const size_t shared = spec.heads / spec.kv_heads;
  for (const Chunk& chunk : chunks_) {
    const size_t rows = chunk.end - chunk.begin;
    project_qkv(l, {s_.x.as<float>() + chunk.begin * hidden, hidden, rows}, queries, true);
    const size_t projected = (queries ? spec.heads : 0) + 2 * spec.kv_heads;
    timed("qkv", rows * hidden * projected * spec.head_dim);
    auto* wide = s_.wide.as<float>();
    const size_t groups = spec.kv_heads;
    each((chunk.block_end - chunk.block_begin) * groups,
         (shared + 2) * spec.head_dim * 2 * std::min(rows, kernels::kBlockKeys),
         [&](size_t begin, size_t end) {
           for (size_t i = begin; i < end; ++i) {
             const size_t block = chunk.block_begin + i / groups;
             const Block& b = blocks_[block];
             float* from = wide + (b.row - chunk.begin) * width;
             pack_keys(l, i % groups, block, from);
             if (!queries) continue;
             for (size_t h = 0; h < shared; ++h)
               pack_queries(l, i % groups * shared + h, from, b.count, b.first, b.row);
           }
         });
    timed("pack", 0);
  }
}

void Forward::layer(size_t index) {
  const Layer& l = w_.layers[index];
  const LayerSpec& spec = *l.spec;
  slots_ = tokens_;
  keys_and_values(l, true);
  const size_t ctx = spec.heads * spec.head_dim;
  for (const Chunk& chunk : chunks_) {
    const size_t rows = chunk.end - chunk.begin;
    auto* wide = s_.wide.as<float>();
    const size_t blocks = chunk.block_end - chunk.block_begin;
    const Text& last = texts_[blocks_[chunk.block_end - 1].text];
    // The last blocks see the most keys when causal: first, so that nobody waits for them.
    each(blocks * spec.heads,
         std::min(rows, kernels::kBlockKeys) * std::min(last.length, size_t{256}) * spec.head_dim /
             16,
         [&](size_t begin, size_t end) {
           for (size_t i = begin; i < end; ++i) {
             const Block& b = blocks_[chunk.block_end - 1 - i / spec.heads];
             attend(l, i % spec.heads, b.row, b.count, b.first, texts_[b.text],
                    wide + (b.row - chunk.begin) * ctx);
           }
         });
    uint64_t pairs = 0;
    for (size_t i = chunk.block_begin; i < chunk.block_end; ++i) {
      const Block& b = blocks_[i];
      pairs +=
          spec.causal ? b.count * (b.first + (b.count + 1) / 2) : b.count * texts_[b.text].length;
    }
    timed("attention", pairs * 2 * ctx);
    finish_layer(l, s_.x.as<float>() + chunk.begin * w_.spec.hidden, rows);
  }
}

// Queries, attention and all that follows for one row a text.
void Forward::last_layer(size_t index) {
  const Layer& l = w_.layers[index];
  const LayerSpec& spec = *l.spec;
  const size_t hidden = w_.spec.hidden;
  const size_t ctx = spec.heads * spec.head_dim;
  slots_ = texts_.size();
  keys_and_values(l, false);
  auto* picked = s_.picked.as<float>();
  for (size_t t = 0; t < texts_.size(); ++t)
    std::copy_n(s_.x.as<float>() + picked_[t] * hidden, hidden, picked + t * hidden);
  const size_t width = qkv_width(spec);
  auto* wide = s_.wide.as<float>();
  for (size_t begin = 0; begin < texts_.size(); begin += kChunkRows) {
    const size_t rows = std::min(kChunkRows, texts_.size() - begin);
    project_qkv(l, {picked + begin * hidden, hidden, rows}, true, false);
    timed("qkv", rows * hidden * ctx);
    each(rows * spec.heads, 2 * spec.head_dim, [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) {
        const size_t row = i / spec.heads;
        const size_t position = picked_[begin + row] - texts_[begin + row].row;
        pack_queries(l, i % spec.heads, wide + row * width, 1, position, begin + row);
      }
    });
    timed("pack", 0);
    each(rows * spec.heads, 512 * spec.head_dim, [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) {
        const size_t t = begin + i / spec.heads;
        attend(l, i % spec.heads, t, 1, picked_[t] - texts_[t].row, texts_[t],
               wide + i / spec.heads * ctx);
      }
    });
    timed("attention", 0);
    finish_layer(l, picked + begin * hidden, rows);
  }
}

void Forward::finish_layer(const Layer& l, float* x, size_t rows) {
  const size_t hidden = w_.spec.hidden;
  const size_t ctx = l.spec->heads * l.spec->head_dim;
  add_linear(l.out, {s_.wide.as<float>(), ctx, rows}, x);
  norm_rows(l.attention_output_norm, rows, x, x);
  timed("out", rows * ctx * hidden);
  feed_forward(l, x, rows);
}

void Forward::feed_forward(const Layer& l, float* x, size_t rows) {
  const LayerSpec& spec = *l.spec;
  const size_t hidden = w_.spec.hidden;
  const size_t inner = round_up(spec.inner, 32);
  auto* wide = s_.wide.as<float>();
  const Input input{x, hidden, rows};
  using kernels::Epilogue;
  const Linear& first = l.up[0];
  const auto apply = [&](float* y, size_t n) {
    switch (spec.activation) {
      case Activation::gelu:
        return t_.gelu_f32(n, y, y);
      case Activation::gelu_tanh:
        return t_.gelu_tanh_f32(n, y, y);
      case Activation::silu:
        return t_.silu_f32(n, y, y);
      case Activation::relu:
        for (size_t i = 0; i < n; ++i) y[i] = y[i] < 0 ? 0.0F : y[i];
    }
  };
  if (l.up.size() == 1 && first.spec->kind == WeightKind::s8) {
    constexpr Epilogue kPlain[] = {Epilogue::gelu, Epilogue::gelu_tanh, Epilogue::silu,
                                   Epilogue::relu};
    constexpr Epilogue kGated[] = {Epilogue::geglu, Epilogue::geglu_tanh, Epilogue::swiglu};
    const auto which = static_cast<size_t>(spec.activation);
    linear(first, l.mlp_norm, input, 0, spec.gated ? first.spec->columns() : spec.inner,
           spec.gated ? kGated[which] : kPlain[which], wide, inner);
  } else if (l.up.size() == 1) {
    linear(first, l.mlp_norm, input, 0, spec.inner, Epilogue::store, wide, inner);
    each(rows, 2 * inner, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) apply(wide + i * inner, spec.inner);
    });
  } else {
    auto* gate = s_.gate.as<float>();
    linear(first, l.mlp_norm, input, 0, spec.inner, Epilogue::store, gate, inner);
    linear(l.up[1], l.mlp_norm, input, 0, spec.inner, Epilogue::store, wide, inner);
    each(rows, 2 * inner, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        float* g = gate + i * inner;
        float* u = wide + i * inner;
        apply(g, spec.inner);
        for (size_t j = 0; j < spec.inner; ++j) u[j] *= g[j];
      }
    });
  }
  timed("up", rows * hidden * spec.inner * (spec.gated ? 2 : 1));
  add_linear(l.down, {wide, inner, rows}, x);
  norm_rows(l.mlp_output_norm, rows, x, x);
  timed("down", rows * hidden * spec.inner);
}

Status Forward::run(std::span<const int64_t> ids, std::span<const size_t> offsets, float* out) {
  begin_ = mark_ = std::chrono::steady_clock::now();
  layer_ = w_.layers.size();
  OCTAVO_CHECK(plan(ids, offsets));
  OCTAVO_CHECK(reserve());
  embed(ids);
  const bool prune = options_.rows != Rows::all;
  for (size_t i = 0; i < w_.layers.size(); ++i) {
    layer_ = i;
    if (prune && i + 1 == w_.layers.size()) {
      last_layer(i);
    } else {
      layer(i);
    }
  }
  layer_ = w_.layers.size();
  const size_t hidden = w_.spec.hidden;
  const size_t rows = prune ? texts_.size() : tokens_;
  const float* x = prune && !w_.layers.empty() ? s_.picked.as<float>() : s_.x.as<float>();
  for (const Linear& last : w_.final_linear) {
    for (size_t begin = 0; begin < rows; begin += kChunkRows)
      linear(last, Norm{}, {x + begin * hidden, hidden, std::min(kChunkRows, rows - begin)}, 0,
             hidden, kernels::Epilogue::store, out + begin * hidden, hidden);
    x = out;
    timed("final", rows * hidden * hidden);
  }
  if (w_.final_norm.kind != NormKind::none) {
    norm_rows(w_.final_norm, rows, x, out);
  } else if (x != out) {
    std::copy_n(x, rows * hidden, out);
  }
  timed("finish", 0);
  return Done{};
}

}  // namespace octavo::fused
