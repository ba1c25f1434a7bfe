"""Scores that benchmarks give, written from their definitions."""
import numpy as np


def ndcg_at_10(scores, relevant, ids):
    """Mean over queries: scores [queries, documents], relevant a dict id -> gain a query."""
    found = []
    for row, gains in zip(scores, relevant):
        discount = 1 / np.log2(np.arange(2, 12))
        got = np.array([gains.get(ids[i], 0) for i in np.argsort(-row, kind="stable")[:10]])
        best = np.array(sorted(gains.values(), reverse=True)[:10])
        found.append((got * discount[:len(got)]).sum() / (best * discount[:len(best)]).sum())
    return float(np.mean(found))


def pearson(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def spearman(a, b):
    return pearson(ranks(a), ranks(b))


def ranks(values):
    """1 for the smallest; equal ones share the mean of their ranks."""
    values = np.asarray(values)
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])
