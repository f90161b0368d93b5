"""How many labels a good choice of images saves, against choosing at random: a simulated annotator on real data.

    python -m benchmarks.active_learning --fashion /usr/share/datasets/fashion-mnist [--data CIFAR10] [--part NAME]
    python -m benchmarks.active_learning --quick

`--fashion`: the folder of Debian's package dataset-fashion-mnist. `--data`: the folder `cifar10`. `--part`: only
"balanced", "imbalanced" (half of the classes a tenth as large), "several" (mosaics of several garments) or "speed".
`--quick`: the embedded images, a smoke test. `--development`: the other half of the images, which the default strategy
was tuned on. `--vectors FILE.npz`: keep the vectors there, and read them from there.

A round: choose, reveal the labels, fit a probe, measure it on test images. The vectors are lite0's, in their 256 main
directions and rotated at random, in which a probe is as good and a round costs a tenth.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .active_learning_data import ImageSet, World, embedded_images, image_sets, mosaic_set
from .active_learning_judging import Curves, judge_balanced, judge_imbalanced, judge_several
from .isolation import isolate
from .report import Target, finish, peak_memory

PARTS = ("balanced", "imbalanced", "several", "speed")
BUDGETS = (10, 20, 40, 70, 100, 150, 200, 300, 400, 600, 800, 1_000, 1_400, 2_000)
_QUICK_BUDGETS = (10, 20, 40, 80)
_IMBALANCE = 10
_POOL = 10_000
_SPEED_IMAGES, _SPEED_WIDTH, _SPEED_PICKS = 1_000_000, 384, 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the embedded images: a smoke test")
    parser.add_argument("--fashion", type=Path, help="folder of the package dataset-fashion-mnist")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--seeds", type=int, default=20, help="simulations of each strategy")
    parser.add_argument("--strategies", help="only these, with commas")
    parser.add_argument("--vectors", type=Path, help="keep the vectors in this file")
    parser.add_argument("--development", action="store_true", help="the half of the images that auto was tuned on")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    if not arguments.quick and arguments.fashion is None and arguments.data is None and arguments.part != ["speed"]:
        parser.error("name --fashion and/or --data, or take --quick")
    home = isolate()
    parts = arguments.part or PARTS
    targets: list[Target] = []
    details: dict[str, Any] = {}
    seeds = range(2 if arguments.quick else arguments.seeds)
    if any(part != "speed" for part in parts):
        sets = (
            [embedded_images(home)]
            if arguments.quick
            else list(image_sets(home, arguments.fashion, arguments.data, arguments.vectors))
        )
        half = 0 if arguments.development else 1
        setting = _Setting(seeds, half, _QUICK_BUDGETS if arguments.quick else BUDGETS, _strategies(arguments))
        for part in parts:
            if part in _SIMULATED:
                found, kept = _SIMULATED[part](sets, setting, home)
                targets += found
                details[part] = kept
    if "speed" in parts:
        found, kept = _speed(20_000 if arguments.quick else _SPEED_IMAGES)
        targets += found
        details["speed"] = kept
    finish(targets, details, as_json=arguments.json)


def _strategies(arguments: argparse.Namespace) -> tuple[str, ...]:
    from winnow.plugin.curation.selection import STRATEGIES

    if arguments.strategies:
        return tuple(arguments.strategies.split(","))
    return ("random", "auto", "typical") if arguments.quick else STRATEGIES


@dataclass(frozen=True)
class _Setting:
    """What all simulations share: `half` of the images, of which the other one serves development."""

    seeds: range
    half: int
    budgets: tuple[int, ...]
    strategies: tuple[str, ...]


def _simulated(
    sets: list[ImageSet], setting: _Setting, worlds: Callable[[ImageSet, int], World], name: str
) -> Iterator[tuple[str, Curves]]:
    """Yield the learning curves of each set."""
    for images in sets:
        found: dict[str, list[np.ndarray]] = {strategy: [] for strategy in setting.strategies}
        full = []
        for seed in setting.seeds:
            world = worlds(images, seed)
            full.append(world.score(world.fit(np.arange(len(world.train)), seed)))
            for strategy in setting.strategies:
                found[strategy].append(_simulate(world, strategy, seed, setting.budgets))
            print(f"{name}, {images.name}: seed {seed} done", file=sys.stderr)
        yield (
            images.name,
            Curves(
                np.array(setting.budgets),
                {strategy: np.array(curves) for strategy, curves in found.items()},
                np.array(full),
            ),
        )


def _simulate(world: World, strategy: str, seed: int, budgets: tuple[int, ...]) -> np.ndarray:
    """Return (rounds, measures) of one simulation."""
    from winnow.plugin.curation.selection import BY_PREDICTION, select

    labelled = np.empty(0, np.int64)
    probs, measured = None, []
    for budget in budgets:
        now = "random" if probs is None and strategy in BY_PREDICTION else strategy
        wanted = budget - len(labelled)
        chosen = select(world.train, wanted, probs, labelled, now, seed)
        if len(chosen) < wanted:
            raise RuntimeError(f"{now} chose {len(chosen)} instead of {wanted} images")
        labelled = np.concatenate([labelled, chosen])
        predict = world.fit(labelled, seed)
        probs = predict(world.train)
        measured.append(world.score(predict))
    return np.array(measured)


def _balanced(sets: list[ImageSet], setting: _Setting, home: Path) -> tuple[list[Target], dict[str, Any]]:
    curves = dict(_simulated(sets, setting, lambda images, seed: images.drawn(setting.half, seed, _POOL), "balanced"))
    return judge_balanced(curves)


def _imbalanced(sets: list[ImageSet], setting: _Setting, home: Path) -> tuple[list[Target], dict[str, Any]]:
    def rarer(images: ImageSet, seed: int) -> World:
        return images.drawn(setting.half, seed, _POOL, rarer=_IMBALANCE)

    return judge_imbalanced(dict(_simulated(sets, setting, rarer, "imbalanced")))


def _several(sets: list[ImageSet], setting: _Setting, home: Path) -> tuple[list[Target], dict[str, Any]]:
    mosaics = [mosaic_set(images, home) for images in sets if images.pixels is not None]
    if not mosaics:
        return [], {}
    most = mosaics[0].trained // 8  # a quarter of the pool
    setting = _Setting(setting.seeds, setting.half, tuple(b for b in setting.budgets if b <= most), setting.strategies)
    return judge_several(
        dict(_simulated(mosaics, setting, lambda images, seed: images.drawn(setting.half, seed, _POOL), "several"))
    )


_SIMULATED = {"balanced": _balanced, "imbalanced": _imbalanced, "several": _several}


def _speed(images: int) -> tuple[list[Target], dict[str, Any]]:
    """Choose 1,000 of a million random candidates by each strategy, with 1,000 labelled ones and ten classes."""
    from winnow.plugin.curation.selection import STRATEGIES, select

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, _SPEED_WIDTH)).astype(np.float32)
    vectors = rng.normal(size=(images, _SPEED_WIDTH)).astype(np.float32)
    for start in range(0, images, 50_000):
        vectors[start : start + 50_000] += 2 * centres[rng.integers(0, 200, len(vectors[start : start + 50_000]))]
    probs = rng.dirichlet(np.full(10, 0.3), images).astype(np.float32)
    before = peak_memory()
    took = {}
    for strategy in STRATEGIES:
        started = time.perf_counter()
        select(vectors, _SPEED_PICKS, probs, np.arange(1_000), strategy)
        took[strategy] = time.perf_counter() - started
        print(f"speed: {strategy} {took[strategy]:.0f} s", file=sys.stderr)
    kept = {"seconds": took, "memory_of_vectors_gb": vectors.nbytes / 1e9, "memory_beside_gb": peak_memory() - before}
    name = f"{_SPEED_PICKS:,} of {images:,} x {_SPEED_WIDTH}"
    targets = [
        Target(f"{name}: seconds of the slowest strategy", max(took.values()), at_most=180),
        Target(f"{name}: GB of memory beside the vectors", kept["memory_beside_gb"], at_most=2.0),
    ]
    return targets, kept


if __name__ == "__main__":
    main()
