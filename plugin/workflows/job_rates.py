"""How long the jobs of this machine took, a line a run, so that the next one can be told how long it will take."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ..cluster.params import uses_cluster
from ..datasets.label_kinds import kind_of
from ..datasets.labeling_batches import BATCH_FIELD
from ..datasets.outgoing import count_outgoing
from ..datasets.patches import label_path, patch_fields, shown_patches
from ..datasets.views import Collection, dataset_of
from ..errors import ClassifierError, WinnowError
from ..home import winnow_home
from ..machine import available_cores
from ..progress import Progress
from ..training.classifier_files import DESCRIPTION
from ..training.recipe import AS_IT_IS
from .classifiers import classifier_folder
from .patch_vectors import WHOLE_IMAGES
from .send_params import field_of

P = ParamSpec("P")
R = TypeVar("R")

EMBEDDING = "embeddings"  # the step that is measured elsewhere: see `vision.speed`
_ENOUGH = 32  # images, for a measurement that means something
_RUNS_KEPT, _SETTINGS_KEPT = 5, 200
# What a job's time depends on beside the number of images; a setting that is missing here changes little.
_MATTERS: dict[str, tuple[str, ...]] = {
    "compute_embeddings": ("backbone", "image_size", "projection", "patches_field", "index"),
    "find_duplicates": ("vectors.backbone", "vectors.image_size", "neighbors"),
    "find_leaks": ("vectors.backbone", "vectors.image_size", "neighbors"),
    "split_dataset": ("vectors.backbone", "vectors.image_size"),
    "find_label_issues": (
        "vectors.backbone", "vectors.image_size", "measure_cleaning", "fine_tune", "patches_field", "neighbors",
    ),
    "train_classifier": ("preset", "patches_field"),
    "apply_classifier": ("classifier", "patches_field"),
    "evaluate_predictions": (),
    "compare_predictions": (),
    "select_for_labeling": ("vectors.backbone", "vectors.image_size", "strategy"),
    "check_drift": ("classifier", "vectors.backbone", "vectors.image_size"),
    "send_to_label_studio": ("images", "prediction_field"),
    "pull_from_label_studio": (),
    "export_dataset": ("writes_images", "link"),
}  # fmt: skip


@dataclass(frozen=True)
class Rate:
    """One run of a job.

    Attributes:
        images: How many images, or patches, it looked at.
        seconds: What it took, without the computing of vectors.
        cores: That it might keep busy.
    """

    images: int
    seconds: float
    cores: int


@dataclass(frozen=True)
class Settings:
    """What the time of a job depends on: runs of equal settings take equally long an image.

    Attributes:
        job: Name of the job.
        dataset: Name of the dataset.
        text: The settings that matter, such as "preset=probe".
    """

    job: str
    dataset: str
    text: str

    @property
    def key(self) -> str:
        """Under which the runs are kept."""
        return f"{self.job}|{self.text}|{self.dataset}"


def timed(job: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have the workflow of a job remember how long each run took that ended well; it takes (view, params, progress)."""

    def decorate(work: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(work)

        @functools.wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            view, params = given.arguments["view"], given.arguments["params"]
            units = _units_before(job, view, params)
            clock = given.arguments["progress"] = _Clock(given.arguments["progress"])
            report = work(*given.args, **given.kwargs)
            settings = settings_of(job, view, params)
            if settings is not None and units is not None:
                remember(settings, Rate(units, clock.seconds(), available_cores()))
            return report

        return run

    return decorate


class _Clock:
    """A progress callback that measures how long a job takes, without the step that computes vectors."""

    def __init__(self, show: Progress) -> None:
        self._show = show
        self._started = self._last = time.monotonic()
        self._embedding = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step == EMBEDDING:
            self._embedding += now - self._last
        self._last = now
        self._show(step, done, total)

    def seconds(self) -> float:
        return time.monotonic() - self._started - self._embedding


def settings_of(job: str, view: Collection, params: Any) -> Settings | None:
    """Return what the time of a job depends on; None where runs of these settings can't be told from others."""
    changed = getattr(params, "changes", AS_IT_IS) != AS_IT_IS or getattr(params, "recipe_file", None)
    apart = getattr(params, "dry_run", False) or getattr(params, "file", None) is not None
    if job not in _MATTERS or changed or apart or uses_cluster(params):
        return None
    values = {name: functools.reduce(getattr, name.split("."), params) for name in _MATTERS[job]}
    if patches := shown_patches(view):
        values["patches_field"] = patches
    if values.get("classifier") is not None or job == "apply_classifier":  # which takes the one in use unless told
        values["classifier"] = _network_of(view, values["classifier"])
    text = ",".join(f"{name}={value}" for name, value in values.items() if value not in (None, False, WHOLE_IMAGES))
    return Settings(job, dataset_of(view).name, text)


def units_of(job: str, view: Collection, params: Any) -> int:
    """Return how many images, or patches, a job looks at."""
    if job == "send_to_label_studio":
        return _going_out(view, params)
    if job == "pull_from_label_studio":
        return view.match({BATCH_FIELD: params.batch or {"$ne": None}}).count()
    field = getattr(params, "patches_field", WHOLE_IMAGES)
    if field == WHOLE_IMAGES or shown_patches(view) or field not in patch_fields(view):
        return view.count()
    return view.count(label_path(view, field))


def _units_before(job: str, view: Collection, params: Any) -> int | None:
    """Return how many units a job is about to look at, of which a later look would not know; None where it refuses."""
    with contextlib.suppress(WinnowError):
        return units_of(job, view, params)
    return None


def _going_out(view: Collection, params: Any) -> int:
    field = field_of(view, params)
    if params.unsure:
        view = view.select(kind_of(view, field).unsure(view, field))
    return count_outgoing(view, field, everything=params.everything, again=params.again, limit=params.limit)


def rates_of(settings: Settings) -> tuple[list[Rate], bool]:
    """Return the last runs of these settings, the newest last: on this dataset, else on any other.

    Returns:
        The runs, and whether they are of this dataset.
    """
    known = _read()
    if settings.key in known:
        return known[settings.key], True
    same = f"{settings.job}|{settings.text}|"
    return [rates[-1] for key, rates in known.items() if key.startswith(same)][-_RUNS_KEPT:], False


def remember(settings: Settings, rate: Rate) -> None:
    """Keep how long a run took; one of few images, or a folder that cannot be written, is passed over."""
    if rate.images < _ENOUGH:
        return
    known = _read()
    runs = [*known.pop(settings.key, []), rate]
    if len(runs) > _RUNS_KEPT:
        # The slowest stays: the others may have found most of their work done by an earlier run.
        slowest = max(runs, key=lambda each: each.seconds * each.cores / each.images)
        runs.remove(next(each for each in runs if each is not slowest))
    kept = dict(list({**known, settings.key: runs}.items())[-_SETTINGS_KEPT:])
    text = json.dumps({key: [asdict(each) for each in rates] for key, rates in kept.items()})
    path = _path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text)
        os.replace(file.name, path)


def _path() -> Path:
    return winnow_home() / "rates.json"


def _read() -> dict[str, list[Rate]]:
    """Return the runs by key, those used last at the end; none where the file is missing or damaged."""
    try:
        found = json.loads(_path().read_text())
        return {str(key): [_rate(each) for each in rates] for key, rates in found.items() if rates}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _rate(found: dict[str, Any]) -> Rate:
    rate = Rate(int(found["images"]), float(found["seconds"]), int(found["cores"]))
    if rate.images < 1 or rate.cores < 1 or not 0 <= rate.seconds < float("inf"):
        raise ValueError(f"no run of a job: {found}")
    return rate


def _network_of(view: Collection, asked: Path | str | None) -> str:
    """Return architecture and input size of a classifier, by which its time goes; its name where it can't be read."""
    try:
        folder = classifier_folder(view, asked)
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return f"{about['architecture']}@{about['preprocessing']['input']['size']}"
    except (ClassifierError, OSError, ValueError, KeyError, TypeError):
        return str(asked)
