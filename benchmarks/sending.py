"""Sending to Label Studio, beside its bare bulk endpoints.

    python -m benchmarks.sending [--quick] [--json] [--label-studio COMMAND]

Label Studio runs on this machine, on SQLite and loopback, from `.label-studio` (`make label-studio`). Both ways send
the same samples with their predictions, in turns, each into a new project. Bare: nothing is read, checked or written
down; tasks and predictions are posted to `/import`, as many a request as Winnow does, and 1,000. `--quick`: a smoke
test.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from .isolation import isolate
from .report import Target, finish

_CLASSES = tuple(f"class {number}" for number in range(10))
_TASKS, _QUICK_TASKS = 10_000, 600
_ROUNDS, _QUICK_ROUNDS = 3, 1
_LARGE_CHUNK = 1_000
_MOST = 1.5


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few hundred tasks: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    parser.add_argument("--label-studio", type=Path, default=Path(".label-studio/bin/label-studio"))
    arguments = parser.parse_args()
    if not arguments.label_studio.is_file():
        parser.error(
            f"there is no Label Studio at {arguments.label_studio}: run `make label-studio`, or name its command"
        )
    targets, details = measure(isolate(), arguments.label_studio.absolute(), quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(folder: Path, executable: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Return the target and every round's seconds.

    Args:
        folder: For images and Label Studio's data.
        executable: Label Studio's command.
        quick: Few tasks, one round.
    """
    from tests.label_studio.server import running_label_studio
    from winnow.plugin.labeling.client import LabelStudioClient
    from winnow.plugin.workflows.send_params import CHUNK

    count, rounds = (_QUICK_TASKS, _QUICK_ROUNDS) if quick else (_TASKS, _ROUNDS)
    seconds: dict[str, list[float]] = {"winnow": [], "bare": [], "bare, larger requests": []}
    studio_folder = folder / "label-studio"
    studio_folder.mkdir()
    with running_label_studio(executable, studio_folder) as studio:
        paths = _images(studio.images / "sent", count)
        with LabelStudioClient(studio.url, studio.token) as client:
            for _ in range(rounds):
                seconds["winnow"].append(_winnow(client, studio.images.parent, paths))
                seconds["bare"].append(_bare(client, paths, CHUNK))
                seconds["bare, larger requests"].append(_bare(client, paths, _LARGE_CHUNK))
            version = client.version()
    # Round by round, and the median of these: what else the machine does changes from minute to minute.
    ratio = median(ours / min(bare) for ours, *bare in zip(*seconds.values(), strict=True))
    rounded = {name: [round(value, 2) for value in values] for name, values in seconds.items()}
    details = {"tasks": count, "seconds": rounded, "tasks a request": CHUNK, "label_studio": version}
    return [Target(f"{count:,} tasks with predictions, over the bare endpoints", ratio, at_most=_MOST)], details


def _images(folder: Path, count: int) -> list[Path]:
    """Write different photo-like JPEG files of 64 x 64."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        paths.append(folder / f"{number:05d}.jpg")
        coarse.resize((64, 64), Image.Resampling.BILINEAR).save(paths[-1])
    return paths


def _winnow(client: Any, root: Path, paths: list[Path]) -> float:
    """Return the seconds in which samples of a new dataset are sent, all told."""
    import fiftyone as fo

    from winnow.plugin.workflows.send import send_to_label_studio
    from winnow.plugin.workflows.send_params import SendParams

    dataset = fo.Dataset()
    dataset.add_samples(
        [
            fo.Sample(
                filepath=str(path),
                selection_rank=row + 1,
                prediction=fo.Classification(label=name, confidence=confidence, model_version="v1"),
            )
            for row, (path, (name, confidence)) in enumerate(zip(paths, _predictions(), strict=False))
        ]
    )
    params = SendParams(
        prediction_field="prediction", classes=_CLASSES, document_root=root, images="local-files", new_project=True
    )
    start = time.perf_counter()
    report = send_to_label_studio(dataset, params, client)
    seconds = time.perf_counter() - start
    if (report.sent, report.predictions) != (len(paths), len(paths)):
        raise RuntimeError(f"not all was sent: {report.summary()}")
    dataset.delete()
    return seconds


def _bare(client: Any, paths: list[Path], chunk: int) -> float:
    """Return the seconds in which Label Studio takes the same tasks from somebody who has them ready."""
    from winnow.plugin.labeling.config_writing import Question, write_labeling_config

    config = write_labeling_config([Question("label", _CLASSES)])
    tasks = [
        {"data": {"image": f"/data/local-files/?d=images/sent/{path.name}"}, "predictions": [_filled_in(*prediction)]}
        for path, prediction in zip(paths, _predictions(), strict=False)
    ]
    start = time.perf_counter()
    project = client.call("POST", "/api/projects/", json={"title": "bare", "label_config": config})
    for first in range(0, len(tasks), chunk):
        client.call("POST", f"/api/projects/{project['id']}/import", json=tasks[first : first + chunk])
    return time.perf_counter() - start


def _predictions() -> Iterator[tuple[str, float]]:
    """Yield a class and a confidence, over and over."""
    number = 0
    while True:
        yield _CLASSES[number % len(_CLASSES)], (number % 100) / 100
        number += 1


def _filled_in(name: str, score: float) -> dict[str, Any]:
    region = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [name]}}
    return {"result": [region], "score": score, "model_version": "v1"}


if __name__ == "__main__":
    main()
