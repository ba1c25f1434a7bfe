// A model of 4 billion parameters, 16 GB of floats, as calibration and measuring take it: a part at
// a time. Its weights are zeros that take no memory, as a sidecar with holes takes no disk; what is
// made of them does. docs/quantization.md#large-models.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "graph/constants.h"
#include "graph/inline.h"
#include "graph/split.h"
#include "runtime/streamed.h"
#include "toolkit/architectures/architectures.h"

namespace octavo {
namespace {

constexpr int64_t kHidden = 2560, kInner = 9728, kHeads = 32, kGroups = 8, kHead = 128;
constexpr int64_t kVocabulary = 151936;
constexpr size_t kLimit = size_t{512} << 20;
constexpr size_t kMega = 1000000;

// Pages that nobody wrote to are one page of zeros: they count as nobody's memory.
class Zeros {
 public:
  explicit Zeros(size_t bytes)
      : bytes_(bytes),
        at_(::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
  }
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;
  ~Zeros() { ::munmap(at_, bytes_); }
  std::span<const std::byte> first(size_t count) const {
    return {static_cast<const std::byte*>(at_), count};
  }

 private:
  size_t bytes_;
  void* at_;
};

// The directory of a checkpoint; what lies in it is not read.
class Names : public WeightSource {
 public:
  void add(const std::string& name, Shape shape) {
    entries_.push_back({name, std::move(shape), "F32"});
  }
  const std::vector<WeightEntry>& entries() const override { return entries_; }
  const WeightEntry* find(std::string_view name) const override {
    const auto at = std::find_if(entries_.begin(), entries_.end(),
                                 [&](const WeightEntry& entry) { return entry.name == name; });
    return at == entries_.end() ? nullptr : &*at;
  }
  Result<Tensor> load(std::string_view) const override { return Error{Code::internal, "read"}; }
  Result<Tensor> load_as_stored(std::string_view name) const override { return load(name); }

 private:
  std::vector<WeightEntry> entries_;
};

// Of Qwen3-4B's shape, as `octavo import` writes it, its floats all zeros.
Model model_of(int64_t layers) {
  const auto names = std::make_shared<Names>();
  names->add("embed_tokens.weight", {kVocabulary, kHidden});
  for (int64_t i = 0; i < layers; ++i) {
    const std::string at = "layers." + std::to_string(i) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
      names->add(at + norm + ".weight", {kHidden});
    for (const char* norm : {"q_norm", "k_norm"})
      names->add(at + "self_attn." + norm + ".weight", {kHead});
    names->add(at + "self_attn.q_proj.weight", {kHeads * kHead, kHidden});
    names->add(at + "self_attn.k_proj.weight", {kGroups * kHead, kHidden});
    names->add(at + "self_attn.v_proj.weight", {kGroups * kHead, kHidden});
    names->add(at + "self_attn.o_proj.weight", {kHidden, kHeads * kHead});
    names->add(at + "mlp.gate_proj.weight", {kInner, kHidden});
    names->add(at + "mlp.up_proj.weight", {kInner, kHidden});
    names->add(at + "mlp.down_proj.weight", {kHidden, kInner});
  }
  names->add("norm.weight", {kHidden});
  const nlohmann::json config = {{"architectures", {"Qwen3Model"}},
                                 {"model_type", "qwen3"},
                                 {"hidden_size", kHidden},
                                 {"intermediate_size", kInner},
                                 {"num_attention_heads", kHeads},
                                 {"num_key_value_heads", kGroups},
                                 {"num_hidden_layers", layers},
                                 {"head_dim", kHead},
                                 {"hidden_act", "silu"},
                                 {"rms_norm_eps", 1e-6},
                                 {"rope_theta", 1000000.0},
                                 {"max_position_embeddings", 40960},
                                 {"vocab_size", kVocabulary}};
  const auto found = architectures::find(config);
  EXPECT_TRUE(found) << found.error().message;
  architectures::Checkpoint weights(names);
  auto made = found->write(config, weights);
  EXPECT_TRUE(made) << made.error().message;
  Model model = *std::move(made);
  EXPECT_TRUE(inline_functions(model));
  hoist_constants(model.graph);
  const auto zeros =
      std::make_shared<const Zeros>(size_t{4} * static_cast<size_t>(kVocabulary * kHidden));
  for (Initializer& i : model.graph.initializers) {
    if (!i.lazy()) continue;
    const auto bytes = byte_count(i.dtype(), i.shape());
    const auto tensor = Tensor::borrow(i.dtype(), i.shape(), zeros->first(*bytes), zeros);
    EXPECT_TRUE(tensor) << tensor.error().message;
    i = {i.name(), *tensor};
  }
  return model;
}

uint64_t bytes_of(const Graph& graph) {
  uint64_t sum = 0;
  for (const Initializer& i : graph.initializers)
    if (i.shape() != Shape{kVocabulary, kHidden}) sum += *byte_count(i.dtype(), i.shape());
  return sum;
}

size_t anonymous_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8)) * 1024;
  return 0;
}

TEST(LargePlan, NoPartOf4BillionParametersIsLargerThanAtHalfTheDepth) {
  std::map<int64_t, std::pair<uint64_t, size_t>> largest;  // bytes, and values that cross a cut
  for (const int64_t layers : {18, 36, 72}) {
    Model model = model_of(layers);
    const uint64_t all = bytes_of(model.graph);
    EXPECT_GT(all, static_cast<uint64_t>(layers) * 400 * kMega);
    const auto parts = split_by_weights(std::move(model), kLimit);
    ASSERT_TRUE(parts) << parts.error().message;
    EXPECT_GE(parts->size() * kLimit, all);
    auto& [bytes, crossing] = largest[layers];
    for (const GraphPart& part : *parts) {
      bytes = std::max(bytes, bytes_of(part.model.graph));
      crossing = std::max(crossing, part.model.graph.inputs.size());
    }
    // The constants that are no weights come on top.
    EXPECT_LE(bytes, kLimit + kMega);
    EXPECT_LE(crossing, 8U);
  }
  EXPECT_EQ(largest[18], largest[36]);
  EXPECT_EQ(largest[36], largest[72]);
}

// The most memory that is not the page cache's, over all parts of a run.
size_t peak_of(int64_t layers) {
  auto streamed = StreamedModel::create(
      model_of(layers), {.pool = std::make_shared<ThreadPool>(2), .weight_bytes = kLimit});
  EXPECT_TRUE(streamed) << streamed.error().message;
  EXPECT_GE(static_cast<int64_t>(streamed->parts()), layers * 3 / 4);
  const std::vector<std::vector<Feed>> texts = {
      {{"input_ids", Tensor::of<int64_t>({1, 3}, {5, 6, 7})},
       {"attention_mask", Tensor::of<int64_t>({1, 3}, {1, 1, 1})}}};
  size_t peak = 0;
  size_t outputs = 0;
  StreamedRun run;
  run.texts = texts;
  run.one_by_one = true;
  for (const Node& node : streamed->graph().nodes)
    if (node.op_type == "MatMul") run.watch.push_back(node.outputs[0]);
  run.tap = [&](size_t, const std::string&, const Tensor&) -> Status {
    peak = std::max(peak, anonymous_memory());
    return Done{};
  };
  run.take = [&](size_t, std::vector<Tensor> made) -> Status {
    outputs += made.size();
    EXPECT_EQ(made[0].shape(), (Shape{1, 3, kHidden}));
    return Done{};
  };
  const Status done = streamed->run(std::move(run));
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_EQ(outputs, 1U);
  return peak;
}

TEST(LargePlan, ARunTakesTheMemoryOfOnePartAtAnyDepth) {
  if (std::getenv("OCTAVO_SANITIZED") != nullptr) GTEST_SKIP() << "it keeps what was freed";
  const char* deep = std::getenv("OCTAVO_LARGE_PLAN_LAYERS");
  const size_t shallow_peak = peak_of(3);
  const size_t deep_peak = peak_of(deep == nullptr ? 9 : std::atoi(deep));
  std::printf("peaks: %zu MB, %zu MB\n", shallow_peak / kMega, deep_peak / kMega);
  EXPECT_GT(shallow_peak, 400 * kMega);  // a part was packed
  EXPECT_LT(deep_peak, shallow_peak + 60 * kMega);
  EXPECT_LT(deep_peak, 800 * kMega);
}

}  // namespace
}  // namespace octavo
