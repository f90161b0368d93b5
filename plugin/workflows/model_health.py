"""How a classifier does at work: what annotators answered, whether the images have changed, what was decided.

Everything here works without FiftyOne, where no dataset is given: a machine that serves need not have it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ClassifierError, DataError
from ..progress import Progress, silent
from ..training.classifier_files import DESCRIPTION
from ..training.reference import Reference
from ..training.versions import default_state
from .health_figures import ClassifierFacts, Health, Missing
from .health_of_store import RememberedHealth
from .health_page import write_page
from .health_report import HealthReport
from .health_tracking import with_answers, with_expectations

if TYPE_CHECKING:
    from ..datasets.views import Collection

_STEPS = 3
_NO_ANSWERS = Missing(
    "What annotators answered",
    "set WINNOW_REMEMBER_DAYS=30 for `winnow serve` or `winnow labelstudio sync`, or bring labels back with `winnow "
    "labelstudio pull` and name the dataset.",
)
_NO_DRIFT = Missing(
    "Whether the images have changed",
    "run `winnow drift DATASET --classifier` with this classifier's folder, or set WINNOW_REMEMBER_DAYS for the "
    "backend.",
)
_NO_REFERENCE = Missing(
    "What the images looked like when it was trained",
    "train it again: a classifier of this version of Winnow keeps that beside its weights.",
)


@dataclass(frozen=True)
class HealthParams:
    """Settings of `model_health`.

    Attributes:
        classifier: Folder of the classifier.
        state: State folder of the backend that serves it; None = where `winnow serve` keeps it.
        days: How far back answers are looked at; None = all that is remembered.
        prediction_field: Field of the dataset with the predictions; None = the one with what this version predicted.
        label_field: Field of the dataset with the labels that annotators gave; None = the only one, or `ground_truth`.
        compare: Hold what the backend remembers against the classifier's reference now, which takes some seconds.
        output: HTML file that is written; None = none is.
    """

    classifier: Path | str
    state: Path | str | None = None
    days: int | None = None
    prediction_field: str | None = None
    label_field: str | None = None
    compare: bool = True
    output: Path | str | None = None

    def __post_init__(self) -> None:
        if self.days is not None and self.days < 1:
            raise DataError(f"the days to look back must be at least 1, got {self.days}.")


def model_health(view: Collection | None, params: HealthParams, progress: Progress = silent) -> HealthReport:
    """Gather what is known of a classifier's health, and name what is not.

    Args:
        view: A dataset in which predictions and labels came together, or drift was looked for; None = none.
        params: Settings.
        progress: Told along the way.

    Raises:
        ClassifierError: There is no classifier, or its reference is damaged.
        DataError: The report cannot be written.
        FieldError: A field of the dataset holds something else.
        ServedStoreError: What the backend remembers cannot be read.
    """
    folder = Path(params.classifier).expanduser()
    state = default_state(folder) if params.state is None else Path(params.state).expanduser()
    now = datetime.now(UTC)
    since = None if params.days is None else now - timedelta(days=params.days)
    progress("model health", 0, _STEPS)
    remembered = RememberedHealth.read(state, since)
    at_work = remembered.folder_at_work(folder)
    facts, thresholds = _described(at_work)
    health = Health(facts, made_at=now, days=params.days)
    if at_work != folder:
        health = replace(health, notes=(f"the version at work was trained from annotations; it lies in `{at_work}`",))
    progress("model health", 1, _STEPS)
    if remembered.outcomes is not None:
        health = with_answers(health, remembered.outcomes, "what the backend remembers")
    health = _with_dataset(health, view, params, since)
    progress("model health", 2, _STEPS)
    reference = Reference.load(at_work)
    if reference is not None:
        health = with_expectations(health, reference, thresholds)
        if params.compare:
            health = remembered.with_drift(health, reference, progress)
    health = replace(health, decisions=remembered.decisions, missing=_missing(health, reference, remembered))
    progress("model health", _STEPS, _STEPS)
    page = None if params.output is None else write_page(health, Path(params.output).expanduser())
    return HealthReport(health, page, comparable=reference is not None and remembered.predictions > 0)


def _described(folder: Path) -> tuple[ClassifierFacts, tuple[float, ...] | None]:
    """Return who a classifier is by its folder, and its thresholds, without loading the network.

    Raises:
        ClassifierError: There is none, or it is damaged.
    """
    try:
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        validation, thresholds = about.get("validation", {}).get(about.get("kept", "")), about.get("thresholds")
        facts = ClassifierFacts(
            folder=str(folder),
            version=str(about["version"]),
            classes=tuple(map(str, about["classes"])),
            multilabel=bool(about.get("multilabel")),
            trained_at=str(about.get("trained_at", "")),
            training_images=int(about.get("training_images", 0)),
            training_fingerprint=str(about.get("training_fingerprint", "")),
            metric=str(about.get("metric", "")),
            validation=None if validation is None else float(validation),
        )
        return facts, None if thresholds is None else tuple(map(float, thresholds))
    except FileNotFoundError:
        raise ClassifierError(
            f"no classifier in '{folder}': {DESCRIPTION} is missing. `winnow train` makes one."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise ClassifierError(f"the classifier in '{folder}' is damaged ({type(cause).__name__}: {cause})") from cause


def _with_dataset(health: Health, view: Collection | None, params: HealthParams, since: datetime | None) -> Health:
    if view is None:
        return health
    from .health_of_dataset import with_dataset  # late, as FiftyOne is

    return with_dataset(health, view, params.prediction_field, params.label_field, since)


def _missing(health: Health, reference: Reference | None, remembered: RememberedHealth) -> tuple[Missing, ...]:
    missing = list(health.missing)
    if not health.versions:
        missing.append(_NO_ANSWERS)
    if reference is None:
        missing.append(_NO_REFERENCE)
    if not health.checks:
        missing.append(_NO_DRIFT)
    return (*missing, *remembered.missing)
