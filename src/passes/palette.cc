#include "passes/palette.h"

#include <algorithm>
#include <bit>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "passes/rotate_residual.h"

namespace octavo {

namespace {

constexpr size_t kPlaces = 256;
// Two nodes and two tensors have names, too; below this nothing is gained.
constexpr int64_t kSmallest = 1024;

// The different numbers, ordered by their bits; empty when there are more than a byte can tell
// apart.
std::vector<uint32_t> different(std::span<const float> numbers) {
  std::set<uint32_t> found;
  uint32_t last = 0;
  for (const float number : numbers) {
    const auto bits = std::bit_cast<uint32_t>(number);
    if (!found.empty() && bits == last) continue;
    last = bits;
    if (found.insert(bits).second && found.size() > kPlaces) return {};
  }
  return {found.begin(), found.end()};
}

uint64_t bytes_of(const Initializer& i) {
  const auto bytes = byte_count(i.dtype(), i.shape());
  return bytes ? *bytes : 0;
}

// What names are taken by, apart from the matrix itself.
std::set<std::string> names_of(const Graph& graph) {
  std::set<std::string> names;
  for (const auto& v : graph.inputs) names.insert(v.name);
  for (const auto& i : graph.initializers) names.insert(i.name());
  for (const auto& n : graph.nodes) names.insert(n.outputs.begin(), n.outputs.end());
  return names;
}

}  // namespace

Result<bool> store_by_palette(Graph& graph, const std::string& matrix) {
  const GraphIndex index(graph);
  const size_t at = index.initializer(matrix);
  if (at == GraphIndex::kNone || index.is_graph_input(matrix) || index.is_graph_output(matrix))
    return false;
  const Initializer source = graph.initializers[at];
  const auto count = element_count(source.shape());
  if (source.dtype() != DType::f32 || source.storage == Initializer::Storage::sparse ||
      source.shape().size() != 2 || !count || *count < kSmallest)
    return false;
  const std::string values = matrix + "_values";
  const std::string places = matrix + "_places";
  const std::string wide = matrix + "_places_int32";
  const std::set<std::string> taken = names_of(graph);
  for (const std::string& name : {values, places, wide})
    if (taken.contains(name)) return false;

  OCTAVO_TRY(const Tensor tensor, source.tensor());
  const auto numbers = tensor.values<float>();
  const std::vector<uint32_t> palette = different(numbers);
  if (palette.empty()) return false;
  OCTAVO_TRY(Tensor bytes, Tensor::make(DType::u8, source.shape()));
  auto* to = bytes.mutable_data<uint8_t>();
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto place =
        std::lower_bound(palette.begin(), palette.end(), std::bit_cast<uint32_t>(numbers[i]));
    to[i] = static_cast<uint8_t>(place - palette.begin());
  }
  tensor.drop_pages();
  std::vector<float> floats;
  for (const uint32_t bits : palette) floats.push_back(std::bit_cast<float>(bits));

  const auto size = static_cast<int64_t>(floats.size());
  graph.initializers[at] = {values, Tensor::of<float>({size}, floats)};
  graph.initializers.emplace_back(places, std::move(bytes));
  std::vector<Node> nodes = {{places + "_cast",
                              "Cast",
                              "",
                              {places},
                              {wide},
                              {{"to", static_cast<int64_t>(DType::i32)}},
                              {}},
                             {matrix + "_gather", "Gather", "", {values, wide}, {matrix}, {}, {}}};
  graph.nodes.insert(graph.nodes.begin(), std::make_move_iterator(nodes.begin()),
                     std::make_move_iterator(nodes.end()));
  // A value of its own now: what was said of the initializer is not wrong, but not needed.
  std::erase_if(graph.value_info, [&](const ValueInfo& v) { return v.name == matrix; });
  return true;
}

Result<uint64_t> store_rotation_by_palette(Model& model) {
  std::vector<std::string> found;
  for (const Initializer& i : model.graph.initializers)
    if (is_rotation_back(i.name())) found.push_back(i.name());
  uint64_t before = 0;
  uint64_t after = 0;
  for (const std::string& name : found) {
    const Initializer* source = model.graph.find_initializer(name);
    const uint64_t bytes = bytes_of(*source);
    OCTAVO_TRY(const bool done, store_by_palette(model.graph, name));
    if (!done) continue;
    before += bytes;
    for (const char* part : {"_values", "_places"})
      after += bytes_of(*model.graph.find_initializer(name + part));
  }
  if (before > 0) OCTAVO_CHECK(check(model).within("the rotation back in bytes"));
  return before - after;
}

}  // namespace octavo
