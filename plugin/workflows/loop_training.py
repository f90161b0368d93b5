"""Trains the classifier of a round on what is labelled, and asks it about the evaluation set."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np

from ..curation.probe import LEAST_LABELS
from ..datasets.loops import SavedLoop, SavedRound, round_field, save_round, split_field
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..home import winnow_home
from ..machine import available_cores
from ..progress import Progress
from ..training.earlier import EarlierHead
from ..training.inference import predict_in_chunks
from ..training.recipe import preset_recipe
from ..training.training import Trained
from ..vision.speed import expected_seconds
from .loop_members import TEST, TRAIN
from .loop_settings import LoopSettings
from .multi_label_issues import field_of_several
from .train import TrainParams, train_on
from .training_rows import read_labels
from .vectors import Embedded, VectorParams, embed_collection, select_samples
from .wording import counted

_PROBE_CORE_SECONDS = 0.01  # an image, where no round was measured: fitting five folds along a path of penalties
_BACKWARD = 3  # a step forward and back costs about three times a step forward
_PRESENT = 0.5


def train_round(
    view: Collection,
    loop: SavedLoop,
    settings: LoopSettings,
    number: int,
    rounds: Sequence[SavedRound],
    progress: Progress,
) -> None:
    """Train on everything that is labelled up to a round, and keep what the classifier says of the evaluation set.

    Raises:
        DataError: Training would take more than the budget, or an image of the evaluation set would be trained on.
    """
    names = split_field(loop.name), round_field(loop.name)
    split, came = (fo.ViewField(name) for name in names)
    shown = view.match((split == TEST) | ((split == TRAIN) & (came <= number)))
    several = field_of_several(view, settings.label_field)
    began = time.process_time()
    embedded = embed_collection(
        shown,
        VectorParams(settings.backbone),
        label_field=None if several else settings.label_field,
        split_field=names[0],
        progress=progress,
    )
    embedded, twins = without_twins(embedded)
    labels = read_labels(shown, embedded.samples, several)
    train = labels.known & (embedded.samples.splits == TRAIN)
    counts = labels.counts(train)
    by_class = {name: int(count) for name, count in zip(labels.classes, counts, strict=True) if count}
    told = {"labels": int(train.sum()), "by_class": by_class, "twins": twins}
    if why_not := _lacking(int(train.sum()), list(by_class), several is not None):
        nothing = {"trained": False, "why_not": why_not, "processor_minutes": 0.0, "classifier": "", "version": ""}
        save_round(view, loop.name, number, told | nothing, [None] * len(loop.evaluation.ids), names)
        return
    check_budget(settings, int(train.sum()), rounds)
    params = TrainParams(
        label_field=settings.label_field,
        split_field=names[0],
        preset=settings.preset,
        output=_folder(view, loop.name, number),
        name=loop.name,
        seed=settings.seed,
    )
    _check_untouched(embedded.samples.ids[train], loop)
    report = train_on(shown, embedded, params, progress)
    predicted = _predictions(report.trained, embedded, loop, progress)
    save_round(
        view,
        loop.name,
        number,
        told
        | {
            "trained": True,
            "why_not": "",
            "processor_minutes": (time.process_time() - began) / 60,
            "preset": settings.preset,
            "classifier": str(report.classifier_dir),
            "version": report.trained.classifier.version,
            "evaluation_digest": loop.evaluation.digest,
        },
        predicted,
        names,
    )


def without_twins(embedded: Embedded) -> tuple[Embedded, int]:
    """Leave training images out whose file is byte for byte one of the evaluation set; return how many those are."""
    is_test = embedded.samples.splits == TEST
    tested = {digest.tobytes() for digest in embedded.digests[is_test]}
    twin = np.array([digest.tobytes() in tested for digest in embedded.digests], bool) & ~is_test
    if not twin.any():
        return embedded, 0
    return replace(
        embedded,
        samples=select_samples(embedded.samples, ~twin),
        vectors=embedded.vectors[~twin],
        thumbnails=embedded.thumbnails[~twin],
        digests=embedded.digests[~twin],
    ), int(twin.sum())


def expected_minutes(settings: LoopSettings, labels: int, rounds: Sequence[SavedRound]) -> float:
    """Return about how many processor minutes training on so many images takes.

    It goes by the last round of the same preset, where there is one; else by how fast this machine computed vectors.
    """
    measured = [
        each.summary for each in rounds if each.summary["trained"] and each.summary["preset"] == settings.preset
    ]
    if measured:
        last = measured[-1]
        return float(last["processor_minutes"] * labels / max(1, last["labels"]))
    passes = preset_recipe(settings.preset).epochs * _BACKWARD
    forward = expected_seconds(settings.backbone, labels) * available_cores()
    return (labels * _PROBE_CORE_SECONDS + passes * forward) / 60


def check_budget(settings: LoopSettings, labels: int, rounds: Sequence[SavedRound]) -> None:
    """Make sure that training keeps within its budget, before it begins.

    Raises:
        DataError: It would not.
    """
    minutes = expected_minutes(settings, labels, rounds)
    if minutes > settings.budget_minutes:
        cheaper = "" if settings.preset == "probe" else ", or train with the preset 'probe', which takes seconds"
        raise DataError(
            f"training on {counted(labels, 'image')} with the preset '{settings.preset}' is expected to take about "
            f"{minutes:.0f} processor minutes, more than the budget of {settings.budget_minutes:g}. Raise the budget "
            f"(budget_minutes, --budget-minutes){cheaper}. Nothing is lost: the labels are kept."
        )


def _lacking(images: int, classes: list[str], several: bool) -> str:
    """Return what is lacking for training, "" where nothing is."""
    if images < LEAST_LABELS:
        return f"{counted(images, 'labelled image')}, and at least {LEAST_LABELS} are needed"
    if len(classes) < (1 if several else 2):
        return f"all labels are of {len(classes)} class ({', '.join(classes)}), and at least two are needed"
    return ""


def _check_untouched(train_ids: np.ndarray, loop: SavedLoop) -> None:
    """Make sure that no evaluation image is trained on, whatever went wrong before."""
    if touched := set(train_ids).intersection(loop.evaluation.ids):
        raise DataError(
            f"{counted(len(touched), 'image')} of the evaluation set of loop '{loop.name}' would have been trained on: "
            f"the field '{split_field(loop.name)}' was changed. Run the step again, which sets it right."
        )


def _predictions(trained: Trained, embedded: Embedded, loop: SavedLoop, progress: Progress) -> list[Any]:
    """Return what the classifier says of each image of the evaluation set; None of one that cannot be read."""
    rows = np.flatnonzero(embedded.samples.splits == TEST)
    classifier = trained.classifier
    logits = np.full((len(rows), len(classifier.classes)), np.nan)
    if trained.kept == "probe":  # of vectors that are there already
        logits = EarlierHead.of(classifier).logits(embedded.vectors[rows])
    else:
        for chunk in predict_in_chunks(classifier, embedded.samples.paths[rows], progress=progress):
            logits[chunk.rows] = chunk.logits
    answers: dict[str, Any] = {}
    for key, row in zip(embedded.samples.ids[rows], logits, strict=True):
        if np.isfinite(row).all():
            answers[key] = _answer(classifier.classes, row, classifier.multilabel)
    return [answers.get(key) for key in loop.evaluation.ids]


def _answer(classes: Sequence[str], logits: np.ndarray, multilabel: bool) -> Any:
    if multilabel:
        present = np.flatnonzero(1 / (1 + np.exp(-logits)) >= _PRESENT)
        return [classes[column] for column in present]
    return classes[int(logits.argmax())]


def _folder(view: Collection, name: str, number: int) -> Path:
    stem = re.sub(r"[^\w.-]+", "-", f"{dataset_of(view).name}-{name}-{number}").strip("-.")
    return winnow_home() / "classifiers" / stem
