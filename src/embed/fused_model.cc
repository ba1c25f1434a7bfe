#include "embed/fused_model.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "embed/packed_file.h"
#include "embed/raise_probe.h"
#include "embed/signature.h"
#include "embed/token_feeds.h"
#include "formats/onnx.h"
#include "graph/inline.h"
#include "graph/raised_ops.h"
#include "passes/raise.h"
#include "runtime/fused/compile.h"
#include "runtime/session.h"
#include "tensor/compare.h"

namespace octavo {

namespace {

namespace fs = std::filesystem;

// The probe of the check crosses a block of 64 keys, so that a mask, a rotation or a window that
// was read wrongly shows.
constexpr size_t kCheckLength = 70;
// Largest difference to the plain executor, relative to the range of its output. Float against
// float differs in the order of sums. In 8 bits a difference in the last place of a float moves an
// activation by a whole step now and then, layer after layer; a graph that was read wrongly is an
// order of magnitude away, and its cosine is what tells the two apart.
constexpr double kFloatDifference = 1e-3;
// The executor rounds every activation of a float16 graph to 11 bits, the fused path none: measured
// 0.001 to 0.004 on two layers.
constexpr double kHalfDifference = 0.02;
constexpr double kInt8Cosine = 0.98;
// What people get has a scale for every row and attention on integers, so it differs from the
// executor's numbers however right it is, and the more the coarser the graph's own scales are. In
// units of the loss of the exact run, 1 - cosine, measured 1.4 (smoothed SmolLM2), 1.8 and 3.2
// (MiniLM, smoothed or not), 3.5 (SmolLM2 as it is: cosine 0.954); with queries that are not
// rotated, of twice the scale, or with two channels exchanged in every head, 6.1 to 229. Below the
// floor models of a few layers lie, whose exact run loses next to nothing.
constexpr double kRowScaledLoss = 5;
constexpr double kRowScaledFloor = 0.01;

double mean_cosine(std::span<const float> a, std::span<const float> b, size_t width) {
  double sum = 0;
  for (size_t at = 0; at < a.size(); at += width)
    sum += cosine(a.subspan(at, width), b.subspan(at, width));
  return sum * static_cast<double>(width) / static_cast<double>(a.size());
}

bool any_int8(const fused::EncoderSpec& spec) {
  const auto int8 = [](const fused::LinearSpec& l) { return l.kind == fused::WeightKind::s8; };
  return std::ranges::any_of(spec.layers, [&](const fused::LayerSpec& l) {
    return std::ranges::any_of(l.qkv, int8) || int8(l.out) || std::ranges::any_of(l.up, int8) ||
           int8(l.down);
  });
}

// Ids that are spread over the vocabulary, the same every time.
std::vector<int64_t> probe_ids(size_t length, int64_t vocabulary) {
  std::vector<int64_t> ids;
  uint64_t state = 1;
  for (size_t i = 0; i < length; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    ids.push_back(static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(vocabulary)));
  }
  return ids;
}

// What the long way makes; the tensors of `compiled` read `raised`.
struct Made {
  std::shared_ptr<const Model> raised;
  fused::Compiled compiled;
  Tensor table;
  std::map<std::string, Tensor> positions;  // position values, by name
};

Result<Made> made_of(Model raised, std::map<std::string, Tensor> positions) {
  Made made;
  made.raised = std::make_shared<const Model>(std::move(raised));
  made.positions = std::move(positions);
  OCTAVO_TRY(made.compiled, fused::compile(*made.raised, made.positions));
  const Initializer* table = made.raised->graph.find_initializer(made.compiled.table);
  if (table == nullptr)
    return Error{Code::internal, "no embedding table \"" + made.compiled.table + "\""};
  OCTAVO_TRY(made.table, table->tensor());
  return made;
}

class Maker {
 public:
  Maker(const Model& model, const FusedOptions& options, std::shared_ptr<ThreadPool> pool)
      : model_(model), options_(options), pool_(std::move(pool)) {}

  Result<Made> make() {
    OCTAVO_TRY(signature_, read_signature(model_));
    if (signature_.pooled)
      return Error{Code::unsupported,
                   "the graph pools: its output is one vector a text already, the fused path gives "
                   "hidden states"};
    std::erase_if(model_.graph.outputs,
                  [&](const ValueInfo& v) { return v.name != signature_.output; });
    OCTAVO_CHECK(inline_functions(model_));
    vocabulary_ = signature_.vocabulary > 0 ? signature_.vocabulary : 2;
    OCTAVO_TRY(plain_, Session::create(model_, {.pool = pool_}));
    OCTAVO_TRY(const Probe probe,
               run_raise_probe(*plain_, probe_ids(static_cast<size_t>(kProbeLength), vocabulary_)));
    RaiseOptions raise_options;
    raise_options.output = signature_.output;
    OCTAVO_TRY(Raised raised, raise_encoder(model_, probe, raise_options));
    OCTAVO_TRY(auto positions, position_values(raised));
    return made_of(std::move(raised.model), std::move(positions));
  }

  // Whether the encoder gives the plain executor's numbers.
  Status check(const fused::FusedEncoder& encoder) const {
    const size_t limit = encoder.spec().positions;
    const size_t length = limit == 0 ? kCheckLength : std::min(kCheckLength, limit);
    const std::vector<int64_t> ids = probe_ids(length, vocabulary_);
    OCTAVO_TRY(const std::vector<Feed> feeds, token_feeds(signature_.inputs, ids, 1));
    OCTAVO_TRY(const std::vector<Tensor> wanted, plain_->run(feeds));
    const size_t width = encoder.spec().hidden;
    if (wanted.size() != 1 || wanted[0].dtype() != DType::f32 ||
        static_cast<size_t>(wanted[0].size()) != length * width)
      return Error{Code::unsupported,
                   "the output is no float32 [batch, length, " + std::to_string(width) + "]"};
    std::vector<float> got(length * width);
    const std::array<size_t, 2> offsets{0, length};
    fused::RunOptions run;
    run.exact_onnx = true;
    OCTAVO_CHECK(encoder.run(ids, offsets, *pool_, run, got.data()));
    const auto reference = wanted[0].values<float>();
    if (!any_int8(encoder.spec())) {
      const double difference = relative_difference(got, reference);
      if (!(difference <= (computes_in_half() ? kHalfDifference : kFloatDifference)))
        return Error{Code::unsupported, "raised, but its numbers differ from the graph's by " +
                                            std::to_string(difference) + " of their range"};
      return Done{};
    }
    const double exact = mean_cosine(got, reference, width);
    if (!(exact >= kInt8Cosine))
      return Error{Code::unsupported, "raised, but its numbers differ from the graph's: cosine " +
                                          std::to_string(exact) + " on a probe"};
    run.exact_onnx = false;
    OCTAVO_CHECK(encoder.run(ids, offsets, *pool_, run, got.data()));
    const double rows = mean_cosine(got, reference, width);
    if (!(1 - rows <= std::max(kRowScaledFloor, kRowScaledLoss * (1 - exact))))
      return Error{Code::unsupported,
                   "raised, but with a scale for every row its numbers differ from the graph's: "
                   "cosine " +
                       std::to_string(rows) + " on a probe, " + std::to_string(exact) +
                       " with the graph's scales"};
    return Done{};
  }

 private:
  bool computes_in_half() const {
    return std::any_of(model_.graph.nodes.begin(), model_.graph.nodes.end(), [](const Node& node) {
      return node.op_type == "Cast" && node.int_or("to", 0) == static_cast<int64_t>(DType::f16);
    });
  }

  // Every position value for as many positions as the model has.
  Result<std::map<std::string, Tensor>> position_values(const Raised& raised) const {
    std::map<std::string, Tensor> values;
    if (raised.position_values.empty()) return values;
    OCTAVO_TRY(const Session session, Session::create(raised.positions, {.pool = pool_}));
    OCTAVO_TRY(const auto inputs, read_signature_inputs(raised.positions.graph));
    std::vector<size_t> lengths{options_.positions};
    // A table ends somewhere: the longest text that the graph can take, from above.
    if (options_.positions == 0)
      lengths = {131072, 65536, 32768, 16384, 8192, 4096, 2048, 1024, 514, 512, 256, 128, 64, 32};
    Error last{Code::unsupported, ""};
    for (const size_t length : lengths) {
      const std::vector<int64_t> ids(length, 0);
      OCTAVO_TRY(const std::vector<Feed> feeds, token_feeds(inputs, ids, 1));
      Result<std::vector<Tensor>> made = session.run(feeds);
      if (!made) {
        last = std::move(made).error();
        continue;
      }
      bool whole = true;
      for (size_t i = 0; i < raised.position_values.size(); ++i) {
        const PositionValue& value = raised.position_values[i];
        Result<Tensor> rows = (*made)[i].reshaped({static_cast<int64_t>(length), value.width});
        if (rows) {
          values.insert_or_assign(value.name, *std::move(rows));
        } else {  // a Slice past the end of a table gives what there is
          last = std::move(rows).error();
          whole = false;
        }
      }
      if (whole) return values;
    }
    return std::move(last).within("positions");
  }

  Model model_;
  const FusedOptions& options_;
  std::shared_ptr<ThreadPool> pool_;
  Signature signature_;
  int64_t vocabulary_ = 0;
  std::optional<Session> plain_;
};

using Tensors = std::map<std::string, Tensor>;

Result<Tensors> make_tensors(const Made& made) {
  Tensors tensors;
  for (const fused::PackedTensor& t : made.compiled.tensors) {
    OCTAVO_TRY(tensors[t.name], t.make());
  }
  tensors["embed.table"] = made.table;
  return tensors;
}

Result<FusedModel> of_tensors(const fused::EncoderSpec& spec, const Tensors& tensors) {
  const auto lookup = [&](const std::string& name) -> Result<Tensor> {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return Error{Code::internal, "no packed tensor \"" + name + "\""};
    return found->second;
  };
  OCTAVO_TRY(fused::FusedEncoder encoder, fused::FusedEncoder::create(spec, lookup));
  return FusedModel{std::make_shared<const fused::FusedEncoder>(std::move(encoder)), false, {}};
}

// Every tensor made once, and kept.
Result<FusedModel> in_memory(const Made& made) {
  OCTAVO_TRY(const Tensors tensors, make_tensors(made));
  return of_tensors(made.compiled.spec, tensors);
}

fs::path folder_of(const fs::path& onnx_file) { return fs::absolute(onnx_file).parent_path(); }

// The model file and its sidecars, as they are now.
Result<std::vector<SourceFile>> sources_of(const fs::path& onnx_file, const OnnxFile& onnx) {
  const fs::path folder = folder_of(onnx_file);
  std::vector<std::string> names{onnx_file.filename().string()};
  for (const OnnxSidecar& s : onnx.sidecars) {
    const fs::path path = fs::absolute(s.path);
    const std::string inside = path.lexically_relative(folder).string();
    names.push_back(inside.empty() || inside.starts_with("..") ? path.string() : inside);
  }
  return look_at(folder, names);
}

// The packed form, if it is there, whole, and of these very files.
Result<FusedModel> from_packed(const fs::path& packed, const fs::path& onnx_file,
                               const FusedOptions& options, ThreadPool& pool) {
  OCTAVO_TRY(Packed file, read_packed(packed, pool));
  std::vector<std::string> names;
  for (const SourceFile& s : file.header.sources) names.push_back(s.name);
  if (names.empty() || names[0] != onnx_file.filename().string())
    return Error{Code::not_found, "packed from another file"};
  OCTAVO_TRY(const auto now, look_at(folder_of(onnx_file), names));
  if (now != file.header.sources && !remembers_sources(packed, now, file.header.content)) {
    OCTAVO_TRY(const std::string content, content_hash(now));
    // Looked at again: what was written while it was read may have had its date before.
    OCTAVO_TRY(const auto after, look_at(folder_of(onnx_file), names));
    if (content != file.header.content)
      return Error{Code::not_found, "the model has changed since it was packed"};
    if (after == now) remember_sources(packed, now, content);
  }
  if (options.positions != 0 && file.header.spec.positions != 0 &&
      file.header.spec.positions < options.positions)
    return Error{Code::not_found, "packed for fewer positions"};
  Tensor table;
  if (!file.header.table.empty()) {
    OCTAVO_TRY(const Model model, read_onnx(onnx_file));
    const Initializer* found = model.graph.find_initializer(file.header.table);
    if (found == nullptr) return Error{Code::not_found, "the model has another embedding table"};
    OCTAVO_TRY(table, found->tensor());
  }
  const auto lookup = [&](const std::string& name) -> Result<Tensor> {
    return name == "embed.table" && table.defined() ? Result<Tensor>(table) : file.lookup(name);
  };
  OCTAVO_TRY(fused::FusedEncoder encoder,
             fused::FusedEncoder::create(std::move(file.header.spec), lookup));
  return FusedModel{std::make_shared<const fused::FusedEncoder>(std::move(encoder)), true, packed};
}

// Writes the packed form; where that fails (no folder, disk full) the model stays in memory.
Result<AtomicFile> write_made(const fs::path& packed, const std::vector<SourceFile>& sources,
                              const Made& made) {
  PackedHeader header;
  header.spec = made.compiled.spec;
  header.sources = sources;
  OCTAVO_TRY(header.content, content_hash(header.sources));
  std::vector<fused::PackedTensor> tensors = made.compiled.tensors;
  if (made.table.file_backed()) {
    header.table = made.compiled.table;
  } else {
    tensors.push_back({"embed.table", made.table.dtype(), made.table.shape(),
                       [table = made.table]() -> Result<Tensor> { return table; }});
  }
  return stage_packed(packed, header, tensors);
}

}  // namespace

Result<FusedModel> make_fused(const Model& model, const FusedOptions& options,
                              std::shared_ptr<ThreadPool> pool) {
  Maker maker(model, options, std::move(pool));
  OCTAVO_TRY(const Made made, maker.make());
  OCTAVO_TRY(FusedModel fused, in_memory(made));
  OCTAVO_CHECK(maker.check(*fused.encoder));
  return fused;
}

struct FusedVariants::State {
  Made made;
  Tensors tensors;
  FusedModel first;
};

FusedVariants::FusedVariants(std::unique_ptr<State> state) : state_(std::move(state)) {}
FusedVariants::FusedVariants(FusedVariants&&) noexcept = default;
FusedVariants& FusedVariants::operator=(FusedVariants&&) noexcept = default;
FusedVariants::~FusedVariants() = default;

Result<FusedVariants> FusedVariants::create(const Model& model, const FusedOptions& options,
                                            std::shared_ptr<ThreadPool> pool) {
  auto state = std::make_unique<State>();
  Maker maker(model, options, std::move(pool));
  OCTAVO_TRY(state->made, maker.make());
  OCTAVO_TRY(state->tensors, make_tensors(state->made));
  OCTAVO_TRY(state->first, of_tensors(state->made.compiled.spec, state->tensors));
  OCTAVO_CHECK(maker.check(*state->first.encoder));
  return FusedVariants(std::move(state));
}

const FusedModel& FusedVariants::first() const { return state_->first; }

Result<FusedModel> FusedVariants::of(const Model& other) const {
  std::map<std::string, const Initializer*> constants;
  for (const Initializer& i : other.graph.initializers) constants[i.name()] = &i;
  Model raised = *state_->made.raised;
  for (Initializer& mine : raised.graph.initializers) {
    const auto found = constants.find(mine.name());
    if (found == constants.end()) continue;  // made by raising, of nothing that differs
    const Initializer& theirs = *found->second;
    OCTAVO_TRY(const int64_t count, element_count(mine.shape()));
    OCTAVO_TRY(const int64_t their_count, element_count(theirs.shape()));
    if (theirs.dtype() != mine.dtype() || their_count != count)
      return Error{Code::unsupported, "constant \"" + mine.name() + "\" has another type or size"};
    if (theirs.shape() == mine.shape()) {
      mine = theirs;
    } else {
      mine = Initializer(mine.name(), mine.dtype(), mine.shape(),
                         [theirs, shape = mine.shape()]() -> Result<Tensor> {
                           OCTAVO_TRY(const Tensor tensor, theirs.tensor());
                           return tensor.reshaped(shape);
                         });
    }
  }
  OCTAVO_TRY(const Made made, made_of(std::move(raised), state_->made.positions));
  return in_memory(made);
}

Result<FusedModel> FusedVariants::widened(const std::set<std::string>& weights) const {
  Model raised = *state_->made.raised;
  for (Node& node : raised.graph.nodes) {
    if (node.op_type != raised::kLinear || node.string_or("kind", "") != raised::kInt8) continue;
    const bool wide = weights.contains(node.inputs[1]);
    node.attributes["scales"] = std::string(wide ? raised::kPerRow16 : raised::kPerRow);
  }
  OCTAVO_TRY(const Made made, made_of(std::move(raised), state_->made.positions));
  for (const fused::PackedTensor& t : made.compiled.tensors)
    if (!state_->tensors.contains(t.name))
      return Error{Code::unsupported,
                   "a packed weight has products of 8 and of 16 bits; MatMuls that read the same "
                   "input get the same: protect all of them"};
  return of_tensors(made.compiled.spec, state_->tensors);
}

Result<FusedPlan> plan_fused(const Model& model, const FusedOptions& options,
                             std::shared_ptr<ThreadPool> pool) {
  OCTAVO_TRY(const Made made, Maker(model, options, std::move(pool)).make());
  FusedPlan plan{made.compiled.spec, 0, made.table.bytes().size()};
  for (const fused::PackedTensor& t : made.compiled.tensors) {
    OCTAVO_TRY(const size_t bytes, byte_count(t.dtype, t.shape));
    plan.weight_bytes += bytes;
  }
  return plan;
}

Result<FusedModel> open_fused(const fs::path& onnx_file, const FusedOptions& options,
                              std::shared_ptr<ThreadPool> pool) {
  fs::path packed;
  if (options.cache) {
    if (Result<fs::path> place = packed_path(onnx_file)) packed = *std::move(place);
  }
  if (!packed.empty()) {
    Result<FusedModel> found = from_packed(packed, onnx_file, options, *pool);
    if (found) return found;
  }
  OCTAVO_TRY(const OnnxFile onnx, open_onnx(onnx_file));
  if (packed.empty()) return make_fused(onnx.model, options, std::move(pool));
  OCTAVO_TRY(const auto sources, sources_of(onnx_file, onnx));
  Maker maker(onnx.model, options, pool);
  OCTAVO_TRY(const Made made, maker.make());
  // Not under its real name until it has been checked: what has that name is believed.
  Result<AtomicFile> file = write_made(packed, sources, made);
  Result<FusedModel> model{Error{Code::internal, "not packed"}};
  if (file) {
    if (const Result<fs::path> staged = file->staged())
      model = from_packed(*staged, onnx_file, options, *pool);
  }
  const bool written = model.ok();
  if (!written) model = in_memory(made);
  Status status = model ? maker.check(*model->encoder) : Status(model.error());
  // A model that was replaced while it was packed is not what the packed form was made from.
  const Result<std::vector<SourceFile>> after = sources_of(onnx_file, onnx);
  const bool same = after && *after == sources;
  const bool kept = status && written && same && file->commit();
  if (model) model->packed = kept ? packed : fs::path();
  if (!status) return std::move(status).error();
  model->from_cache = false;
  return model;
}

}  // namespace octavo
