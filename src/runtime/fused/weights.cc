#include "runtime/fused/weights.h"

#include <algorithm>
#include <string>

namespace octavo::fused {

namespace {

// The largest K of an exact int32 sum (kernels.h).
constexpr size_t kMaxK = 65793;

class Finder {
 public:
  Finder(Weights& weights, const FusedEncoder::Lookup& lookup) : w_(weights), lookup_(lookup) {}

  // Null, with status() not ok, when something is wrong with it.
  const Tensor* find(const std::string& name, DType dtype, const Shape& shape) {
    if (!status_) return nullptr;
    Result<Tensor> found = lookup_(name);
    if (!found) {
      status_ = std::move(found).error();
      return nullptr;
    }
    if (found->dtype() != dtype || found->shape() != shape) {
      status_ = Error{Code::invalid_input,
                      "tensor \"" + name + "\" is " + std::string(dtype_name(found->dtype())) +
                          " " + to_string(found->shape()) + ", expected " +
                          std::string(dtype_name(dtype)) + " " + to_string(shape)};
      return nullptr;
    }
    w_.bytes += found->bytes().size();
    w_.kept.push_back(*std::move(found));
    return &w_.kept.back();
  }

  template <class T>
  const T* find(const std::string& name, DType dtype, std::initializer_list<size_t> dims) {
    Shape shape;
    for (const size_t d : dims) shape.push_back(static_cast<int64_t>(d));
    const Tensor* tensor = find(name, dtype, shape);
    return tensor == nullptr ? nullptr : tensor->data<T>();
  }

  Norm norm(const NormSpec& spec, size_t width) {
    Norm n{spec.kind, spec.epsilon};
    if (spec.kind == NormKind::none) return n;
    n.gain = find<float>(spec.name + ".gain", DType::f32, {width});
    if (spec.kind == NormKind::layer)
      n.bias = find<float>(spec.name + ".bias", DType::f32, {width});
    return n;
  }

  Linear linear(const LinearSpec& spec) {
    Linear l{&spec};
    const size_t columns = spec.columns();
    const size_t k = spec.k;
    if (status_ && (k == 0 || k > kMaxK || columns == 0))
      status_ = Error{Code::unsupported, "linear \"" + spec.name + "\" of " + std::to_string(k) +
                                             " inputs and " + std::to_string(columns) +
                                             " columns; the kernels take 1 to 65,793 inputs"};
    if (!status_) return l;
    const std::string weight = spec.name + ".weight";
    if (spec.has_bias) l.bias = find<float>(spec.name + ".bias", DType::f32, {columns});
    if (spec.has_factor) l.factor = find<float>(spec.name + ".factor", DType::f32, {k});
    switch (spec.kind) {
      case WeightKind::s8:
        l.s8.k = k;
        l.s8.packed = find<int8_t>(weight, DType::i8, {kernels::packed_s8_bytes(k, columns)});
        l.s8.column_sums = find<int32_t>(spec.name + ".sums", DType::i32, {columns});
        l.s8.scale = find<float>(spec.name + ".scale", DType::f32, {columns});
        l.s8.bias = l.bias;
        break;
      case WeightKind::f32:
        l.f32 = find<float>(weight, DType::f32, {kernels::packed_f32_floats(k, columns)});
        break;
      case WeightKind::bf16:
        l.bf16 = find<uint16_t>(weight, DType::bf16, {kernels::packed_f32_floats(k, columns)});
        break;
    }
    return l;
  }

  Layer layer(const LayerSpec& spec) {
    const size_t hidden = w_.spec.hidden;
    Layer l;
    l.spec = &spec;
    l.attention_norm = norm(spec.attention_norm, hidden);
    for (const LinearSpec& s : spec.qkv) l.qkv.push_back(linear(s));
    l.q_norm = norm(spec.q_norm, spec.head_dim);
    l.k_norm = norm(spec.k_norm, spec.head_dim);
    l.out = linear(spec.out);
    l.attention_output_norm = norm(spec.attention_output_norm, hidden);
    l.mlp_norm = norm(spec.mlp_norm, hidden);
    for (const LinearSpec& s : spec.up) l.up.push_back(linear(s));
    l.down = linear(spec.down);
    l.mlp_output_norm = norm(spec.mlp_output_norm, hidden);
    return l;
  }

  Status table() {
    if (!status_) return std::move(status_);
    OCTAVO_TRY(w_.table, lookup_("embed.table"));
    const Shape shape{static_cast<int64_t>(w_.spec.vocabulary),
                      static_cast<int64_t>(w_.spec.hidden)};
    const DType dtype = w_.table.dtype();
    const bool fits = w_.spec.table_scales
                          ? dtype == DType::i8
                          : dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
    if (!fits || w_.table.shape() != shape)
      return Error{Code::invalid_input, "tensor \"embed.table\" is " +
                                            std::string(dtype_name(dtype)) + " " +
                                            to_string(w_.table.shape()) + ", expected " +
                                            (w_.spec.table_scales ? "int8" : "floats") +
                                            " of shape " + to_string(shape)};
    return Done{};
  }

 private:
  Weights& w_;
  const FusedEncoder::Lookup& lookup_;
  Status status_ = Done{};
};

// Every number that forward.cc multiplies into a size or an index agrees with its neighbours: the
// spec may come from a file.
bool consistent(const EncoderSpec& s, const LayerSpec& l) {
  const size_t q = l.heads * l.head_dim;
  const size_t kv = l.kv_heads * l.head_dim;
  if (l.heads == 0 || l.kv_heads == 0 || l.head_dim == 0 || l.heads % l.kv_heads != 0) return false;
  if (l.rotary && (l.head_dim % 2 != 0 || s.positions == 0)) return false;
  if (!(l.scale >= 0) || !(l.scale < 1e30F)) return false;  // what attention asks for
  std::vector<size_t> wanted{q, kv, kv};
  std::vector<size_t> has;
  for (const LinearSpec& x : l.qkv) {
    if (x.k != s.hidden || x.gated) return false;
    has.insert(has.end(), x.sections.begin(), x.sections.end());
  }
  if (has != wanted || (l.qkv.size() != 1 && l.qkv.size() != 3)) return false;
  if (l.out.k != q || l.out.sections != std::vector<size_t>{s.hidden} || l.out.gated) return false;
  const bool one = l.up.size() == 1 && l.up[0].gated == l.gated;
  const bool two = l.up.size() == 2 && l.gated && !l.up[0].gated && !l.up[1].gated;
  if (l.inner == 0 || (!one && !two)) return false;
  for (const LinearSpec& x : l.up)
    if (x.k != s.hidden || x.sections != std::vector<size_t>{l.inner} ||
        (x.gated && (x.kind != WeightKind::s8 || l.activation == Activation::relu)))
      return false;
  return l.down.k == l.inner && l.down.sections == std::vector<size_t>{s.hidden} && !l.down.gated;
}

// Far above every model, far below where products of two overflow.
constexpr size_t kMaxSize = size_t{1} << 31;

}  // namespace

Status find_weights(Weights& w, const FusedEncoder::Lookup& lookup) {
  const EncoderSpec& s = w.spec;
  if (s.vocabulary == 0 || s.hidden == 0 || s.vocabulary > kMaxSize || s.hidden > kMaxK ||
      s.positions > kMaxSize || (s.position_table && s.positions == 0))
    return Error{Code::invalid_input, "an encoder of " + std::to_string(s.vocabulary) +
                                          " tokens and width " + std::to_string(s.hidden)};
  for (size_t i = 0; i < s.layers.size(); ++i) {
    const LayerSpec& l = s.layers[i];
    const bool small =
        l.heads <= kMaxK && l.kv_heads <= kMaxK && l.head_dim <= 1024 && l.inner <= kMaxK;
    if (!small || !consistent(s, l))
      return Error{Code::invalid_input,
                   "layer " + std::to_string(i) + ": its sizes do not fit together"};
  }
  if (s.final_linear.size() > 1 ||
      std::any_of(s.final_linear.begin(), s.final_linear.end(), [&](const LinearSpec& x) {
        return x.k != s.hidden || x.sections != std::vector<size_t>{s.hidden} || x.gated;
      }))
    return Error{Code::invalid_input, "the linear layer before the last norm is not of width " +
                                          std::to_string(s.hidden)};
  Finder f(w, lookup);
  if (s.table_scales)
    w.table_scale = f.find<float>("embed.scale", DType::f32, {table_scales(s.vocabulary)});
  if (s.token_type_row) w.token_type = f.find<float>("embed.token_type", DType::f32, {s.hidden});
  if (s.position_table)
    w.position = f.find<float>("embed.position", DType::f32, {s.positions, s.hidden});
  w.embedding_norm = f.norm(s.embedding_norm, s.hidden);
  size_t rotary = 0;
  for (const LayerSpec& l : s.layers) {
    if (!l.rotary) continue;
    if (rotary != 0 && rotary != l.head_dim)
      return Error{Code::unsupported, "layers with rotary positions of different widths"};
    rotary = l.head_dim;
  }
  if (rotary != 0) {
    w.cos = f.find<float>("rotary.cos", DType::f32, {s.positions, rotary});
    w.sin = f.find<float>("rotary.sin", DType::f32, {s.positions, rotary});
  }
  w.layers.reserve(s.layers.size());
  for (const LayerSpec& l : s.layers) w.layers.push_back(f.layer(l));
  for (const LinearSpec& x : s.final_linear) w.final_linear.push_back(f.linear(x));
  w.final_norm = f.norm(s.final_norm, s.hidden);
  return f.table();
}

}  // namespace octavo::fused
