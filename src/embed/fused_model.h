#pragma once
// A model file -> the fused encoder that runs it: the packed form when there is one, else the long
// way once: probe the graph with the plain executor, raise it, compile and pack it, and believe it
// only when it gives the plain executor's numbers on the probe.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "runtime/fused/encoder.h"

namespace octavo {

struct FusedOptions {
  // Most tokens of a text; 0: as many as the graph takes, up to 131,072.
  size_t positions = 0;
  bool cache = true;  // read and write the packed file
};

struct FusedModel {
  std::shared_ptr<const fused::FusedEncoder> encoder;
  bool from_cache = false;
  std::filesystem::path packed;  // where it lies; empty when it is in memory only
};

// Errors: those of reading the file; unsupported when the graph is not one that can be raised, with
// the node at which it stopped, or when the raised graph gives other numbers.
Result<FusedModel> open_fused(const std::filesystem::path& onnx_file, const FusedOptions& options,
                              std::shared_ptr<ThreadPool> pool);
// The same for a model in memory, without the packed file.
Result<FusedModel> make_fused(const Model& model, const FusedOptions& options,
                              std::shared_ptr<ThreadPool> pool);

// Encoders of models that are one graph, with other numbers in its constants or other bits at its
// products, as a search tries them by the hundred: probed, raised and checked once.
class FusedVariants {
 public:
  // Errors: as make_fused().
  static Result<FusedVariants> create(const Model& model, const FusedOptions& options,
                                      std::shared_ptr<ThreadPool> pool);
  FusedVariants(FusedVariants&&) noexcept;
  FusedVariants& operator=(FusedVariants&&) noexcept;
  ~FusedVariants();

  // The model's own.
  const FusedModel& first() const;
  // With the constants of `other`, a model that the same passes made of the same graph. What is
  // made is not checked against it: compare one with make_fused(), bit by bit. Errors: unsupported
  // when `other` lacks a constant or has it in another type or shape.
  Result<FusedModel> of(const Model& other) const;
  // The first model, with 16 bits for what is multiplied with these weights (names of int8
  // initializers) and 8 bits for all else. No weight is made again. Errors: unsupported when some
  // but not all products of one packed weight would have 16.
  Result<FusedModel> widened(const std::set<std::string>& weights) const;

 private:
  struct State;
  explicit FusedVariants(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What the engine makes of a model, without packing it: for saying how much memory it will take.
struct FusedPlan {
  fused::EncoderSpec spec;
  size_t weight_bytes = 0;  // packed, without the embedding table
  size_t table_bytes = 0;   // stays mapped from the model file, row by row
};
// Errors: unsupported when the graph is not one that can be raised, with the node at which it
// stopped.
Result<FusedPlan> plan_fused(const Model& model, const FusedOptions& options,
                             std::shared_ptr<ThreadPool> pool);

}  // namespace octavo
