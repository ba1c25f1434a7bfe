#include "embed/ragged.h"

#include <algorithm>

#include "base/float_environment.h"
#include "embed/pooling.h"

namespace octavo {

std::string text_name(size_t text) { return "text " + std::to_string(text + 1); }

std::vector<TokenBatch> batches_by_tokens(std::span<const std::vector<int64_t>> ids,
                                          size_t budget) {
  std::vector<TokenBatch> batches;
  for (size_t i = 0; i < ids.size(); ++i) {
    const size_t cost = std::max(ids[i].size(), fused::kShortestText);
    if (batches.empty() || batches.back().tokens + cost > budget) batches.push_back({i, i, 0});
    batches.back().end = i + 1;
    batches.back().tokens += cost;
  }
  return batches;
}

size_t ragged_bytes(const fused::EncoderSpec& spec, Pooling pooling, size_t tokens) {
  return fused::FusedEncoder::workspace_bytes(spec, tokens) +
         (pooling == Pooling::mean ? tokens * spec.hidden * sizeof(float) : 0);
}

Status encode_ragged(const fused::FusedEncoder& encoder, Pooling pooling,
                     std::span<const std::vector<int64_t>> ids, size_t budget, ThreadPool& pool,
                     float* rows, size_t first) {
  const size_t width = encoder.spec().hidden;
  const size_t positions = encoder.spec().positions;
  for (size_t i = 0; i < ids.size(); ++i)
    if (positions != 0 && ids[i].size() > positions)
      return Error{Code::invalid_input,
                   text_name(first + i) + " has " + std::to_string(ids[i].size()) +
                       " tokens; the model is set up for " + std::to_string(positions)};
  fused::RunOptions run;
  run.rows = pooling == Pooling::mean  ? fused::Rows::all
             : pooling == Pooling::cls ? fused::Rows::first
                                       : fused::Rows::last;
  std::vector<int64_t> flat;
  std::vector<size_t> offsets;
  std::vector<float> hidden;
  for (const TokenBatch& batch : batches_by_tokens(ids, budget)) {
    flat.clear();
    offsets.assign(1, 0);
    for (size_t i = batch.begin; i < batch.end; ++i) {
      flat.insert(flat.end(), ids[i].begin(), ids[i].end());
      offsets.push_back(flat.size());
    }
    float* out = rows + batch.begin * width;
    if (pooling == Pooling::mean) {
      if (hidden.size() < flat.size() * width) hidden.resize(flat.size() * width);
      OCTAVO_CHECK(encoder.run(flat, offsets, pool, run, hidden.data()));
      pool.parallel_for(batch.end - batch.begin, 4, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i)
          octavo::pool(pooling, hidden.data() + offsets[i] * width, offsets[i + 1] - offsets[i],
                       {out + i * width, width});
      });
    } else {
      OCTAVO_CHECK(encoder.run(flat, offsets, pool, run, out));
    }
    for (size_t i = batch.begin; i < batch.end; ++i)
      if (!all_finite({rows + i * width, width}))
        return Error{Code::invalid_input,
                     text_name(first + i) + ": the model's output is not a finite number"};
  }
  return Done{};
}

}  // namespace octavo
