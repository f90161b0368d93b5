"""How far the mean embeddings of two sets lie apart: maximum mean discrepancy with a Gaussian kernel.

Exact for small sets (Gretton et al. 2012, "A kernel two-sample test", JMLR 13), by random Fourier features for larger
ones (Rahimi and Recht 2007). The kernel's width is the median distance of the rows, as usual.
"""

from __future__ import annotations

import numpy as np

from .drift_shuffles import Shuffles

_EXACT_UP_TO = 1_000  # rows of each set
_FREQUENCIES = 128
_MEDIAN_OF = 500  # rows of each set
_LEAST = 1e-12


def mean_discrepancy(components: np.ndarray, shuffles: Shuffles, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Compare (2 m, r) float32 components, the reference first.

    Returns:
        (b + 1,) float64 discrepancies, in truth and after each shuffle, and the effect size in 0..1: one less the
        cosine of both mean embeddings, each estimated without bias.
    """
    half = len(components) // 2
    some = np.r_[: min(half, _MEDIAN_OF), half : half + min(half, _MEDIAN_OF)]
    width = float(np.median(squared_distances(components[some], components[some])))
    if width <= _LEAST:
        return np.zeros(shuffles.signs.shape[1]), 0.0
    if half <= _EXACT_UP_TO:
        kernel = np.exp(squared_distances(components, components) / -width)
        np.fill_diagonal(kernel, 0)
        found = np.einsum("nb,nb->b", shuffles.signs, kernel @ shuffles.signs, dtype=np.float64)
        sums = kernel[:half, :half].sum(), kernel[half:, half:].sum(), kernel[:half, half:].sum()
    else:
        frequencies = rng.normal(0, np.sqrt(2 / width), (components.shape[1], _FREQUENCIES)).astype(np.float32)
        angles = components @ frequencies
        features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.float32(np.sqrt(_FREQUENCIES))
        found = (shuffles.mean_differences(features).astype(np.float64) ** 2).sum(axis=0)
        then, now = features[:half].sum(axis=0, dtype=np.float64), features[half:].sum(axis=0, dtype=np.float64)
        sums = then @ then - half, now @ now - half, then @ now  # each row's product with itself is 1
    pairs = half * (half - 1)
    lengths = np.sqrt(max(sums[0] / pairs, _LEAST) * max(sums[1] / pairs, _LEAST))
    return found, float(np.clip(1 - sums[2] / half**2 / lengths, 0, 1))


def squared_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the (n, m) squared distances of (n, r) and (m, r) rows."""
    lengths = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None]
    return np.maximum(lengths - 2 * some @ others.T, 0)
