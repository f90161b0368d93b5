"""Ways to fill a batch from a pool; each takes candidates, best first, until there are `n` or none is free.

Random code takes a generator; ties go to the earlier candidate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from .kmeans import cluster
from .selection_pool import Pool

_MOST_CLUSTERS = 500
_TYPICAL_NEIGHBOURS = 20
_REFERENCES = 2_000
_COVERED = 10_000  # candidates whose neighbourhoods are looked at, for larger batches twice their size
_LARGEST_BALL = 500
_ASKED = 512  # candidates that tell how wide a ball has to be
_BLOCK = 2_048
_DIGITS = 4
_LIGHT = 0.1  # of the usual weight in a cluster
_TINY = 1e-300

Describe = Callable[[int], tuple[float, str]]  # a candidate's score, and why it is chosen


def take_in_order(pool: Pool, n: int, scores: np.ndarray, describe: Describe) -> None:
    """Take the candidates with the largest scores, none where the batch is full."""
    for row in np.argsort(-np.round(scores, _DIGITS), kind="stable"):
        if len(pool.taken) >= n:
            return
        if pool.free[row]:
            pool.take(int(row), *describe(int(row)))


def take_k_center(pool: Pool, n: int) -> None:
    """Take each time the candidate furthest from all that is labelled or taken (Sener and Savarese 2018).

    Greedy k-center, arXiv:1708.00489, algorithm 1. Where nothing is labelled, the first is the one nearest to the
    centre of all.
    """
    nearest = np.full(len(pool.rows), -1.0, np.float32)
    for start in range(0, len(pool.labelled), _BLOCK):
        np.maximum(nearest, (pool.rows @ pool.labelled[start : start + _BLOCK].T).max(axis=1), out=nearest)
    for row in pool.taken:
        np.maximum(nearest, pool.rows @ pool.rows[row], out=nearest)
    if not len(pool.labelled) and not pool.taken:
        nearest = -(pool.rows @ pool.rows.mean(axis=0))
    while len(pool.taken) < n and pool.free.any():
        first = not len(pool.labelled) and not pool.taken
        row = int(np.where(pool.free, -np.round(nearest, _DIGITS), -np.inf).argmax())
        distance = 1 - float(nearest[row])
        reason = "nearest to the middle of all" if first else f"at a distance of {distance:.2f} from all labelled ones"
        similar = pool.take(row, 1.0 if first else distance, reason)
        if similar is not None:
            nearest = similar if first else np.maximum(nearest, similar)


def take_typical(pool: Pool, n: int, rng: np.random.Generator) -> None:
    """Take the most typical candidate of each of the largest clusters in which nothing is labelled yet.

    TypiClust (Hacohen, Dekel and Weinshall 2022, arXiv:2202.02794), section 3: as many clusters as labels there will
    be; typicality is the inverse of the mean distance to the 20 nearest candidates of the cluster.
    """
    everything = np.concatenate([pool.rows, pool.labelled])
    _, own = cluster(everything, min(len(pool.labelled) + n, _MOST_CLUSTERS), rng)
    clusters = int(own.max()) + 1
    sizes = np.bincount(own[: len(pool.rows)], minlength=clusters)
    labelled = np.bincount(own[len(pool.rows) :], minlength=clusters) + np.bincount(
        own[np.array(pool.taken, np.int64)], minlength=clusters
    )
    orders: dict[int, list[int]] = {}
    typical = np.zeros(len(pool.rows))
    while len(pool.taken) < n and pool.free.any():
        open_ = np.unique(own[: len(pool.rows)][pool.free])
        best = int(open_[np.lexsort((open_, -sizes[open_], labelled[open_]))[0]])
        if best not in orders:
            members = np.flatnonzero(own[: len(pool.rows)] == best)
            typical[members] = _typicality(pool.rows[members], rng)
            orders[best] = members[np.argsort(-np.round(typical[members], _DIGITS), kind="stable")].tolist()
        row = next(row for row in orders[best] if pool.free[row])
        reason = f"typical of {sizes[best]} images, of which {labelled[best]} are labelled"
        if pool.take(row, float(typical[row]), reason) is not None:
            labelled[best] += 1


def _typicality(members: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (c,) float64: the inverse of the mean distance of each row of length 1 to its nearest ones."""
    references = members
    if len(members) > _REFERENCES:
        references = members[np.sort(rng.choice(len(members), _REFERENCES, replace=False))]
    k = min(_TYPICAL_NEIGHBOURS + 1, len(references))
    found = np.empty(len(members))
    for start in range(0, len(members), _BLOCK):
        similar = members[start : start + _BLOCK] @ references.T
        nearest = np.partition(similar, -k, axis=1)[:, -k:]
        found[start : start + _BLOCK] = np.sqrt(np.maximum(2 - 2 * nearest, 0)).mean(axis=1)
    return 1 / np.maximum(found, 1e-6)


def take_badge(pool: Pool, n: int, surprise: np.ndarray, describe: Describe, rng: np.random.Generator) -> None:
    """Take candidates whose gradients are large and differ, by k-means++ (Ash et al. 2020, arXiv:1906.03671).

    The gradient of the last layer is the outer product of (m, k) `surprise` and the embedding, so an inner product of
    two gradients is the product of the inner products of their factors: memory stays at m (d + k) instead of m d k.
    """
    squares = (surprise**2).sum(axis=1).astype(np.float64)  # times the squared length of the embedding, which is 1
    left = squares.copy()
    first = not pool.taken
    for row in pool.taken:
        left = np.minimum(left, gradient_distance(squares, surprise, row, pool.rows @ pool.rows[row]))
    while len(pool.taken) < n and pool.free.any():
        chance = np.where(pool.free, np.round(left, 6), 0)
        if first or not chance.any():  # the first is the largest; where all are alike, so is any
            row = int(np.where(pool.free, np.round(left, _DIGITS), -1).argmax())
        else:
            reached = np.cumsum(chance)
            row = int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))
        similar = pool.take(row, float(np.sqrt(max(left[row], 0))), describe(row)[1])
        if similar is not None:
            first = False
            left = np.minimum(left, gradient_distance(squares, surprise, row, similar))


def gradient_distance(squares: np.ndarray, surprise: np.ndarray, row: int, similar: np.ndarray) -> np.ndarray:
    """Return (m,) float64 squared distances of all gradients to one."""
    return np.maximum(squares + squares[row] - 2 * (surprise @ surprise[row]) * similar, 0)


def take_cover(pool: Pool, n: int, weights: np.ndarray, rng: np.random.Generator) -> None:
    """Take each time the candidate around which the most uncovered weight lies.

    ProbCover (Yehuda et al. 2022, arXiv:2205.11320), algorithm 1, with the candidates weighted by how probably the
    classifier is wrong. A ball is as wide as is needed for the labels there will be to cover all if none overlapped.
    """
    m = len(pool.rows)
    most = max(_COVERED, 2 * n)
    some = np.arange(m) if m <= most else np.sort(rng.choice(m, most, replace=False))
    rows = pool.rows[some]
    size = int(np.clip(len(some) / (len(pool.labelled) + n), 2, _LARGEST_BALL))
    similarity = _similarity_of_balls(rows, size, rng)
    balls = _balls(rows, similarity)
    left = np.maximum(weights[some], 1e-6).astype(np.float64)
    total = left.sum()
    for start in range(0, len(pool.labelled), _BLOCK):
        left[(rows @ pool.labelled[start : start + _BLOCK].T >= similarity).any(axis=1)] = 0
    for row in pool.taken:
        left[rows @ pool.rows[row] >= similarity] = 0
    gain = balls @ left
    while len(pool.taken) < n and (free := pool.free[some]).any():
        best = int(np.where(free, np.round(gain / total, 6), -1).argmax())
        covered = balls.indices[balls.indptr[best] : balls.indptr[best + 1]]
        near = round(float((left[covered] > 0).sum()) * m / len(some))
        reason = f"about {near:,} images are near it and not covered by a label"
        if pool.take(int(some[best]), float(gain[best] / total), reason) is not None:
            gain -= balls[:, covered] @ left[covered]
            left[covered] = 0


def _similarity_of_balls(rows: np.ndarray, size: int, rng: np.random.Generator) -> float:
    """Return the similarity that `size` of the rows reach, on average over some of them."""
    asked = rows[np.sort(rng.choice(len(rows), min(len(rows), _ASKED), replace=False))]
    similar = (asked @ rows.T).ravel()
    place = min(len(asked) * size, len(similar))
    return float(np.partition(similar, len(similar) - place)[len(similar) - place])


def _balls(rows: np.ndarray, similarity: float) -> csr_array:
    """Return (m, m) sparse: 1 where two rows are that similar."""
    starts, columns = [np.zeros(1, np.int64)], []
    for start in range(0, len(rows), _BLOCK):
        near = rows[start : start + _BLOCK] @ rows.T >= similarity
        near[np.arange(len(near)), start + np.arange(len(near))] = True
        columns.append((np.flatnonzero(near) % len(rows)).astype(np.int32))
        starts.append(near.sum(axis=1))
    indices = np.concatenate(columns)
    return csr_array((np.ones(len(indices), np.float32), indices, np.cumsum(np.concatenate(starts))), (len(rows),) * 2)


def take_centres(
    pool: Pool, n: int, rows: np.ndarray, weights: np.ndarray, describe: Describe, rng: np.random.Generator
) -> None:
    """Cluster candidates by weight and take of each cluster the one nearest to its centre, the heaviest cluster first.

    Zhdanov 2019 (arXiv:1901.05954), section 3.

    Args:
        pool: The candidates.
        n: Size of the batch.
        rows: (r,) int. Free candidates that are clustered; others come in only where these are not enough.
        weights: (m,) float >= 0. How much each candidate counts.
        describe: Tells a candidate's score and reason.
        rng: Of the clustering.
    """
    wanted = min(n - len(pool.taken), len(rows))
    if wanted > 0:
        own_weights = weights[rows].astype(np.float64)
        centres, own = cluster(pool.rows[rows], wanted, rng, own_weights)
        mass = np.bincount(own, own_weights, minlength=len(centres))
        # What counts in a cluster is not what happens to lie in its middle without any weight.
        usual = np.bincount(own, own_weights**2, minlength=len(centres)) / np.maximum(mass, _TINY)
        light = own_weights < _LIGHT * usual[own]
        closeness = np.einsum("ij,ij->i", pool.rows[rows], centres[own]) - (centres**2).sum(axis=1)[own] / 2
        order = np.lexsort((rows, -np.round(closeness, _DIGITS), light, own))
        starts = np.searchsorted(own[order], np.arange(len(centres) + 1))
        for number in np.argsort(-np.round(mass, _DIGITS), kind="stable"):
            for place in order[starts[number] : starts[number + 1]]:
                row = int(rows[place])
                if light[place] or (pool.free[row] and pool.take(row, *describe(row)) is not None):
                    break
    take_in_order(pool, n, weights, describe)  # where a cluster held look-alikes alone
