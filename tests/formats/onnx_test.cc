// Reading and writing against files that the onnx package made (tools/make_onnx_goldens.py).

#include "formats/onnx.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/half.h"
#include "temp_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(OCTAVO_GOLDEN) / "onnx";

Model model_of(const fs::path& file) {
  auto model = read_onnx(file);
  EXPECT_TRUE(model) << (model ? "" : model.error().message);
  return model ? *std::move(model) : Model{};
}

Tensor tensor_of(const Model& model, const std::string& name) {
  const Initializer* i = model.graph.find_initializer(name);
  if (i == nullptr) {
    ADD_FAILURE() << name << " is missing";
    return {};
  }
  auto tensor = i->tensor();
  EXPECT_TRUE(tensor) << (tensor ? "" : tensor.error().message);
  return tensor ? *tensor : Tensor();
}

// Element i, whatever the type.
double element(const Tensor& t, size_t i) {
  switch (t.dtype()) {
    case DType::f32:
      return t.data<float>()[i];
    case DType::f64:
      return t.data<double>()[i];
    case DType::u8:
      return t.data<uint8_t>()[i];
    case DType::i8:
      return t.data<int8_t>()[i];
    case DType::u16:
      return t.data<uint16_t>()[i];
    case DType::i16:
      return t.data<int16_t>()[i];
    case DType::i32:
      return t.data<int32_t>()[i];
    case DType::u32:
      return t.data<uint32_t>()[i];
    case DType::i64:
      return static_cast<double>(t.data<int64_t>()[i]);
    case DType::u64:
      return static_cast<double>(t.data<uint64_t>()[i]);
    case DType::boolean:
      return t.data<uint8_t>()[i];
    case DType::f16:
      return f16_to_f32(t.data<uint16_t>()[i]);
    case DType::bf16:
      return bf16_to_f32(t.data<uint16_t>()[i]);
    case DType::u4:
      return (t.data<uint8_t>()[i / 2] >> (i % 2 * 4)) & 15;
    case DType::i4: {
      const int v = (t.data<uint8_t>()[i / 2] >> (i % 2 * 4)) & 15;
      return v < 8 ? v : v - 16;
    }
    default:
      return -1e9;
  }
}

double golden_element(DType dtype, size_t i) {
  const auto v = static_cast<double>(i * 7 % 11);
  switch (dtype) {
    case DType::boolean:
      return i % 2 == 1 ? 1 : 0;
    case DType::u8:
    case DType::u16:
    case DType::u32:
    case DType::u64:
    case DType::u4:
      return v;
    default:
      return v - 3;
  }
}

using OnnxTest = TempFolder;

const std::map<std::string, DType> kTypes = {
    {"f32", DType::f32},   {"u8", DType::u8},   {"i8", DType::i8},   {"u16", DType::u16},
    {"i16", DType::i16},   {"i32", DType::i32}, {"i64", DType::i64}, {"bool", DType::boolean},
    {"f16", DType::f16},   {"f64", DType::f64}, {"u32", DType::u32}, {"u64", DType::u64},
    {"bf16", DType::bf16}, {"u4", DType::u4},   {"i4", DType::i4}};

TEST_F(OnnxTest, ReadsEveryElementTypeInBothEncodings) {
  const Model model = model_of(kGolden / "encodings.onnx");
  for (const auto& [key, dtype] : kTypes) {
    for (const std::string form : {"_raw", "_typed"}) {
      SCOPED_TRACE(key + form);
      const Initializer* i = model.graph.find_initializer(key + form);
      ASSERT_NE(i, nullptr);
      EXPECT_EQ(i->storage,
                form == "_raw" ? Initializer::Storage::raw : Initializer::Storage::typed_fields);
      const Tensor t = tensor_of(model, key + form);
      ASSERT_EQ(t.dtype(), dtype);
      ASSERT_EQ(t.shape(), (Shape{3, 5}));
      for (size_t e = 0; e < 15; ++e) EXPECT_EQ(element(t, e), golden_element(dtype, e)) << e;
    }
  }
  EXPECT_EQ(tensor_of(model, "empty").shape(), (Shape{0, 4}));
  EXPECT_EQ(tensor_of(model, "scalar").shape(), Shape{});
  EXPECT_EQ(tensor_of(model, "scalar").data<float>()[0], 2.5F);
}

TEST_F(OnnxTest, CarriesWhatATensorCannotHold) {
  const Model model = model_of(kGolden / "encodings.onnx");
  const Initializer* strings = model.graph.find_initializer("strings");
  const Initializer* f8 = model.graph.find_initializer("f8");
  ASSERT_TRUE(strings != nullptr && f8 != nullptr);
  EXPECT_EQ(strings->dtype(), DType::string);
  EXPECT_EQ(strings->shape(), (Shape{2, 2}));
  EXPECT_EQ(strings->tensor().error().code, Code::unsupported);
  EXPECT_EQ(f8->tensor().error().code, Code::unsupported);
}

// The goldens are in the canonical order of fields, so nothing lost means the same bytes.
TEST_F(OnnxTest, ARoundTripGivesTheSameBytes) {
  for (const char* name : {"encodings.onnx", "everything.onnx"}) {
    SCOPED_TRACE(name);
    const Model model = model_of(kGolden / name);
    const auto written = write_onnx(model, folder_ / name);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(read(folder_ / name), read(kGolden / name));
    EXPECT_FALSE(fs::exists(folder_ / (std::string(name) + ".data")));
  }
}

TEST_F(OnnxTest, ModelsTheEverythingFile) {
  const Model model = model_of(kGolden / "everything.onnx");
  EXPECT_EQ(model.ir_version, 10);
  EXPECT_EQ(model.opset(), 17);
  EXPECT_EQ(model.opset_imports.at("local"), 1);
  ASSERT_EQ(model.metadata.size(), 2U);
  EXPECT_EQ(model.metadata[0], (std::pair<std::string, std::string>{"b", "meta b"}));
  const auto& nodes = model.graph.nodes;
  const auto find = [&](const std::string& name) -> const Node& {
    return *std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == name; });
  };
  EXPECT_EQ(find("mean").ints_or("axes", {}), (std::vector<int64_t>{-1, 0}));
  EXPECT_EQ(find("mean").int_or("keepdims", 0), 1);
  EXPECT_EQ(find("act").float_or("alpha", 0), 1.5F);
  EXPECT_EQ(find("clip").inputs, (std::vector<std::string>{"act", "", "upper"}));
  const Tensor* c = find("const").tensor("value");
  ASSERT_NE(c, nullptr);
  EXPECT_EQ(c->shape(), (Shape{2, 3}));
  EXPECT_EQ(c->data<float>()[5], 5.0F);
  EXPECT_TRUE(std::holds_alternative<OpaqueAttribute>(find("opt").attributes.at("type")));
  const Node branch = find("if");
  const auto otherwise = std::get<std::shared_ptr<Graph>>(branch.attributes.at("else_branch"));
  ASSERT_EQ(otherwise->nodes.size(), 1U);
  EXPECT_EQ(otherwise->nodes[0].name, "inner_if");
  ASSERT_EQ(model.functions.size(), 1U);
  const Function& f = model.functions[0];
  EXPECT_EQ(f.attributes, std::vector<std::string>{"other"});
  EXPECT_EQ(std::get<float>(f.attribute_defaults.at("factor")), 1.0F);
  const auto& ref = std::get<AttributeReference>(f.nodes[0].attributes.at("value_float"));
  EXPECT_EQ(ref.name, "factor");
  EXPECT_EQ(ref.type, 1);
  const auto& inputs = model.graph.inputs;
  EXPECT_EQ(std::get<std::string>((*inputs[0].shape)[0]), "batch");
  EXPECT_EQ(std::get<int64_t>((*inputs[0].shape)[1]), 3);
  EXPECT_FALSE(inputs[2].shape.has_value());
  EXPECT_EQ(inputs[2].dtype, DType::i64);
}

TEST_F(OnnxTest, BorrowsFromTheSidecarAndCopesWithOddOffsets) {
  const Model model = model_of(kGolden / "external.onnx");
  EXPECT_TRUE(tensor_of(model, "seven").file_backed());
  const Tensor odd = tensor_of(model, "unaligned");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(odd.bytes().data()) % 4, 0U);
  for (size_t i = 0; i < 1000; ++i) ASSERT_EQ(element(odd, i), golden_element(DType::f32, i));
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(element(tensor_of(model, "three"), i), golden_element(DType::i64, i));
}

TEST_F(OnnxTest, WritesAnAlignedSidecarAndKeepsSmallThingsInside) {
  Model model = model_of(kGolden / "external.onnx");
  OnnxWriteOptions options;
  options.external_data = true;
  const auto written = write_onnx(model, folder_ / "m.onnx", options);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(fs::file_size(folder_ / "m.onnx.data"), 4000U);
  const Model again = model_of(folder_ / "m.onnx");
  EXPECT_FALSE(again.graph.find_initializer("unaligned")->lazy());
  EXPECT_TRUE(tensor_of(again, "unaligned").file_backed());
  EXPECT_FALSE(tensor_of(again, "seven").file_backed());
  for (const char* name : {"seven", "unaligned", "three"}) {
    const Tensor a = tensor_of(model, name);
    const Tensor b = tensor_of(again, name);
    EXPECT_TRUE(std::ranges::equal(a.bytes(), b.bytes())) << name;
  }
  // Over itself: the old sidecar is mapped while the new one is made, and is replaced, not
  // appended to.
  ASSERT_TRUE(write_onnx(again, folder_ / "m.onnx", options));
  EXPECT_EQ(fs::file_size(folder_ / "m.onnx.data"), 4000U);
  EXPECT_EQ(tensor_of(model_of(folder_ / "m.onnx"), "unaligned").data<float>()[999],
            tensor_of(model, "unaligned").data<float>()[999]);
}

}  // namespace
}  // namespace octavo
