"""Wrong labels: where to cut, and how good the ranking is, beside cleanlab on the same probabilities.

    python -m benchmarks.label_issues [--data FOLDER] [--seeds N] [--quick | --scale | --speed] [--json]

Labels of the embedded Fashion-MNIST images (and, with `--data`, of CIFAR-10's first 6,000 training images) are made
wrong in many ways; classifiers of differing strength are trained on the wrong labels, and their out-of-fold
probabilities are given to `find_label_issues` and to every filter of cleanlab (left out where it is not installed). The
best threshold is the one on the given label's probability that is best in hindsight. The same is done with classes of
which the largest is 50 times as large as the smallest, and with several classes in an image (2 x 2 mosaics).

FOLDER holds `cifar10-train.zip` (JPEG files in CIFAR-10's order) and `labels.npz` (arrays `train_true`, and
`train_noisy`: CIFAR-10N "aggregate", Wei et al. 2022); with it all 50,000 images are also judged from images alone (by
`lite0+layers`: half an hour of embedding on two cores), and the probe is timed beside scikit-learn's logistic
regression. `--quick`: two kinds of noise, a smoke test. `--scale`: only the memory and time for 1,000,000 x 1,000
probabilities on disk (2 GB). `--speed`, with `--data`: only the probe beside logistic regression on `lite0`'s 1,280
numbers.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .isolation import isolate
from .label_cells import (
    CLASSES,
    FOLDS,
    Cell,
    cells,
    cifar,
    components,
    embed,
    fashion,
    made_wrong,
    mosaics,
    out_of_fold,
    vectors_and_thumbnails,
)
from .report import Target, finish, peak_memory

_CIFAR = 6_000
_STRONG = 0.85  # accuracy from which a classifier is called strong
_FILTERS = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given")
_DROPPED, _ADDED = 0.05, 0.01  # of the classes that are in an image, and of those that are not


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10 and its noisy labels")
    parser.add_argument("--seeds", type=int, default=5, help="seeds a cell")
    parser.add_argument("--quick", action="store_true", help="two kinds of noise, one seed: a smoke test")
    parser.add_argument("--scale", action="store_true", help="only the memory for a million labels of 1,000 classes")
    parser.add_argument("--speed", action="store_true", help="only the probe beside logistic regression")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    home = isolate()
    if arguments.scale:
        targets, details = _scale(home / "probabilities", 1_000_000, 1_000)
        finish(targets, details, as_json=arguments.json)
        return
    if arguments.speed:
        if arguments.data is None:
            parser.error("--speed needs --data")
        finish(*_speed(home, arguments.data), as_json=arguments.json)
        return
    targets, details = measure(home, arguments.data, 1 if arguments.quick else arguments.seeds, arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, data: Path | None, seeds: int, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    sets = {"Fashion-MNIST": fashion(home)}
    details: dict[str, Any] = {}
    targets: list[Target] = []
    if data is not None:
        paths, true, noisy = cifar(home, data, 2_000 if quick else 50_000)
        sets["CIFAR-10"] = (components(embed(paths[:_CIFAR], home), 200), true[:_CIFAR])
        vectors, thumbnails = vectors_and_thumbnails(paths, home, "lite0+layers", 224)
        details["images_alone"] = _from_images(vectors, thumbnails, true, noisy)
        targets.append(Target("CIFAR-10N from images alone: average precision", details["images_alone"]["AP"], 0.70))
        targets.append(
            Target("CIFAR-10N: F1 over the best cleanlab filter's", details["images_alone"]["over_best_filter"], 1.0)
        )
        targets.append(
            Target("CIFAR-10N: F1 over the best threshold's", details["images_alone"]["over_best_threshold"], 0.97)
        )
        timed = details["probe"] = _beside_logistic_regression(vectors, noisy, noisy != true)
        targets += _probe_targets(timed)
    everything = [_judge(cell) for cell in cells(sets, seeds, quick)]
    judged = [row for row in everything if not row["long_tail"]]
    noisy_cells = [row for row in judged if row["noise"] != "none"]
    strong = [
        row
        for row in noisy_cells
        if row["noise"] in ("symmetric", "pairs") and 0.05 <= row["rate"] <= 0.2 and row["accuracy"] >= _STRONG
    ]
    clean = [row for row in everything if row["noise"] == "none"]
    if all("best_filter" in row for row in noisy_cells):
        worst = min(row["F1"] - row["best_filter"] for row in noisy_cells)
        targets.append(Target("lowest F1 less the best cleanlab filter's", worst, -0.01))
    targets.append(
        Target("median F1 over the best threshold's", float(np.median([row["ratio"] for row in noisy_cells])), 0.95)
    )
    if strong:
        targets.append(Target("the same, lowest of strong classifiers", min(row["ratio"] for row in strong), 0.95))
        error = max(abs(row["estimated"] / row["wrong"] - 1) for row in strong)
        targets.append(Target("number of errors, largest deviation there", error, at_most=0.2))
        right = float(np.mean([row["suggestions_right"] for row in strong]))
        targets.append(Target("suggestions right where the flag is, there", right, 0.95))
    long_tail = [row for row in everything if row["long_tail"] and "ratio" in row]
    ratio = float(np.median([row["ratio"] for row in long_tail]))
    targets.append(Target("classes 50:1: median F1 over the best threshold's", ratio, 0.95))
    covered = float(np.mean([row["interval"][0] <= row["wrong"] <= row["interval"][1] for row in noisy_cells]))
    targets.append(Target("share of cells whose interval holds the number", covered, 0.85))
    surplus = max(row["flagged_share"] - row["error"] for row in clean)
    targets.append(Target("clean labels: flagged beyond the classifier's errors", surplus, at_most=0.01))
    for name, (vectors, true) in sets.items():
        details[f"{name}: accuracy after cleaning"] = _after_cleaning(vectors, true)
    several = details["several classes an image"] = _several_classes(home, 500 if quick else 3_000)
    if "cleanlab_AP" in several:
        targets.append(Target("several classes: AP over cleanlab's", several["AP"] / several["cleanlab_AP"], 1.0))
    seconds = _seconds_of_scoring(1_000 if quick else 50_000, 100)
    targets.append(Target("seconds for 50,000 x 100 probabilities", seconds, at_most=2.0))
    return targets, {**details, "cells": everything}


def _judge(cell: Cell) -> dict[str, Any]:
    """Return the figures of one cell."""
    from winnow.plugin.curation.label_issues import find_label_issues

    wrong = cell.labels != cell.true
    found = find_label_issues(cell.labels, cell.probabilities)
    own = cell.probabilities[np.arange(len(wrong)), cell.labels]
    row: dict[str, Any] = {
        "data": cell.data,
        "noise": cell.noise,
        "rate": cell.rate,
        "classifier": cell.classifier,
        "seed": cell.seed,
        "accuracy": round(float((cell.probabilities.argmax(axis=1) == cell.true).mean()), 3),
        "told": found.noise,
        "wrong": int(wrong.sum()),
        "estimated": round(found.estimated, 1),
        "interval": [round(bound, 1) for bound in found.interval],
        "flagged_share": float(found.is_issue.mean()),
        "error": float((cell.probabilities.argmax(axis=1) != cell.true).mean()),
        "long_tail": cell.long_tail,
        "false_flags_by_class": [
            round(float((found.is_issue & ~wrong)[cell.labels == label].mean()), 3) for label in range(CLASSES)
        ],
    }
    if not wrong.any():
        return row
    best = _best_f1(own, wrong)
    hits = found.is_issue & wrong
    row["F1"], row["best_threshold"] = _f1(found.is_issue, wrong), best
    row["ratio"] = row["F1"] / best
    row["suggestions_right"] = float((found.suggested == cell.true)[hits].mean()) if hits.any() else float("nan")
    if filters := _cleanlab(cell.labels, cell.probabilities, wrong):
        row["best_filter"], row["default_filter"] = max(filters.values()), filters["prune_by_noise_rate"]
    return row


def _from_images(vectors: np.ndarray, thumbnails: np.ndarray, true: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Judge human labels from images alone; cleanlab gets the probe's out-of-fold probabilities."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    from winnow.plugin.curation.label_issues import find_label_issues
    from winnow.plugin.curation.probe import fit_probe

    wrong = labels != true
    start = time.perf_counter()
    found = find_label_issues(labels, embeddings=vectors, thumbnails=thumbnails)
    seconds = time.perf_counter() - start
    suspicious = 1 - found.quality.astype(np.float64)
    order = np.argsort(-suspicious, kind="stable")
    probe = fit_probe(vectors, labels, CLASSES).held_out_probabilities(vectors)
    filters = _cleanlab(labels, probe, wrong)
    f1 = _f1(found.is_issue, wrong)
    best = max(filters.values(), default=float("nan"))
    return {
        "AP": float(average_precision_score(wrong, suspicious)),
        "AUROC": float(roc_auc_score(wrong, suspicious)),
        **{f"precision_at_{k}": float(wrong[order[:k]].mean()) for k in (100, 1_000, int(wrong.sum()))},
        "probe_AP": float(average_precision_score(wrong, -probe[np.arange(len(labels)), labels])),
        "F1": f1,
        "over_best_filter": f1 / best,
        "over_best_threshold": f1 / _best_f1(found.quality.astype(np.float64), wrong),
        "filters": filters,
        "wrong": int(wrong.sum()),
        "estimated": found.estimated,
        "interval": list(found.interval),
        "told": found.noise,
        "suggestions_right": float((found.suggested == true)[found.is_issue & wrong].mean()),
        "seconds": seconds,
    }


def _cleanlab(labels: np.ndarray, probabilities: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Return the F1 of each of cleanlab's filters; empty where it is not installed."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return {}
    return {name: _f1(find_label_issues(labels, probabilities, filter_by=name, n_jobs=1), wrong) for name in _FILTERS}


def _f1(flagged: np.ndarray, wrong: np.ndarray) -> float:
    return 2 * float((flagged & wrong).sum()) / max(float(flagged.sum() + wrong.sum()), 1.0)


def _best_f1(quality: np.ndarray, wrong: np.ndarray) -> float:
    """Return the F1 of the threshold that is best in hindsight."""
    hits = np.cumsum(wrong[np.argsort(quality, kind="stable")])
    return float((2 * hits / (np.arange(1, len(wrong) + 1) + wrong.sum())).max())


def _speed(home: Path, data: Path) -> tuple[list[Target], dict[str, Any]]:
    paths, true, noisy = cifar(home, data, 50_000)
    timed = _beside_logistic_regression(embed(paths, home), noisy, noisy != true)
    return _probe_targets(timed), {"probe": timed}


def _probe_targets(timed: dict[str, float]) -> list[Target]:
    return [
        Target("CIFAR-10N: seconds of logistic regression over the probe's", timed["ratio"], 50),
        Target("CIFAR-10N: AP of the probe over its", timed["AP"] / timed["peer_AP"], 1.0),
    ]


def _beside_logistic_regression(vectors: np.ndarray, labels: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Time our out-of-fold probabilities and scikit-learn's, on the same rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import cross_val_predict
    from sklearn.preprocessing import StandardScaler

    from winnow.plugin.curation.probe import fit_probe

    own = np.arange(len(labels))
    start = time.perf_counter()
    ours = fit_probe(vectors, labels, CLASSES).held_out_probabilities(vectors)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    model = LogisticRegression(max_iter=1_000)
    theirs = cross_val_predict(model, StandardScaler().fit_transform(vectors), labels, cv=FOLDS, method="predict_proba")
    peer = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peer_seconds": peer,
        "ratio": peer / seconds,
        "AP": float(average_precision_score(wrong, -ours[own, labels])),
        "peer_AP": float(average_precision_score(wrong, -theirs[own, labels])),
    }


def _after_cleaning(vectors: np.ndarray, true: np.ndarray, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return the accuracy on clean labels of a third of the rows after training on the others' labels.

    As they are, without the flagged ones, with the suggestions in their place, and as they should be.
    """
    from winnow.plugin.curation.label_issues import find_label_issues
    from winnow.plugin.curation.probe import fit_probe

    rng = np.random.default_rng(seed)
    order = rng.permutation(len(true))
    judging, training = order[: len(true) // 3], order[len(true) // 3 :]
    rows, right = vectors[training], true[training]
    usual = out_of_fold("linear", rows, right, seed)
    found = {}
    for noise, rate in (("symmetric", 0.1), ("symmetric", 0.3), ("pairs", 0.2), ("images", 0.1)):
        labels = made_wrong(noise, rate, right, usual, seed)
        issues = find_label_issues(labels, embeddings=rows)
        left = ~issues.is_issue
        arms = {
            "as they are": (rows, labels),
            "without the flagged": (rows[left], labels[left]),
            "with the suggestions": (rows, np.where(left, labels, issues.suggested)),
            "as they should be": (rows, right),
        }
        found[f"{noise} {rate:.0%}"] = {
            name: float((fit_probe(*arm, CLASSES).logits(vectors[judging]).argmax(axis=1) == true[judging]).mean())
            for name, arm in arms.items()
        }
    return found


def _several_classes(home: Path, count: int, seed: int = 0) -> dict[str, float]:
    """Drop classes of mosaics and add others; judge them, and let cleanlab judge them, with the same probabilities."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import cross_val_predict

    from winnow.plugin.curation.label_issues import find_label_issues

    vectors, thumbnails, present = mosaics(home, count)
    draws = np.random.default_rng(seed).random(present.shape)
    wrong = draws < np.where(present == 1, _DROPPED, _ADDED)
    labels = np.where(wrong, 1 - present, present)
    few = components(vectors, 128)
    model = LogisticRegression(max_iter=200)
    likely = [
        cross_val_predict(model, few, column.astype(int), cv=FOLDS, method="predict_proba")[:, 1] for column in labels.T
    ]
    probabilities = np.stack(likely, axis=1)
    images = {"embeddings": vectors, "thumbnails": thumbnails}
    found, alone = find_label_issues(labels, probabilities), find_label_issues(labels, **images)
    result = {
        "AP": float(average_precision_score(wrong.ravel(), 1 - found.quality.ravel())),
        "AP_from_images_alone": float(average_precision_score(wrong.ravel(), 1 - alone.quality.ravel())),
        "precision": float(wrong[found.is_issue].mean()),
        "recall": float(found.is_issue[wrong].mean()),
        "wrong": int(wrong.sum()),
        "estimated": found.estimated,
        "estimated_from_images_alone": alone.estimated,
        "clean_labels_flagged": float(find_label_issues(present, **images).is_issue.mean()),
    }
    try:
        from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class
    except ImportError:
        return result
    quality = get_label_quality_scores_per_class([np.flatnonzero(row).tolist() for row in labels], probabilities)
    return {**result, "cleanlab_AP": float(average_precision_score(wrong.ravel(), 1 - np.asarray(quality).ravel()))}


def _seconds_of_scoring(count: int, classes: int) -> float:
    from winnow.plugin.curation.label_issues import find_label_issues

    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, count)
    scores = rng.normal(size=(count, classes)) + 6 * np.eye(classes)[true]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = np.where(rng.random(count) < 0.1, rng.integers(0, classes, count), true)
    start = time.perf_counter()
    find_label_issues(labels, probabilities)
    return time.perf_counter() - start


def _scale(path: Path, count: int, classes: int) -> tuple[list[Target], dict[str, Any]]:
    """Judge probabilities that lie on disk, written by another process so that this one's memory is its own."""
    from winnow.plugin.curation.label_issues import find_label_issues

    program = f"from benchmarks.label_issues import write_scale; write_scale({str(path)!r}, {count}, {classes})"
    subprocess.run([sys.executable, "-c", program], check=True)
    probabilities = np.memmap(path, np.float16, "r", shape=(count, classes))
    labels, wrong = np.load(f"{path}.labels.npy"), np.load(f"{path}.wrong.npy")
    start = time.perf_counter()
    found = find_label_issues(labels, probabilities)
    seconds = time.perf_counter() - start
    own = (found.is_issue & wrong).sum()
    details = {
        "seconds": seconds,
        "precision": float(own / found.is_issue.sum()),
        "recall": float(own / wrong.sum()),
        "estimated_over_true": found.estimated / float(wrong.sum()),
    }
    return [Target("peak memory for 1,000,000 x 1,000 probabilities, GB", peak_memory(), at_most=4)], details


def write_scale(path: str, count: int, classes: int) -> None:
    """Write (count, classes) float16 probabilities, labels of which 5 % are wrong, and which these are."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, count)
    labels = np.where(rng.random(count) < 0.05, rng.integers(0, classes, count), true)
    probabilities = np.memmap(path, np.float16, "w+", shape=(count, classes))
    for start in range(0, count, 10_000):
        part = slice(start, min(start + 10_000, count))
        scores = 1.2 * rng.standard_normal((part.stop - start, classes), dtype=np.float32)
        scores[np.arange(len(scores)), true[part]] += rng.normal(8.4, 2.4, len(scores))
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities[part] = likely / likely.sum(axis=1, keepdims=True)
    probabilities.flush()
    np.save(f"{path}.labels.npy", labels)
    np.save(f"{path}.wrong.npy", labels != true)


if __name__ == "__main__":
    main()
