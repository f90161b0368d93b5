"""CIFAR-10 with the mistakes that people made, end to end: what Winnow finds, against published human judgments.

    python -m benchmarks.case_study --data FOLDER [--quick] [--json]

FOLDER holds `cifar10-train.zip` and `cifar10-test.zip` (JPEG files in CIFAR-10's order), `labels.npz` (`train_true`,
the published labels; `train_noisy`, those of three annotators, CIFAR-10N "aggregate", Wei et al. 2022; and
`test_given`) and `leaks-train-test.csv` (ciFAIR, Barz and Denzler 2020, pairs whose test image has an even index). The
images become a FiftyOne dataset by way of folders, the training images labelled by the annotators, and `curate` runs on
it as it stands. Then the classifier is trained once more with every label as it is. Each finding is held against the
judgments, which Winnow does not see. `--quick`: every tenth image, a smoke test.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .isolation import isolate
from .report import finish

_QUICK = 10
_FIRST = (100, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-10 and the judgments")
    parser.add_argument("--quick", action="store_true", help="every tenth image: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    details = measure(isolate(), arguments.data, every=_QUICK if arguments.quick else 1)
    if not arguments.json:
        for part, found in details.items():
            print(f"{part}: {found}")
    finish([], details, as_json=arguments.json)


def measure(home: Path, data: Path, *, every: int) -> dict[str, Any]:
    """Run the whole job on each `every`th image, and return what it found beside what people had found."""
    import winnow
    from winnow.plugin.datasets.targets import open_target

    with np.load(data / "labels.npz") as file:
        known = {name: file[name] for name in file.files}
    folder = lay_out(home / "cifar10", data, known, every)
    dataset = open_target(str(folder)).dataset
    report = winnow.curate(dataset, winnow.CurateParams(preset="probe"), _tell)
    print(report.text(), file=sys.stderr)
    summary = report.summary()
    details = {
        "images": summary["images"],
        "seconds": summary["seconds"],
        "leaks": against_pairs(dataset, data / "leaks-train-test.csv", 2 * every)
        | {"price": summary["leaks"]["price"]},
        "duplicates": {name: summary["duplicates"][name] for name in ("groups", "copies", "label_conflicts")},
        "labels": against_labels(dataset, known),
        "told": {name: summary["label_issues"][name] for name in ("flagged", "estimated", "interval")},
        "accuracy": {"flagged left out": _accuracy(summary["classifier"])},
    }
    kept = winnow.TrainParams(preset="probe", label_issues="keep", output=home / "kept")
    winnow.train_classifier(dataset, kept, _tell)
    winnow.apply_classifier(dataset, winnow.PredictParams(home / "kept", prediction_field="kept"), _tell)
    evaluated = winnow.evaluate_predictions(dataset, winnow.EvaluateParams("kept"))
    details["accuracy"]["labels as they are"] = _accuracy(evaluated.summary())
    return details


def lay_out(folder: Path, data: Path, known: dict[str, np.ndarray], every: int) -> Path:
    """Write the images as SPLIT/CLASS/INDEX.jpg, training images in the class that annotators gave them."""
    classes = [str(name) for name in known["classes"]]
    for split, labels in (("train", known["train_noisy"]), ("test", known["test_given"])):
        for name in classes:
            (folder / split / name).mkdir(parents=True)
        with zipfile.ZipFile(data / f"cifar10-{split}.zip") as archive:
            for index in range(0, len(labels), every):
                image = archive.read(f"{split}/{index:05d}.jpg")
                (folder / split / classes[labels[index]] / f"{index:05d}.jpg").write_bytes(image)
    return folder


def against_pairs(dataset: Any, file: Path, step: int) -> dict[str, Any]:
    """Return how many of the listed test images are flagged, and how many flagged ones are not listed.

    Args:
        dataset: The dataset after `curate`.
        file: Columns `test`, `train` and `judgment`.
        step: Test images of these indexes are judged.
    """
    tests = dataset.match({"split": "test"})
    scores = dict(zip(map(_index, tests.values("filepath")), tests.values("leak_score"), strict=True))
    flagged = {index for index, score in scores.items() if score is not None and index % step == 0}
    with file.open(encoding="utf-8") as lines:
        pairs = [(int(row["test"]), int(row["train"]), int(row["judgment"])) for row in csv.DictReader(lines)]
    present = set(map(_index, dataset.match({"split": "train"}).values("filepath")))
    listed = {test: judgment for test, train, judgment in pairs if test in scores and train in present}
    same = {index for index, judgment in listed.items() if judgment == 1}
    return {
        "test images judged": sum(index % step == 0 for index in scores),
        "flagged": len(flagged),
        "listed": len(listed),
        "listed and flagged": len(flagged & listed.keys()),
        "listed as the same shot": len(same),
        "of these flagged": len(flagged & same),
    }


def against_labels(dataset: Any, known: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return how the flagged training labels compare with the published ones."""
    classes = [str(name) for name in known["classes"]]
    train = dataset.match({"split": "train"})
    paths, quality, flags, suggested = train.values(
        ["filepath", "label_quality", "label_issue", "suggested_label.label"]
    )
    index = np.array([_index(path) for path in paths])
    truth = known["train_true"][index]
    wrong = known["train_noisy"][index] != truth
    flagged = np.array([bool(flag) for flag in flags])
    right = np.array([name == classes[true] for name, true in zip(suggested, truth, strict=True)])
    worst = np.argsort(np.array([np.inf if value is None else value for value in quality]), kind="stable")
    found = int((flagged & wrong).sum())
    precision, recall = found / max(int(flagged.sum()), 1), found / max(int(wrong.sum()), 1)
    return {
        "labels": len(index),
        "wrong by the published labels": int(wrong.sum()),
        "flagged": int(flagged.sum()),
        "flagged and wrong": found,
        "precision": round(precision, 3),
        "recall": round(recall, 3),
        "f1": round(2 * precision * recall / max(precision + recall, 1e-9), 3),
        "suggestion right where flagged and wrong": round(float(right[flagged & wrong].mean()), 3),
        **{f"wrong among the worst {first:,}": round(float(wrong[worst[:first]].mean()), 3) for first in _FIRST},
    }


def _accuracy(evaluated: dict[str, Any]) -> dict[str, Any]:
    names = ("accuracy_given_test", "accuracy_clean_test", "leaked_images_left_out")
    return {name: evaluated[name] for name in names}


def _index(path: str) -> int:
    return int(Path(path).stem)


def _tell(step: str, done: int, total: int) -> None:
    """Show a step once, at its end."""
    if total and done == total:
        print(f"{step}: {total:,}", file=sys.stderr)


if __name__ == "__main__":
    main()
