"""How often a drift is seen where there is none, and where there is one: real images, and tests that people use.

    python -m benchmarks.drift --fashion /usr/share/datasets/fashion-mnist [--data CIFAR10] [--part NAME] [--json]
    python -m benchmarks.drift --quick

`--fashion`: the folder of Debian's package dataset-fashion-mnist. `--data`: the folder `cifar10`. `--part`: only "false
alarms", "stored" (false alarms too, against what is kept with a classifier), "changes" (blurred, darker, flatter, noisy
and compressed images), "labels" (one class more frequent by ten points), "unseen" (5 % of a class that the classifier
does not know) or "speed". `--quick`: the embedded images, a smoke test. `--vectors FOLDER`: keep vectors there, and go
on from there.

A trial: draw a reference and a current set, let a probe predict both, compare. The vectors are lite0's at 160 px.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .drift_baselines import BASELINES
from .drift_data import CHANGES, ImageSet, Trial, embedded_images, image_sets
from .isolation import isolate
from .report import Target, finish

PARTS = ("false alarms", "stored", "changes", "labels", "unseen", "speed")
_ALPHA = 0.05
_POWER = 0.95
_POINTS = 10
_SHARE = 0.05
_OURS = "winnow"
Draw = Callable[[ImageSet, int, np.random.Generator], Trial]


@dataclass(frozen=True)
class _Sizes:
    """Images of each set, and how often each is drawn.

    Attributes:
        alarms: For false alarms; `splits` of each size, of all image sets together.
        stored: For those against stored references: images, classifiers of each set, and trials of each.
        changes, labels: For these, `trials` of each.
        unseen: Images and trials.
        speed: Images of the one comparison.
    """

    alarms: tuple[int, ...] = (100, 500, 5_000)
    splits: int = 1_000
    stored: tuple[int, int, int] = (500, 10, 20)
    changes: int = 500
    labels: int = 2_000
    trials: int = 50
    unseen: tuple[tuple[int, int], ...] = ((500, 200), (5_000, 20))
    speed: int = 100_000


_QUICK = _Sizes(
    alarms=(50,), splits=6, stored=(50, 1, 2), changes=100, labels=100, trials=2, unseen=((100, 2),), speed=2_000
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the embedded images: a smoke test")
    parser.add_argument("--fashion", type=Path, help="folder of the package dataset-fashion-mnist")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--vectors", type=Path, help="keep the vectors in this folder")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    if not arguments.quick and arguments.fashion is None and arguments.data is None and arguments.part != ["speed"]:
        parser.error("name --fashion and/or --data, or take --quick")
    home = isolate()
    sizes = _QUICK if arguments.quick else _Sizes()
    parts = arguments.part or PARTS
    sets: list[ImageSet] = []
    if any(part != "speed" for part in parts):
        drawn = image_sets(home, arguments.fashion, arguments.data, arguments.vectors)
        sets = [embedded_images(home)] if arguments.quick else list(drawn)
    targets: list[Target] = []
    details: dict[str, Any] = {}
    for part in parts:
        found, details[part] = _MEASURED[part](sets, sizes)
        targets += found
    finish(targets, details, as_json=arguments.json)


def _false_alarms(sets: list[ImageSet], sizes: _Sizes) -> tuple[list[Target], dict[str, Any]]:
    from scipy.stats import binomtest

    targets, kept = [], {}
    for n in sizes.alarms:
        p_values = _p_values(sets, sizes.splits // len(sets), partial(ImageSet.same, n=n), n, slow=False)
        together = {name: np.concatenate([each[name] for each in p_values.values()]) for name in p_values[sets[0].name]}
        ours = together[_OURS] <= _ALPHA
        interval = binomtest(int(ours.sum()), len(ours)).proportion_ci(method="exact")
        kept[str(n)] = {**_rates(together), "splits": len(ours), "interval": [interval.low, interval.high]}
        name = f"false alarms at {n:,}: lower end of the 95 % interval"
        targets.append(Target(name, float(interval.low), at_most=_ALPHA))
    return targets, kept


def _stored(sets: list[ImageSet], sizes: _Sizes) -> tuple[list[Target], dict[str, Any]]:
    from scipy.stats import binomtest

    n, classifiers, trials = sizes.stored
    p_values = []
    for images in sets:
        for seed in range(classifiers):
            reference = images.stored_reference(seed)
            for number in range(trials):
                rows = np.random.default_rng([n, seed, number]).permutation(len(images.pool))[:n]
                current = images.pool[rows]
                # by whose word the probabilities are, the reference itself knows
                unasked = np.full((n, len(reference.classes)), np.nan, np.float32)
                p_values.append(reference.check(current, unasked, seed=number).p_value)
    alarms = np.array(p_values) <= _ALPHA
    interval = binomtest(int(alarms.sum()), len(alarms)).proportion_ci(method="exact")
    kept = {"rate": float(alarms.mean()), "checks": len(alarms), "interval": [interval.low, interval.high]}
    name = f"false alarms of {n:,} images against stored references: lower end of the 95 % interval"
    return [Target(name, float(interval.low), at_most=_ALPHA)], kept


def _changes(sets: list[ImageSet], sizes: _Sizes) -> tuple[list[Target], dict[str, Any]]:
    targets, kept = [], {}
    for change in CHANGES:
        draw = partial(ImageSet.different, n=sizes.changes, change=change)
        kept[change] = _powers(_p_values(sets, sizes.trials, draw, sizes.changes))
        for images, rates in kept[change].items():
            name = f"{change}, {images}: power at {sizes.changes:,}"
            targets.append(Target(name, rates[_OURS], at_least=_POWER))
    return targets, kept


def _labels(sets: list[ImageSet], sizes: _Sizes) -> tuple[list[Target], dict[str, Any]]:
    n = sizes.labels
    kept = _powers(_p_values(sets, sizes.trials, partial(ImageSet.shifted, n=n, points=_POINTS), n))
    named = {f"label shift of {_POINTS} points, {images}: power at {n:,}": rates for images, rates in kept.items()}
    return [Target(name, rates[_OURS], at_least=_POWER) for name, rates in named.items()], kept


def _unseen(sets: list[ImageSet], sizes: _Sizes) -> tuple[list[Target], dict[str, Any]]:
    targets, kept = [], {}
    for n, trials in sizes.unseen:
        kept[str(n)] = _powers(_p_values(sets, trials, partial(ImageSet.unseen, n=n, share=_SHARE), n))
        for images, rates in kept[str(n)].items():
            best = max(rates[name] for name in BASELINES)
            name = f"5 % of an unseen class, {images}: power at {n:,} less the best baseline's"
            targets.append(Target(name, rates[_OURS] - best, at_least=0.0))
    return targets, kept


def _speed(sets: list[ImageSet], sizes: _Sizes) -> tuple[list[Target], dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.drift_speed", str(sizes.speed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept = json.loads(done.stdout.splitlines()[-1])
    name = f"{sizes.speed:,} against {sizes.speed:,}"
    return [
        Target(f"{name}: seconds", kept["seconds"], at_most=60),
        Target(f"{name}: GB of memory, the vectors' included", kept["memory_gb"], at_most=4.0),
    ], kept


_MEASURED = {
    "false alarms": _false_alarms,
    "stored": _stored,
    "changes": _changes,
    "labels": _labels,
    "unseen": _unseen,
    "speed": _speed,
}


def _p_values(
    sets: list[ImageSet], trials: int, draw: Draw, salt: int, *, slow: bool = True
) -> dict[str, dict[str, np.ndarray]]:
    """Return (trials,) p-values of each test on each set of images.

    Args:
        sets: The images.
        trials: Of each.
        draw: What makes a trial of its number.
        salt: Of the seeds.
        slow: Whether the slowest baseline takes part.
    """
    from winnow.plugin.curation.drift import check_drift

    baselines = {name: test for name, test in BASELINES.items() if slow or name != "logistic regression"}
    found: dict[str, dict[str, np.ndarray]] = {}
    for images in sets:
        p_values = {name: np.empty(trials) for name in (_OURS, *baselines)}
        for number in range(trials):
            rng = np.random.default_rng([salt, number])
            trial = draw(images, number, rng)
            p_values[_OURS][number] = check_drift(
                trial.reference,
                trial.current,
                reference_probs=trial.reference_probs,
                current_probs=trial.current_probs,
                trained_on=trial.trained_on,
                seed=number,
            ).p_value
            for name, test in baselines.items():
                p_values[name][number] = test(trial, rng)
        found[images.name] = p_values
        print(f"{images.name}, {trials} trials: {_rates(p_values)}", file=sys.stderr)
    return found


def _powers(p_values: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, float]]:
    return {images: _rates(each) for images, each in p_values.items()}


def _rates(p_values: dict[str, np.ndarray]) -> dict[str, float]:
    """Return how often each test sees a drift."""
    return {name: round(float((each <= _ALPHA).mean()), 4) for name, each in p_values.items()}


if __name__ == "__main__":
    main()
