// Raises a model and compares the result with the plain executor, for Python programs that export
// models. usage: oracle_raise_model MODEL.onnx [--nodes]
// Prints one line of JSON: how many nodes of each op, the positions, and max |difference| relative
// to the largest hidden state of a text longer than the probe. --nodes lists the nodes first.
// A model that cannot be raised: exit 3 and the reason.

#include <cstdio>
#include <cstring>
#include <map>

#include "formats/onnx.h"
#include "toolkit/raise_helpers.h"

namespace octavo {
namespace {

void print_node(const Node& node) {
  std::printf("%s %s(", node.outputs[0].c_str(), node.op_type.c_str());
  for (const auto& in : node.inputs) std::printf(" %s", in.empty() ? "-" : in.c_str());
  std::printf(" )");
  for (const auto& [key, value] : node.attributes) {
    if (const auto* i = std::get_if<int64_t>(&value))
      std::printf(" %s=%lld", key.c_str(), static_cast<long long>(*i));
    if (const auto* f = std::get_if<float>(&value)) std::printf(" %s=%g", key.c_str(), double{*f});
    if (const auto* s = std::get_if<std::string>(&value))
      std::printf(" %s=%s", key.c_str(), s->c_str());
  }
  std::printf("\n");
}

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 3;
}

int run(const char* file, bool nodes) {
  const auto model = read_onnx(file);
  if (!model) return fail(model.error());
  const auto raised = raise(*model);
  if (!raised) return fail(raised.error());
  std::map<std::string, int> counts;
  for (const Node& node : raised->model.graph.nodes) {
    if (nodes) print_node(node);
    const std::string kind = node.string_or("kind", "");
    ++counts[kind.empty() ? node.op_type : node.op_type + " " + kind];
  }
  const auto difference = compare(*model, *raised, some_ids(kProbeLength + 17, 89));
  if (!difference) return fail(difference.error());
  std::printf("{");
  for (const auto& [op, count] : counts) std::printf("\"%s\": %d, ", op.c_str(), count);
  std::printf("\"positions\": %zu, \"difference\": %.3g}\n", raised->position_values.size(),
              *difference);
  return 0;
}

}  // namespace
}  // namespace octavo

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  return octavo::run(argv[1], argc > 2 && std::strcmp(argv[2], "--nodes") == 0);
}
