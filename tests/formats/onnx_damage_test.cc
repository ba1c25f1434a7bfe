// Damaged and hostile model files: a clear error, no crash, no reading beyond the bytes (the
// sanitizer build watches), no memory out of proportion.

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/onnx_model.h"
#include "temp_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;
using onnx::TensorProto;

class OnnxDamageTest : public TempFolder {
 protected:
  static Result<Model> parse(const std::string& bytes) {
    return parse_onnx(bytes_of(bytes), fs::path(OCTAVO_GOLDEN) / "onnx");
  }
  static Result<Model> parse(const onnx::ModelProto& model) {
    return parse(model.SerializeAsString());
  }
  // Reads, and touches every byte that the model claims to have.
  static void survive(const std::string& bytes) {
    const auto model = parse(bytes);
    if (!model) {
      EXPECT_NE(model.error().code, Code::internal) << model.error().message;
      return;
    }
    for (const auto& i : model->graph.initializers) {
      const auto tensor = i.tensor();
      if (!tensor) continue;
      volatile unsigned sum = 0;
      for (const std::byte b : tensor->bytes()) sum = sum + std::to_integer<unsigned>(b);
    }
  }
  static std::vector<std::string> goldens() {
    std::vector<std::string> out;
    for (const char* name : {"encodings.onnx", "everything.onnx", "external.onnx"})
      out.push_back(read(fs::path(OCTAVO_GOLDEN) / "onnx" / name));
    return out;
  }
};

TEST_F(OnnxDamageTest, TruncationAtEveryByte) {
  for (const std::string& whole : goldens()) {
    ASSERT_TRUE(parse(whole));
    size_t refused = 0;
    for (size_t n = 0; n < whole.size(); ++n) {
      // Copied to its exact size, so that the sanitizer sees a read of the next byte.
      const std::string cut(whole.data(), n);
      survive(cut);
      refused += parse(cut) ? 0 : 1;
    }
    // A cut between two fields after the graph leaves a smaller model that is whole.
    EXPECT_GT(refused, whole.size() * 9 / 10);
  }
}

TEST_F(OnnxDamageTest, EveryBitFlipped) {
  for (const std::string& whole : goldens()) {
    std::string bytes = whole;
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      survive(bytes);
      bytes[bit / 8] = whole[bit / 8];
    }
  }
}

TEST_F(OnnxDamageTest, SaysWhereTheFileBreaks) {
  const std::string good = identity_model().SerializeAsString();
  const std::string eleven(11, '\xff');
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "empty"},
      {good.substr(0, good.size() - 1), "at byte"},
      {"\x89PNG\r\n\x1a\n", "not an ONNX model"},
      {std::string(64, '\0'), "no valid field number before byte 1"},
      {"\x08" + eleven, "field 1 at byte 0"},  // varint of eleven bytes
      {"\x3a\xff\xff\xff\xff\x0f", "field 7 at byte 0 claims 4294967295 bytes, but only 0 follow"},
      {"\x3a" + eleven, "no valid length"},
      {"\x3b", "kind that ONNX does not use"},  // start of a group
      {"\x08\x08", "no graph"},
  };
  for (const auto& [bytes, words] : table) {
    SCOPED_TRACE(words);
    expect_error(parse(bytes), Code::invalid_input, {words});
  }
}

// Length-delimited field.
std::string field(int number, const std::string& content) {
  std::string head(1, static_cast<char>(number << 3 | 2));
  for (size_t n = content.size();; n >>= 7) {
    head += static_cast<char>((n & 0x7f) | (n >= 0x80 ? 0x80 : 0));
    if (n < 0x80) break;
  }
  return head + content;
}

TEST_F(OnnxDamageTest, DeeplyNestedSubgraphs) {
  std::string graph = field(2, "g");
  for (int depth = 1; depth <= 10000; ++depth) {
    const std::string attribute = field(1, "then_branch") + field(6, graph) + "\xa0\x01\x05";
    graph = field(1, field(4, "If") + field(5, attribute)) + field(2, "g");
    if (depth != 20 && depth != 33 && depth != 10000) continue;
    const auto model = parse(field(7, graph) + field(8, "\x10\x11"));
    EXPECT_EQ(model.ok(), depth == 20) << depth;
    if (depth != 20) expect_error(model, model.error().code, {"nested deeper"});
  }
}

// One tensor named "w" in the graph; `make` fills it.
template <class Make>
onnx::ModelProto with_tensor(Make make) {
  onnx::ModelProto model = identity_model();
  auto* w = model.mutable_graph()->add_initializer();
  w->set_name("w");
  w->set_data_type(onnx::TensorProto_DataType_FLOAT);
  make(*w);
  return model;
}

TEST_F(OnnxDamageTest, TensorsWhoseDataDoesNotFit) {
  struct Case {
    std::string words;
    std::function<void(TensorProto&)> make;
  };
  const auto dims = [](TensorProto& t, const Shape& shape) {
    for (const int64_t d : shape) t.add_dims(d);
  };
  const std::vector<Case> table = {
      {"negative dimension", [&](auto& t) { dims(t, {-1}); }},
      {"negative dimension",
       [&](auto& t) {
         dims(t, {INT64_MIN, 2});
       }},
      {"too many",
       [&](auto& t) {
         dims(t, {int64_t{1} << 32, int64_t{1} << 32});
       }},
      {"too many",
       [&](auto& t) {
         dims(t, {0, int64_t{1} << 62, 4});
       }},
      {"too many bytes", [&](auto& t) { dims(t, {int64_t{1} << 61}); }},
      {"holds 0 bytes", [&](auto& t) { dims(t, {int64_t{1} << 40}); }},
      {"holds 0 bytes", [&](auto& t) { dims(t, {2}); }},
      {"holds 7 bytes",
       [&](auto& t) {
         dims(t, {2});
         t.set_raw_data("1234567");
       }},
      {"holds 9 bytes",
       [&](auto& t) {
         dims(t, {2});
         t.set_raw_data("123456789");
       }},
      {"float_data holds 1 entries",
       [&](auto& t) {
         dims(t, {2});
         t.add_float_data(1);
       }},
      {"holds 0 entries",  // the data is in the wrong field
       [&](auto& t) {
         dims(t, {1});
         t.add_int32_data(1);
       }},
      {"both in raw_data and in a typed field",
       [&](auto& t) {
         dims(t, {1});
         t.set_raw_data("1234");
         t.add_float_data(1);
       }},
      {"both inside and outside",
       [&](auto& t) {
         dims(t, {1});
         t.set_raw_data("1234");
         t.set_data_location(onnx::TensorProto_DataLocation_EXTERNAL);
       }},
      {"int32_data[1] is 256, which is no uint8",
       [&](auto& t) {
         dims(t, {2});
         t.set_data_type(onnx::TensorProto_DataType_UINT8);
         t.add_int32_data(255);
         t.add_int32_data(256);
       }},
      {"int32_data[0] is -129, which is no int8",
       [&](auto& t) {
         dims(t, {1});
         t.set_data_type(onnx::TensorProto_DataType_INT8);
         t.add_int32_data(-129);
       }},
      {"int32_data[0] is 2, which is no bool",
       [&](auto& t) {
         dims(t, {1});
         t.set_data_type(onnx::TensorProto_DataType_BOOL);
         t.add_int32_data(2);
       }},
      {"bool element 1 is 7",
       [&](auto& t) {
         dims(t, {2});
         t.set_data_type(onnx::TensorProto_DataType_BOOL);
         t.set_raw_data("\x01\x07");
       }},
      {"uint64_data[0] is 4294967296, which is no uint32",
       [&](auto& t) {
         dims(t, {1});
         t.set_data_type(onnx::TensorProto_DataType_UINT32);
         t.add_uint64_data(uint64_t{1} << 32);
       }},
      {"no name", [&](auto& t) { t.clear_name(); }},
  };
  for (const Case& c : table) {
    SCOPED_TRACE(c.words);
    expect_error(parse(with_tensor(c.make)), Code::invalid_input, {c.words});
    // The same tensor in an attribute.
    onnx::ModelProto model = identity_model();
    auto* node = model.mutable_graph()->add_node();
    node->set_op_type("Constant");
    node->set_name("k");
    node->add_output("c");
    auto* a = node->add_attribute();
    a->set_name("value");
    a->set_type(onnx::AttributeProto_AttributeType_TENSOR);
    a->mutable_t()->set_data_type(onnx::TensorProto_DataType_FLOAT);
    c.make(*a->mutable_t());
    if (c.words != "no name")
      expect_error(parse(model), Code::invalid_input,
                   {"Constant node \"k\": attribute \"value\"", c.words});
  }
}

TEST_F(OnnxDamageTest, GraphsThatMakeNoSense) {
  struct Case {
    std::string words;
    std::function<void(onnx::ModelProto&)> spoil;
  };
  const std::vector<Case> table = {
      {"imports no opset", [](auto& m) { m.clear_opset_import(); }},
      {"in two versions, 17 and 18",
       [](auto& m) {
         auto* o = m.add_opset_import();
         o->set_domain("ai.onnx");
         o->set_version(18);
       }},
      {"no graph", [](auto& m) { m.clear_graph(); }},
      {"initializer \"w\" is defined twice",
       [](auto& m) {
         for (int i = 0; i < 2; ++i) {
           auto* w = m.mutable_graph()->add_initializer();
           w->set_name("w");
           w->set_data_type(1);
           w->add_dims(0);
         }
       }},
      {"Identity node \"id\" is part of a cycle",
       [](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "y"); }},
      {"reads \"q\"", [](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "q"); }},
      {"no op type", [](auto& m) { m.mutable_graph()->mutable_node(0)->clear_op_type(); }},
      {"output \"z\" is made by no node",
       [](auto& m) { m.mutable_graph()->mutable_output(0)->set_name("z"); }},
      {"attribute \"a\" is given twice",
       [](auto& m) {
         for (int i = 0; i < 2; ++i) {
           auto* a = m.mutable_graph()->mutable_node(0)->add_attribute();
           a->set_name("a");
           a->set_i(i);
         }
       }},
      {"an attribute has no name",
       [](auto& m) { m.mutable_graph()->mutable_node(0)->add_attribute()->set_i(1); }},
  };
  for (const Case& c : table) {
    SCOPED_TRACE(c.words);
    onnx::ModelProto model = identity_model();
    ASSERT_TRUE(parse(model));
    c.spoil(model);
    expect_error(parse(model), Code::invalid_input, {c.words});
  }
}

TEST_F(OnnxDamageTest, ScalesMustBeFiniteAndPositive) {
  const auto model = [](const std::string& op, const std::string& domain, size_t at, float scale) {
    onnx::ModelProto m = identity_model();
    auto* graph = m.mutable_graph();
    auto* w = graph->add_initializer();
    w->set_name("s");
    w->set_data_type(1);
    w->add_dims(2);
    w->add_float_data(0.5F);
    w->add_float_data(scale);
    auto* node = graph->add_node();
    node->set_name("q");
    node->set_op_type(op);
    node->set_domain(domain);
    for (size_t i = 0; i < at; ++i) node->add_input("x");
    node->add_input("s");
    node->add_output("o");
    return m;
  };
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {0.0F, -1.0F, inf, -inf, nan}) {
    SCOPED_TRACE(bad);
    expect_error(parse(model("DequantizeLinear", "", 1, bad)), Code::invalid_input,
                 {"DequantizeLinear node \"q\"", "element 1", "\"s\"", "finite and positive"});
    expect_error(parse(model("QLinearMatMul", "", 4, bad)), Code::invalid_input, {"element 1"});
    // Another input of the same op is no scale.
    EXPECT_TRUE(parse(model("QLinearMatMul", "", 3, bad)));
    EXPECT_EQ(parse(model("MatMulNBits", "com.microsoft", 2, bad)).ok(), std::isfinite(bad));
    // DynamicQuantizeLinear -> Mul with the weight's scale.
    onnx::ModelProto m = model("Mul", "", 1, bad);
    auto* graph = m.mutable_graph();
    graph->mutable_node(1)->set_input(0, "x_scale");
    auto* dynamic = graph->add_node();
    dynamic->set_op_type("DynamicQuantizeLinear");
    dynamic->add_input("x");
    for (const char* out : {"x_q", "x_scale", "x_zero"}) dynamic->add_output(out);
    expect_error(parse(m), Code::invalid_input, {"Mul node \"q\"", "element 1"});
  }
  EXPECT_TRUE(parse(model("DequantizeLinear", "", 1, 1e-38F)));
}

TEST_F(OnnxDamageTest, AModelFileBeyondProtobufsLimitIsToldSo) {
  const fs::path file = put("big.onnx", identity_model().SerializeAsString());
  fs::resize_file(file, uint64_t{3} << 30);  // sparse: takes no room
  expect_error(read_onnx(file), Code::unsupported, {"big.onnx", "2 GB", "external data"});
  expect_error(read_onnx(folder_), Code::invalid_input, {"is a folder"});
  expect_error(read_onnx(folder_ / "none.onnx"), Code::not_found, {"none.onnx"});
}

TEST_F(OnnxDamageTest, OldAttributesWithoutATypeAreUnderstood) {
  onnx::ModelProto model = identity_model();
  auto* a = model.mutable_graph()->mutable_node(0)->add_attribute();
  a->set_name("axis");
  a->set_i(3);
  const auto read = parse(model);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->graph.nodes[0].int_or("axis", 0), 3);
}

}  // namespace
}  // namespace octavo
