"""New images among many that were searched before: what they cost, beside searching everything.

    python -m benchmarks.incremental [--quick] [--json]

Vectors of 384 numbers in clusters (as in `benchmarks.neighbors`), thumbnails of smooth noise. Of 1,000 new images half
are copies of old ones, one grey level of noise away. Each measurement runs in a process of its own: among 10,000 and
50,000 old images everything is searched beside, among 1,000,000 only the new ones are, and what was known before stands
for itself: as many pairs as such a search leaves, drawn at random. `--quick`: few images, a smoke test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import Any

import numpy as np

from .neighbors import planted_rows
from .report import Target, finish, peak_memory

_NEW = 1_000
_SEARCHED = (10_000, 50_000)
_MANY = 1_000_000
_CANDIDATES, _KEPT = 12, 1  # pairs an image that a search of everything leaves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few images: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    parser.add_argument("--among", type=int, nargs=2, help=argparse.SUPPRESS)  # one measurement: old and new images
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.among is not None:
        print(*among(*arguments.among, search_all=arguments.all))
        return
    targets, details = measure(quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(*, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return what is wanted and what is worth keeping beside it."""
    new, searched, many = (50, (500, 1_000), 4_000) if quick else (_NEW, _SEARCHED, _MANY)
    details: dict[str, Any] = {}
    targets = []
    for count in searched:
        seconds, everything, recall, memory = _in_process(count, new, search_all=True)
        details[f"{count:,}"] = {"seconds": seconds, "everything": everything, "recall": recall, "memory_gb": memory}
        print(f"{count:,}: {details[f'{count:,}']}", file=sys.stderr)
        targets.append(Target(f"{new:,} among {count:,}: copies found", recall, at_least=0.99))
    targets.append(Target(f"{searched[-1]:,}: everything over the new ones", everything / seconds, at_least=5))
    seconds, _, recall, memory = _in_process(many, new, search_all=False)
    details[f"{many:,}"] = {"seconds": seconds, "recall": recall, "memory_gb": memory}
    targets += [
        Target(f"{new:,} among {many:,}: copies found", recall, at_least=0.99),
        Target(f"{new:,} among {many:,} over everything of {searched[-1]:,}: time", seconds / everything, at_most=1),
        Target(f"{new:,} among {many:,}: peak memory, GB", memory, at_most=12),
    ]
    return targets, details


def among(old: int, new: int, *, search_all: bool) -> tuple[float, float, float, float]:
    """Return seconds for the new images, seconds for all, the share of copies found, and peak memory in GB."""
    from winnow.plugin.curation.evidence import FEATURES, Evidence
    from winnow.plugin.curation.search import Search, search

    rng = np.random.default_rng(0)
    rows, _, _ = planted_rows(old + new)
    thumbnails = _smooth(old + new, rng)
    fresh, copies = np.arange(old, old + new), np.arange(old, old + new // 2)
    sources = rng.choice(old, len(copies), replace=False)
    rows[copies] = rows[sources]
    noise = rng.integers(-1, 2, (len(copies), *thumbnails.shape[1:]))
    thumbnails[copies] = np.clip(thumbnails[sources] + noise, 0, 255)
    everything = float("nan")
    if search_all:
        known = search(rows[:old], thumbnails[:old])
        started = time.perf_counter()
        search(rows, thumbnails)
        everything = time.perf_counter() - started
    else:
        pairs = [_drawn(old, old * each, rng) for each in (_CANDIDATES, _KEPT)]
        values = rng.random((len(pairs[1]), len(FEATURES)), np.float32)
        cosine = rng.uniform(-1, 1, len(pairs[0])).astype(np.float32)
        known = Search(rows[:old].mean(axis=0), pairs[0], cosine, Evidence(pairs[1], values), None)
    started = time.perf_counter()
    found = search(rows, thumbnails, known=known, new=fresh)
    seconds = time.perf_counter() - started
    hits = {tuple(pair) for pair in found.evidence.pairs[found.evidence.pairs[:, 1] >= old].tolist()}
    recall = float(np.mean([pair in hits for pair in zip(sources.tolist(), copies.tolist(), strict=True)]))
    return seconds, everything, recall, peak_memory()


def _smooth(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (count, 32, 32) uint8: 8 x 8 random fields, enlarged."""
    import cv2

    small = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
    large = np.empty((count, 32, 32), np.uint8)
    for row in range(count):
        cv2.resize(small[row], (32, 32), dst=large[row], interpolation=cv2.INTER_CUBIC)
    return large


def _drawn(images: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (m, 2) int64 random pairs of images, m <= count: each once, the smaller row first, in ascending order."""
    pairs = np.sort(rng.integers(0, images, (count, 2)), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _in_process(old: int, new: int, *, search_all: bool) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.incremental", "--among", str(old), str(new)]
    done = subprocess.run(command + ["--all"] * search_all, check=True, capture_output=True, text=True)
    return [float(value) for value in done.stdout.splitlines()[-1].split()]


if __name__ == "__main__":
    main()
