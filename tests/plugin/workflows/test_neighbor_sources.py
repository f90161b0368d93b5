"""The jobs give the same with neighbours from a vector database as with those that this machine finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

from winnow.plugin.datasets.runs import load_run
from winnow.plugin.datasets.similarity_indexes import KEY
from winnow.plugin.errors import DataError
from winnow.plugin.workflows.duplicates import DuplicateParams, DuplicateReport, find_duplicates
from winnow.plugin.workflows.embed import EmbedParams, compute_embeddings
from winnow.plugin.workflows.findings import DUPLICATES_RUN
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.leaks import LeakParams, LeakReport, find_leaks
from winnow.plugin.workflows.vectors import VectorParams

from .conftest import IMAGES, make_dataset

pytest.importorskip("lancedb")


@pytest.fixture(scope="module")
def stored(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Return a dataset whose vectors lie in LanceDB."""
    made = make_dataset(folder)
    with pytest.MonkeyPatch.context() as patch:
        place = str(tmp_path_factory.mktemp("lance"))
        patch.setitem(fob.brain_config.similarity_backends["lancedb"], "uri", place)
        report = compute_embeddings(made, EmbedParams(index="lancedb", projection="none"))
        assert f"{IMAGES} vectors put into lancedb" in report.text()
        yield made
    made.delete()


def flagged(report: DuplicateReport | LeakReport) -> set[tuple[str, ...]]:
    return {tuple(sorted(pair)) for pair in report.samples.ids[report.pairs.rows[report.pairs.flagged]].tolist()}


def test_the_same_pairs_are_flagged(stored: fo.Dataset) -> None:
    expected = find_duplicates(stored)
    expected_leaks = find_leaks(stored)

    found = find_duplicates(stored, DuplicateParams(neighbors=KEY))
    leaks = find_leaks(stored, LeakParams(neighbors=KEY))

    assert len(flagged(expected)) >= 5
    assert flagged(found) == flagged(expected)
    assert flagged(leaks) == flagged(expected_leaks)
    assert load_run(stored, DUPLICATES_RUN).params["neighbors"] == KEY


def test_the_same_labels_are_judged_alike(stored: fo.Dataset) -> None:
    expected = find_label_issues(stored)

    found = find_label_issues(stored, LabelIssueParams(neighbors=KEY))

    assert found.issues.is_issue.tolist() == expected.issues.is_issue.tolist()
    np.testing.assert_allclose(found.issues.quality, expected.issues.quality, atol=0.01)


def test_a_second_embedding_puts_in_what_is_new(stored: fo.Dataset) -> None:
    report = compute_embeddings(stored, EmbedParams(index="lancedb", projection="none"))

    assert "0 vectors put into lancedb" in report.text()


@pytest.mark.parametrize("job", ["duplicates", "leaks", "label issues"])
def test_an_index_that_is_not_there_is_an_error_before_work(stored: fo.Dataset, job: str) -> None:
    told: list[str] = []

    def progress(step: str, done: int, total: int) -> None:
        told.append(step)

    with pytest.raises(DataError, match="has no similarity index 'absent'"):
        {
            "duplicates": lambda: find_duplicates(stored, DuplicateParams(neighbors="absent"), progress),
            "leaks": lambda: find_leaks(stored, LeakParams(neighbors="absent"), progress),
            "label issues": lambda: find_label_issues(stored, LabelIssueParams(neighbors="absent"), progress),
        }[job]()

    assert not told


def test_an_index_of_another_image_size_is_refused(stored: fo.Dataset) -> None:
    params = DuplicateParams(vectors=VectorParams(image_size=64), neighbors=KEY)

    with pytest.raises(DataError, match=r"holds other vectors than this job's .*winnow embed TARGET --index lancedb"):
        find_duplicates(stored.limit(20), params)
