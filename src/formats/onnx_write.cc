// The model file is written as protobuf would write it, field by field in the order of their
// numbers, but without ever holding it: GraphProto and ModelProto are split at the initializers,
// whose bytes go from the tensor straight to the file. Lengths come first in protobuf, so they are
// summed up before anything is written.

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "formats/onnx.h"
#include "formats/onnx_proto.h"
#include "formats/onnx_size.h"
#include "formats/onnx_target.h"
#include "formats/onnx_to_proto.h"

namespace octavo {

namespace fs = std::filesystem;

namespace {

// Small enough that the pages of a mapped source never add up, large enough to be free.
constexpr size_t kPiece = size_t{8} << 20;

constexpr uint32_t kModelGraph = 7;
constexpr uint32_t kGraphInitializer = 5;
constexpr uint32_t kTensorRawData = 9;

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7fU) | 0x80U);
  return out + static_cast<char>(value);
}

// Tag and length of a length-delimited field.
std::string field_head(uint32_t number, uint64_t length) {
  return varint(number << 3 | 2U) + varint(length);
}

// Where one initializer goes.
struct Placement {
  enum class Kind : uint8_t { message, streamed, external } kind;
  std::string before;  // serialized fields of TensorProto up to raw_data, or the whole message
  uint64_t raw = 0;    // bytes of raw_data between them; of what is not made when only measured
  std::string after;
  uint64_t length() const {
    return before.size() + after.size() + raw +
           (kind == Kind::streamed ? field_head(kTensorRawData, raw).size() : 0);
  }
};

uint64_t bytes_of(const Initializer& i) {
  const auto bytes = byte_count(i.dtype(), i.shape());
  return bytes ? *bytes : 0;
}

bool is_message(const Initializer& i) {
  return dtype_bits(i.dtype()) == 0 || i.storage == Initializer::Storage::typed_fields;
}

// What the initializer can take inside the file at most, without computing it: in int32_data an
// element takes up to 10 bytes (a negative varint).
uint64_t inline_bound(const Initializer& i) {
  const uint64_t head = 256 + i.name().size() + i.opaque.size() + 10 * i.shape().size();
  const bool typed = i.storage == Initializer::Storage::typed_fields;
  const uint64_t bytes = bytes_of(i);
  if (!typed || i.dtype() == DType::f32 || i.dtype() == DType::f64) return head + bytes;
  return head + 10 * (bytes * 8 / std::max<size_t>(dtype_bits(i.dtype()), 8));
}

// What typed_fields of it take, at least: floats to the byte, integers that are not made yet as if
// they were below 128, as zero points of symmetric weights are.
uint64_t typed_length(const Initializer& i) {
  const auto count = element_count(i.shape());
  if (!count || *count == 0) return 0;
  const bool fixed = i.dtype() == DType::f32 || i.dtype() == DType::f64;
  const uint64_t length = fixed ? bytes_of(i) : static_cast<uint64_t>(*count);
  return 1 + varint(length).size() + length;
}

Status write_pieces(AtomicFile& out, const Tensor& tensor) {
  auto bytes = tensor.bytes();
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kPiece));
    OCTAVO_CHECK(out.write(piece));
    if (tensor.file_backed()) drop_pages(piece);
    bytes = bytes.subspan(piece.size());
  }
  tensor.drop_pages();
  return Done{};
}

class Writer {
 public:
  Writer(const Model& model, const fs::path& file, const OnnxWriteOptions& options,
         const Progress& progress)
      : model_(model), file_(file), options_(options), progress_(progress) {}

  Status run() {
    OCTAVO_TRY(graph_, graph_proto(model_.graph, false));
    OCTAVO_TRY(rest_, model_proto(model_));
    for (const auto& i : model_.graph.initializers) total_ += bytes_of(i);
    OCTAVO_CHECK(check_onnx_output(file_, options_));
    OCTAVO_CHECK(decide());
    if (external_) OCTAVO_CHECK(open_sidecar());
    for (const auto& i : model_.graph.initializers) OCTAVO_CHECK(place(i));
    OCTAVO_TRY(AtomicFile * out, files_.add(file_));
    OCTAVO_CHECK(write_model(*out));
    const auto left_over = sidecar_ == nullptr ? left_over_sidecar(file_, options_) : std::nullopt;
    OCTAVO_CHECK(files_.commit());
    std::error_code ignored;  // the new model is there and whole either way
    if (left_over) fs::remove(*left_over, ignored);
    return Done{};
  }

  // What run() would write, both files together.
  Result<uint64_t> measure() {
    measuring_ = true;
    OCTAVO_TRY(graph_, graph_proto(model_.graph, false));
    OCTAVO_TRY(rest_, model_proto(model_));
    OCTAVO_CHECK(decide());
    OCTAVO_TRY(const fs::path sidecar, sidecar_path(file_, options_));
    location_ = sidecar.filename().string();
    for (const auto& i : model_.graph.initializers) OCTAVO_CHECK(place(i));
    const uint64_t length = graph_.ByteSizeLong() + initializers_length();
    return rest_.ByteSizeLong() + field_head(kModelGraph, length).size() + length + outside_;
  }

 private:
  // Inside the file while it fits, unless asked otherwise.
  Status decide() {
    const uint64_t fixed = graph_.ByteSizeLong() + rest_.ByteSizeLong() + 64;
    uint64_t as_messages = 0;
    uint64_t all = 0;
    for (const auto& i : model_.graph.initializers) {
      const uint64_t bound = inline_bound(i);
      if (is_message(i)) as_messages += bound;
      all += bound;
    }
    external_ = options_.external_data || fixed + all > options_.inline_limit;
    // typed_fields is a wish; 2 GB of float_data cannot be granted.
    spill_typed_ = fixed + as_messages > options_.inline_limit;
    if (fixed > options_.inline_limit)
      return Error{Code::unsupported, "the nodes alone (tensors inside attributes) take " +
                                          std::to_string(fixed) +
                                          " bytes, more than protobuf's 2 GB"};
    return Done{};
  }

  Status open_sidecar() {
    OCTAVO_TRY(const fs::path sidecar, sidecar_path(file_, options_));
    location_ = sidecar.filename().string();
    const auto goes_out = [&](const Initializer& i) { return is_external(i); };
    if (!std::any_of(model_.graph.initializers.begin(), model_.graph.initializers.end(), goes_out))
      return Done{};
    OCTAVO_CHECK(check_replaceable(sidecar, file_, options_));
    OCTAVO_TRY(sidecar_, files_.add(sidecar));
    return Done{};
  }

  bool is_external(const Initializer& i) const {
    if (!external_ || dtype_bits(i.dtype()) == 0) return false;
    if (i.storage == Initializer::Storage::typed_fields && !spill_typed_) return false;
    return bytes_of(i) >= std::max<uint64_t>(options_.threshold, 1);
  }

  Status place(const Initializer& i) {
    if (i.storage == Initializer::Storage::sparse) {
      *graph_.add_sparse_initializer() = sparse_proto(i);
      placements_.emplace_back();
      return Done{};
    }
    Placement p;
    if (!is_external(i) && is_message(i)) {
      if (measuring_ && i.lazy()) {
        auto head = from_leftover<onnx::TensorProto>(i.opaque);
        for (const int64_t d : i.shape()) head.add_dims(d);
        head.set_data_type(static_cast<int32_t>(i.dtype()));
        head.set_name(i.name());
        placements_.push_back(
            {Placement::Kind::message, head.SerializeAsString(), typed_length(i), {}});
        return Done{};
      }
      OCTAVO_TRY(const auto proto, tensor_proto(i));
      p = {Placement::Kind::message, proto.SerializeAsString(), 0, {}};
      done_ += bytes_of(i);
    } else {
      // Fields with numbers below and above raw_data's.
      onnx::TensorProto head;
      auto tail = from_leftover<onnx::TensorProto>(i.opaque);
      for (const int64_t d : i.shape()) head.add_dims(d);
      head.set_data_type(static_cast<int32_t>(i.dtype()));
      head.set_name(i.name());
      if (is_external(i)) OCTAVO_CHECK(write_external(i, tail));
      p = {is_external(i) ? Placement::Kind::external : Placement::Kind::streamed,
           head.SerializeAsString(), is_external(i) ? 0 : bytes_of(i), tail.SerializeAsString()};
    }
    placements_.push_back(std::move(p));
    report(progress_, "write", done_, total_);
    return Done{};
  }

  Status write_external(const Initializer& i, onnx::TensorProto& proto) {
    if (!measuring_ && options_.alignment > 1) OCTAVO_CHECK(sidecar_->pad_to(options_.alignment));
    const uint64_t offset = measuring_ ? padded(outside_) : sidecar_->size();
    const uint64_t length = bytes_of(i);
    outside_ = offset + length;
    if (!measuring_) {
      OCTAVO_TRY(const Tensor tensor, i.tensor());
      OCTAVO_CHECK(write_pieces(*sidecar_, tensor));
    }
    const auto entry = [&](const char* key, const std::string& value) {
      auto* e = proto.add_external_data();
      e->set_key(key);
      e->set_value(value);
    };
    entry("location", location_);
    entry("offset", std::to_string(offset));
    entry("length", std::to_string(length));
    proto.set_data_location(onnx::TensorProto_DataLocation_EXTERNAL);
    done_ += length;
    return Done{};
  }

  uint64_t padded(uint64_t offset) const {
    const uint64_t alignment = std::max<uint64_t>(options_.alignment, 1);
    return (offset + alignment - 1) / alignment * alignment;
  }

  // Those of the graph as fields of GraphProto.
  uint64_t initializers_length() const {
    uint64_t length = 0;
    for (size_t k = 0; k < placements_.size(); ++k) {
      if (model_.graph.initializers[k].storage == Initializer::Storage::sparse) continue;
      const uint64_t own = placements_[k].length();
      length += field_head(kGraphInitializer, own).size() + own;
    }
    return length;
  }

  Status write_model(AtomicFile& out) {
    // GraphProto: node 1, name 2 | initializer 5 | the others.
    onnx::GraphProto graph_head;
    graph_head.mutable_node()->Swap(graph_.mutable_node());
    graph_head.set_name(graph_.name());
    graph_.clear_name();
    // ModelProto: ir_version 1 ... doc_string 6 | graph 7 | the others.
    onnx::ModelProto head;
    head.set_ir_version(rest_.ir_version());
    rest_.clear_ir_version();
    if (rest_.has_producer_name()) head.set_producer_name(rest_.producer_name());
    if (rest_.has_producer_version()) head.set_producer_version(rest_.producer_version());
    if (rest_.has_domain()) head.set_domain(rest_.domain());
    if (rest_.has_model_version()) head.set_model_version(rest_.model_version());
    if (rest_.has_doc_string()) head.set_doc_string(rest_.doc_string());
    rest_.clear_producer_name();
    rest_.clear_producer_version();
    rest_.clear_domain();
    rest_.clear_model_version();
    rest_.clear_doc_string();

    const auto& initializers = model_.graph.initializers;
    const uint64_t length =
        graph_head.ByteSizeLong() + graph_.ByteSizeLong() + initializers_length();
    const uint64_t whole = head.ByteSizeLong() + rest_.ByteSizeLong() + length + 16;
    if (whole > options_.inline_limit)
      return Error{Code::unsupported, "the model without its sidecar takes " +
                                          std::to_string(whole) +
                                          " bytes, more than protobuf's 2 GB"};
    OCTAVO_CHECK(out.write(head.SerializeAsString()));
    OCTAVO_CHECK(out.write(field_head(kModelGraph, length)));
    OCTAVO_CHECK(out.write(graph_head.SerializeAsString()));
    graph_head.Clear();
    for (size_t k = 0; k < initializers.size(); ++k) {
      if (initializers[k].storage != Initializer::Storage::sparse)
        OCTAVO_CHECK(write_initializer(out, initializers[k], placements_[k]));
    }
    OCTAVO_CHECK(out.write(graph_.SerializeAsString()));
    return out.write(rest_.SerializeAsString());
  }

  Status write_initializer(AtomicFile& out, const Initializer& i, const Placement& p) {
    OCTAVO_CHECK(out.write(field_head(kGraphInitializer, p.length())));
    OCTAVO_CHECK(out.write(p.before));
    if (p.kind == Placement::Kind::streamed) {
      OCTAVO_CHECK(out.write(field_head(kTensorRawData, p.raw)));
      OCTAVO_TRY(const Tensor tensor, i.tensor());
      OCTAVO_CHECK(write_pieces(out, tensor));
      done_ += tensor.bytes().size();
      report(progress_, "write", done_, total_);
    }
    return out.write(p.after);
  }

  const Model& model_;
  const fs::path& file_;
  const OnnxWriteOptions& options_;
  const Progress& progress_;
  AtomicFiles files_;
  AtomicFile* sidecar_ = nullptr;
  std::string location_;
  bool external_ = false;
  bool spill_typed_ = false;
  bool measuring_ = false;  // nothing is made or written
  uint64_t outside_ = 0;    // bytes of the sidecar so far
  onnx::GraphProto graph_;
  onnx::ModelProto rest_;
  std::vector<Placement> placements_;  // one an initializer
  uint64_t done_ = 0;
  uint64_t total_ = 0;
};

}  // namespace

std::vector<fs::path> source_files(const fs::path& file, const OnnxFile& onnx) {
  std::vector<fs::path> out{file};
  for (const OnnxSidecar& sidecar : onnx.sidecars) out.push_back(sidecar.path);
  return out;
}

Status check_onnx_output(const fs::path& file, const OnnxWriteOptions& options) {
  OCTAVO_TRY(const fs::path place, output_place(file));
  OCTAVO_CHECK(check_replaceable(place, place, options));
  if (options.external_data) {
    OCTAVO_TRY(const fs::path sidecar, sidecar_path(place, options));
    OCTAVO_CHECK(check_replaceable(sidecar, place, options));
  }
  OCTAVO_TRY(const AtomicFile trial, AtomicFile::create(file));
  return Done{};
}

Result<uint64_t> onnx_size(const Model& model, const fs::path& file,
                           const OnnxWriteOptions& options) {
  OCTAVO_TRY(const fs::path place, output_place(file));
  return Writer(model, place, options, {}).measure();
}

Status write_onnx(const Model& model, const fs::path& file, const OnnxWriteOptions& options,
                  const Progress& progress) {
  // Beside what a symlink leads to: there the sidecar is found, through the link and without it.
  OCTAVO_TRY(const fs::path place, output_place(file));
  if (const auto sidecar = sidecar_path(place, options)) sweep_temporaries(*sidecar);
  Status written = Writer(model, place, options, progress).run();
  // Errors of the files themselves name them already.
  if (written || written.error().message.starts_with(place.string())) return written;
  return std::move(written).within(file.string());
}

}  // namespace octavo
