"""The probe beside scikit-learn's LogisticRegressionCV; fine-tuning beside its probe and a bare torch loop; imbalance;
and a classifier that is trained further on a part of its classes.

    python -m benchmarks.training --fashion /usr/share/datasets/fashion-mnist [--data CIFAR10] [--part NAME] [--json]
    python -m benchmarks.training --quick

`--fashion`: the folder of Debian's package dataset-fashion-mnist (60,000 + 10,000 images). `--data`: the folder
`cifar10` (`cifar10-train.zip`, `cifar10-test.zip`, `labels.npz`). `--part`: only "probe", "tuning", "imbalance" or
"further". `--quick`: the embedded images, a smoke test. On 2 cores "tuning" takes six minutes a set, "imbalance" and
"further" two; "probe" 16, of which scikit-learn takes most.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .isolation import isolate
from .label_cells import FASHION, fashion_images, saved
from .report import Target, finish

_SIZE = 160
_TUNED_ON = 4_000
_TESTED_ON = 2_000
_CALIBRATION_ON = 5_000  # of 2,000 images, perfect calibration would show an error of .015 and more by chance alone
_FACTOR = 50
_CHOICES = 5  # strengths of the penalty that scikit-learn tries, each in so many folds:
_FOLDS = 3
PARTS = ("probe", "tuning", "imbalance", "further")
_SHOWN = 5  # of the ten classes, by the images that a classifier is trained further on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the embedded images: a smoke test")
    parser.add_argument("--fashion", type=Path, help="folder of the package dataset-fashion-mnist")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    if not arguments.quick and arguments.fashion is None and arguments.data is None:
        parser.error("name --fashion and/or --data, or take --quick")
    home = isolate()
    sets = list(_sets(home, arguments.fashion, arguments.data, quick=arguments.quick))
    targets, details = [], {}
    for part in arguments.part or PARTS:
        for data in sets:
            print(f"{part}: {data.name} ...", file=sys.stderr)
            found, kept = _PARTS[part](data, home, quick=arguments.quick)
            targets += found
            details[f"{part}, {data.name}"] = kept
    finish(targets, details, as_json=arguments.json)


class Images:
    """A data set as files: `paths` (n,) object and `labels` (n,) int64 of both sides."""

    def __init__(self, name: str, train: tuple[list[str], np.ndarray], test: tuple[list[str], np.ndarray]) -> None:
        self.name = name
        self.train_paths, self.train_labels = np.array(train[0], object), train[1]
        self.test_paths, self.test_labels = np.array(test[0], object), test[1]

    def few(self, train: int, test: int, seed: int = 0) -> Images:
        """Return so many images of each side, drawn at random."""
        rng = np.random.default_rng(seed)
        a = np.sort(rng.permutation(len(self.train_labels))[:train])
        b = np.sort(rng.permutation(len(self.test_labels))[:test])
        return Images(
            self.name,
            (self.train_paths[a].tolist(), self.train_labels[a]),
            (self.test_paths[b].tolist(), self.test_labels[b]),
        )


def _sets(home: Path, fashion: Path | None, cifar: Path | None, *, quick: bool) -> Any:
    if quick:
        pixels, classes = fashion_images()
        paths = saved(pixels, home / "few")
        rows = np.random.default_rng(0).permutation(len(paths))[:400]
        train, test = rows[:300], rows[300:]
        yield Images(
            f"embedded {FASHION.name}",
            ([paths[row] for row in train], classes[train]),
            ([paths[row] for row in test], classes[test]),
        )
        return
    if fashion is not None:
        sides = []
        for name in ("train", "t10k"):
            with gzip.open(fashion / f"{name}-images-idx3-ubyte.gz") as file:
                pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
            with gzip.open(fashion / f"{name}-labels-idx1-ubyte.gz") as file:
                labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
            sides.append((saved(pixels, home / name), labels))
        yield Images("Fashion-MNIST", *sides)
    if cifar is not None:
        labels = np.load(cifar / "labels.npz", allow_pickle=False)
        for side in ("train", "test"):
            with zipfile.ZipFile(cifar / f"cifar10-{side}.zip") as archive:
                archive.extractall(home / "cifar10")
        paths = {side: sorted(map(str, (home / "cifar10" / side).glob("*.jpg"))) for side in ("train", "test")}
        yield Images(
            "CIFAR-10",
            (paths["train"], labels["train_true"].astype(np.int64)),
            (paths["test"], labels["test_given"].astype(np.int64)),
        )


def _tools(home: Path) -> Any:
    """Return lite0, how files become its input, and a function from paths to vectors."""
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    preprocessing = Preprocessing(input=replace(backbone.input, size=_SIZE, mode="squash"))

    def embed(paths: np.ndarray) -> np.ndarray:
        return embed_images(paths, paths, backbone, preprocessing, thumbnails=False, cache_root=home / "cache").vectors

    return backbone, preprocessing, embed


def _probe(data: Images, home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Fit the linear layer on all vectors, beside scikit-learn's choice of the penalty by cross-validation."""
    import warnings

    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.preprocessing import StandardScaler

    from winnow.plugin.training.probes import fit_head

    _, _, embed = _tools(home)
    train, test = embed(data.train_paths), embed(data.test_paths)
    with _Clock() as ours:
        head = fit_head(train, data.train_labels, 10, groups=np.full(len(train), -1), seed=0)
    accuracy = float((head.logits(test).argmax(axis=1) == data.test_labels).mean())

    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    scaler = StandardScaler().fit(unit(train))
    print(f"accuracy {accuracy:.4f} in {ours.wall:.0f} s; scikit-learn's turn ...", file=sys.stderr)
    choices = [0.1] if quick else np.logspace(-4, 0, _CHOICES)
    peer = LogisticRegressionCV(Cs=choices, cv=_FOLDS, max_iter=50 if quick else 200, scoring="accuracy")
    # The warnings are of defaults that will change, and of descents that end early.
    with warnings.catch_warnings(action="ignore"), _Clock() as theirs:
        peer.fit(scaler.transform(unit(train)), data.train_labels)
    peers = float(peer.score(scaler.transform(unit(test)), data.test_labels))
    targets = [
        Target(f"{data.name}: accuracy of the probe less scikit-learn's", accuracy - peers, at_least=0.0),
        Target(
            f"{data.name}: scikit-learn's processor time over the probe's",
            theirs.processor / ours.processor,
            at_least=20,
        ),
    ]
    kept = {
        "images": len(train),
        "accuracy": accuracy,
        "seconds": ours.wall,
        "processor_seconds": ours.processor,
        "peer_accuracy": peers,
        "peer_seconds": theirs.wall,
        "peer_processor_seconds": theirs.processor,
    }
    return targets, kept


class _Clock:
    """Times a block: `wall`, and `processor` of all threads, for which other work on the machine matters less."""

    wall = processor = 0.0

    def __enter__(self) -> _Clock:
        self._started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall, self.processor = time.perf_counter() - self._started[0], time.process_time() - self._started[1]


def _tuning(data: Images, home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Fine-tune on a few thousand images, beside the probe on the same, and beside a bare loop on prepared tensors."""
    from winnow.plugin.training.calibration import expected_calibration_error
    from winnow.plugin.training.labelled_images import LabelledImages
    from winnow.plugin.training.recipe import Recipe
    from winnow.plugin.training.training import train

    backbone, preprocessing, embed = _tools(home)
    few = data.few(200 if quick else _TUNED_ON, 100 if quick else _CALIBRATION_ON)
    vectors = embed(few.train_paths)
    images = LabelledImages(few.train_paths, few.train_labels, vectors, np.full(len(vectors), -1))
    names = [str(number) for number in range(10)]
    recipe = Recipe(epochs=1 if quick else 4)
    spent: dict[str, float] = {}
    last = time.perf_counter()

    def progress(step: str, done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[step] = spent.get(step, 0.0) + now - last
        last = now

    tuned = train(images, None, names, backbone, preprocessing, recipe, progress)
    probe = train(images, None, names, backbone, preprocessing, Recipe(preset="probe", epochs=0))
    found = {}
    for name, trained in (("probe", probe), ("fine-tuned", tuned)):
        logits, _ = trained.classifier.logits(few.test_paths.tolist())
        confidences = trained.classifier.probabilities(logits).max(axis=1)
        right = logits.argmax(axis=1) == few.test_labels
        draws = np.random.default_rng(0).random((100, len(right)))
        found[name] = {
            "kept": trained.kept,
            "accuracy": float(right.mean()),
            "ece": expected_calibration_error(confidences, right),
            "ece_by_chance": float(np.mean([expected_calibration_error(confidences, u < confidences) for u in draws])),
        }
    fitted = round(len(images) * (1 - recipe.validation_share))
    rate = recipe.epochs * fitted / spent["fine-tuning"]
    bare = bare_rate(tuned.classifier.network, few, preprocessing, recipe)
    gain = found["fine-tuned"]["accuracy"] - found["probe"]["accuracy"]
    targets = [
        Target(f"{data.name}: accuracy of fine-tuning less the probe's", gain, at_least=0.0),
        Target(f"{data.name}: training throughput over a bare loop's", rate / bare, at_least=0.9),
        *(Target(f"{data.name}: calibration error, {name}", kept["ece"], at_most=0.02) for name, kept in found.items()),
    ]
    return targets, {**found, "trained_on": len(images), "images_per_second": rate, "bare_images_per_second": bare}


def bare_rate(
    network: Any, few: Images, preprocessing: Any, recipe: Any, device: str = "cpu", images: int = 640
) -> float:
    """Return images a second of a plain torch loop over the same model on tensors that lie ready on the device."""
    import torch

    from winnow.plugin.training.optimization import make_optimizer
    from winnow.plugin.training.trainer import set_mode
    from winnow.plugin.vision.torch_engine import ImageNetwork

    count = min(len(few.train_paths), images)
    pixels = torch.from_numpy(np.stack([preprocessing(path) for path in few.train_paths[:count]])).to(device)
    labels = torch.from_numpy(few.train_labels[:count]).to(device)
    model = ImageNetwork(network, preprocessing.input).to(device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, recipe)
    set_mode(network, recipe)
    started = time.perf_counter()
    for start in range(0, count, recipe.batch_size):
        rows = slice(start, start + recipe.batch_size)
        with torch.autocast(device, torch.bfloat16, enabled=recipe.amp and device == "cuda"):
            logits = model(pixels[rows])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    if device == "cuda":
        torch.cuda.synchronize()
    return count / (time.perf_counter() - started)


def _imbalance(data: Images, home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Train on classes of which the largest is fifty times the smallest, with and without logit adjustment."""
    from winnow.plugin.training.labelled_images import LabelledImages
    from winnow.plugin.training.recipe import Recipe
    from winnow.plugin.training.training import train

    backbone, preprocessing, embed = _tools(home)
    few = data.few(10 * (30 if quick else 600), 100 if quick else _TESTED_ON)
    vectors, test = embed(few.train_paths), embed(few.test_paths)
    names = [str(number) for number in range(10)]
    whole = LabelledImages(few.train_paths, few.train_labels, vectors, np.full(len(vectors), -1))
    sizes = np.maximum(np.bincount(few.train_labels).max() * _FACTOR ** (-np.arange(10) / 9), 3).astype(int)
    rows = np.concatenate([np.flatnonzero(few.train_labels == label)[: sizes[label]] for label in range(10)])
    scores: dict[str, dict[str, float]] = {}
    for name, images in (("imbalanced", whole[rows]), ("balanced", whole)):
        for tau in (0.0, 1.0):
            recipe = Recipe(preset="probe", epochs=0, logit_adjustment=tau)
            classifier = train(images, None, names, backbone, preprocessing, recipe).classifier
            right = _of_vectors(classifier, test).argmax(axis=1) == few.test_labels
            by_class = [float(right[few.test_labels == label].mean()) for label in range(10)]
            scores[f"{name}, {'adjusted' if tau else 'plain'}"] = {
                "accuracy": float(right.mean()),
                "balanced_accuracy": float(np.mean(by_class)),
            }
    gain = scores["imbalanced, adjusted"]["balanced_accuracy"] - scores["imbalanced, plain"]["balanced_accuracy"]
    loss = scores["balanced, plain"]["accuracy"] - scores["balanced, adjusted"]["accuracy"]
    targets = [
        Target(f"{data.name}: balanced accuracy gained by logit adjustment, 50:1", gain, at_least=0.05),
        Target(f"{data.name}: accuracy lost by it on balanced classes", loss, at_most=0.02),
    ]
    return targets, {**scores, "smallest_class": int(sizes.min()), "images": len(rows)}


def _of_vectors(classifier: Any, vectors: np.ndarray) -> np.ndarray:
    """Return (n, k) logits of (n, d) embeddings, by a classifier whose backbone was not trained; no image is read."""
    from winnow.plugin.training.earlier import EarlierHead

    return EarlierHead.of(classifier).logits(vectors)


def _further(data: Images, home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Train a classifier of all classes further on images of half of them, and look at what it knows of the others."""
    from winnow.plugin.training.as_backbone import backbone_of, earlier_head
    from winnow.plugin.training.classifier import save_classifier
    from winnow.plugin.training.labelled_images import LabelledImages
    from winnow.plugin.training.recipe import Recipe
    from winnow.plugin.training.training import train

    backbone, preprocessing, embed = _tools(home)
    few = data.few(200 if quick else 6_000, 100 if quick else _TESTED_ON)
    vectors, test = embed(few.train_paths), embed(few.test_paths)
    names = [str(number) for number in range(10)]
    whole = LabelledImages(few.train_paths, few.train_labels, vectors, np.full(len(vectors), -1))
    first, rest = whole[: len(whole) // 3], whole[len(whole) // 3 :]
    new = rest[rest.labels < _SHOWN][: 60 if quick else 600]
    before = train(first, None, names, backbone, preprocessing, Recipe(preset="probe", epochs=0)).classifier
    folder = save_classifier(before, home / f"before {data.name}")
    again, earlier = backbone_of(str(folder)), earlier_head(str(folder))

    def accuracies(classifier: Any, *, tuned: bool = False) -> dict[str, float]:
        logits = classifier.logits(few.test_paths.tolist())[0] if tuned else _of_vectors(classifier, test)
        guessed = np.array(classifier.classes, object)[logits.argmax(axis=1)].astype(np.int64)
        right, shown = guessed == few.test_labels, few.test_labels < _SHOWN
        return {"all": float(right.mean()), "shown": float(right[shown].mean()), "lacking": float(right[~shown].mean())}

    found = {"before": accuracies(before)}
    presets = {"probe": 0} if quick else {"probe": 0, "quick": 2}
    for preset, epochs in presets.items():
        for kept in (True, False):
            recipe = Recipe(preset=preset, epochs=epochs, keep_classes=kept)
            known = earlier if kept else None
            trained = train(new, None, names[:_SHOWN], again, preprocessing, recipe, earlier=known)
            tuned = trained.kept == "fine-tuned"
            found[f"{preset}, {'kept' if kept else 'forgotten'}"] = accuracies(trained.classifier, tuned=tuned)
    targets = [
        Target(
            f"{data.name}: accuracy after training further ({preset}) on half of the classes less that before",
            found[f"{preset}, kept"]["all"] - found["before"]["all"],
            at_least=0.0,
        )
        for preset in presets
    ]
    return targets, {**found, "before_on": len(first), "further_on": len(new)}


_PARTS = {"probe": _probe, "tuning": _tuning, "imbalance": _imbalance, "further": _further}


if __name__ == "__main__":
    main()
