"""A FiftyOne dataset of a million files that grows: everything is searched once, then 1,000 new images are.

    python -m benchmarks.grown_dataset [--images N] [--quick] [--json]

Images of 32 x 32 pixels, smooth noise, as PNG; every hundredth of the old and half of the new ones are another's copy,
written as JPEG. They are embedded by lite0 at 32 pixels, the smallest it takes, as vectors cost the same at any size
from then on. Each of the two runs is a process of its own: the second one knows what the first left on the disk.
It needs some 15 GB of disk and 15 of memory for the million, in the folder for temporary files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .isolation import isolate
from .report import Target, finish, peak_memory

_DATASET = "grown"
_NEW = 1_000
_SIDE = 32
_FOLDER = 1_000  # files in each
_JPEG_QUALITY = 75


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000, help="the old ones")
    parser.add_argument("--quick", action="store_true", help="two thousand images: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    parser.add_argument("--from", type=int, dest="first", help=argparse.SUPPRESS)  # one run, in a process of its own
    arguments = parser.parse_args()
    if arguments.first is not None:
        print(json.dumps(search(arguments.first)))
        return
    old, new = (2_000, 50) if arguments.quick else (arguments.images, _NEW)
    targets, details = measure(isolate(), old, new)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, old: int, new: int) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return what is wanted and what is worth keeping beside it."""
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    originals = old - old // 100
    add(home, np.full(originals, -1), 0)
    add(home, rng.integers(0, originals, old - originals), originals)
    made = time.perf_counter() - started
    first = _in_process(0)
    print(f"everything: {first}", file=sys.stderr)
    add(home, np.where(np.arange(new) % 2, -1, rng.integers(0, originals, new)), old)
    second = _in_process(old)
    targets = [
        Target(f"copies flagged among {old:,} images", first["recall"], at_least=0.95),
        Target(f"copies flagged among {new:,} new ones", second["recall"], at_least=0.95),
        Target("flagged pairs that are copies", second["precision"], at_least=0.95),
        Target("everything over the new ones: time", first["seconds"] / second["seconds"], at_least=5),
        Target("peak memory, GB", max(first["memory_gb"], second["memory_gb"]), at_most=16),
    ]
    return targets, {"files and samples, s": round(made), "everything": first, "the new ones": second}


def add(home: Path, sources: np.ndarray, first: int) -> None:
    """Write images numbered from `first` on, and add them to the dataset.

    Args:
        home: Folder below which they go; each one's picture is in its name.
        sources: (n,) int64. Picture that each is a copy of; -1 = one of its own.
        first: Number of the first one.
    """
    import fiftyone as fo

    dataset = fo.load_dataset(_DATASET) if fo.dataset_exists(_DATASET) else fo.Dataset(_DATASET, persistent=True)
    for start in range(0, len(sources), _FOLDER):
        folder = home / "images" / f"{first + start:07d}"
        folder.mkdir(parents=True)
        paths = []
        for number, source in enumerate(sources[start : start + _FOLDER].tolist(), first + start):
            picture = number if source < 0 else source
            path = folder / (f"{picture:07d}.png" if source < 0 else f"{picture:07d}-{number:07d}.jpg")
            cv2.imwrite(str(path), _picture(picture), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            paths.append(str(path))
        dataset.add_samples([fo.Sample(filepath=path, media_type="image") for path in paths])


def search(first: int) -> dict[str, Any]:
    """Find the near-duplicates of the dataset as it is.

    Args:
        first: Number of the first of the images whose copies are counted.

    Returns:
        What it took, and what came out.
    """
    import fiftyone as fo

    import winnow

    steps: dict[str, float] = {}
    last = time.perf_counter()

    def tell(step: str, done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        steps[step] = steps.get(step, 0.0) + now - last
        last = now
        if done == total:
            print(f"{step}: {steps[step]:.0f} s", file=sys.stderr)

    dataset = fo.load_dataset(_DATASET)
    started = time.perf_counter()
    params = winnow.DuplicateParams(vectors=winnow.VectorParams(image_size=_SIDE))
    report = winnow.find_duplicates(dataset, params, tell)
    seconds = time.perf_counter() - started
    names = [Path(path).stem.split("-") for path in report.samples.paths]
    picture, number = (np.array([int(name[place]) for name in names]) for place in (0, -1))
    pairs = report.pairs.rows[report.pairs.flagged]
    right = picture[pairs[:, 0]] == picture[pairs[:, 1]]
    (wanted,) = np.nonzero((picture != number) & (number >= first))
    summary = report.summary()
    return {
        "seconds": round(seconds, 1),
        "memory_gb": round(peak_memory(), 2),
        "recall": round(float(np.isin(wanted, pairs[right]).mean()), 4),
        "precision": round(float(right.mean()), 4),
        **{name: summary[name] for name in ("images", "pairs", "groups", "expected_precision", "expected_recall")},
        "steps, s": {step: round(value, 1) for step, value in steps.items() if value >= 1},
    }


def _picture(number: int) -> np.ndarray:
    """Return (32, 32) uint8: 8 x 8 random grey levels, enlarged; the same of each number at any time."""
    levels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
    return cv2.resize(levels, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)


def _in_process(first: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.grown_dataset", "--from", str(first)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
