#pragma once
// The weights of a snapshot as an architecture asks for them: by the name it has in the reference
// implementation, with the shape the config implies. Errors stick, so that a writer reads like the
// formulas and looks once at the end.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "formats/weights.h"
#include "graph/builder.h"

namespace octavo::architectures {

class Checkpoint {
 public:
  explicit Checkpoint(std::shared_ptr<const WeightSource> source) : source_(std::move(source)) {}

  // Names are looked up under the first of these prefixes that has `probe`: a bare model and one
  // saved under a head differ by "bert." or "model.". None has it: a not_found error.
  void choose_prefix(const std::vector<std::string>& prefixes, const std::string& probe);
  // A name that ends in `suffix` may also end in `old` (LayerNorm.gamma in checkpoints of 2018).
  void alternative(const std::string& suffix, const std::string& old) {
    alternatives_.emplace_back(suffix, old);
  }

  // The tensor as an initializer of its own name. A shape other than the config's is an
  // invalid_input error.
  Value weight(GraphBuilder& builder, const std::string& name, const Shape& shape);
  // A linear layer's weight, stored [out, in], as the [in, out] that MatMul needs: the initializer
  // is named "<its name>.T".
  Value transposed(GraphBuilder& builder, const std::string& name, int64_t in, int64_t out);

  // The first error so far.
  const Status& status() const { return status_; }
  int64_t parameters() const { return parameters_; }
  // What nothing asked for, in the checkpoint's order.
  std::vector<std::string> unused() const;

 private:
  const WeightEntry* find(const std::string& name) const;
  // Null, with the error noted, when it is missing or of another shape.
  const WeightEntry* take(const std::string& name, const Shape& shape);

  std::shared_ptr<const WeightSource> source_;
  std::string prefix_;
  std::vector<std::pair<std::string, std::string>> alternatives_;
  std::unordered_set<std::string> used_;
  Status status_ = Done{};
  int64_t parameters_ = 0;
};

}  // namespace octavo::architectures
