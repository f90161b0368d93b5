"""How many labels a good choice of images saves, against choosing at random: a simulated annotator on real data.

    python -m benchmarks.active_learning --fashion /usr/share/datasets/fashion-mnist [--data CIFAR10] [--part NAME]
    python -m benchmarks.active_learning --quick

`--fashion`: the folder of Debian's package dataset-fashion-mnist. `--data`: the folder `cifar10`. `--part`: only
"balanced", "imbalanced" (half of the classes a tenth as large), "several" (mosaics of several garments) or "speed".
`--quick`: the embedded images, a smoke test. `--development`: the other half of the images, which the default strategy
was tuned on. `--vectors FILE.npz`, `--curves FOLDER`: keep vectors and simulations there, and go on from there.

A round: choose, reveal the labels, fit a probe, measure it on test images. The vectors are lite0's, in their 256 main
directions and rotated at random, in which a probe is as good and a round costs a tenth.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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
_COMPARED = ("random", "auto", "margin")  # where not all strategies are
_IMBALANCE = 10
_POOL = 5_000
_SPEED_IMAGES, _SPEED_WIDTH, _SPEED_PICKS, _SPEED_BLOCK = 1_000_000, 384, 1_000, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the embedded images: a smoke test")
    parser.add_argument("--fashion", type=Path, help="folder of the package dataset-fashion-mnist")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--seeds", type=int, default=20, help="simulations of each strategy")
    parser.add_argument("--strategies", help="only these, with commas")
    parser.add_argument("--vectors", type=Path, help="keep the vectors in this file")
    parser.add_argument("--curves", type=Path, help="keep each simulation in this folder, and go on from there")
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
        budgets = _QUICK_BUDGETS if arguments.quick else BUDGETS
        setting = _Setting(seeds, half, budgets, _strategies(arguments), arguments.curves)
        for part in parts:
            if part in _SIMULATED:
                found, kept = _SIMULATED[part](sets, setting, home)
                targets += found
                details[part] = kept
    if "speed" in parts:
        found, kept = _speed(*((5_000, 100) if arguments.quick else (_SPEED_IMAGES, _SPEED_PICKS)))
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
    """What all simulations share.

    Attributes:
        seeds: One simulation of each strategy for each.
        half: Which half of the images, 0 or 1; the other one serves development.
        budgets: Labels after which a round ends.
        strategies: What is compared.
        curves: Folder that keeps each simulation's curve; None = none are kept.
    """

    seeds: range
    half: int
    budgets: tuple[int, ...]
    strategies: tuple[str, ...]
    curves: Path | None

    def kept(self, key: str, work_out: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
        """Return an array that is worked out once, where there is a folder to keep it in."""
        if self.curves is None:
            return work_out(*arguments)
        file = self.curves / f"{key}.npy"
        if not file.is_file():
            self.curves.mkdir(parents=True, exist_ok=True)
            np.save(file, work_out(*arguments))
        return np.load(file, allow_pickle=False)


def _simulated(
    sets: list[ImageSet], setting: _Setting, worlds: Callable[[ImageSet, int], World], name: str
) -> dict[str, Curves]:
    """Return the learning curves of each set, of all seeds."""
    found = {images.name: {strategy: [] for strategy in setting.strategies} for images in sets}
    full: dict[str, list[np.ndarray]] = {images.name: [] for images in sets}
    for seed in setting.seeds:
        for images in sets:
            world = worlds(images, seed)
            key = f"{name} {images.name} {setting.half} {seed}"
            full[images.name].append(setting.kept(f"{key} full", _with_all_labels, world, seed))
            for strategy in setting.strategies:
                curve = setting.kept(f"{key} {strategy}", _simulate, world, strategy, seed, setting.budgets)
                found[images.name][strategy].append(curve)
        print(f"{name}: seed {seed} done", file=sys.stderr)
    return {
        each: Curves(
            np.array(setting.budgets),
            {strategy: np.array(curves) for strategy, curves in found[each].items()},
            np.array(full[each]),
        )
        for each in found
    }


def _with_all_labels(world: World, seed: int) -> np.ndarray:
    return world.score(world.fit(np.arange(len(world.train)), seed))


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
    return judge_balanced(
        _simulated(sets, setting, lambda images, seed: images.drawn(setting.half, seed, _POOL), "balanced")
    )


def _imbalanced(sets: list[ImageSet], setting: _Setting, home: Path) -> tuple[list[Target], dict[str, Any]]:
    def rarer(images: ImageSet, seed: int) -> World:
        return images.drawn(setting.half, seed, _POOL, rarer=_IMBALANCE)

    compared = replace(setting, strategies=_COMPARED)
    return judge_imbalanced(_simulated(sets, compared, rarer, "imbalanced"))


def _several(sets: list[ImageSet], setting: _Setting, home: Path) -> tuple[list[Target], dict[str, Any]]:
    mosaics = [mosaic_set(images, home) for images in sets if images.pixels is not None]
    if not mosaics:
        return [], {}
    most = mosaics[0].trained // 8  # a quarter of the pool
    fewer = replace(setting, strategies=_COMPARED, budgets=tuple(each for each in setting.budgets if each <= most))
    return judge_several(
        _simulated(mosaics, fewer, lambda images, seed: images.drawn(setting.half, seed, _POOL), "several")
    )


_SIMULATED = {"balanced": _balanced, "imbalanced": _imbalanced, "several": _several}


def _speed(images: int, picks: int) -> tuple[list[Target], dict[str, Any]]:
    """Choose some of many random candidates by each strategy, with 1,000 labelled ones and ten classes."""
    from winnow.plugin.curation.selection import STRATEGIES, select

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, _SPEED_WIDTH)).astype(np.float32)
    vectors, probs = np.empty((images, _SPEED_WIDTH), np.float32), np.empty((images, 10), np.float32)
    for start in range(0, images, _SPEED_BLOCK):  # in blocks, so that the peak of memory is not that of making them
        part = slice(start, min(start + _SPEED_BLOCK, images))
        count = part.stop - part.start
        vectors[part] = (
            rng.standard_normal((count, _SPEED_WIDTH), np.float32) + 2 * centres[rng.integers(0, 200, count)]
        )
        probs[part] = rng.dirichlet(np.full(10, 0.3), count)
    before = peak_memory()
    took, processor = {}, {}
    for strategy in STRATEGIES:
        started = time.perf_counter(), time.process_time()
        select(vectors, picks, probs, np.arange(1_000), strategy)
        took[strategy], processor[strategy] = time.perf_counter() - started[0], time.process_time() - started[1]
        print(f"speed: {strategy} {took[strategy]:.0f} s", file=sys.stderr)
    kept = {
        "seconds": took,
        "processor_seconds": processor,
        "memory_of_vectors_gb": vectors.nbytes / 1e9,
        "memory_beside_gb": peak_memory() - before,
    }
    name = f"{picks:,} of {images:,} x {_SPEED_WIDTH}"
    targets = [
        Target(f"{name}: seconds of the slowest strategy", max(took.values()), at_most=180),
        Target(f"{name}: GB of memory beside the vectors", kept["memory_beside_gb"], at_most=2.0),
    ]
    return targets, kept


if __name__ == "__main__":
    main()
