"""How long one comparison of many images takes, and what memory: to be run in a process of its own.

python -m benchmarks.drift_speed IMAGES
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from .report import peak_memory

_WIDTH, _CLASSES, _TRAINED, _STATISTICS = 1_280, 10, 4_000, 5
_BLOCK = 10_000


def main() -> None:
    from winnow.plugin.curation.drift import check_drift

    count = int(sys.argv[1])
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(50, _WIDTH)).astype(np.float32)
    vectors = [_vectors(count, centres, rng) for _ in range(2)]
    probs = [rng.dirichlet(np.full(_CLASSES, 0.3), count).astype(np.float32) for _ in range(2)]
    statistics = [rng.normal(size=(count, _STATISTICS)) for _ in range(2)]
    trained = _vectors(_TRAINED, centres, rng)
    before, started = peak_memory(), time.perf_counter()
    check_drift(
        *vectors,
        reference_probs=probs[0],
        current_probs=probs[1],
        reference_labels=probs[0].argmax(axis=1),
        reference_statistics=statistics[0],
        current_statistics=statistics[1],
        statistic_names=[f"statistic {number}" for number in range(_STATISTICS)],
        trained_on=trained,
    )
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "memory_gb": peak_memory(), "memory_before_gb": before}))


def _vectors(count: int, centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (count, d) float32 rows around the centres, made block by block."""
    found = np.empty((count, centres.shape[1]), np.float32)
    for start in range(0, count, _BLOCK):
        part = found[start : start + _BLOCK]
        part[:] = centres[rng.integers(0, len(centres), len(part))]
        part += rng.standard_normal(part.shape, np.float32)
    return found


if __name__ == "__main__":
    main()
