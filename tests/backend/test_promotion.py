"""Promotion, rollback, and which folder a server begins with."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from winnow.__main__ import app
from winnow.backend.learning_store import LearningStore
from winnow.backend.promotion import is_no_worse, promote, promoted_folder, remove_old_proposals, roll_back
from winnow.plugin.errors import DataError


def classifier(folder: Path, version: str) -> Path:
    """Return a folder that states a version, as far as promotion looks."""
    folder.mkdir(parents=True)
    (folder / "classifier.json").write_text(json.dumps({"version": version}))
    return folder


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return classifier(tmp_path / "given", "v0")


@pytest.fixture
def state(tmp_path: Path, given: Path) -> Path:
    """Return a state folder with the version that was given and two that jobs made."""
    store = LearningStore(tmp_path / "state")
    store.add_version("v0", given)
    for name in ("v1", "v2"):
        store.add_version(name, classifier(tmp_path / "state" / "versions" / name, name), {"project": 1})
    store.close()
    return tmp_path / "state"


def test_nothing_is_promoted_at_first(state: Path, tmp_path: Path) -> None:
    assert [promoted_folder(each) for each in (state, tmp_path / "none")] == [None, None]


def test_version_promoted_last_is_served_from_then_on(state: Path) -> None:
    promote(state, "v2", "ada", "better")
    promote(state, "v1", "ada", "better on the rare classes")

    assert promoted_folder(state) == state / "versions" / "v1"


def test_unknown_version_is_refused_with_those_that_there_are(state: Path) -> None:
    with pytest.raises(DataError, match=r"there are: .*v1"):
        promote(state, "v9", "ada", "a guess")


def test_promotion_needs_a_reason(state: Path) -> None:
    with pytest.raises(DataError, match="say why"):
        promote(state, "v1", "ada", "  ")


def test_version_whose_folder_is_gone_or_holds_another_one_is_not_promoted(given: Path, state: Path) -> None:
    (state / "versions" / "v1" / "classifier.json").unlink()
    (given / "classifier.json").write_text(json.dumps({"version": "v7"}))

    with pytest.raises(DataError, match="can't be served"):
        promote(state, "v1", "ada", "better")
    with pytest.raises(DataError, match="holds v7 by now"):
        promote(state, "v0", "ada", "back")


def test_rollback_goes_back_to_what_was_served_before(state: Path) -> None:
    promote(state, "v1", "ada", "better")
    promote(state, "v2", "ada", "better still")

    assert roll_back(state, "bob", "v2 was worse at night").version == "v1"


def test_rollback_of_the_first_promotion_goes_back_to_the_given_classifier(state: Path) -> None:
    promote(state, "v1", "ada", "better")

    assert roll_back(state, "bob", "it was not").version == "v0"


def test_rollback_without_a_promotion_is_refused(state: Path) -> None:
    with pytest.raises(DataError, match="nothing to go back to"):
        roll_back(state, "bob", "to be sure")


def test_promotion_into_a_folder_that_is_no_state_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no state folder"):
        promote(tmp_path, "v1", "ada", "better")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lower", "lost", "expected"), [(-0.009, [], True), (-0.011, [], False), (0.02, ["eel"], False)]
)
def test_no_worse_needs_the_lower_bound_above_the_margin_and_no_lost_class(
    lower: float, lost: list[str], expected: bool
) -> None:
    report: dict[str, Any] = {"comparison": {"interval": [lower, 0.1]}, "classes": {"lost": lost}}

    assert is_no_worse(report, margin=0.01) is expected


def test_proposals_that_are_old_are_removed_and_what_was_promoted_stays(state: Path) -> None:
    promote(state, "v1", "ada", "better")
    store = LearningStore(state)
    for number in range(3, 15):
        name = f"v{number}"
        store.add_version(name, classifier(state / "versions" / name, name), {"project": 1})

    remove_old_proposals(store, keep=("v2",))

    left = {folder.name for folder in (state / "versions").iterdir()}
    assert left == {"v1", "v2", *(f"v{number}" for number in range(5, 15))}
    assert {known.version for known in store.versions()} == {"v0", *left}
    store.close()


def test_command_promotes_and_keeps_the_users_name_and_reason(state: Path) -> None:
    outcome = CliRunner().invoke(app, ["labelstudio", "promote", "v1", "--state", str(state), "--why", "better"])

    store = LearningStore(state)
    (promotion,) = store.promotions()
    store.close()
    assert outcome.exit_code == 0, outcome.output
    assert (promotion.version, promotion.who, promotion.why) == ("v1", getpass.getuser(), "better")


def test_command_rolls_back(state: Path) -> None:
    promote(state, "v1", "ada", "better")

    outcome = CliRunner().invoke(app, ["labelstudio", "promote", "--rollback", "--state", str(state), "--why", "worse"])

    assert (outcome.exit_code, promoted_folder(state)) == (0, state.parent / "given")


@pytest.mark.parametrize("said", [[], ["v1", "--rollback"]])
def test_command_wants_a_version_or_a_rollback(state: Path, said: list[str]) -> None:
    outcome = CliRunner().invoke(app, ["labelstudio", "promote", *said, "--state", str(state), "--why", "better"])

    assert outcome.exit_code == 1
    assert promoted_folder(state) is None


def test_command_cancels_what_runs_and_says_where_nothing_does(state: Path) -> None:
    store = LearningStore(state)
    said = [CliRunner().invoke(app, ["labelstudio", "cancel", "--state", str(state)]).output]
    job = store.start_job(1)
    said += [CliRunner().invoke(app, ["labelstudio", "cancel", "--state", str(state)]).output]

    assert said == ["No training job runs.\n", f"Training job {job.id} is being cancelled.\n"]
    assert store.jobs()[0].cancel
    store.close()
