#include "passes/palette.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "passes/rotate_residual.h"

namespace octavo {

namespace {

constexpr size_t kPlaces = 256;
constexpr size_t kNeighbours = 4;
// Two nodes and two tensors have names, too; below this nothing is gained.
constexpr int64_t kSmallest = 1024;

// The bits of neighbours, 0 behind the last of them.
using Entry = std::array<uint32_t, kNeighbours>;

Entry entry_at(const float* numbers, size_t count) {
  Entry entry{};
  for (size_t i = 0; i < count; ++i) entry[i] = std::bit_cast<uint32_t>(numbers[i]);
  return entry;
}

// The different groups of so many neighbours, in order; empty when there are more than a byte can
// tell apart.
std::vector<Entry> different(std::span<const float> numbers, size_t neighbours) {
  std::set<Entry> found;
  for (size_t i = 0; i < numbers.size(); i += neighbours) {
    found.insert(entry_at(&numbers[i], neighbours));
    if (found.size() > kPlaces) return {};
  }
  return {found.begin(), found.end()};
}

struct Palette {
  size_t neighbours = 0;  // 0: there are too many different numbers
  std::vector<Entry> entries;
};
Palette palette_of(const Tensor& matrix) {
  for (size_t neighbours = kNeighbours; neighbours > 0; neighbours /= 2) {
    if (static_cast<size_t>(matrix.dim(1)) % neighbours != 0) continue;
    auto entries = different(matrix.values<float>(), neighbours);
    if (!entries.empty()) return {neighbours, std::move(entries)};
  }
  return {};
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
  const std::string groups = matrix + "_groups";
  const std::string shape = matrix + "_shape";
  const std::set<std::string> taken = names_of(graph);
  for (const std::string& name : {values, places, wide, groups, shape})
    if (taken.contains(name)) return false;

  OCTAVO_TRY(const Tensor tensor, source.tensor());
  const auto [neighbours, entries] = palette_of(tensor);
  if (neighbours == 0) return false;
  const auto numbers = tensor.values<float>();
  const auto step = static_cast<int64_t>(neighbours);
  OCTAVO_TRY(Tensor bytes, Tensor::make(DType::u8, {tensor.dim(0), tensor.dim(1) / step}));
  auto* to = bytes.mutable_data<uint8_t>();
  for (size_t i = 0; i < numbers.size(); i += neighbours)
    *to++ = static_cast<uint8_t>(
        std::lower_bound(entries.begin(), entries.end(), entry_at(&numbers[i], neighbours)) -
        entries.begin());
  std::vector<float> floats;
  for (const Entry& entry : entries)
    for (size_t i = 0; i < neighbours; ++i) floats.push_back(std::bit_cast<float>(entry[i]));

  const bool single = neighbours == 1;
  const auto count_of = static_cast<int64_t>(entries.size());
  graph.initializers[at] = {
      values, Tensor::of<float>(single ? Shape{count_of} : Shape{count_of, step}, floats)};
  graph.initializers.emplace_back(places, std::move(bytes));
  std::vector<Node> nodes = {
      {places + "_cast",
       "Cast",
       "",
       {places},
       {wide},
       {{"to", static_cast<int64_t>(DType::i32)}},
       {}},
      {matrix + "_gather", "Gather", "", {values, wide}, {single ? matrix : groups}, {}, {}}};
  if (!single) {
    graph.initializers.emplace_back(shape,
                                    Tensor::of<int64_t>({2}, {tensor.dim(0), tensor.dim(1)}));
    nodes.push_back({matrix + "_reshape", "Reshape", "", {groups, shape}, {matrix}, {}, {}});
  }
  tensor.drop_pages();
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
    for (const char* part : {"_values", "_places", "_shape"})
      if (const Initializer* made = model.graph.find_initializer(name + part))
        after += bytes_of(*made);
  }
  if (before > 0) OCTAVO_CHECK(check(model).within("the rotation back in bytes"));
  return before - after;
}

}  // namespace octavo
