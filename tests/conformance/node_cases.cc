// Runs the node cases of the onnx package. A case counts as claimed when every op in it is in the
// registry at its version; a claimed case must pass, except those listed in kExceptions.
// usage: conformance_node CASES [--table PAGE.md [--write]] [--only NAME] [-v]

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "base/half.h"
#include "conformance/case_file.h"
#include "formats/onnx.h"
#include "graph/inline.h"
#include "runtime/registry.h"
#include "runtime/session.h"

namespace octavo::conformance {
namespace {

// Claimed ops whose case asks for more than we promise. By a piece of the case's name.
struct Exception {
  const char* name;
  const char* why;
};
constexpr Exception kExceptions[] = {
    {"test_training_dropout", "training mode: random outputs"},
};

enum class Outcome { passed, not_supported, failed };
struct Verdict {
  Outcome outcome;
  std::string why;
};

void collect_ops(const Graph& graph, std::set<std::pair<std::string, std::string>>& ops) {
  for (const Node& n : graph.nodes) {
    ops.insert({n.domain, n.op_type});
    for (const auto& [key, value] : n.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&value)) collect_ops(**sub, ops);
    }
  }
}

std::string name_of(const std::pair<std::string, std::string>& op) {
  return op.first.empty() ? op.second : op.first + "." + op.second;
}

template <class T>
double at(const Tensor& t, int64_t i) {
  return static_cast<double>(t.data<T>()[i]);
}

double number(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::f32:
      return at<float>(t, i);
    case DType::f64:
      return at<double>(t, i);
    case DType::f16:
      return f16_to_f32(t.data<uint16_t>()[i]);
    case DType::bf16:
      return bf16_to_f32(t.data<uint16_t>()[i]);
    default:
      return 0;
  }
}

// The cases of 16-bit types are rounded after every step of numpy's own order of evaluation: an
// answer one rounding beside it is as right. Two units in the last place, whatever the case says.
double tolerance(DType dtype, double rtol) {
  if (dtype == DType::f16) return std::max(rtol, 0x1p-9);
  if (dtype == DType::bf16) return std::max(rtol, 0x1p-6);
  return rtol;
}

std::string compare(const Tensor& got, const Tensor& want, double rtol, double atol) {
  if (got.dtype() != want.dtype())
    return std::string(dtype_name(got.dtype())) + " instead of " +
           std::string(dtype_name(want.dtype()));
  if (got.shape() != want.shape())
    return "shape " + to_string(got.shape()) + " instead of " + to_string(want.shape());
  const bool floats = got.dtype() == DType::f32 || got.dtype() == DType::f64 ||
                      got.dtype() == DType::f16 || got.dtype() == DType::bf16;
  if (!floats)
    return std::equal(got.bytes().begin(), got.bytes().end(), want.bytes().begin())
               ? ""
               : "other values";
  rtol = tolerance(got.dtype(), rtol);
  for (int64_t i = 0; i < got.size(); ++i) {
    const double a = number(got, i);
    const double b = number(want, i);
    const bool close = (std::isnan(a) && std::isnan(b)) || a == b ||
                       std::fabs(a - b) <= atol + rtol * std::fabs(b);
    if (!close) {
      std::ostringstream text;
      text << "element " << i << " is " << a << " instead of " << b;
      return text.str();
    }
  }
  return "";
}

Verdict run_case(const Case& c, std::set<std::pair<std::string, std::string>>& ops) {
  auto model = parse_onnx(c.model, ".");
  if (!model) return {Outcome::not_supported, model.error().message};
  if (const Status inlined = inline_functions(*model); !inlined)
    return {Outcome::not_supported, inlined.error().message};
  collect_ops(model->graph, ops);
  for (const auto& op : ops) {
    const auto version = model->opset_imports.find(op.first);
    if (version == model->opset_imports.end() ||
        Registry::instance().find(op.first, op.second, version->second) == nullptr)
      return {Outcome::not_supported, "no " + name_of(op)};
  }
  for (const auto* list : {&model->graph.inputs, &model->graph.outputs}) {
    for (const ValueInfo& v : *list) {
      if (v.dtype == DType::undefined || v.dtype == DType::string)
        return {Outcome::not_supported, "an element type (or sequence) that tensors do not hold"};
    }
  }
  for (const Exception& e : kExceptions) {
    if (c.name.starts_with(e.name)) return {Outcome::not_supported, e.why};
  }
  const auto inputs = model->graph.inputs;
  auto session = Session::create(*std::move(model), {.pool = nullptr, .threads = 1});
  if (!session) return {Outcome::failed, session.error().message};
  for (const DataSet& set : c.data_sets) {
    std::vector<Feed> feeds;
    for (size_t i = 0; i < set.inputs.size() && i < inputs.size(); ++i) {
      if (!set.inputs[i]) return {Outcome::not_supported, "an input is not a tensor"};
      feeds.emplace_back(inputs[i].name, *set.inputs[i]);
    }
    auto got = session->run(feeds);
    if (!got) return {Outcome::failed, got.error().message};
    for (size_t i = 0; i < set.outputs.size(); ++i) {
      if (!set.outputs[i]) return {Outcome::not_supported, "an output is not a tensor"};
      const std::string difference = compare((*got)[i], *set.outputs[i], c.rtol, c.atol);
      if (!difference.empty())
        return {Outcome::failed, "output " + std::to_string(i) + ": " + difference};
    }
  }
  return {Outcome::passed, ""};
}

struct Row {
  int passed = 0;
  int not_supported = 0;
  int failed = 0;
};

std::string table_of(const std::map<std::string, Row>& rows, const Row& all) {
  std::ostringstream out;
  out << "Of " << all.passed + all.not_supported + all.failed << " cases " << all.passed
      << " pass, " << all.not_supported << " use something that is not here, " << all.failed
      << " fail. A case counts for every op in it.\n\n"
      << "| op | passed | not supported | failed |\n|---|---|---|---|\n";
  for (const auto& [op, row] : rows) {
    if (row.passed + row.failed == 0) continue;
    out << "| " << op << " | " << row.passed << " | " << row.not_supported << " | " << row.failed
        << " |\n";
  }
  out << "\nNot here at all:";
  const char* separator = " ";
  for (const auto& [op, row] : rows) {
    if (row.passed + row.failed != 0) continue;
    out << separator << op;
    separator = ", ";
  }
  out << ".\n";
  return out.str();
}

// The page holds the table between two comments. Returns whether it is the current one.
bool page_is_current(const std::string& page, const std::string& table, bool write) {
  static const std::string kBegin = "<!-- node cases: begin -->\n";
  static const std::string kEnd = "<!-- node cases: end -->";
  std::stringstream text;
  text << std::ifstream(page).rdbuf();
  std::string content = text.str();
  const size_t begin = content.find(kBegin);
  const size_t end = content.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos) {
    std::cout << page << " has no place for the table\n";
    return false;
  }
  const size_t from = begin + kBegin.size();
  if (content.substr(from, end - from) == table) return true;
  if (!write) {
    std::cout << "The table in " << page << " is old; run this again with --write.\n";
    return false;
  }
  std::ofstream(page) << content.replace(from, end - from, table);
  return true;
}

int main_of(const std::vector<std::string>& arguments) {
  std::string page, only;
  bool write = false;
  bool verbose = false;
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--write") write = true;
    if (arguments[i] == "-v") verbose = true;
    if (i + 1 < arguments.size() && arguments[i] == "--table") page = arguments[++i];
    if (i + 1 < arguments.size() && arguments[i] == "--only") only = arguments[++i];
  }
  if (arguments.empty() || !std::ifstream(arguments[0])) {
    std::cout << "No cases: the Python of the oracles is not set up (scripts/setup.sh).\n";
    return 77;
  }
  const auto cases = read_cases(arguments[0]);
  if (!cases) {
    std::cout << cases.error().message << "\n";
    return 1;
  }
  std::map<std::string, Row> rows;
  Row all;
  for (const Case& c : *cases) {
    if (!only.empty() && c.name.find(only) == std::string::npos) continue;
    std::set<std::pair<std::string, std::string>> ops;
    const Verdict v = run_case(c, ops);
    const auto count = [&](Row& row) {
      ++(v.outcome == Outcome::passed   ? row.passed
         : v.outcome == Outcome::failed ? row.failed
                                        : row.not_supported);
    };
    count(all);
    for (const auto& op : ops) count(rows[name_of(op)]);
    if (v.outcome == Outcome::failed) std::cout << "FAILED " << c.name << ": " << v.why << "\n";
    if (v.outcome == Outcome::not_supported && verbose)
      std::cout << "not supported " << c.name << ": " << v.why << "\n";
  }
  const std::string table = table_of(rows, all);
  std::cout << table;
  const bool current = page.empty() || !only.empty() || page_is_current(page, table, write);
  (void)current;  // an old table is said, and is no failure
  return all.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace octavo::conformance

int main(int argc, char** argv) { return octavo::conformance::main_of({argv + 1, argv + argc}); }
