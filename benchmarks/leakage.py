"""Leaks between CIFAR-10's training and test images, against the pairs that people found.

    python -m benchmarks.leakage --data FOLDER [--sheet FILE.png] [--quick] [--json]

FOLDER holds `cifar10-train.zip` and `cifar10-test.zip` (JPEG files in CIFAR-10's order), `labels.npz` (arrays
`train_true` and `test_given`) and `leaks-train-test.csv` (columns test, train, judgment: ciFAIR, Barz and Denzler
2020). Only test images of even index are judged there, so only they are scored, by the best pair that each has with
the training set. The list does not hold every pair of the same shot: `--sheet` draws the best unlisted ones. The splits
are then repaired by the flagged pairs. `--quick`: a tenth of the training images and the listed ones, a smoke test.
"""

from __future__ import annotations

import argparse
import csv
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .duplicates import score
from .isolation import isolate
from .report import Target, finish
from .sheets import draw_pairs, png

_SHOWN = 60
_LOOKED_AT = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-10 and the list of leaks")
    parser.add_argument("--sheet", type=png, help="draw the best pairs that are not listed into this PNG file")
    parser.add_argument("--quick", action="store_true", help="a tenth of the training images: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    targets, details = measure(isolate(), arguments.data, arguments.sheet, quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, data: Path, sheet: Path | None, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    from sklearn.metrics import average_precision_score

    for part in ("train", "test"):
        with zipfile.ZipFile(data / f"cifar10-{part}.zip") as archive:
            archive.extractall(home / "cifar10")
    with (data / "leaks-train-test.csv").open() as file:
        listed = [(int(row["test"]), int(row["train"]), int(row["judgment"])) for row in csv.DictReader(file)]
    kept = sorted({*range(0, 50_000, 10 if quick else 1), *(train for _, train, _ in listed)})
    tests = range(0, 10_000, 2)
    train = [str(home / "cifar10" / "train" / f"{number:05d}.jpg") for number in kept]
    test = [str(home / "cifar10" / "test" / f"{number:05d}.jpg") for number in tests]
    splits = np.array(["train"] * len(train) + ["test"] * len(test), dtype=object)
    found = score(train + test, home / "cache", splits)

    across = (found.rows[:, 0] < len(train)) & (found.rows[:, 1] >= len(train))
    rows, scores = found.rows[across], found.score[across].astype(np.float64)
    order = np.arange(len(rows), 0, -1) * 1e-9  # pairs come best first; equal scores keep that order
    best = np.full(len(test), -1.0)
    np.maximum.at(best, rows[:, 1] - len(train), scores + order)
    leaks = np.isin(tests, [number for number, _, _ in listed])
    near = np.isin(tests, [number for number, _, judgment in listed if judgment == 1])
    first = np.argsort(-best, kind="stable")[:_LOOKED_AT]
    pairs = {(kept[a], tests[b - len(train)]) for a, b in rows}
    if sheet is not None:
        _draw(sheet, train, test, rows, leaks)
    flagged = np.unique(rows[scores >= found.threshold, 1]) - len(train)
    targets = [
        Target("average precision of test images as leaks", float(average_precision_score(leaks, best)), at_least=0.75),
        Target("recall among the first 500", float(leaks[first].sum() / leaks.sum()), at_least=0.92),
    ]
    with np.load(data / "labels.npz") as known:
        labels = np.concatenate([known["train_true"][kept], known["test_given"][tests]]).astype(np.int64)
    repair_targets, repair_details = _repair(found, splits, labels)
    targets += repair_targets
    details = {
        **repair_details,
        "average_precision_near_duplicates_only": round(float(average_precision_score(near, best)), 3),
        "candidates_hold": round(float(np.mean([(b, a) in pairs for a, b, _ in listed])), 3),
        "flagged_test_images": len(flagged),
        "flagged_and_listed": int(leaks[flagged].sum()),
        "listed": int(leaks.sum()),
        "threshold": round(float(found.threshold), 3),
        "expected_precision": round(found.precision, 3),
        "expected_recall_of_edited_copies": found.recall,
        "images": len(train) + len(test),
    }
    return targets, details


def _repair(found: Any, splits: np.ndarray, labels: np.ndarray) -> tuple[list[Target], dict[str, Any]]:
    """Repair the splits by the flagged pairs, and measure what is left and how far the classes moved."""
    from winnow.plugin.curation.split_repair import repair_splits
    from winnow.plugin.curation.splitting import count_classes
    from winnow.plugin.curation.units import join_units

    flagged = found.rows[found.flagged]
    units = join_units(len(splits), flagged)
    repaired = repair_splits(splits, labels, units)
    left = int(np.sum(repaired.split[flagged[:, 0]] != repaired.split[flagged[:, 1]]))
    before, after = (count_classes(labels, names, ("train", "test"))[:-1] for names in (splits, repaired.split))
    moved = np.abs(after - before) / before
    return [
        Target("flagged cross-split pairs after the repair", left, at_most=0),
        Target("largest change of a class in a split by the repair, in percent", 100 * float(moved.max()), at_most=0.5),
    ], {
        "repair_moved_to_test": int(np.sum(repaired.target == "test")),
        "repair_moved_to_train": int(np.sum(repaired.target == "train")),
        "largest_unit": int(np.bincount(units).max()),
    }


def _draw(sheet: Path, train: list[str], test: list[str], rows: np.ndarray, leaks: np.ndarray) -> None:
    """Draw the best pair of each of the first test images that are not listed, training image first."""
    shown: dict[int, int] = {}
    for a, b in rows.tolist():
        if not leaks[b - len(train)] and len(shown) < _SHOWN:
            shown.setdefault(b - len(train), a)
    draw_pairs(sheet, {"best pairs that are not listed": [(train[a], test[b]) for b, a in shown.items()]})


if __name__ == "__main__":
    main()
