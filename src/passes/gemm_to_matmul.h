#pragma once
// Gemm(A, B, C) -> MatMul(A, B) + C, as onnxruntime.quantization does before it quantizes, because
// there is an integer MatMul but no integer Gemm. Names are ORT's:
//   "n" -> "n_MatMul" and "n_Add"; a transposed constant B becomes "B_Transposed".
// Only with alpha = beta = 1 and transA = 0; others stay.

#include <string>
#include <vector>

#include "graph/graph.h"

namespace octavo {

struct KeptGemm {
  std::string node, reason;
};

// In the main graph only. Returns the Gemm nodes that stay.
std::vector<KeptGemm> gemm_to_matmul(Graph& graph);

}  // namespace octavo
