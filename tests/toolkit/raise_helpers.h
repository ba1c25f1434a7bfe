#pragma once
// Raising a model and comparing what it became with the plain executor.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "embed/raise_probe.h"
#include "embed/token_feeds.h"
#include "toolkit/raised_run.h"

namespace octavo {

inline std::vector<int64_t> some_ids(int64_t count, int64_t vocabulary) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back((7 + i * 37 + i * i) % vocabulary);
  return ids;
}

inline Result<Raised> raise(const Model& model) {
  OCTAVO_TRY(const Session session, Session::create(model, {.pool = nullptr, .threads = 2}));
  OCTAVO_TRY(const Probe probe, run_raise_probe(session, some_ids(kProbeLength, 97)));
  return raise_encoder(model, probe);
}

inline Result<std::vector<Tensor>> run_text(const Model& model, const std::vector<int64_t>& ids) {
  OCTAVO_TRY(const Session session, Session::create(model, {.pool = nullptr, .threads = 2}));
  OCTAVO_TRY(const auto inputs, read_signature_inputs(session.graph()));
  OCTAVO_TRY(const std::vector<Feed> feeds, token_feeds(inputs, ids, 1));
  return session.run(feeds);
}

// max |raised - original| / max |original| of the hidden states of one text.
inline Result<double> compare(const Model& model, const Raised& raised,
                              const std::vector<int64_t>& ids) {
  Model one = model;
  std::erase_if(one.graph.outputs,
                [&](const ValueInfo& v) { return v.name != raised.model.graph.outputs[0].name; });
  OCTAVO_TRY(const auto expected, run_text(one, ids));
  std::vector<Tensor> positions;
  if (!raised.position_values.empty()) {
    OCTAVO_TRY(positions, run_text(raised.positions, ids));
  }
  const Rows got = RaisedRun(raised, ids, positions).run();
  const auto wanted = expected[0].values<float>();
  if (got.rows != ids.size() || got.x.size() != wanted.size())
    return Error{Code::internal, "the raised graph gives another shape"};
  double most = 0, range = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double off = std::abs(got.x[i] - double{wanted[i]});
    most = off <= most ? most : off;  // keeps NaN
    range = std::max(range, std::abs(double{wanted[i]}));
  }
  return most / range;
}

}  // namespace octavo
