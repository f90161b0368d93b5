"""How the demo scores itself; the whole of it is run in tests/test_offline.py."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.curation.duplicates import DuplicatePairs
from winnow.plugin.curation.groups import group_duplicates
from winnow.plugin.curation.label_issues import LabelIssues
from winnow.plugin.datasets.samples import Samples
from winnow.plugin.errors import TargetError
from winnow.plugin.failures import Failure
from winnow.plugin.workflows.curate import CurateReport
from winnow.plugin.workflows.demo import DemoParams, DemoReport, Score, compare, run_demo
from winnow.plugin.workflows.duplicates import DuplicateReport
from winnow.plugin.workflows.label_issues import LabelIssueReport
from winnow.plugin.workflows.planting import Planted

ROOT = Path("/demo")
NAMES = ("train/a.png", "test/a copy.png", "train/a copy 2.png", "train/b.png", "test/b copy.png", "train/c.png")
PLANTED = Planted(
    copies={
        "test/a copy.png": "train/a.png",
        "train/a copy 2.png": "train/a.png",
        "test/b copy.png": "train/b.png",
    },
    wrong_labels={"train/b.png": "bag", "train/c.png": "bag", "train/gone.png": "bag"},
    unreadable=["train/gone.png", "train/cut off.png"],
)


def report_of(
    pairs: list[tuple[int, int]], issues: list[int] | None = None, failed: tuple[str, ...] = ()
) -> CurateReport:
    """Return the report of a job that flagged these pairs, labels and files; one more pair is below the threshold."""
    n = len(NAMES)
    samples = Samples(
        ids=np.array([f"{row}" for row in range(n)], object),
        paths=np.array([str(ROOT / name) for name in NAMES], object),
        labels=np.zeros(n, np.int64),
        classes=("bag", "dress"),
        splits=np.array([name.split("/")[0] for name in NAMES], object),
        label_field="ground_truth",
        split_source="split",
    )
    rows = np.array([*pairs, (3, 4)], np.int64)
    score = np.array([0.9] * len(pairs) + [0.1], np.float32)
    scored = DuplicatePairs(rows, score, 0.5)
    groups = group_duplicates(scored, n)
    failures = tuple(Failure(name, str(ROOT / name), "truncated") for name in failed)
    label_issues = None
    if issues is not None:
        flagged = np.isin(np.arange(n), issues)
        zeros, count = np.zeros(n, np.int64), float(flagged.sum())
        found = LabelIssues(np.ones(n), flagged, zeros, np.ones(n), zeros, count, (count, count), 1.0, "uniform")
        label_issues = LabelIssueReport(samples, found, failures)
    return CurateReport(
        dataset_name="demo",
        images=n,
        failures=failures,
        duplicates=DuplicateReport(samples, scored, groups, groups.centre, np.zeros(len(groups), bool), failures),
        leaks=None,
        label_issues=label_issues,
        training=None,
        evaluation=None,
        no_classifier="",
        seconds={},
        notes=(),
    )


@pytest.mark.parametrize(
    ("pairs", "found", "precision"),
    [
        ([(0, 1)], 1, 1.0),  # a copy with its source
        ([(1, 2)], 2, 1.0),  # two copies of one source
        ([(0, 1), (1, 5)], 1, 0.5),  # a copy with a stranger, too
        ([(1, 4)], 0, 0.0),  # copies of different sources
        ([(0, 1), (3, 5)], 1, 1.0),  # a pair without any copy doesn't count
    ],
)
def test_copies_count_as_found_when_joined_with_their_source_or_another_copy(
    pairs: list[tuple[int, int]], found: int, precision: float
) -> None:
    score = compare(report_of(pairs), PLANTED, ROOT)["duplicates"]

    assert score == Score(planted=3, found=found, precision=precision, recall=found / 3)


def test_nothing_flagged_has_no_precision() -> None:
    score = compare(report_of([]), PLANTED, ROOT)["duplicates"]

    assert (score.found, score.recall) == (0, 0)
    assert math.isnan(score.precision)
    assert score.to_dict()["precision"] is None


def test_wrong_labels_are_counted_among_all_flagged_labels() -> None:
    score = compare(report_of([], issues=[0, 3]), PLANTED, ROOT)["label_issues"]

    assert score == Score(planted=3, found=1, precision=0.5, recall=1 / 3)


def test_without_label_issues_there_is_no_score_for_them() -> None:
    assert "label_issues" not in compare(report_of([]), PLANTED, ROOT)


def test_unreadable_files_are_counted_among_all_failures() -> None:
    report = report_of([], failed=("train/gone.png", "train/other.png"))

    score = compare(report, PLANTED, ROOT)["unreadable"]

    assert score == Score(planted=2, found=1, precision=0.5, recall=0.5)


def test_text_has_a_row_for_each_planted_fault() -> None:
    report = report_of([(0, 1)], issues=[3])

    text = DemoReport(report, compare(report, PLANTED, ROOT)).text()

    assert "| duplicates | 3 | 1 | 100% | 33% |" in text
    assert "| label issues | 3 | 1 | 100% | 33% |" in text


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")

    with pytest.raises(TargetError, match=f"'{tmp_path}' is not empty and no demo of Winnow"):
        run_demo(DemoParams(folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
