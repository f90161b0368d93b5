from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import pytest

from tests.conftest import write_image
from tests.label_reports import CLASSES, fill
from winnow.plugin.datasets.runs import save_run
from winnow.plugin.workflows.label_report import read_label_report


@pytest.fixture
def judged(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    made = dataset()
    fill(made, tmp_path)
    return made


def test_saved_report_is_read_back(judged: fo.Dataset) -> None:
    saved = read_label_report(judged)

    assert saved is not None
    assert saved.report.classes == CLASSES
    assert saved.report.flagged[0, 1] == 4
    assert (saved.flagged, saved.estimated, saved.stale) == (6, 6.0, None)


def test_labels_of_a_pair_are_the_flagged_ones_with_that_suggestion(judged: fo.Dataset) -> None:
    found = read_label_report(judged).labels(judged, "cat", "dog")

    assert found.values("ground_truth.label") == ["cat"] * 4
    assert found.values("suggested_label.label") == ["dog"] * 4


def test_labels_of_a_class_are_found_under_each_spelling(judged: fo.Dataset) -> None:
    found = read_label_report(judged).labels(judged, "dog")

    assert sorted(found.values("ground_truth.label")) == ["Dog", "dog"]


def test_report_says_when_samples_were_added_since(judged: fo.Dataset, tmp_path: Path) -> None:
    judged.add_sample(fo.Sample(filepath=str(write_image(tmp_path / "new.png"))))

    assert "1 samples were added" in read_label_report(judged).stale


def test_without_a_run_there_is_no_report(dataset: Callable[..., fo.Dataset]) -> None:
    assert read_label_report(dataset()) is None


def test_once_a_field_was_deleted_there_is_no_report(judged: fo.Dataset) -> None:
    judged.delete_sample_field("suggested_label")

    assert read_label_report(judged) is None


def test_run_of_an_earlier_version_without_a_report_is_passed_over(judged: fo.Dataset) -> None:
    save_run(
        judged,
        "winnow_label_issues",
        method="find_label_issues",
        params={"quality_field": "label_quality", "issue_field": "label_issue", "suggestion_field": "suggested_label"},
        fields=["label_quality", "label_issue", "suggested_label"],
        summary={},
    )

    assert read_label_report(judged) is None
