#include "formats/onnx_parse.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include <limits>
#include <string>

namespace octavo {

namespace {

// A subgraph costs three levels (node, attribute, graph); check() allows 32 subgraphs, the rest is
// for type protos. Protobuf's own default is 100.
constexpr int kMaxNesting = 128;
constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max();

// Walks one level of the wire format and says what is wrong with it; empty when this level is
// whole.
std::string damage(std::span<const std::byte> bytes, size_t base, int levels) {
  size_t at = 0;
  const auto here = [&](const char* what) { return what + std::to_string(base + at); };
  const auto varint = [&](uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at == bytes.size()) return false;
      const auto b = std::to_integer<uint64_t>(bytes[at++]);
      if (shift < 64) value |= (b & 0x7fU) << shift;
      if ((b & 0x80U) == 0) return true;
    }
    return false;
  };
  while (at < bytes.size()) {
    const size_t field_at = base + at;
    uint64_t tag = 0;
    uint64_t value = 0;
    if (!varint(tag) || (tag >> 3) == 0) return here("no valid field number before byte ");
    const std::string field =
        "field " + std::to_string(tag >> 3) + " at byte " + std::to_string(field_at);
    switch (tag & 7U) {
      case 0:
        if (!varint(value)) return field + " is cut off or longer than a number can be";
        break;
      case 1:
      case 5: {
        const size_t width = (tag & 7U) == 1 ? 8 : 4;
        if (bytes.size() - at < width) return field + " is cut off";
        at += width;
        break;
      }
      case 2: {
        if (!varint(value)) return field + " has no valid length";
        if (value > bytes.size() - at)
          return field + " claims " + std::to_string(value) + " bytes, but only " +
                 std::to_string(bytes.size() - at) + " follow";
        // Field 7 of a model is the graph; deeper levels hold strings that look like anything.
        if (levels > 0 && (tag >> 3) == 7) {
          std::string inside = damage(bytes.subspan(at, value), base + at, levels - 1);
          if (!inside.empty()) return "in the graph, " + inside;
        }
        at += value;
        break;
      }
      default:
        return field + " has a kind that ONNX does not use";
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<onnx::ModelProto>> parse_model_proto(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxBytes)
    return Error{Code::unsupported,
                 "the model file has " + std::to_string(bytes.size()) +
                     " bytes, but protobuf ends at 2 GB: save its weights as external data"};
  if (bytes.empty()) return Error{Code::invalid_input, "the file is empty"};
  const google::protobuf::LogSilencer quiet;  // it would print to stderr
  auto proto = std::make_unique<onnx::ModelProto>();
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  in.SetRecursionLimit(kMaxNesting);
  in.SetTotalBytesLimit(std::numeric_limits<int32_t>::max());
  if (proto->ParsePartialFromCodedStream(&in) && in.ConsumedEntireMessage() &&
      proto->IsInitialized()) {
    if (!proto->has_graph())
      return Error{Code::invalid_input, "is not an ONNX model: it has no graph"};
    return proto;
  }
  std::string where = damage(bytes, 0, 1);
  if (where.empty())
    where = "a message inside the graph is damaged or nested deeper than " +
            std::to_string(kMaxNesting) + " levels";
  return Error{Code::invalid_input, "is not an ONNX model, or damaged: " + where};
}

}  // namespace octavo
