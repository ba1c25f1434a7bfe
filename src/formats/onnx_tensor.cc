#include "formats/onnx_tensor.h"

#include <cstring>
#include <limits>
#include <memory>
#include <utility>

namespace octavo {

namespace {

using onnx::TensorProto;

Error misfit(const std::string& field, uint64_t have, uint64_t need, const Shape& shape) {
  return {Code::invalid_input, field + " holds " + std::to_string(have) + " entries, but shape " +
                                   to_string(shape) + " takes " + std::to_string(need)};
}

// float_data and the like, whose entries are the elements.
template <class T, class Field>
Result<Tensor> same_type(DType dtype, const Shape& shape, const Field& field, const char* name) {
  OCTAVO_TRY(Tensor tensor, Tensor::make(dtype, shape));
  if (tensor.size() != field.size())
    return misfit(name, static_cast<uint64_t>(field.size()), static_cast<uint64_t>(tensor.size()),
                  shape);
  if (field.size() != 0)
    std::memcpy(tensor.mutable_bytes().data(), field.data(), tensor.bytes().size());
  return tensor;
}

// int32_data (and uint64_data for uint32): each entry is one element of a narrower type.
template <class T, class Field>
Result<Tensor> narrower(DType dtype, const Shape& shape, const Field& field, const char* name) {
  OCTAVO_TRY(Tensor tensor, Tensor::make(dtype, shape));
  const size_t count = tensor.bytes().size() / sizeof(T);
  if (count != static_cast<size_t>(field.size()))
    return misfit(name, static_cast<uint64_t>(field.size()), count, shape);
  auto* out = reinterpret_cast<T*>(tensor.mutable_bytes().data());
  for (size_t i = 0; i < count; ++i) {
    const auto value = field[static_cast<int>(i)];
    if (!std::in_range<T>(value) || (dtype == DType::boolean && (value < 0 || value > 1)))
      return Error{Code::invalid_input, std::string(name) + "[" + std::to_string(i) + "] is " +
                                            std::to_string(value) + ", which is no " +
                                            std::string(dtype_name(dtype))};
    out[i] = static_cast<T>(value);
  }
  return tensor;
}

Result<Tensor> from_typed(DType dtype, const Shape& shape, const TensorProto& proto) {
  switch (dtype) {
    case DType::f32:
      return same_type<float>(dtype, shape, proto.float_data(), "float_data");
    case DType::f64:
      return same_type<double>(dtype, shape, proto.double_data(), "double_data");
    case DType::i64:
      return same_type<int64_t>(dtype, shape, proto.int64_data(), "int64_data");
    case DType::u64:
      return same_type<uint64_t>(dtype, shape, proto.uint64_data(), "uint64_data");
    case DType::u32:
      return narrower<uint32_t>(dtype, shape, proto.uint64_data(), "uint64_data");
    case DType::i32:
      return same_type<int32_t>(dtype, shape, proto.int32_data(), "int32_data");
    case DType::i16:
      return narrower<int16_t>(dtype, shape, proto.int32_data(), "int32_data");
    case DType::i8:
      return narrower<int8_t>(dtype, shape, proto.int32_data(), "int32_data");
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return narrower<uint16_t>(dtype, shape, proto.int32_data(), "int32_data");
    case DType::u8:
    case DType::boolean:
    case DType::u4:
    case DType::i4:  // an entry is one byte, with two elements in it
      return narrower<uint8_t>(dtype, shape, proto.int32_data(), "int32_data");
    case DType::undefined:
    case DType::string:
      break;
  }
  return Error{Code::internal, "from_typed: no such type"};
}

bool has_typed_data(const TensorProto& proto) {
  return proto.float_data_size() != 0 || proto.int32_data_size() != 0 ||
         proto.int64_data_size() != 0 || proto.double_data_size() != 0 ||
         proto.uint64_data_size() != 0;
}

// A bool that is neither 0 nor 1 makes the compiler's assumptions false wherever it is read.
Status check_bools(const Tensor& tensor) {
  if (tensor.dtype() != DType::boolean) return Done{};
  const auto bytes = tensor.bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (std::to_integer<uint8_t>(bytes[i]) > 1)
      return Error{Code::invalid_input, "bool element " + std::to_string(i) + " is " +
                                            std::to_string(std::to_integer<int>(bytes[i])) +
                                            ", neither 0 nor 1"};
  }
  return Done{};
}

Result<ExternalLocation> location_of(const TensorProto& proto) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& e : proto.external_data()) entries.emplace_back(e.key(), e.value());
  return parse_external_location(entries);
}

// For what we carry without understanding it: a rewritten model must not point at an old sidecar.
Status bring_inside(TensorProto& proto, ExternalData& external) {
  if (proto.data_location() != onnx::TensorProto_DataLocation_EXTERNAL) return Done{};
  OCTAVO_TRY(const auto where, location_of(proto));
  OCTAVO_TRY(const auto slice, external.slice_of_given_length(where));
  proto.set_raw_data(slice.bytes.data(), slice.bytes.size());
  proto.clear_external_data();
  proto.clear_data_location();
  return Done{};
}

void clear_value(TensorProto& proto) {
  proto.clear_dims();
  proto.clear_data_type();
  proto.clear_raw_data();
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_int64_data();
  proto.clear_double_data();
  proto.clear_uint64_data();
  proto.clear_external_data();
  proto.clear_data_location();
}

Shape shape_of(const TensorProto& proto) { return {proto.dims().begin(), proto.dims().end()}; }

}  // namespace

std::string leftover(const google::protobuf::MessageLite& proto) {
  return proto.ByteSizeLong() == 0 ? std::string() : proto.SerializePartialAsString();
}

bool holds_tensor(const TensorProto& proto) {
  return is_known_dtype(proto.data_type()) && !proto.has_segment();
}

Result<Tensor> take_tensor(TensorProto& proto, ExternalData& external) {
  const auto dtype = static_cast<DType>(proto.data_type());
  Shape shape = shape_of(proto);
  OCTAVO_TRY(const size_t needed, byte_count(dtype, shape));
  Tensor tensor;
  if (proto.data_location() == onnx::TensorProto_DataLocation_EXTERNAL) {
    if (has_typed_data(proto) || !proto.raw_data().empty())
      return Error{Code::invalid_input, "has its data both inside and outside the file"};
    OCTAVO_TRY(const auto where, location_of(proto));
    OCTAVO_TRY(auto slice, external.slice(where, needed));
    OCTAVO_TRY(tensor, Tensor::borrow(dtype, std::move(shape), slice.bytes, slice.file, true));
  } else if (has_typed_data(proto)) {
    if (!proto.raw_data().empty())
      return Error{Code::invalid_input, "has its data both in raw_data and in a typed field"};
    OCTAVO_TRY(tensor, from_typed(dtype, shape, proto));
  } else {
    const std::shared_ptr<const std::string> raw(proto.has_raw_data() ? proto.release_raw_data()
                                                                      : new std::string());
    if (raw->size() != needed)
      return Error{Code::invalid_input, "raw_data holds " + std::to_string(raw->size()) +
                                            " bytes, but " + std::string(dtype_name(dtype)) +
                                            to_string(shape) + " takes " + std::to_string(needed)};
    OCTAVO_TRY(tensor, Tensor::borrow(dtype, std::move(shape),
                                      std::as_bytes(std::span(raw->data(), raw->size())), raw));
  }
  OCTAVO_CHECK(check_bools(tensor));
  clear_value(proto);
  return tensor;
}

Result<Initializer> take_initializer(TensorProto& proto, ExternalData& external) {
  const std::string name = proto.name();
  if (name.empty()) return Error{Code::invalid_input, "an initializer has no name"};
  const std::string place = "initializer \"" + name + "\"";
  if (!holds_tensor(proto)) {
    OCTAVO_CHECK(element_count(shape_of(proto)).within(place));
    OCTAVO_CHECK(bring_inside(proto, external).within(place));
    const auto dtype =
        proto.data_type() == onnx::TensorProto_DataType_STRING ? DType::string : DType::undefined;
    const int32_t number = proto.data_type();
    Initializer out(name, dtype, shape_of(proto), [number]() -> Result<Tensor> {
      return Error{Code::unsupported, "its element type (number " + std::to_string(number) +
                                          " of TensorProto.DataType) cannot be computed with"};
    });
    out.opaque = leftover(proto);
    return out;
  }
  const bool typed = has_typed_data(proto);
  OCTAVO_TRY(Tensor tensor, take_tensor(proto, external).within(place));
  proto.clear_name();
  const size_t element = std::max<size_t>(dtype_bits(tensor.dtype()) / 8, 1);
  const bool aligned = reinterpret_cast<uintptr_t>(tensor.bytes().data()) % element == 0;
  // A sidecar may put a tensor at any byte, but a float read at an odd address is undefined: such
  // a tensor is copied, and only while somebody uses it.
  const DType dtype = tensor.dtype();
  Shape shape = tensor.shape();
  Initializer out = aligned
                        ? Initializer(name, std::move(tensor))
                        : Initializer(name, dtype, std::move(shape), [tensor = std::move(tensor)] {
                            Result<Tensor> copy = tensor.clone();
                            tensor.drop_pages();
                            return copy;
                          });
  out.storage = typed ? Initializer::Storage::typed_fields : Initializer::Storage::raw;
  out.opaque = leftover(proto);
  return out;
}

Result<Initializer> take_sparse_initializer(onnx::SparseTensorProto& proto,
                                            ExternalData& external) {
  const std::string name = proto.values().name();
  if (name.empty()) return Error{Code::invalid_input, "a sparse initializer has no name"};
  const std::string place = "sparse initializer \"" + name + "\"";
  OCTAVO_CHECK(bring_inside(*proto.mutable_values(), external).within(place));
  if (proto.has_indices())
    OCTAVO_CHECK(bring_inside(*proto.mutable_indices(), external).within(place));
  Shape shape(proto.dims().begin(), proto.dims().end());
  Initializer out(name, DType::undefined, std::move(shape), []() -> Result<Tensor> {
    return Error{Code::unsupported, "is sparse, which cannot be computed with"};
  });
  out.storage = Initializer::Storage::sparse;
  out.opaque = leftover(proto);
  return out;
}

void put_raw(const Tensor& tensor, TensorProto& proto) {
  proto.set_data_type(static_cast<int32_t>(tensor.dtype()));
  for (const int64_t d : tensor.shape()) proto.add_dims(d);
  proto.set_raw_data(tensor.bytes().data(), tensor.bytes().size());
}

namespace {

template <class T, class Field>
void add_all(const Tensor& tensor, Field* field) {
  const size_t count = tensor.bytes().size() / sizeof(T);
  const auto* in = reinterpret_cast<const T*>(tensor.bytes().data());
  field->Reserve(static_cast<int>(count));
  for (size_t i = 0; i < count; ++i) field->Add(in[i]);
}

}  // namespace

void put_typed(const Tensor& tensor, TensorProto& proto) {
  proto.set_data_type(static_cast<int32_t>(tensor.dtype()));
  for (const int64_t d : tensor.shape()) proto.add_dims(d);
  switch (tensor.dtype()) {
    case DType::f32:
      return add_all<float>(tensor, proto.mutable_float_data());
    case DType::f64:
      return add_all<double>(tensor, proto.mutable_double_data());
    case DType::i64:
      return add_all<int64_t>(tensor, proto.mutable_int64_data());
    case DType::u64:
      return add_all<uint64_t>(tensor, proto.mutable_uint64_data());
    case DType::u32:
      return add_all<uint32_t>(tensor, proto.mutable_uint64_data());
    case DType::i32:
      return add_all<int32_t>(tensor, proto.mutable_int32_data());
    case DType::i16:
      return add_all<int16_t>(tensor, proto.mutable_int32_data());
    case DType::i8:
      return add_all<int8_t>(tensor, proto.mutable_int32_data());
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return add_all<uint16_t>(tensor, proto.mutable_int32_data());
    case DType::u8:
    case DType::boolean:
    case DType::u4:
    case DType::i4:
      return add_all<uint8_t>(tensor, proto.mutable_int32_data());
    case DType::undefined:
    case DType::string:
      return;
  }
}

}  // namespace octavo
