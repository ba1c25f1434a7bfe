#pragma once
// Rankings and their numbers, query by query. Vectors come normalised, so that a dot product is a
// cosine; documents of equal score are ranked in the order of the set.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "octavo/evaluate.h"

namespace octavo {

// The reference's first documents whose order is compared.
constexpr size_t kCompared = 100;

// Numbers of one query.
struct QueryScore {
  double ndcg10 = 0, recall1 = 0, recall10 = 0;
  std::vector<uint32_t> first;  // its first documents, at most kCompared
};

// scores: of every document. relevant: ascending, not empty.
QueryScore score_query(std::span<const double> scores, std::span<const size_t> relevant);

// The share of the reference's first 10 that are among the first 10 here (fewer where there are
// fewer documents).
double overlap10(const QueryScore& reference, const QueryScore& variant);

// Spearman's rho between the order of the reference's first documents and the order that `scores`
// give the same documents; 1 when there are fewer than two.
double rank_correlation(const QueryScore& reference, std::span<const double> scores);

// dot(row, query) for every row of `width` floats, in float64 and one fixed order of sums.
void dot_products(std::span<const float> rows, std::span<const float> query, std::span<double> out);

// Mean cosine of two different rows: (|sum|^2 - n) / (n (n - 1)) for rows of length one.
double anisotropy(std::span<const float> rows, size_t width, std::span<const size_t> chosen);

// Paired bootstrap (Efron) over queries: `resamples` times as many differences as there are, drawn
// with replacement, index = splitmix64(seed) mod n. Precondition: at least one difference.
EvaluateReport::Change bootstrap_change(std::span<const double> differences, size_t resamples,
                                        uint64_t seed);

}  // namespace octavo
