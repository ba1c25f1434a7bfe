#pragma once
// Which ops there are, and from which opset to which: domain + op_type + version -> factory. Filled
// by one explicit list of calls in ops/registry.cc, since a static library drops objects that only
// register themselves.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/op.h"

namespace octavo {

// The newest standard opset whose ops were compared with the ONNX node tests (onnx 1.23).
inline constexpr int64_t kNewestOpset = 28;
inline constexpr size_t kAnyNumber = SIZE_MAX;

struct OpEntry {
  const char* op_type;
  int64_t since = 1;               // versions of the domain, both ends included
  int64_t through = kNewestOpset;  //
  // Inputs that must be there (the first ones), inputs and outputs that may be there.
  size_t min_inputs = 0;
  size_t max_inputs = kAnyNumber;
  size_t max_outputs = 1;
  // Makes the op, or says what about the node is wrong (invalid_input) or not here (unsupported).
  Result<std::unique_ptr<Op>> (*make)(OpInit& init);
  const char* domain = "";
};

class Registry {
 public:
  static const Registry& instance();

  void add(const OpEntry& entry);
  // Null when there is no such op at that version.
  const OpEntry* find(const std::string& domain, const std::string& op_type, int64_t version) const;
  // All entries of the op, whatever the version; empty when its name is unknown.
  std::span<const OpEntry> versions(const std::string& domain, const std::string& op_type) const;
  // "Add", "com.microsoft.Gelu", ... sorted.
  std::vector<std::string> names() const;

  // find() and make(), with arity checked first and errors that say what versions there are. They
  // do not name the node.
  Result<std::unique_ptr<Op>> make(OpInit& init) const;

 private:
  std::map<std::pair<std::string, std::string>, std::vector<OpEntry>> entries_;
};

// For the common case of an op class with a `static Result<...> make(OpInit&)`-free constructor.
template <class T, class... Args>
Result<std::unique_ptr<Op>> make_op(Args&&... args) {
  return std::unique_ptr<Op>(std::make_unique<T>(std::forward<Args>(args)...));
}

}  // namespace octavo
