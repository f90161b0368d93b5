"""Wrong labels: where to cut, and how good the ranking is, beside cleanlab on the same probabilities.

    python -m benchmarks.label_issues [--data FOLDER] [--seeds N] [--quick] [--json]

Labels of the embedded Fashion-MNIST images (and, with `--data`, of CIFAR-10's first 6,000 training images) are made
wrong in many ways; classifiers of differing strength are trained on the wrong labels, and their out-of-fold
probabilities are given to `find_label_issues` and to every filter of cleanlab (left out where it is not installed). The
best threshold is the one on the given label's probability that is best in hindsight. FOLDER holds `cifar10-train.zip`
(JPEG files in CIFAR-10's order) and `labels.npz` (arrays `train_true`, and `train_noisy`: CIFAR-10N "aggregate", Wei et
al. 2022); with it all 50,000 images are also judged from images alone. `--quick`: two kinds of noise, a smoke test.
"""

from __future__ import annotations

import argparse
import time
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .isolation import isolate
from .report import Target, finish

_CELLS = (
    ("none", 0.0),
    *(("symmetric", rate) for rate in (0.01, 0.05, 0.1, 0.2, 0.4)),
    *(("pairs", rate) for rate in (0.05, 0.1, 0.2, 0.3)),
    *(("classes", rate) for rate in (0.05, 0.1, 0.2, 0.4)),
    *(("images", rate) for rate in (0.05, 0.1, 0.2)),
)
_QUICK = (("none", 0.0), ("symmetric", 0.1))
_CLASSES = 10
_FOLDS = 5
_CIFAR = 6_000
_STRONG = 0.85  # accuracy from which a classifier is called strong
_FILTERS = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given")


@dataclass(frozen=True, eq=False)
class Cell:
    """One dataset with one kind of noise, and one classifier's out-of-fold probabilities."""

    data: str
    noise: str
    rate: float
    classifier: str
    seed: int
    labels: np.ndarray
    true: np.ndarray
    probabilities: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10 and its noisy labels")
    parser.add_argument("--seeds", type=int, default=5, help="seeds a cell")
    parser.add_argument("--quick", action="store_true", help="two kinds of noise, one seed: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    targets, details = measure(isolate(), arguments.data, 1 if arguments.quick else arguments.seeds, arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, data: Path | None, seeds: int, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    sets = {"Fashion-MNIST": _fashion(home)}
    details: dict[str, Any] = {}
    targets: list[Target] = []
    if data is not None:
        vectors, true, noisy = _cifar(home, data, 2_000 if quick else 50_000)
        sets["CIFAR-10"] = (_components(vectors[:_CIFAR], 200), true[:_CIFAR])
        details["images_alone"] = _from_images(vectors, true, noisy)
        targets.append(Target("CIFAR-10N from images alone: average precision", details["images_alone"]["AP"], 0.70))
        targets.append(
            Target("CIFAR-10N: F1 over the best cleanlab filter's", details["images_alone"]["over_best_filter"], 1.0)
        )
        targets.append(
            Target("CIFAR-10N: F1 over the best threshold's", details["images_alone"]["over_best_threshold"], 0.97)
        )
    judged = [_judge(cell) for cell in _cells(sets, seeds, quick)]
    noisy_cells = [row for row in judged if row["noise"] != "none"]
    strong = [
        row
        for row in noisy_cells
        if row["noise"] in ("symmetric", "pairs") and 0.05 <= row["rate"] <= 0.2 and row["accuracy"] >= _STRONG
    ]
    clean = [row for row in judged if row["noise"] == "none"]
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
    covered = float(np.mean([row["interval"][0] <= row["wrong"] <= row["interval"][1] for row in noisy_cells]))
    targets.append(Target("share of cells whose interval holds the number", covered, 0.85))
    surplus = max(row["flagged_share"] - row["error"] for row in clean)
    targets.append(Target("clean labels: flagged beyond the classifier's errors", surplus, at_most=0.01))
    seconds = _seconds_of_scoring(1_000 if quick else 50_000, 100)
    targets.append(Target("seconds for 50,000 x 100 probabilities", seconds, at_most=2.0))
    return targets, {**details, "cells": judged}


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


def _from_images(vectors: np.ndarray, true: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Judge human labels from embeddings alone; cleanlab gets the probe's out-of-fold probabilities."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    from winnow.plugin.curation.label_issues import find_label_issues
    from winnow.plugin.curation.probe import fit_probe

    wrong = labels != true
    start = time.perf_counter()
    found = find_label_issues(labels, embeddings=vectors)
    seconds = time.perf_counter() - start
    suspicious = 1 - found.quality.astype(np.float64)
    order = np.argsort(-suspicious, kind="stable")
    probe = fit_probe(vectors, labels, _CLASSES).held_out_probabilities()
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


def _cells(sets: dict[str, tuple[np.ndarray, np.ndarray]], seeds: int, quick: bool) -> Iterator[Cell]:
    for data, (vectors, true) in sets.items():
        for seed in range(seeds):
            usual = _out_of_fold("linear", vectors, true, seed)
            for noise, rate in _QUICK if quick else _CELLS:
                labels = _made_wrong(noise, rate, true, usual, seed)
                for classifier in ("linear",) if quick else ("few numbers", "linear", "two layers", "neighbours"):
                    probabilities = _out_of_fold(classifier, vectors, labels, seed)
                    yield Cell(data, noise, rate, classifier, seed, labels, true, probabilities)


def _made_wrong(noise: str, rate: float, true: np.ndarray, usual: np.ndarray, seed: int) -> np.ndarray:
    """Return labels of which a share is wrong; `usual` are a classifier's probabilities, for noise of images."""
    rng = np.random.default_rng([seed, int(1_000 * rate), len(noise)])
    if noise == "images":  # images that a classifier confuses get the class it would take instead
        others = usual.copy()
        others[np.arange(len(true)), true] = 0
        chance = others.max(axis=1)
        for _ in range(20):
            chance = np.minimum(chance * rate * len(true) / chance.sum(), 0.8)
        return np.where(rng.random(len(true)) < chance, others.argmax(axis=1), true)
    shares, rates = np.ones((_CLASSES, _CLASSES)), np.full(_CLASSES, rate)
    if noise == "pairs":
        shares = np.roll(np.eye(_CLASSES), 1, axis=1)
    if noise == "classes":
        shares = rng.dirichlet(np.full(_CLASSES, 0.3), _CLASSES) + 1e-6
        rates = np.minimum(rate * rng.gamma(2, 0.5, _CLASSES), 0.6)
    np.fill_diagonal(shares, 0)
    shares /= shares.sum(axis=1, keepdims=True)
    drawn = (shares[true].cumsum(axis=1) > rng.random((len(true), 1))).argmax(axis=1)
    return np.where(rng.random(len(true)) < rates[true], drawn, true)


def _out_of_fold(classifier: str, vectors: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    models = {
        "few numbers": LogisticRegression(max_iter=100),
        "linear": LogisticRegression(max_iter=100),
        "two layers": MLPClassifier((128,), max_iter=25, random_state=seed),
        "neighbours": KNeighborsClassifier(20),
    }
    vectors = vectors[:, :8] if classifier == "few numbers" else vectors
    probabilities = np.zeros((len(labels), _CLASSES))
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        for fit, held in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(vectors, labels):
            model = models[classifier].fit(vectors[fit], labels[fit])
            probabilities[np.ix_(held, model.classes_)] = model.predict_proba(vectors[held])
    probabilities = np.maximum(probabilities, 1e-3 if classifier == "neighbours" else 1e-6)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


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


def _fashion(home: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 128 principal components of lite0's vectors of the embedded images, and their classes."""
    sheets = Path(__file__).parents[1] / "examples" / "fashion_mnist"
    names = sorted(path.stem for path in (sheets / "train").glob("*.png"))
    (home / "fashion").mkdir()
    paths, classes = [], []
    for sheet in sorted(sheets.glob("*/*.png")):
        pixels = np.asarray(Image.open(sheet))
        images = pixels.reshape(pixels.shape[0] // 28, 28, -1, 28).transpose(0, 2, 1, 3).reshape(-1, 28, 28)
        for image in images:
            paths.append(str(home / "fashion" / f"{len(paths):05d}.png"))
            Image.fromarray(image).save(paths[-1])
        classes += [names.index(sheet.stem)] * len(images)
    return _components(_embed(paths, home), 128), np.array(classes)


def _cifar(home: Path, data: Path, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lite0 vectors of the first images at 160 px, their true and their human labels."""
    with zipfile.ZipFile(data / "cifar10-train.zip") as archive:
        archive.extractall(home / "cifar10")
    paths = [str(home / "cifar10" / "train" / f"{number:05d}.jpg") for number in range(count)]
    vectors = _embed(paths, home)
    labels = np.load(data / "labels.npz", allow_pickle=False)
    return vectors, labels["train_true"][:count].astype(np.int64), labels["train_noisy"][:count].astype(np.int64)


def _embed(paths: list[str], home: Path) -> np.ndarray:
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    preprocessing = Preprocessing(input=replace(backbone.input, size=160, mode="squash"))
    return embed_images(paths, paths, backbone, preprocessing, cache_root=home / "cache").vectors


def _components(vectors: np.ndarray, count: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    found = PCA(count, random_state=0).fit_transform(vectors)
    return found / found.std()


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


if __name__ == "__main__":
    main()
