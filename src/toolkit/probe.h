#pragma once
// A probe: texts tokenized once, the reference's vectors for them, and everything needed to hold a
// model against it. verify makes one and compares one model; build compares several with the same.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "octavo/verify.h"
#include "toolkit/reference.h"

namespace octavo {

struct TextProbe {
  Tokenizer tokenizer;
  ModelDir settings;
  Reference reference;
  std::shared_ptr<ThreadPool> pool;
  std::vector<std::string> notes;
};

// folder: tokenizer.json and the files that say how to pool. Of the options, texts, against,
// reference and threads count. Errors: the reference's token ids differ from this tokenizer's.
Result<TextProbe> make_probe(const std::filesystem::path& folder, const VerifyOptions& options,
                             const Progress& progress);

// stage names the model in progress and errors.
Result<VerifyReport> compare_with(const TextProbe& probe, const std::filesystem::path& onnx_file,
                                  std::optional<double> min_cos, const std::string& stage,
                                  const Progress& progress);

}  // namespace octavo
