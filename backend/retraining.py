"""One training from annotations: what is read, trained on, judged by, and written as a version."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..plugin.curation.class_names import audit_class_names
from ..plugin.errors import DataError
from ..plugin.failures import Failure
from ..plugin.labeling.image_sources import ImageSources
from ..plugin.labeling.labeling_config import parse_labeling_config
from ..plugin.membership import is_among
from ..plugin.progress import Progress
from ..plugin.training.as_backbone import backbone_of
from ..plugin.training.classifier import Classifier, load_classifier, save_classifier
from ..plugin.training.earlier import EarlierHead
from ..plugin.training.labelled_images import LabelledImages
from ..plugin.training.recipe import preset_recipe
from ..plugin.training.training import Trained, train
from ..plugin.training.versions import VERSIONS
from ..plugin.vision.embeddings import embed_images
from .annotated_images import AnnotatedImages, fetch_images, read_annotated
from .held_out import HoldingOut, choose_held_out
from .job_files import JobSpec
from .judging import HeldOut, judge
from .learning_store import LearningStore

REPORT = "report.json"
_FAILURES_REPORTED = 20


class Annotations(Protocol):
    """What is needed of Label Studio; `labeling.client.LabelStudioClient` is one."""

    def project(self, project_id: int) -> dict[str, Any]:
        """Return a project, with its `label_config`."""

    def tasks(self, project_id: int) -> Any:
        """Yield the project's tasks, with annotations and predictions."""


@dataclass(frozen=True, eq=False)
class _Parts:
    """Rows of the images that can be read.

    Attributes:
        train: (n,) bool.
        held_out: (n,) bool.
        repeated: Images left out of training because a held-out one is the same file.
    """

    train: np.ndarray
    held_out: np.ndarray
    repeated: int


def retrain(
    spec: JobSpec, store: LearningStore, client: Annotations, sources: ImageSources, folder: Path, progress: Progress
) -> tuple[str, dict[str, Any]]:
    """Train on a project's annotations, judge the outcome against the serving classifier, and write both as a version.

    Args:
        spec: What to do.
        store: Remembers what is held out, and gets the version.
        client: Reads the project.
        sources: Brings its images.
        folder: The job's own, for images and for what is half done.
        progress: Told along the way; raising from it ends the job.

    Returns:
        The version and its report, plain JSON.

    Raises:
        DataError: Too little to learn from, or to judge by.
        LabelingConfigError: The project asks for nothing that a classifier can answer.
        LabelStudioError: Label Studio does not answer.
    """
    serving = load_classifier(spec.classifier)
    project = client.project(spec.project)
    config = parse_labeling_config(str(project["label_config"]))
    images = read_annotated(client.tasks(spec.project), config, serving.classes, spec.group_key)
    if len(images) < 2 * spec.held_out_least:  # before the images are fetched for nothing
        choose_held_out(images.units, frozenset(), _holding_out(spec))
    files, failures = fetch_images(images, sources, folder / "images", _login(project), progress)
    fetched = np.array([file is not None for file in files], bool)
    images, files = images[fetched], files[fetched]
    backbone = backbone_of(str(spec.classifier))
    embedded = embed_images(
        np.arange(len(images)), files, backbone, serving.preprocessing, thumbnails=False, progress=progress
    )
    failures += [Failure(str(images.tasks[int(failure.id)]), "", failure.reason) for failure in embedded.failures]
    readable = embedded.ids.astype(np.int64)
    images, files = images[readable], files[readable]
    parts = _divide(images, embedded.digests, store, spec)
    classes, labels = _learnable(images, parts)
    groups = _groups(images, embedded.digests, grouped=spec.group_key is not None)
    trained = train(
        LabelledImages(files, labels, embedded.vectors, groups)[parts.train],
        None,
        classes,
        backbone,
        serving.preprocessing,
        preset_recipe(spec.preset),
        progress,
        earlier=EarlierHead.of(serving),
        states=spec.state / "unfinished",
    )
    trained.classifier.details |= {
        "label_studio_project": spec.project,
        "continued_from": serving.version,
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    held = images[parts.held_out]
    judged = judge(
        trained.classifier,
        serving,
        HeldOut(files[parts.held_out], held.present, held.classes, held.blind, held.multilabel),
        spec.held_out_least,
        progress,
    )
    report = _report(spec, images, parts, trained, serving, judged, failures)
    report["notes"] += _doubts(serving, spec, store)
    return _written(trained, report, spec, store, folder), report


def _login(project: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return user and password for the hosts that the project's images lie on, where it has them."""
    user, password = project.get("task_data_login"), project.get("task_data_password")
    return (str(user), str(password)) if user and password else None


def _holding_out(spec: JobSpec) -> HoldingOut:
    return HoldingOut(spec.held_out_share, spec.held_out_least)


def _divide(images: AnnotatedImages, digests: np.ndarray, store: LearningStore, spec: JobSpec) -> _Parts:
    """Choose what is held out, for good, and what is trained on."""
    known = store.held_out(spec.project) | set(images.units[images.reserved])
    units = choose_held_out(images.units, known, _holding_out(spec))
    store.hold_out(spec.project, sorted(units))
    held_out = np.array([unit in units for unit in images.units], bool)
    contents = np.array([digest.tobytes() for digest in digests], object)
    repeated = ~held_out & is_among(contents, contents[held_out])
    return _Parts(~held_out & ~repeated, held_out, int(repeated.sum()))


def _learnable(images: AnnotatedImages, parts: _Parts) -> tuple[list[str], np.ndarray]:
    """Return the classes that occur in training, and the labels of all images by them: numbers, or a column each."""
    columns = np.flatnonzero((images.present[parts.train] == 1).any(axis=0))
    classes = [images.classes[column] for column in columns]
    if len(classes) < (1 if images.multilabel else 2):
        raise DataError(
            f"the images to train on show {len(classes)} class(es) ({', '.join(classes)}); a classifier needs two, or "
            "one where several are allowed. Annotate images of other classes."
        )
    present = images.present[:, columns]
    if images.multilabel:
        return classes, present
    return classes, np.where((present == 1).any(axis=1), present.argmax(axis=1), -1)


def _groups(images: AnnotatedImages, digests: np.ndarray, *, grouped: bool) -> np.ndarray:
    """Return (n,) int64: what must not be torn apart when training sets images aside."""
    names = [str(unit) for unit in images.units] if grouped else [digest.tobytes().hex() for digest in digests]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _report(
    spec: JobSpec,
    images: AnnotatedImages,
    parts: _Parts,
    trained: Trained,
    serving: Classifier,
    judged: Mapping[str, Any],
    failures: list[Failure],
) -> dict[str, Any]:
    new = trained.classifier
    return {
        "version": new.version,
        "continued_from": serving.version,
        "project": spec.project,
        "group_key": spec.group_key,
        "annotations": images.counts,
        "images": {
            "trained_on": int(parts.train.sum()),
            "held_out": int(parts.held_out.sum()),
            "repeat_a_held_out_one": parts.repeated,
            "unreadable": len(failures),
        },
        "classes": {
            "new": sorted(set(new.classes) - set(serving.classes)),
            "lost": sorted(set(serving.classes) - set(new.classes)),
            "trained_on": _by_class(images, parts.train),
            "held_out": _by_class(images, parts.held_out),
        },
        "preset": spec.preset,
        "kept": trained.kept,
        "validation": {name: round(value, 4) for name, value in trained.validation.items()},
        "comparison": {key: value for key, value in judged.items() if key != "notes"},
        "failures": [asdict(failure) for failure in failures[:_FAILURES_REPORTED]],
        "notes": [*judged["notes"], *_audit(images, parts, new, serving)],
    }


def _by_class(images: AnnotatedImages, rows: np.ndarray) -> dict[str, int]:
    counts = (images.present[rows] == 1).sum(axis=0)
    return {name: int(count) for name, count in zip(images.classes, counts, strict=True)}


def _audit(images: AnnotatedImages, parts: _Parts, new: Classifier, serving: Classifier) -> list[str]:
    """Return what a person should know of the classes before serving the new classifier."""
    trained_on, held_out = _by_class(images, parts.train), _by_class(images, parts.held_out)
    notes = [clash.text() for clash in audit_class_names(images.classes, (images.present == 1).sum(axis=0))]
    told = {
        "classes without an annotated image, kept as the serving classifier knew them": [
            name for name in new.classes if not trained_on.get(name)
        ],
        "classes with a single training image": [name for name in new.classes if trained_on[name] == 1],
        "classes without a held-out image": [name for name in new.classes if not held_out[name]],
    }
    return notes + [f"{what}: {', '.join(names)}" for what, names in told.items() if names]


def _doubts(serving: Classifier, spec: JobSpec, store: LearningStore) -> list[str]:
    """Return why the serving classifier may have an advantage on the held-out images."""
    reports = [known.report for known in store.versions() if known.version == serving.version]
    made_here = next((report for report in reports if report is not None), None)
    if made_here is None:
        return [
            "what the serving classifier was trained on is not known here: if that includes held-out images, the "
            "comparison favours it"
        ]
    if made_here["group_key"] != spec.group_key:
        return [
            f"the serving classifier was trained with group key {made_here['group_key']!r}, so it may have seen images "
            f"that are held out now ({spec.group_key!r}): the comparison may favour it"
        ]
    return []


def _written(trained: Trained, report: dict[str, Any], spec: JobSpec, store: LearningStore, folder: Path) -> str:
    """Write the version, whole or not at all, and note it."""
    classifier = trained.classifier
    unfinished = save_classifier(classifier, folder / "version", trained.reference)
    (unfinished / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    target = spec.state / VERSIONS / classifier.version
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():  # the same annotations give the same classifier
        try:
            os.replace(unfinished, target)
        except OSError:  # a job that was taken over from another server came to the same
            if not target.exists():
                raise
    store.add_version(classifier.version, target, report, spec.job)
    return classifier.version
