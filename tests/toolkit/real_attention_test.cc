// The attention kernels on the queries, keys and values of a real model, up to 8,192 tokens,
// against double. Random numbers have neither the attention sinks nor the outlier channels of
// trained models.

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "formats/onnx.h"
#include "graph/functions.h"
#include "kernels/attention.h"
#include "kernels/select.h"
#include "octavo/import.h"
#include "runtime/session.h"
#include "temp_folder.h"
#include "text/tokenizer.h"
#include "toolkit/calibration_texts.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;
using kernels::kBlockKeys;

constexpr size_t kRowsACall = 64;

// [tokens, heads, d] of one layer; the keys and values have fewer heads.
struct Layer {
  const float* q;
  const float* k;
  const float* v;
  size_t tokens;
  size_t heads;
  size_t kv_heads;
  size_t d;
  float scale() const { return 1 / std::sqrt(static_cast<float>(d)); }
};

std::vector<float> attend_s16(const Layer& l, const kernels::Table& table) {
  const size_t blocks = kernels::key_blocks(l.tokens);
  const size_t key_stride = kernels::packed_key_s16(l.d);
  const size_t value_stride = kernels::packed_value_s16(l.d);
  std::vector<float> out(l.tokens * l.heads * l.d);
  std::vector<int16_t> q(l.tokens * l.d);
  std::vector<int16_t> k(blocks * key_stride);
  std::vector<int16_t> v(blocks * value_stride);
  std::vector<float> q_scale(l.tokens);
  std::vector<float> k_scale(blocks * kBlockKeys);
  std::vector<float> v_scale(blocks * kBlockKeys);
  std::vector<std::byte> scratch(kernels::attention_scratch(kRowsACall, l.d));
  const size_t kv_row = l.kv_heads * l.d;
  const size_t row = l.heads * l.d;
  for (size_t h = 0; h < l.heads; ++h) {
    const size_t kv = h / (l.heads / l.kv_heads) * l.d;
    for (size_t b = 0; b < blocks; ++b) {
      const size_t from = b * kBlockKeys;
      const size_t count = std::min(kBlockKeys, l.tokens - from);
      table.pack_key_s16(count, l.d, l.k + from * kv_row + kv, kv_row, k.data() + b * key_stride,
                         k_scale.data() + from);
      table.pack_value_s16(count, l.d, l.v + from * kv_row + kv, kv_row,
                           v.data() + b * value_stride, v_scale.data() + from);
    }
    table.quantize_rows_f32_s16(l.tokens, l.d, l.q + h * l.d, row, q.data(), l.d, q_scale.data());
    const kernels::Keys keys{l.tokens, k.data(),     key_stride,     k_scale.data(), kBlockKeys,
                             v.data(), value_stride, v_scale.data(), kBlockKeys};
    for (size_t i = 0; i < l.tokens; i += kRowsACall) {
      table.attention_s16(std::min(kRowsACall, l.tokens - i), l.d, q.data() + i * l.d, l.d,
                          q_scale.data() + i, l.scale(), i, true, 0, keys,
                          out.data() + i * row + h * l.d, row, scratch.data());
    }
  }
  return out;
}

std::vector<float> attend_f32(const Layer& l, const kernels::Table& table) {
  const size_t blocks = kernels::key_blocks(l.tokens);
  const size_t key_stride = kernels::packed_key_f32(l.d);
  std::vector<float> out(l.tokens * l.heads * l.d);
  std::vector<float> k(blocks * key_stride);
  std::vector<std::byte> scratch(kernels::attention_scratch(kRowsACall, l.d));
  const size_t kv_row = l.kv_heads * l.d;
  const size_t row = l.heads * l.d;
  for (size_t h = 0; h < l.heads; ++h) {
    const size_t kv = h / (l.heads / l.kv_heads) * l.d;
    for (size_t b = 0; b < blocks; ++b) {
      const size_t from = b * kBlockKeys;
      kernels::pack_key_f32(std::min(kBlockKeys, l.tokens - from), l.d, l.k + from * kv_row + kv,
                            kv_row, k.data() + b * key_stride);
    }
    const kernels::KeysF32 keys{l.tokens, k.data(), key_stride, l.v + kv, kv_row};
    for (size_t i = 0; i < l.tokens; i += kRowsACall) {
      table.attention_f32(std::min(kRowsACall, l.tokens - i), l.d, l.q + i * row + h * l.d, row,
                          l.scale(), i, true, 0, keys, out.data() + i * row + h * l.d, row,
                          scratch.data());
    }
  }
  return out;
}

// All heads of row i, in double.
std::vector<double> exact(const Layer& l, size_t i) {
  std::vector<double> out(l.heads * l.d);
  std::vector<double> p(i + 1);
  for (size_t h = 0; h < l.heads; ++h) {
    const size_t kv = h / (l.heads / l.kv_heads);
    double top = -INFINITY;
    for (size_t j = 0; j <= i; ++j) {
      const float* q = l.q + (i * l.heads + h) * l.d;
      const float* k = l.k + (j * l.kv_heads + kv) * l.d;
      double dot = 0;
      for (size_t c = 0; c < l.d; ++c) dot += double{q[c]} * k[c];
      p[j] = dot / std::sqrt(static_cast<double>(l.d));
      top = std::max(top, p[j]);
    }
    double sum = 0;
    for (double& x : p) sum += x = std::exp(x - top);
    for (size_t j = 0; j <= i; ++j) {
      const float* v = l.v + (j * l.kv_heads + kv) * l.d;
      for (size_t c = 0; c < l.d; ++c) out[h * l.d + c] += p[j] / sum * v[c];
    }
  }
  return out;
}

struct Distance {
  double angle = 0;     // 1 - cosine of a row of all heads
  double absolute = 0;  // in units of the largest value
};

Distance distance(const Layer& l, const std::vector<float>& got, size_t step) {
  double largest = 0;
  for (size_t i = 0; i < l.tokens * l.kv_heads * l.d; ++i) {
    largest = std::max(largest, std::abs(double{l.v[i]}));
  }
  Distance worst;
  for (size_t i = 0; i < l.tokens; i += step) {
    const auto want = exact(l, i);
    const float* row = got.data() + i * want.size();
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (size_t c = 0; c < want.size(); ++c) {
      ab += row[c] * want[c];
      aa += double{row[c]} * row[c];
      bb += want[c] * want[c];
      worst.absolute = std::max(worst.absolute, std::abs(row[c] - want[c]) / largest);
    }
    const double angle = 1 - ab / std::sqrt(aa * bb);
    worst.angle = angle <= worst.angle ? worst.angle : angle;  // a NaN is the worst
  }
  return worst;
}

class RealAttention : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    const char* models = std::getenv("OCTAVO_MODELS");
    if (models == nullptr) GTEST_SKIP() << "OCTAVO_MODELS names no folder of real models";
    ImportOptions options;
    options.functions = true;
    const auto imported = import_model(
        fs::path(models) / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf", folder_, options);
    ASSERT_TRUE(imported) << imported.error().message;
  }

  Tensor tokens(size_t count) const {
    std::string text;
    for (size_t i = 0; text.size() < 8 * count; ++i) {
      for (const auto& texts : {calibration::english(), calibration::code()}) {
        for (const std::string_view t : texts) text.append(t).append("\n");
      }
    }
    const auto tokenizer = Tokenizer::open(folder_ / "tokenizer.json");
    EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    auto encoding = tokenizer->encode(text, count);
    EXPECT_TRUE(encoding) << encoding.error().message;
    EXPECT_EQ(encoding->ids.size(), count);
    return Tensor::of<int64_t>({1, static_cast<int64_t>(count)}, encoding->ids);
  }

  struct Site {
    std::vector<std::string> inputs;  // q, k, v
    std::string output;
  };
  // Takes the attention out of the model: its outputs become inputs of the graph, so that 8,192
  // tokens do not need 8,192 x 8,192 scores a head.
  static std::vector<Site> cut(Model& model) {
    std::vector<Site> sites;
    std::vector<Node> kept;
    for (Node& node : model.graph.nodes) {
      if (node.domain != functions::kDomain || node.op_type != "GroupedQueryAttention") {
        kept.push_back(std::move(node));
        continue;
      }
      sites.push_back({{node.inputs.begin(), node.inputs.begin() + 3}, node.outputs[0]});
      model.graph.inputs.push_back({node.outputs[0], DType::f32, std::nullopt, ""});
    }
    model.graph.nodes = std::move(kept);
    return sites;
  }
};

TEST_F(RealAttention, CloseToDoubleInEveryLayer) {
  for (const auto& [count, layers] : {std::pair<size_t, size_t>{256, 30}, {8192, 4}}) {
    auto model = read_onnx(folder_ / "model.onnx");
    ASSERT_TRUE(model) << model.error().message;
    const auto sites = cut(*model);
    ASSERT_EQ(sites.size(), 30U);
    const auto session = Session::create(*std::move(model), {.pool = nullptr, .threads = 2});
    ASSERT_TRUE(session) << session.error().message;
    const auto length = static_cast<int64_t>(count);
    std::vector<Feed> feeds;
    feeds.emplace_back("input_ids", tokens(count));
    feeds.emplace_back("attention_mask",
                       Tensor::of<int64_t>({1, length}, std::vector<int64_t>(count, 1)));
    for (const Site& site : sites) {
      feeds.emplace_back(site.output, Tensor::of<float>({1, 1, 1}, {0}));  // until it is known
    }
    for (size_t i = 0; i < layers; ++i) {
      RunOptions wanted;
      wanted.outputs = sites[i].inputs;
      const auto qkv = session->run(feeds, wanted);
      ASSERT_TRUE(qkv) << qkv.error().message;
      const Shape& shape = (*qkv)[0].shape();
      const Layer layer{(*qkv)[0].data<float>(),       (*qkv)[1].data<float>(),
                        (*qkv)[2].data<float>(),       count,
                        static_cast<size_t>(shape[2]), static_cast<size_t>((*qkv)[1].shape()[2]),
                        static_cast<size_t>(shape[3])};
      const auto fixed = attend_s16(layer, *kernels::best());
      auto floating = attend_f32(layer, *kernels::best());
      const Distance d16 = distance(layer, fixed, count / 48 + 1);
      const Distance d32 = distance(layer, floating, count / 48 + 1);
      const std::string where = std::to_string(count) + " layer " + std::to_string(i);
      RecordProperty(where, std::to_string(d16.angle) + " " + std::to_string(d16.absolute));
      EXPECT_LE(d16.angle, 1e-5) << where;     // measured: 3.8e-6 in layer 25, 5e-7 in most
      EXPECT_LE(d16.absolute, 2e-3) << where;  // 1.1e-3 in layer 16, 4e-4 in most
      EXPECT_LE(d32.angle, 1e-11) << where;
      EXPECT_LE(d32.absolute, 2e-6) << where;
      feeds[2 + i].second = Tensor::of<float>(
          {1, length, static_cast<int64_t>(layer.heads * layer.d)}, std::move(floating));
    }
  }
}

}  // namespace
}  // namespace octavo
