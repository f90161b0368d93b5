"""How long each job would take on a collection with its usual settings: what `winnow estimate` tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..datasets.views import Collection, dataset_of
from ..training.recipe import PRESETS
from .duplicates import DuplicateParams
from .embed import EmbedParams
from .estimates import Estimate, estimate
from .evaluate import EvaluateParams
from .label_issues import LabelIssueParams
from .leaks import LeakParams
from .predict import PredictParams
from .select import SelectParams
from .split import SplitParams
from .train import TrainParams


@dataclass(frozen=True)
class EstimatesReport:
    """How long each job would take.

    Attributes:
        dataset_name: Name of the dataset.
        estimates: Command -> what it would take, in the order in which people run them.
    """

    dataset_name: str
    estimates: dict[str, Estimate]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        jobs = {command: found.summary() for command, found in self.estimates.items()}
        return {"dataset": self.dataset_name, "jobs": jobs}

    def text(self) -> str:
        """Return markdown for a person."""
        lines = [f"**Expected time on '{self.dataset_name}'**, each job by itself and with its usual settings:", ""]
        lines += ["| command | time |", "|---|---|"]
        lines += [f"| {command} | {found.text()} |" for command, found in self.estimates.items()]
        return "\n".join(lines)


def estimate_jobs(view: Collection) -> EstimatesReport:
    """Estimate each job on a collection, by what this machine remembers of earlier runs; nothing is run."""
    found = {command: estimate(job, view, params) for command, job, params in _jobs()}
    known = {command: expected for command, expected in found.items() if expected is not None}
    return EstimatesReport(dataset_of(view).name, known)


def _jobs() -> Iterator[tuple[str, str, Any]]:
    """Yield command, job and usual settings."""
    yield "embed", "compute_embeddings", EmbedParams()
    yield "duplicates", "find_duplicates", DuplicateParams()
    yield "leaks", "find_leaks", LeakParams()
    yield "split", "split_dataset", SplitParams()
    yield "label-issues", "find_label_issues", LabelIssueParams()
    for preset in PRESETS:
        yield f"train --preset {preset}", "train_classifier", TrainParams(preset=preset)
    yield "predict", "apply_classifier", PredictParams()
    yield "evaluate", "evaluate_predictions", EvaluateParams()
    yield "select", "select_for_labeling", SelectParams()
