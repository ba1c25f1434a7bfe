#include "formats/onnx_to_proto.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "formats/onnx_tensor.h"

namespace octavo {

namespace {

// Fills `proto`, which holds what was left over when the attribute was read.
struct PutAttribute {
  onnx::AttributeProto& proto;

  Status operator()(int64_t v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_INT);
    proto.set_i(v);
    return Done{};
  }
  Status operator()(float v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_FLOAT);
    proto.set_f(v);
    return Done{};
  }
  Status operator()(const std::string& v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_STRING);
    proto.set_s(v);
    return Done{};
  }
  Status operator()(const Tensor& v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_TENSOR);
    put_raw(v, *proto.mutable_t());
    return Done{};
  }
  Status operator()(const std::shared_ptr<Graph>& v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_GRAPH);
    OCTAVO_TRY(*proto.mutable_g(), graph_proto(*v, true));
    return Done{};
  }
  Status operator()(const std::vector<int64_t>& v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_INTS);
    proto.mutable_ints()->Add(v.begin(), v.end());
    return Done{};
  }
  Status operator()(const std::vector<float>& v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_FLOATS);
    proto.mutable_floats()->Add(v.begin(), v.end());
    return Done{};
  }
  Status operator()(const std::vector<std::string>& v) const {
    proto.set_type(onnx::AttributeProto_AttributeType_STRINGS);
    for (const auto& s : v) proto.add_strings(s);
    return Done{};
  }
  Status operator()(const OpaqueAttribute& v) const {
    const std::string name = proto.name();
    if (!proto.ParsePartialFromString(v.proto))
      return Error{Code::internal, "attribute \"" + name + "\" carries damaged bytes"};
    proto.set_name(name);
    return Done{};
  }
  Status operator()(const AttributeReference& v) const {
    if (!onnx::AttributeProto_AttributeType_IsValid(v.type))
      return Error{Code::internal, "attribute \"" + proto.name() + "\" refers to no known type"};
    proto.set_type(static_cast<onnx::AttributeProto_AttributeType>(v.type));
    proto.set_ref_attr_name(v.name);
    return Done{};
  }
};

void put_opsets(const std::map<std::string, int64_t>& opsets,
                google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>* field) {
  for (const auto& [domain, version] : opsets) {
    auto* o = field->Add();
    o->set_domain(domain);
    o->set_version(version);
  }
}

}  // namespace

Result<onnx::NodeProto> node_proto(const Node& node) {
  auto proto = from_leftover<onnx::NodeProto>(node.opaque);
  for (const auto& in : node.inputs) proto.add_input(in);
  for (const auto& out : node.outputs) proto.add_output(out);
  if (!node.name.empty()) proto.set_name(node.name);
  proto.set_op_type(node.op_type);
  if (!node.domain.empty()) proto.set_domain(node.domain);
  google::protobuf::RepeatedPtrField<onnx::AttributeProto> leftovers;
  leftovers.Swap(proto.mutable_attribute());
  for (const auto& [name, value] : node.attributes) {
    auto* a = proto.add_attribute();
    const auto kept = std::find_if(leftovers.begin(), leftovers.end(),
                                   [&, &key = name](const auto& l) { return l.name() == key; });
    if (kept != leftovers.end()) *a = *kept;
    a->set_name(name);
    OCTAVO_CHECK(std::visit(PutAttribute{*a}, value).within(node.describe()));
  }
  return proto;
}

Result<onnx::FunctionProto> function_proto(const Function& function) {
  auto proto = from_leftover<onnx::FunctionProto>(function.opaque);
  proto.set_name(function.name);
  proto.set_domain(function.domain);
  for (const auto& in : function.inputs) proto.add_input(in);
  for (const auto& out : function.outputs) proto.add_output(out);
  for (const auto& a : function.attributes) proto.add_attribute(a);
  put_opsets(function.opset_imports, proto.mutable_opset_import());
  for (const auto& n : function.nodes) {
    OCTAVO_TRY(*proto.add_node(), node_proto(n));
  }
  for (const auto& [name, value] : function.attribute_defaults) {
    onnx::AttributeProto a;
    a.set_name(name);
    OCTAVO_CHECK(std::visit(PutAttribute{a}, value).within("function \"" + function.name + "\""));
    proto.GetReflection()->MutableUnknownFields(&proto)->AddLengthDelimited(kFunctionAttributeProto,
                                                                            a.SerializeAsString());
  }
  return proto;
}

onnx::ValueInfoProto value_info_proto(const ValueInfo& value) {
  auto proto = from_leftover<onnx::ValueInfoProto>(value.opaque);
  proto.set_name(value.name);
  if (value.dtype == DType::undefined && !value.shape) return proto;
  // A sequence or map type with a shape cannot be: reading sets neither for them.
  auto* type = proto.mutable_type()->mutable_tensor_type();
  if (value.dtype != DType::undefined) type->set_elem_type(static_cast<int32_t>(value.dtype));
  if (!value.shape) return proto;
  auto* shape = type->mutable_shape();
  // Leftovers of dimensions (denotations) belong to the shape that was read, not to another rank.
  if (shape->dim_size() != static_cast<int>(value.shape->size())) shape->clear_dim();
  const bool fresh = shape->dim_size() == 0;
  for (size_t i = 0; i < value.shape->size(); ++i) {
    auto* d = fresh ? shape->add_dim() : shape->mutable_dim(static_cast<int>(i));
    const Dim& dim = (*value.shape)[i];
    if (const auto* number = std::get_if<int64_t>(&dim)) {
      d->set_dim_value(*number);
    } else if (const auto& symbol = std::get<std::string>(dim); !symbol.empty()) {
      d->set_dim_param(symbol);
    }
  }
  return proto;
}

Result<onnx::TensorProto> tensor_proto(const Initializer& initializer) {
  auto proto = from_leftover<onnx::TensorProto>(initializer.opaque);
  proto.set_name(initializer.name());
  if (dtype_bits(initializer.dtype()) == 0) return proto;
  OCTAVO_TRY(const Tensor tensor, initializer.tensor());
  if (initializer.storage == Initializer::Storage::typed_fields) {
    put_typed(tensor, proto);
  } else {
    put_raw(tensor, proto);
  }
  tensor.drop_pages();
  return proto;
}

onnx::SparseTensorProto sparse_proto(const Initializer& initializer) {
  auto proto = from_leftover<onnx::SparseTensorProto>(initializer.opaque);
  proto.mutable_values()->set_name(initializer.name());
  return proto;
}

Result<onnx::GraphProto> graph_proto(const Graph& graph, bool with_initializers) {
  auto proto = from_leftover<onnx::GraphProto>(graph.opaque);
  proto.set_name(graph.name);
  proto.mutable_node()->Reserve(static_cast<int>(graph.nodes.size()));
  for (const auto& n : graph.nodes) {
    OCTAVO_TRY(*proto.add_node(), node_proto(n));
  }
  for (const auto& v : graph.inputs) *proto.add_input() = value_info_proto(v);
  for (const auto& v : graph.outputs) *proto.add_output() = value_info_proto(v);
  for (const auto& v : graph.value_info) *proto.add_value_info() = value_info_proto(v);
  if (!with_initializers) return proto;
  for (const auto& i : graph.initializers) {
    if (i.storage == Initializer::Storage::sparse) {
      *proto.add_sparse_initializer() = sparse_proto(i);
    } else {
      OCTAVO_TRY(*proto.add_initializer(), tensor_proto(i));
    }
  }
  return proto;
}

Result<onnx::ModelProto> model_proto(const Model& model) {
  auto proto = from_leftover<onnx::ModelProto>(model.opaque);
  proto.set_ir_version(model.ir_version);
  if (!model.producer_name.empty()) proto.set_producer_name(model.producer_name);
  if (!model.producer_version.empty()) proto.set_producer_version(model.producer_version);
  put_opsets(model.opset_imports, proto.mutable_opset_import());
  for (const auto& [key, value] : model.metadata) {
    auto* m = proto.add_metadata_props();
    m->set_key(key);
    m->set_value(value);
  }
  for (const auto& f : model.functions) {
    OCTAVO_TRY(*proto.add_functions(), function_proto(f));
  }
  return proto;
}

}  // namespace octavo
