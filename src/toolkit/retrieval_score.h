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

// Paired wild bootstrap (Wu, 1986, with signs for weights, as in Davidson and Flachaire, 2008):
// what the mean would be if every query had as well gone the other way. The interval is the mean
// and to both sides of it the 95th percentile of |mean of the differences with random signs|; a
// difference keeps its sign where the top bit of splitmix64(seed) is 0. It holds 0 where the
// randomization test (Fisher) does not reject that nothing changed.
//
// Percentiles of the means of queries drawn with replacement, the usual choice, are for many
// differences. A quantized model moves five or ten of ninety queries: four that go the same way
// leave 0 out of such an interval, which a coin does one time in eight. Of 1,500 draws of 90
// differences without a change, 5% to 40% of them not 0, such intervals held 0 in 89% to 93%,
// these in 95% to 99%. Precondition: at least one difference.
EvaluateReport::Change bootstrap_change(std::span<const double> differences, size_t resamples,
                                        uint64_t seed);

}  // namespace octavo
