"""The versions beside the one that is served."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from winnow.plugin.errors import ClassifierError
from winnow.plugin.training.versions import default_state, folder_of_version, stored_versions


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder with the versions aaa, older, and bbb; something unfinished lies beside them."""
    for age, version in enumerate(("bbb", "aaa")):
        folder = tmp_path / "state" / "versions" / version
        folder.mkdir(parents=True)
        (folder / "classifier.json").write_text("{}")
        os.utime(folder, (1000 - age, 1000 - age))
    (tmp_path / "state" / "versions" / "unfinished").mkdir()
    return tmp_path / "state"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a folder of a classifier whose version is own."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "classifier.json").write_text(json.dumps({"version": "own"}))
    return folder


def test_stored_versions_are_listed_newest_first(state: Path) -> None:
    assert stored_versions(state) == ["bbb", "aaa"]
    assert stored_versions(state / "none") == []


def test_version_is_found_in_the_state_or_in_the_classifiers_own_folder(state: Path, directory: Path) -> None:
    assert folder_of_version(directory, state, "aaa") == state / "versions" / "aaa"
    assert folder_of_version(directory, state, "own") == directory


@pytest.mark.parametrize("version", ["ccc", "../versions/aaa", "", "unfinished"])
def test_unknown_version_is_refused_with_those_that_are_known(state: Path, directory: Path, version: str) -> None:
    with pytest.raises(ClassifierError, match="known are: own, bbb, aaa"):
        folder_of_version(directory, state, version)


def test_each_classifier_folder_has_a_state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))

    first, second = (default_state(tmp_path / where / "model") for where in ("a", "b"))

    assert first.parent == second.parent == tmp_path / "serving"
    assert first != second
    assert first.name.startswith("model-")
