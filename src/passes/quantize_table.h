#pragma once
// The embedding table in fewer bytes: its rows are copied, not multiplied, so nothing else changes.
//
//   before:  Y = Gather(W, ids)                        W [V, N] float32, ids made of input_ids
//   int8:    Y = Cast(Gather(W_rows_quantized, ids)) * Gather(W_rows_scale, ids)
//            W_rows_scale [V, 1]: 2 max|row| / 254 like a weight's column, 1 for a row of zeros
//   bfloat16, float16:  Y = Cast(Gather(W_bfloat16, ids))       rounded to nearest, ties to even
//
// Whoever else reads W (a tied output layer) keeps the float32 table, and the report says so.

#include <memory>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "octavo/quantize.h"

namespace octavo {

// Fills report.table and adds to report.bytes_after. TableType::float32 changes nothing. Errors:
// invalid_input (there is no such table); unsupported (bfloat16 before opset 13). The new tensors
// are errors when the table holds a NaN or an infinity, or what float16 has no number for.
Status quantize_table(Model& model, TableType type, const std::shared_ptr<ThreadPool>& pool,
                      QuantizeReport& report);

}  // namespace octavo
