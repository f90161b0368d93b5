"""A classifier's health from what a backend remembers and from a dataset, real both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.healths import LATELY, answer, make_classifier, serve
from winnow.plugin.datasets.answered_predictions import field_of_version
from winnow.plugin.datasets.labeling_batches import Batch, LabelingState, mark_samples, save_batch
from winnow.plugin.datasets.runs import save_run
from winnow.plugin.errors import ClassifierError, DataError
from winnow.plugin.labeling.served_store import Decision, ServedStore
from winnow.plugin.training.versions import default_state
from winnow.plugin.workflows.drift_record import RUN
from winnow.plugin.workflows.health_samples import overridden_samples
from winnow.plugin.workflows.model_health import HealthParams, model_health

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.fixture
def answered(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    """Return ten predictions of v1: six answered in sight of them, one wrong; two blind, one wrong; two too early."""
    return answer(dataset())


def test_what_annotators_answered_is_told_beside_what_was_to_be_expected(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")
    serve(default_state(folder), ["cat"] * 40, ["cat"] * 30 + ["dog"] * 10)

    health = model_health(None, HealthParams(folder, compare=False)).health

    assert (health.overrides.value, health.overrides.of) == (0.25, 40)
    assert health.about.expected_error == pytest.approx(0.1)
    assert [(each.name, each.recall.value, each.recall.of, each.expected) for each in health.classes] == [
        ("dog", 0.0, 10, pytest.approx(0.9)),
        ("cat", 1.0, 30, pytest.approx(0.9)),
    ]
    assert health.answers_from == "what the backend remembers"


def test_images_that_are_served_are_held_against_those_of_the_training(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")
    serve(tmp_path / "state", ["cat", "dog"] * 40, [None] * 80, shift=3.0)

    health = model_health(None, HealthParams(folder, state=tmp_path / "state")).health

    (check,) = health.checks
    assert check.is_drift
    assert health.novel.value > 0.9
    assert health.scatter is not None
    assert health.scatter.current.shape == (80, 2)


def test_version_that_was_answered_last_is_the_one_that_is_told_of(tmp_path: Path) -> None:
    folder, state = make_classifier(tmp_path / "pets"), tmp_path / "state"
    make_classifier(state / "versions" / "v2", "v2")
    serve(state, ["cat"] * 30, ["dog"] * 30, version="v2")

    health = model_health(None, HealthParams(folder, state=state, compare=False)).health

    assert health.about.version == "v2"
    assert health.about.folder == str(state / "versions" / "v2")
    assert any("was trained from annotations" in note for note in health.notes)


def test_answers_of_the_last_days_alone_are_asked_for(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")
    serve(tmp_path / "state", ["cat"] * 40, ["dog"] * 20 + ["cat"] * 20)

    health = model_health(None, HealthParams(folder, state=tmp_path / "state", days=1, compare=False)).health

    assert health.versions[0].answers == 24
    assert health.overrides.value == pytest.approx(4 / 24)


def test_nothing_known_is_named_with_what_brings_it(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets", reference=False)

    report = model_health(None, HealthParams(folder, state=tmp_path / "none"))

    told = {each.what: each.how for each in report.health.missing}
    assert "WINNOW_REMEMBER_DAYS" in told["What annotators answered"]
    assert "winnow drift" in told["Whether the images have changed"]
    assert "train it again" in told["What the images looked like when it was trained"]
    assert report.summary()["level"] == "unknown"
    assert not (tmp_path / "none").exists()


def test_decisions_about_training_again_are_told(tmp_path: Path) -> None:
    folder, state = make_classifier(tmp_path / "pets"), tmp_path / "state"
    serve(state, ["cat"], [None])
    store = ServedStore(state)
    store.decide(Decision(LATELY.timestamp(), 1, "v1", "drift", "advised", "nothing new to learn from", 80, True))
    store.close()

    report = model_health(None, HealthParams(folder, state=state))

    assert report.summary()["decisions"] == [
        {
            "time": LATELY.isoformat(),
            "decision": "advised",
            "reason": "drift: nothing new to learn from",
            "dry_run": True,
        }
    ]
    assert "advised (dry run), drift: nothing new to learn from" in report.text()


def test_folder_without_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=r"no classifier in .*`winnow train` makes one"):
        model_health(None, HealthParams(tmp_path / "nothing"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": "v1", "classes": ["cat"], "training_images": "many"}'])
def test_description_that_is_damaged_is_told(tmp_path: Path, text: str) -> None:
    folder = make_classifier(tmp_path / "pets")
    (folder / "classifier.json").write_text(text)

    with pytest.raises(ClassifierError, match="is damaged"):
        model_health(None, HealthParams(folder))


def test_days_have_to_be_positive() -> None:
    with pytest.raises(DataError, match="at least 1, got 0"):
        HealthParams("pets", days=0)


def test_report_is_written(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")

    report = model_health(None, HealthParams(folder, state=tmp_path / "none", output=tmp_path / "health.html"))

    assert report.summary()["page"] == str(tmp_path / "health.html")
    assert "Model health: <bdi>pets</bdi>" in (tmp_path / "health.html").read_text(encoding="utf-8")


def test_labels_that_came_back_into_a_dataset_answer_its_predictions(answered: fo.Dataset, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")

    health = model_health(answered, HealthParams(folder, state=tmp_path / "none")).health

    assert health.versions[0].answers == 8
    assert (health.overrides.value, health.overrides.of) == (pytest.approx(1 / 6), 6)
    assert (health.blind.value, health.blind.of) == (0.5, 2)
    assert health.answers_from == f"the labels of '{answered.name}' (`ground_truth`)"


def test_predictions_of_the_classifier_are_found_in_whatever_field(answered: fo.Dataset, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")
    guesses = answered.values("prediction")
    answered.set_values("mine", guesses)
    answered.set_values("prediction.model_version", ["v0"] * 10)

    health = model_health(answered, HealthParams(folder, state=tmp_path / "none")).health

    assert [(each.version, each.answers) for each in health.versions] == [("v1", 8)]
    assert overridden_samples(answered, field_of_version(answered, "v1"), None).count() == 1


def test_what_went_out_with_predictions_of_another_version_was_not_in_sight(
    answered: fo.Dataset, tmp_path: Path
) -> None:
    folder, ids = make_classifier(tmp_path / "pets"), answered.values("id")
    for name, version, part in (("other", "v0", ids[:2]), ("own", "v1", ids[2:4])):
        nothing = ({},) * len(part)
        lists = {"hashes": ("",) * len(part), "task_ids": (0,) * len(part), "blind": (False,) * len(part)}
        save_batch(answered, Batch(name, tuple(part), labels_before=nothing, fields={}, model_version=version, **lists))
        mark_samples(answered, part, LabelingState.BACK, name)

    health = model_health(answered, HealthParams(folder, state=tmp_path / "none")).health

    assert (health.overrides.value, health.overrides.of) == (0, 4)  # of the first two, one was changed
    assert health.versions[0].answers == 8  # which count all the same, as answers that nobody's prediction led
    assert overridden_samples(answered, "prediction", None).count() == 0


def test_answers_that_may_have_been_trained_on_do_not_count(answered: fo.Dataset, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")

    health = model_health(answered, HealthParams(folder, state=tmp_path / "none")).health

    assert any(note.startswith("2 answers in") and "may have been trained on" in note for note in health.notes)


def test_what_the_backend_remembers_is_not_counted_twice(answered: fo.Dataset, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")
    serve(tmp_path / "state", ["cat"] * 30, ["cat"] * 30)

    health = model_health(answered, HealthParams(folder, state=tmp_path / "state", compare=False)).health

    assert health.versions[0].answers == 30


def test_dataset_without_predictions_is_told(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")

    health = model_health(dataset(), HealthParams(folder, state=tmp_path / "none")).health

    assert any(each.what.startswith("Field `prediction`") and "winnow predict" in each.how for each in health.missing)


def test_checks_of_this_version_tell_how_the_images_changed(answered: fo.Dataset, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")
    check = {"current": "new", "reference": "stored", "version": "v1", "is_drift": True, "p_value": 0.01}
    check |= {"effect_size": 0.3, "images": 200, "novel": 20, "time": "2026-05-04T12:00:00+00:00"}
    moved = {"p_value": 0.01, "effect_size": 0.3, "reference_mean": 0.5, "current_mean": 0.8}
    sides, novel = ["reference", "current", "current"], [False, False, True]
    points = {"x": [0, 1, 2], "y": [0, 1, 2], "side": sides, "novel": novel}
    darker = {"name": "brightness", "p_value": 0.02, "effect_size": 0.3, "reference_median": 0.6, "current_median": 0.3}
    save_run(
        answered,
        RUN,
        method="check_drift",
        params={},
        fields=[],
        summary={
            "version": "v1",
            "alpha": 0.05,
            "classes": [{"name": "cat", **moved}, {"name": "dog", **moved, "p_value": 0.5}],
            "statistics": [darker],
        },
        results={
            "points": points,
            "ids": [],
            "scores": [],
            "novel": [],
            "exemplars": [],
            "history": [check | {"version": "v0"}, check],
        },
    )

    health = model_health(answered, HealthParams(folder, state=tmp_path / "none")).health

    assert [(each.what, each.is_drift, each.novel.value) for each in health.checks] == [
        ("new against stored", True, 0.1)
    ]
    assert [(each.name, each.before, each.now) for each in health.moved] == [("cat", 0.5, 0.8)]
    assert [each.name for each in health.statistics] == ["brightness"]
    assert health.scatter is not None
    assert health.scatter.novel.tolist() == [False, True]
