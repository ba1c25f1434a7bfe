#pragma once
// What quantization does to search: the documents and queries of a retrieval set are embedded by
// the original and by every variant, and ranked.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "octavo/progress.h"
#include "octavo/result.h"

namespace octavo {

struct EvaluateOptions {
  std::filesystem::path set;      // of tools/make_retrieval_set.py
  std::filesystem::path against;  // FP32 model, or a folder with one; empty: model.onnx
                                  // of the folder, if it has one
  // File names inside the folder, or paths; empty: those of model.int8.onnx and
  // model.int8.vanilla.onnx that are there.
  std::vector<std::string> variants;
  bool exact_onnx = false;  // as in EmbedderOptions
  // Names of prompts; not given: "query", and "document" or "passage", where the model has them.
  std::optional<std::string> query_prompt, document_prompt;
  size_t resamples = 2000;  // of the bootstrap
  uint64_t seed = 1;
  int threads = 0;
};

struct EvaluateReport {
  // Mean over the queries of variant minus reference, and its 95% interval of a bootstrap that
  // draws signs, not queries: right where few queries differ at all.
  struct Change {
    double mean = 0, low = 0, high = 0;
    bool holds_zero() const { return low <= 0 && 0 <= high; }
  };
  // Numbers over some queries. Relevance is binary.
  struct Numbers {
    double ndcg10 = 0;
    // Relevant documents among the first k, of as many as could be there: min(k, relevant).
    double recall1 = 0, recall10 = 0;
    // Against the reference, 1 and no change when there is none: the share of the same documents
    // among the first 10, Spearman's rho of how the reference's first 100 are ordered.
    double overlap10 = 1, rank_correlation = 1;
    Change ndcg10_change, recall1_change, recall10_change;
  };
  struct Group {
    std::string by;    // "all", "language" or "kind"
    std::string name;  // "de", "cross"; "" for all
    size_t queries = 0, documents = 0;
    // Mean cosine of two different documents of the group (of a kind: not defined, 0). A model
    // whose vectors crowd in a cone has a high one.
    double anisotropy = 0;
    Numbers numbers;
  };
  struct Variant {
    std::string model;          // as it was named
    std::string how;            // how it ran
    uint64_t bytes = 0;         // of the file and its sidecar
    std::vector<Group> groups;  // all; every language; every kind, if there are two or more
  };
  std::string set, set_sha256;  // its name
  size_t documents = 0, queries = 0, truncated = 0;
  uint64_t tokens = 0;
  size_t resamples = 0;
  uint64_t seed = 0;
  bool has_reference = false;
  std::vector<Variant> variants;  // the reference first, when there is one
  std::vector<std::string> notes;
};

// folder: tokenizer and the files that say how to pool; a variant's name is looked up in it. The
// same inputs give the same report, whatever the CPU and the number of threads. Errors: a set that
// is not one (its line is named), no variant, those of opening and running a model.
Result<EvaluateReport> evaluate_model(const std::filesystem::path& folder,
                                      const EvaluateOptions& options,
                                      const Progress& progress = {});

}  // namespace octavo
