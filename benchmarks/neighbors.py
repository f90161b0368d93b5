"""Nearest neighbours of many rows, beside exact FAISS search and beside FiftyOne's brain.

    python -m benchmarks.neighbors [--quick] [--json]

Rows of 384 numbers in clusters of about 200; a tenth of them copy others, at a cosine of about 0.9. Exact search is
timed on 2,000 of the rows in the same process, and the rest is a rule of three. `--quick`: few rows, a smoke test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import Any

import faiss
import numpy as np

from .isolation import isolate
from .report import Target, finish, peak_memory

_WIDTH = 384
_NEIGHBORS = 8
_SIZES = (10_000, 50_000, 200_000, 1_000_000)
_QUICK_SIZES = (1_000, 2_000, 4_000, 8_000)
_TIMED = 2_000
_PEER_SIZES = (14_000, 16_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rows: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    parser.add_argument("--join", type=int, help=argparse.SUPPRESS)  # one measurement, in a process of its own
    parser.add_argument("--brain", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.join is not None:
        print(*self_join(arguments.join))
    elif arguments.brain is not None:
        isolate()
        print(*brain(arguments.brain))
    else:
        targets, details = measure(quick=arguments.quick)
        finish(targets, details, as_json=arguments.json)


def measure(*, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    sizes = _QUICK_SIZES if quick else _SIZES
    joins: dict[int, dict[str, float]] = {}
    for size in sizes:
        print(f"self-join of {size:,} ...", file=sys.stderr)
        seconds, exact, recall, memory = _in_process("--join", size)
        joins[size] = {"seconds": seconds, "exact_seconds": exact, "recall": recall, "memory_gb": memory}
    peers = {}
    for size in (200,) if quick else _PEER_SIZES:
        print(f"brain, {size:,} ...", file=sys.stderr)
        ours, theirs, memory = _in_process("--brain", size)
        peers[size] = {"winnow_seconds": ours, "brain_seconds": theirs, "memory_gb": memory}
    many, most = sizes[2], sizes[3]
    targets = [
        Target(f"{many:,}: exact search over ours", joins[many]["exact_seconds"] / joins[many]["seconds"], at_least=12),
        Target(f"{many:,}: recall of planted copies", joins[many]["recall"], at_least=0.99),
        Target(f"{many:,}: peak memory, GB", joins[many]["memory_gb"], at_most=2.5),
        Target(f"{most:,} over {many:,}: time", joins[most]["seconds"] / joins[many]["seconds"], at_most=8),
        Target(f"{most:,}: peak memory, GB", joins[most]["memory_gb"], at_most=12),
    ]
    return targets, {"joins": joins, "brain_near_duplicates": peers}


def self_join(count: int) -> tuple[float, float, float, float]:
    """Return seconds, seconds of exact search, recall of the planted copies and peak memory in GB."""
    from winnow.plugin.curation.neighbors import NeighborIndex

    rows, copies, sources = planted_rows(count)
    started = time.perf_counter()
    _, found = NeighborIndex(rows, exact=False).search_itself(_NEIGHBORS)
    seconds = time.perf_counter() - started
    recall = float((found[copies] == sources[:, None]).any(axis=1).mean())
    memory = peak_memory()
    index = faiss.IndexFlatIP(_WIDTH)
    index.add(rows)
    started = time.perf_counter()
    index.search(rows[:_TIMED], _NEIGHBORS + 1)
    exact = (time.perf_counter() - started) * count / min(_TIMED, count)
    return seconds, exact, recall, memory


def planted_rows(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (count, 384) float32 rows of length 1, and the rows that are copies beside the rows they copy."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(max(2, count // 200), _WIDTH)).astype(np.float32)
    rows = np.empty((count, _WIDTH), np.float32)
    for start in range(0, count, 50_000):
        part = rows[start : start + 50_000]
        part[:] = centres[rng.integers(0, len(centres), len(part))] + rng.normal(size=part.shape)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    both = rng.permutation(count)[: count // 5].reshape(2, -1)
    noise = rng.normal(size=(both.shape[1], _WIDTH)).astype(np.float32)
    rows[both[1]] = rows[both[0]] + 0.5 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    rows[both[1]] /= np.linalg.norm(rows[both[1]], axis=1, keepdims=True)
    return rows, both[1], both[0]


def brain(count: int) -> tuple[float, float, float]:
    """Return our seconds for the same rows, those of `compute_near_duplicates`, and the process's peak memory in GB."""
    import fiftyone as fo
    import fiftyone.brain as fob

    from winnow.plugin.curation.neighbors import NeighborIndex

    rows, _, _ = planted_rows(count)
    started = time.perf_counter()
    NeighborIndex(rows).search_itself(_NEIGHBORS)
    ours = time.perf_counter() - started
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"/images/{number}.png", media_type="image") for number in range(count)])
    started = time.perf_counter()
    fob.compute_near_duplicates(dataset, embeddings=rows, threshold=0.2)
    return ours, time.perf_counter() - started, peak_memory()


def _in_process(what: str, size: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.neighbors", what, str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(value) for value in done.stdout.splitlines()[-1].split()]


if __name__ == "__main__":
    main()
