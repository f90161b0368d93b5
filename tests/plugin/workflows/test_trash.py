"""The trash is emptied of what has lain there long enough, and of nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bson import ObjectId

from winnow.plugin.home import winnow_home
from winnow.plugin.workflows.trash import describe_trash, empty_trash


@pytest.fixture
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the trash of a home of its own: files deleted 40 days ago and today, a classifier, and a user's folder."""
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))
    folder = winnow_home() / "trash"
    for days in (40, 0):
        own = folder / str(ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=days))) / "sample"
        own.mkdir(parents=True)
        (own / "0.png").write_bytes(bytes(100 + days))
    stamp = (datetime.now() - timedelta(days=10)).strftime("%Y%m%d-%H%M%S")
    for name in (f"classifiers/garments-2-{stamp}-123456", "mine"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_bytes(bytes(1000))
    return folder


def test_what_lies_there_is_told_with_its_age(trash: Path) -> None:
    found = describe_trash()

    assert (found.deletions, found.bytes) == (3, 1240)
    assert found.oldest_days == pytest.approx(40, abs=0.1)
    assert "of 3 deletions" in found.text()


@pytest.mark.parametrize(("days", "freed", "left"), [(30, 140, 2), (5, 1140, 1), (0, 1240, 0)])
def test_only_what_was_deleted_longer_ago_is_removed(trash: Path, days: float, freed: int, left: int) -> None:
    report = empty_trash(days)

    assert (report.freed, report.deletions) == (freed, left)
    assert (trash / "mine" / "file").exists()


def test_an_empty_trash_is_said_to_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))

    assert "The trash is empty" in empty_trash(0).text()
