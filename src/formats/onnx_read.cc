#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "base/mapped_file.h"
#include "formats/external_data.h"
#include "formats/onnx.h"
#include "formats/onnx_parse.h"
#include "formats/onnx_proto.h"
#include "formats/onnx_scales.h"
#include "formats/onnx_tensor.h"

namespace octavo {

namespace {

// Same as check(): each level of subgraphs is a level of our own recursion.
constexpr int kMaxSubgraphs = 32;

template <class Field>
std::vector<std::string> take_strings(Field* field) {
  std::vector<std::string> out;
  out.reserve(static_cast<size_t>(field->size()));
  for (auto& s : *field) out.push_back(std::move(s));
  field->Clear();
  return out;
}

std::string normal_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

// The value of a message that is read by taking it apart: each take_*() moves what Graph models out
// of the proto, and the leftover is kept as opaque bytes.
class Reader {
 public:
  explicit Reader(ExternalData external) : external_(std::move(external)) {}

  Result<Model> model(onnx::ModelProto& proto);
  const ExternalData& external() const { return external_; }

 private:
  Result<Graph> graph(onnx::GraphProto& proto, int depth);
  Result<Function> function(onnx::FunctionProto& proto);
  Result<Node> node(onnx::NodeProto& proto, int depth);
  // nullopt-like: an attribute whose value is of a kind we only carry becomes OpaqueAttribute.
  Result<Attribute> attribute(onnx::AttributeProto& proto, int depth);
  static ValueInfo value_info(onnx::ValueInfoProto& proto);
  static Status opsets(google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>* field,
                       std::map<std::string, int64_t>& out);

  ExternalData external_;
};

// Files older than IR version 2 give no type; then the field that is set tells.
onnx::AttributeProto_AttributeType type_of(const onnx::AttributeProto& proto) {
  if (proto.has_type() || proto.has_ref_attr_name()) return proto.type();
  if (proto.has_f()) return onnx::AttributeProto_AttributeType_FLOAT;
  if (proto.has_i()) return onnx::AttributeProto_AttributeType_INT;
  if (proto.has_s()) return onnx::AttributeProto_AttributeType_STRING;
  if (proto.has_t()) return onnx::AttributeProto_AttributeType_TENSOR;
  if (proto.has_g()) return onnx::AttributeProto_AttributeType_GRAPH;
  if (proto.floats_size() != 0) return onnx::AttributeProto_AttributeType_FLOATS;
  if (proto.ints_size() != 0) return onnx::AttributeProto_AttributeType_INTS;
  if (proto.strings_size() != 0) return onnx::AttributeProto_AttributeType_STRINGS;
  return onnx::AttributeProto_AttributeType_UNDEFINED;
}

OpaqueAttribute take_whole(onnx::AttributeProto& proto) {
  OpaqueAttribute out{proto.SerializePartialAsString()};
  proto.Clear();
  return out;
}

Result<Attribute> Reader::attribute(onnx::AttributeProto& proto, int depth) {
  const auto type = type_of(proto);
  if (!proto.ref_attr_name().empty()) {
    AttributeReference reference{proto.ref_attr_name(), static_cast<int32_t>(type)};
    proto.clear_ref_attr_name();
    proto.clear_type();
    return Attribute(std::move(reference));
  }
  switch (type) {
    case onnx::AttributeProto_AttributeType_FLOAT: {
      const float value = proto.f();
      proto.clear_f();
      proto.clear_type();
      return Attribute(value);
    }
    case onnx::AttributeProto_AttributeType_INT: {
      const int64_t value = proto.i();
      proto.clear_i();
      proto.clear_type();
      return Attribute(value);
    }
    case onnx::AttributeProto_AttributeType_STRING: {
      std::string value = std::move(*proto.mutable_s());
      proto.clear_s();
      proto.clear_type();
      return Attribute(std::move(value));
    }
    case onnx::AttributeProto_AttributeType_FLOATS: {
      std::vector<float> values(proto.floats().begin(), proto.floats().end());
      proto.clear_floats();
      proto.clear_type();
      return Attribute(std::move(values));
    }
    case onnx::AttributeProto_AttributeType_INTS: {
      std::vector<int64_t> values(proto.ints().begin(), proto.ints().end());
      proto.clear_ints();
      proto.clear_type();
      return Attribute(std::move(values));
    }
    case onnx::AttributeProto_AttributeType_STRINGS: {
      auto values = take_strings(proto.mutable_strings());
      proto.clear_type();
      return Attribute(std::move(values));
    }
    case onnx::AttributeProto_AttributeType_TENSOR: {
      if (!proto.has_t() || !holds_tensor(proto.t())) return Attribute(take_whole(proto));
      OCTAVO_TRY(Tensor tensor, take_tensor(*proto.mutable_t(), external_));
      // Borrowed bytes of a sidecar may lie at any address; an attribute has no lazy form.
      if (tensor.file_backed()) {
        OCTAVO_TRY(tensor, tensor.clone());
      }
      if (proto.t().ByteSizeLong() == 0) proto.clear_t();
      proto.clear_type();
      return Attribute(std::move(tensor));
    }
    case onnx::AttributeProto_AttributeType_GRAPH: {
      OCTAVO_TRY(Graph inner, graph(*proto.mutable_g(), depth + 1));
      proto.clear_g();
      proto.clear_type();
      return Attribute(std::make_shared<Graph>(std::move(inner)));
    }
    default:
      return Attribute(take_whole(proto));
  }
}

Result<Node> Reader::node(onnx::NodeProto& proto, int depth) {
  Node out;
  out.name = std::move(*proto.mutable_name());
  out.op_type = std::move(*proto.mutable_op_type());
  out.domain = normal_domain(proto.domain());
  out.inputs = take_strings(proto.mutable_input());
  out.outputs = take_strings(proto.mutable_output());
  proto.clear_name();
  proto.clear_op_type();
  proto.clear_domain();
  // What is left of an attribute (its doc string, fields we do not know) stays in the node's
  // leftover under the attribute's name, and is merged back when it is written.
  google::protobuf::RepeatedPtrField<onnx::AttributeProto> attributes;
  attributes.Swap(proto.mutable_attribute());
  for (auto& a : attributes) {
    const std::string key = a.name();
    const std::string place = out.describe() + ": attribute \"" + key + "\"";
    if (key.empty())
      return Error{Code::invalid_input, out.describe() + ": an attribute has no name"};
    OCTAVO_TRY(Attribute value, attribute(a, depth).within(place));
    if (!out.attributes.emplace(key, std::move(value)).second)
      return Error{Code::invalid_input, place + " is given twice"};
    a.clear_name();
    if (a.ByteSizeLong() == 0) continue;
    a.set_name(key);
    *proto.add_attribute() = std::move(a);
  }
  out.opaque = leftover(proto);
  return out;
}

ValueInfo Reader::value_info(onnx::ValueInfoProto& proto) {
  ValueInfo out;
  out.name = std::move(*proto.mutable_name());
  proto.clear_name();
  if (proto.type().has_tensor_type()) {
    auto* type = proto.mutable_type()->mutable_tensor_type();
    if (is_known_dtype(type->elem_type()) ||
        type->elem_type() == onnx::TensorProto_DataType_STRING) {
      out.dtype = static_cast<DType>(type->elem_type());
      type->clear_elem_type();
    }
    if (type->has_shape()) {
      out.shape.emplace();
      bool plain = type->shape().GetReflection()->GetUnknownFields(type->shape()).empty();
      for (auto& d : *type->mutable_shape()->mutable_dim()) {
        if (d.has_dim_value()) {
          out.shape->emplace_back(d.dim_value());
        } else {
          out.shape->emplace_back(d.dim_param());
        }
        d.clear_value();
        plain = plain && d.ByteSizeLong() == 0;
      }
      if (plain) type->clear_shape();
    }
    // An empty tensor_type still says "a tensor"; that much dtype says as well.
    if (out.dtype != DType::undefined && type->ByteSizeLong() == 0) {
      proto.mutable_type()->clear_value();
      if (proto.type().ByteSizeLong() == 0) proto.clear_type();
    }
  }
  out.opaque = leftover(proto);
  return out;
}

Result<Graph> Reader::graph(onnx::GraphProto& proto, int depth) {
  if (depth > kMaxSubgraphs)
    return Error{Code::unsupported,
                 "subgraphs are nested deeper than " + std::to_string(kMaxSubgraphs)};
  Graph out;
  out.name = std::move(*proto.mutable_name());
  proto.clear_name();
  for (auto& v : *proto.mutable_input()) out.inputs.push_back(value_info(v));
  for (auto& v : *proto.mutable_output()) out.outputs.push_back(value_info(v));
  for (auto& v : *proto.mutable_value_info()) out.value_info.push_back(value_info(v));
  out.initializers.reserve(static_cast<size_t>(proto.initializer_size()));
  for (auto& i : *proto.mutable_initializer()) {
    OCTAVO_TRY(Initializer initializer, take_initializer(i, external_));
    out.initializers.push_back(std::move(initializer));
  }
  for (auto& i : *proto.mutable_sparse_initializer()) {
    OCTAVO_TRY(Initializer initializer, take_sparse_initializer(i, external_));
    out.initializers.push_back(std::move(initializer));
  }
  out.nodes.reserve(static_cast<size_t>(proto.node_size()));
  for (auto& n : *proto.mutable_node()) {
    OCTAVO_TRY(Node taken, node(n, depth));
    out.nodes.push_back(std::move(taken));
  }
  proto.clear_input();
  proto.clear_output();
  proto.clear_value_info();
  proto.clear_initializer();
  proto.clear_sparse_initializer();
  proto.clear_node();
  out.opaque = leftover(proto);
  return out;
}

Status Reader::opsets(google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>* field,
                      std::map<std::string, int64_t>& out) {
  for (const auto& o : *field) {
    const auto [at, is_new] = out.emplace(normal_domain(o.domain()), o.version());
    if (!is_new && at->second != o.version())
      return Error{Code::invalid_input,
                   "opset \"" + o.domain() + "\" is imported in two versions, " +
                       std::to_string(at->second) + " and " + std::to_string(o.version())};
  }
  field->Clear();
  return Done{};
}

Result<Function> Reader::function(onnx::FunctionProto& proto) {
  Function out;
  out.domain = normal_domain(proto.domain());
  out.name = std::move(*proto.mutable_name());
  proto.clear_domain();
  proto.clear_name();
  const std::string place = "function \"" + out.domain + "." + out.name + "\"";
  out.inputs = take_strings(proto.mutable_input());
  out.outputs = take_strings(proto.mutable_output());
  out.attributes = take_strings(proto.mutable_attribute());
  OCTAVO_CHECK(opsets(proto.mutable_opset_import(), out.opset_imports).within(place));
  for (auto& n : *proto.mutable_node()) {
    OCTAVO_TRY(Node taken, node(n, 0).within(place));
    out.nodes.push_back(std::move(taken));
  }
  proto.clear_node();
  // attribute_proto is newer than our protobuf classes.
  auto* unknown = proto.GetReflection()->MutableUnknownFields(&proto);
  for (int i = 0; i < unknown->field_count(); ++i) {
    const auto& field = unknown->field(i);
    if (field.number() != kFunctionAttributeProto ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    onnx::AttributeProto a;
    if (!a.ParseFromString(field.length_delimited()) || a.name().empty())
      return Error{Code::invalid_input, place + ": a default of an attribute is damaged"};
    const std::string key = a.name();
    const std::string at = std::string(place).append(": attribute \"").append(key).append("\"");
    OCTAVO_TRY(Attribute value, attribute(a, 0).within(at));
    if (!out.attribute_defaults.emplace(key, std::move(value)).second)
      return Error{Code::invalid_input, at + " has two defaults"};
  }
  unknown->DeleteByNumber(kFunctionAttributeProto);
  out.opaque = leftover(proto);
  return out;
}

Result<Model> Reader::model(onnx::ModelProto& proto) {
  Model out;
  out.ir_version = proto.ir_version();
  out.producer_name = proto.producer_name();
  out.producer_version = proto.producer_version();
  OCTAVO_CHECK(opsets(proto.mutable_opset_import(), out.opset_imports));
  for (const auto& m : proto.metadata_props()) out.metadata.emplace_back(m.key(), m.value());
  OCTAVO_TRY(out.graph, graph(*proto.mutable_graph(), 0));
  for (auto& f : *proto.mutable_functions()) {
    OCTAVO_TRY(Function taken, function(f));
    out.functions.push_back(std::move(taken));
  }
  proto.clear_ir_version();
  proto.clear_producer_name();
  proto.clear_producer_version();
  proto.clear_metadata_props();
  proto.clear_graph();
  proto.clear_functions();
  out.opaque = leftover(proto);
  OCTAVO_CHECK(check(out));
  OCTAVO_CHECK(check_scales(out.graph));
  return out;
}

}  // namespace

Result<OnnxFile> open_onnx(const std::filesystem::path& file, const OnnxReadOptions& options) {
  OCTAVO_TRY(auto mapped, MappedFile::open(file));
  OCTAVO_TRY(auto proto, parse_model_proto(mapped->bytes()).within(file.string()));
  ExternalDataOptions rules;
  rules.strict = options.strict;
  Reader reader(ExternalData::of_model(file, rules));
  OnnxFile out;
  OCTAVO_TRY(out.model, reader.model(*proto).within(file.string()));
  out.size = mapped->bytes().size();
  for (auto& use : reader.external().uses())
    out.sidecars.push_back({std::move(use.path), use.size, use.used, use.slices});
  return out;
}

Result<Model> read_onnx(const std::filesystem::path& file, const OnnxReadOptions& options) {
  OCTAVO_TRY(OnnxFile opened, open_onnx(file, options));
  return std::move(opened.model);
}

Result<Model> parse_onnx(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                         const OnnxReadOptions& options) {
  OCTAVO_TRY(auto proto, parse_model_proto(bytes));
  ExternalDataOptions rules;
  rules.strict = options.strict;
  return Reader(ExternalData::in_folder(folder, rules)).model(*proto);
}

}  // namespace octavo
