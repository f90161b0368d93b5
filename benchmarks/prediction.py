"""Predictions beside FiftyOne's: how fast they are made and written, and whether every face gives the same ones.

    python -m benchmarks.prediction [--quick] [--json]

Everything is measured side by side in one process, in turns. `--quick`: a few images, a smoke test.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from . import faces
from .embeddings import make_images, rate
from .isolation import isolate
from .mixed_files import write_mixed_files
from .report import Target, finish

_ROUNDS = 2
_WRITTEN = 20_000  # predictions a round and side; both sides' time grows linearly
_PREDICTED, _PEER_IMAGES = 512, 64
_SIZE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few images: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    targets, details = measure(isolate(), quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    rounds = 1 if quick else _ROUNDS
    folder = faces.save_unlearnt_classifier(home / "classifier", _SIZE)
    print("writing ...", file=sys.stderr)
    writing = _writing(500 if quick else _WRITTEN, rounds)
    print("predicting ...", file=sys.stderr)
    images = make_images(home / "images", 500, 375, "jpg", 16 if quick else _PREDICTED)
    predicting = _predicting(folder, images, rounds)
    print("comparing the faces ...", file=sys.stderr)
    skew = _skew(home, folder, write_mixed_files(home / "mixed" / "unknown", 17 if quick else 200))
    targets = [
        Target("writing predictions: rate over iter_samples(autosave=True)", writing["ratio"], at_least=3),
        Target("predicting and writing: rate over apply_model at its best", predicting["ratio"], at_least=2.5),
        *(
            Target(f"largest difference of a probability to Python's: {face}", difference, at_most=1e-4)
            for face, difference in skew.items()
        ),
    ]
    return targets, {"writing": writing, "predicting": predicting, "skew": skew}


def _writing(count: int, rounds: int) -> dict[str, Any]:
    """Write the same labels and confidences; ours come with uncertainty, version and two indexes."""
    import fiftyone as fo

    from winnow.plugin.datasets.prediction_fields import SampleField, prediction_document
    from winnow.plugin.training.inference import CHUNK

    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"/none/{number}.jpg") for number in range(count)])
    ids = np.array(dataset.values("id"), object)
    confidences = np.random.default_rng(0).uniform(0.25, 1, count).tolist()

    def ours(field: str) -> None:
        written = SampleField(dataset, field, fo.Classification, ids, faces.CLASSES, None)
        for start in range(0, count, CHUNK):
            rows = np.arange(start, min(start + CHUNK, count))
            labels = [
                prediction_document(
                    [faces.CLASSES[row % 4]],
                    [confidences[row]],
                    several=False,
                    logits=None,
                    entropy=0.5,
                    margin=0.5,
                    model_version="0123456789ab",
                )
                for row in rows
            ]
            written.write(rows, labels)

    def theirs(field: str) -> None:
        for row, sample in enumerate(dataset.iter_samples(autosave=True)):
            sample[field] = fo.Classification(label=faces.CLASSES[row % 4], confidence=confidences[row])

    rates: dict[str, list[float]] = {"winnow": [], "iter_samples": []}
    for number in range(rounds):
        rates["winnow"].append(rate(lambda number=number: ours(f"ours_{number}"), count))
        rates["iter_samples"].append(rate(lambda number=number: theirs(f"theirs_{number}"), count))
    return {"predictions": count, **_compared(rates, "iter_samples")}


def _predicting(folder: Path, images: list[str], rounds: int) -> dict[str, Any]:
    """Predict JPEG files and write what comes out, by `apply_classifier` and by `apply_model` with the same weights."""
    import fiftyone as fo

    from winnow import PredictParams, apply_classifier

    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in images])
    peer, model = dataset.limit(_PEER_IMAGES), _peer_model(folder)
    settings = [{"batch_size": size, "num_workers": workers} for size in (1, 32) for workers in (0, 2)]
    rates: dict[str, list[float]] = {"winnow": [], **{str(each): [] for each in settings}}
    apply_classifier(peer.limit(8), PredictParams(folder))  # the one-time export
    for _ in range(rounds):
        rates["winnow"].append(rate(lambda: apply_classifier(dataset, PredictParams(folder)), len(images)))
        for each in settings:
            rates[str(each)].append(
                rate(lambda each=each: peer.apply_model(model, label_field="peer", **each), len(peer))
            )
    best = max((str(each) for each in settings), key=lambda name: median(rates[name]))
    found = [dict(zip(*peer.values(["id", f"{field}.label"]), strict=True)) for field in ("prediction", "peer")]
    agreement = float(np.mean([found[0][key] == found[1][key] for key in found[0]]))
    return {"images": len(images), "apply_model_best": best, "same_label": agreement, **_compared(rates, best)}


def _peer_model(folder: Path) -> Any:
    """Return the classifier as a FiftyOne model that prepares images with timm's own transform."""
    import fiftyone.utils.torch as fout
    from timm.data import create_transform

    from winnow import load_classifier

    classifier = load_classifier(folder)
    fitted = classifier.preprocessing.input
    transforms = create_transform(
        (3, fitted.size, fitted.size),
        mean=fitted.mean,
        std=fitted.std,
        interpolation=fitted.interpolation,
        crop_pct=fitted.crop,
    )
    config = {
        "model": classifier.network,
        "transforms": transforms,
        "ragged_batches": False,
        "labels_string": ",".join(classifier.classes),
        "output_processor_cls": "fiftyone.utils.torch.ClassifierOutputProcessor",
    }
    return fout.TorchImageModel(fout.TorchImageModelConfig(config))


def _compared(rates: dict[str, list[float]], peer: str) -> dict[str, Any]:
    """Return the median rates and the median of the rounds' ratios."""
    return {
        "images_per_second": {name: round(median(each), 1) for name, each in rates.items()},
        "ratio": median(own / other for own, other in zip(rates["winnow"], rates[peer], strict=True)),
    }


def _skew(home: Path, folder: Path, files: list[Path]) -> dict[str, float]:
    """Return the largest difference to `Classifier.predict` of each other way to ask; infinity where one is missing."""
    from winnow import ExportParams, export_classifier

    expected = faces.ask_python(folder, files)
    onnx_file = export_classifier(None, ExportParams(folder, home / "model.onnx")).exported.path
    _, scores = faces.ask_backend(folder, files)
    return {
        "operator": _largest(faces.ask_operator(folder, files), expected),
        "command line": _largest(faces.ask_command_line(folder, files), expected),
        "ONNX file, read by the example": _largest(faces.ask_example(onnx_file, files)[0], expected),
        "Label Studio backend": _largest(scores, expected.max(axis=1)),
    }


def _largest(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")


if __name__ == "__main__":
    main()
