"""The main job on embedded real images with planted faults: found against planted, beside the real findings."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.targets import open_target
from ..errors import TargetError
from ..home import winnow_home
from ..progress import Progress, silent
from .curate import CurateParams, CurateReport, curate
from .label_issues import LabelIssueReport
from .planting import Planted, plant

_MARK = "planted.json"


@dataclass(frozen=True)
class DemoParams:
    """Settings of `run_demo`.

    Attributes:
        folder: Where the working copy goes; None = below Winnow's home.
        seed: Which faults are planted, and of the job.
        preset: Of the training: "probe" or "quick".
    """

    folder: Path | str | None = None
    seed: int = 0
    preset: str = "quick"


@dataclass(frozen=True)
class Score:
    """Planted faults of one kind against what was found of them; NaN where nothing was planted or flagged."""

    planted: int
    found: int
    precision: float
    recall: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "planted": self.planted,
            "found": self.found,
            "precision": None if isnan(self.precision) else round(self.precision, 4),
            "recall": None if isnan(self.recall) else round(self.recall, 4),
        }


@dataclass(frozen=True, eq=False)
class DemoReport:
    """The main job's report, and how it did on the planted faults."""

    curate: CurateReport
    planted: dict[str, Score]

    @property
    def dataset_name(self) -> str:
        """The demo's dataset."""
        return self.curate.dataset_name

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**self.curate.summary(), "planted": {name: score.to_dict() for name, score in self.planted.items()}}

    def text(self) -> str:
        """Return markdown for a person."""
        rows = [
            f"| {name.replace('_', ' ')} | {it.planted} | {it.found} | {it.precision:.0%} | {it.recall:.0%} |"
            for name, it in self.planted.items()
        ]
        table = ["| planted fault | planted | found | precision | recall |", "|---|---|---|---|---|", *rows]
        return "\n".join([self.curate.text(), "", *table])


def run_demo(params: DemoParams = DemoParams(), progress: Progress = silent) -> DemoReport:
    """Make the working copy, run `curate` on it, and compare.

    Raises:
        TargetError: The folder holds something else.
    """
    folder = Path(params.folder).expanduser() if params.folder else winnow_home() / f"demo-{params.seed}"
    planted = _working_copy(folder, params.seed)
    view = open_target(str(folder), progress=progress).dataset
    root = folder.resolve()
    ids = dict(zip(*view.values(["filepath", "id"]), strict=True))
    wrong = [ids[path] for name in planted.wrong_labels if (path := str(root / name)) in ids]
    report = curate(view, CurateParams(preset=params.preset, seed=params.seed), progress, untrusted=wrong)
    return DemoReport(report, compare(report, planted, root))


def compare(report: CurateReport, planted: Planted, folder: Path) -> dict[str, Score]:
    """Score what was found against what was planted.

    Duplicates: a planted copy counts as found when a flagged pair joins it with its source or another copy of it;
    precision is the share of such pairs among the flagged ones that contain a planted copy.
    """
    names = [Path(path).relative_to(folder).as_posix() for path in report.duplicates.samples.paths]
    flagged = report.duplicates.pairs.rows[report.duplicates.pairs.flagged]
    with_copy, right, found = 0, 0, set()
    for a, b in ((names[a], names[b]) for a, b in flagged):
        sides = [name for name in (a, b) if name in planted.copies]
        if not sides:
            continue
        with_copy += 1
        if planted.copies.get(a, a) == planted.copies.get(b, b):
            right += 1
            found.update(sides)
    scores = {"duplicates": _score(len(planted.copies), len(found), right, with_copy)}
    if isinstance(report.label_issues, LabelIssueReport):
        issues = {names[row] for row in np.flatnonzero(report.label_issues.issues.is_issue)}
        hits = issues & set(planted.wrong_labels)
        scores["label_issues"] = _score(len(planted.wrong_labels), len(hits), len(hits), len(issues))
    failed = {Path(failure.path).relative_to(folder).as_posix() for failure in report.failures}
    hits = failed & set(planted.unreadable)
    scores["unreadable"] = _score(len(planted.unreadable), len(hits), len(hits), len(failed))
    return scores


def _score(planted: int, found: int, right: int, flagged: int) -> Score:
    return Score(
        planted,
        found,
        precision=right / flagged if flagged else float("nan"),
        recall=found / planted if planted else float("nan"),
    )


def _working_copy(folder: Path, seed: int) -> Planted:
    """Return the faults of the copy in `folder`, which is made where it is not there yet."""
    mark = folder / _MARK
    if mark.is_file():
        return Planted(**json.loads(mark.read_text(encoding="utf-8")))
    if folder.exists() and any(folder.iterdir()):
        raise TargetError(f"'{folder}' is not empty and no demo of Winnow; choose another folder.")
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)  # left by a run that was killed
    planted = plant(making, seed)
    (making / _MARK).write_text(json.dumps(planted.to_dict(), indent=1, ensure_ascii=False), encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    making.rename(folder)
    return planted
