"""What all jobs promise: a plain JSON summary, a text with the next step, and a way to be cancelled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import pytest

from winnow.plugin.errors import JobCancelled
from winnow.plugin.progress import silent
from winnow.plugin.workflows.curate import CurateParams, curate
from winnow.plugin.workflows.drift import check_drift_of
from winnow.plugin.workflows.drift_settings import DriftParams
from winnow.plugin.workflows.duplicates import DuplicateParams, find_duplicates
from winnow.plugin.workflows.embed import EmbedParams, compute_embeddings
from winnow.plugin.workflows.evaluate import EvaluateParams, evaluate_predictions
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.leaks import LeakParams, find_leaks
from winnow.plugin.workflows.predict import PredictParams, apply_classifier
from winnow.plugin.workflows.thresholds import ThresholdParams, set_thresholds
from winnow.plugin.workflows.train import TrainParams, train_classifier


@pytest.fixture(scope="module")
def view(shared: fo.Dataset) -> fo.DatasetView:
    """Return every fifth image of both splits."""
    return shared.select(shared.values("id")[::5])


@pytest.fixture(scope="module")
def classifier(view: fo.DatasetView, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("classifier")
    return str(train_classifier(view, TrainParams(preset="probe", output=output)).classifier_dir)


def run(name: str, view: fo.DatasetView, classifier: str, progress: Callable = silent) -> Any:
    """Run a job of this name with its default settings, but the quickest training."""
    jobs: dict[str, tuple[Callable, Any]] = {
        "embed": (compute_embeddings, EmbedParams()),
        "duplicates": (find_duplicates, DuplicateParams()),
        "leaks": (find_leaks, LeakParams()),
        "label issues": (find_label_issues, LabelIssueParams()),
        "train": (train_classifier, TrainParams(preset="probe")),
        "predict": (apply_classifier, PredictParams(classifier)),
        "evaluate": (evaluate_predictions, EvaluateParams()),
        "thresholds": (set_thresholds, ThresholdParams(classifier, recall=0.5)),
        "drift": (check_drift_of, DriftParams(classifier)),
        "curate": (curate, CurateParams(preset="probe")),
    }
    job, params = jobs[name]
    return job(view, params, progress)


JOBS = ["embed", "duplicates", "leaks", "label issues", "train", "predict", "evaluate", "thresholds", "drift", "curate"]


@pytest.mark.parametrize("name", JOBS)
def test_summary_is_plain_json(name: str, view: fo.DatasetView, classifier: str) -> None:
    summary = run(name, view, classifier).summary()

    assert json.loads(json.dumps(summary, allow_nan=False))


@pytest.mark.parametrize("name", [name for name in JOBS if name != "evaluate"])
def test_text_ends_with_the_next_step(name: str, view: fo.DatasetView, classifier: str) -> None:
    text = run(name, view, classifier).text()

    assert text.splitlines()[-1].startswith("Next: ")


@pytest.mark.parametrize("name", [name for name in JOBS if name != "evaluate"])
def test_raising_from_progress_cancels_the_job(name: str, view: fo.DatasetView, classifier: str) -> None:
    def cancel(step: str, done: int, total: int) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        run(name, view, classifier, cancel)
