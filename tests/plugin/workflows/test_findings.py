"""What earlier jobs found is read back for the labels that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from tests.label_sets import make_judged
from winnow.plugin.workflows.findings import read_findings, read_suggested_changes


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return six images, of which the first three are flagged for their labels in `things`."""
    made = make_judged(tmp_path)
    yield made
    made.delete()


@pytest.mark.parametrize("label_field", ["things", None])
def test_label_issues_of_the_field_are_read(judged: fo.Dataset, label_field: str | None) -> None:
    found = read_findings(judged, np.array(judged.values("id"), object), label_field)

    assert found.is_issue.tolist() == [True] * 3 + [False] * 3


def test_label_issues_of_another_field_do_not_count_and_this_is_told(judged: fo.Dataset) -> None:
    found = read_findings(judged, np.array(judged.values("id"), object), "ground_truth")

    assert not found.is_issue.any()
    assert np.isnan(found.quality).all()
    assert "label issues were last looked for in 'things', not in 'ground_truth'" in found.notes


def test_suggested_changes_of_the_field_are_read_and_of_no_other(judged: fo.Dataset) -> None:
    ids = np.array(judged.values("id"), object)

    found = read_suggested_changes(judged, ids, "things")

    assert sorted(found) == sorted(ids[:3])
    assert [change.label for change in found[ids[0]].changes] == ["fox", "dog"]
    assert read_suggested_changes(judged, ids, "ground_truth") == {}
