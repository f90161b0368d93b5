"""What stays of drift checks in a dataset: all of the last one, and how the earlier ones ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..curation.projection import project
from ..datasets import runs
from ..datasets.views import Collection
from ..training.reference import Reference
from .drift_images import Described
from .drift_report import DriftReport

RUN = "winnow_drift"
_POINTS = 1_000  # of each side
_HISTORY = 200  # checks


@dataclass(frozen=True, eq=False)
class SavedDrift:
    """The last drift check of a dataset.

    Attributes:
        summary: As of `DriftReport.summary`.
        points: Of both sides in a plane, see `points_of`.
        scores: Sample id -> drift score, of what was checked.
        history: All checks, the oldest first: `time` (ISO 8601, UTC), `current`, `reference`, `version`, `is_drift`,
            `p_value`, `effect_size`, `images`, `novel`, and `score`, the mean drift score.
        stale: Why it no longer tells about the whole dataset, None while it does.
    """

    summary: dict[str, Any]
    points: dict[str, list[Any]]
    scores: dict[str, float]
    history: list[dict[str, Any]]
    stale: str | None


def load_drift(view: Collection) -> SavedDrift | None:
    """Return the last drift check of a dataset, None where there was none."""
    run = next((each for each in runs.list_runs(view) if each.key == RUN), None)
    found = None if run is None else runs.load_results(view, RUN)
    if run is None or found is None:
        return None
    return SavedDrift(
        run.summary,
        found["points"],
        dict(zip(found["ids"], found["scores"], strict=True)),
        found["history"],
        runs.is_stale(view, RUN),
    )


def save_drift(view: Collection, report: DriftReport, reference: Described | Reference) -> None:
    """Save a check with all that it found, beside the history of the earlier ones."""
    earlier = load_drift(view)
    samples, drift, summary = report.current.samples, report.drift, report.summary()
    known = np.isfinite(drift.scores)
    told = ("current", "reference", "version", "is_drift", "p_value", "effect_size", "images", "novel")
    point = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: summary[name] for name in told},
        "score": round(float(drift.scores[known].mean()), 4),
    }
    params = report.params
    runs.save_run(
        view,
        RUN,
        method="check_drift",
        params={**asdict(params), "classifier": None if params.classifier is None else str(params.classifier)},
        fields=[params.score_field, params.novel_field],
        summary=summary,
        results={
            "points": points_of(report, reference),
            "ids": samples.ids[known].tolist(),
            "scores": [round(float(score), 4) for score in drift.scores[known]],
            "history": [*([] if earlier is None else earlier.history), point][-_HISTORY:],
        },
    )


def points_of(report: DriftReport, reference: Described | Reference) -> dict[str, list[Any]]:
    """Return at most 1,000 images of each side in a plane, laid out by principal components.

    Returns:
        Columns: `x`, `y`, `id` (of a sample; None for what is stored with a classifier), `side` ("reference" or
        "current"), `score`, `novel`; the reference has no score and nothing novel.
    """
    drift, samples, seed = report.drift, report.current.samples, report.params.seed
    now = _some(np.flatnonzero(np.isfinite(drift.scores)), seed)
    then = _some(np.arange(len(reference.vectors)), seed)
    vectors = np.concatenate([reference.vectors[then], report.current.vectors[now]]).astype(np.float32)
    places = project(vectors).round(4)
    ids = [None] * len(then) if isinstance(reference, Reference) else reference.samples.ids[then].tolist()
    return {
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "id": [*ids, *samples.ids[now].tolist()],
        "side": ["reference"] * len(then) + ["current"] * len(now),
        "score": [None] * len(then) + [round(float(score), 4) for score in drift.scores[now]],
        "novel": [False] * len(then) + drift.novel[now].tolist(),
    }


def _some(rows: np.ndarray, seed: int) -> np.ndarray:
    if len(rows) <= _POINTS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, _POINTS, replace=False))
