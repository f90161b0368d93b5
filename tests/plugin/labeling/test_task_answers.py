"""Answers of annotators to the label of an image: ties, several tasks, pseudonyms, and who is right in a conflict."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.plugin.errors import DataError
from winnow.plugin.labeling.annotator_names import AnnotatorNames, Naming, pseudonym_key
from winnow.plugin.labeling.choice_trees import Choice
from winnow.plugin.labeling.labeling_config import Control
from winnow.plugin.labeling.reconciling import Conflicts, Delivered, Move, PlainLabel, reconcile
from winnow.plugin.labeling.task_answers import Outcome, moment, read_task, signature, verdict_of
from winnow.plugin.labeling.ties import Ties

LABELS = st.sampled_from([None, "cat", "dog", "fox"])


def control(most: int | None = 1) -> Control:
    return Control("pet", "img", "image", "choices", most, tuple(Choice(name, name) for name in ("cat", "dog", "fox")))


def annotation(number: int, *choices: str, **fields: Any) -> dict[str, Any]:
    region = {"from_name": "pet", "to_name": "img", "type": "choices", "value": {"choices": list(choices)}}
    made = f"2026-01-01T00:00:{number:02}.000000Z"
    return {"id": number, "result": [region], "completed_by": number, "created_at": made, "updated_at": made} | fields


def task(*annotations: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": 1, "data": {}, "annotations": list(annotations), "predictions": []} | fields


@pytest.mark.parametrize(("ties", "outcome", "present"), [("open", "open", set()), ("latest", "label", {"dog"})])
def test_tie_stays_open_or_goes_by_the_latest_answer(ties: str, outcome: str, present: set[str]) -> None:
    answers = read_task([task(annotation(1, "cat"), annotation(2, "dog"))], [control()])

    verdict = verdict_of(answers.given["pet"], control(), Ties(ties))

    assert (verdict.outcome, verdict.present, verdict.votes) == (Outcome(outcome), present, "cat 1, dog 1")


def test_tie_about_one_of_several_choices_leaves_the_image_open() -> None:
    several = control(most=None)
    answers = read_task([task(annotation(1, "cat", "dog"), annotation(2, "cat"))], [several])

    assert verdict_of(answers.given["pet"], several).outcome is Outcome.OPEN
    assert verdict_of(answers.given["pet"], several, Ties.LATEST).present == {"cat"}


def test_annotations_of_an_image_that_was_imported_twice_are_put_together() -> None:
    twice = [task(annotation(1, "cat")), task(annotation(2, "cat"), annotation(3, "dog"), id=2)]

    answers = read_task(twice, [control()])

    assert verdict_of(answers.given["pet"], control()).present == {"cat"}
    assert answers.annotators == 3


def test_task_that_was_sent_blind_is_blind_in_an_export_that_knows_no_times() -> None:
    sent = task(annotation(1, "cat"), predictions=[7])

    seen = read_task([sent], [control()]).given["pet"][0].blind
    blind = read_task([sent | {"data": {"winnow_blind": True}}], [control()]).given["pet"][0].blind

    assert (seen, blind) == (False, True)


def test_signature_changes_with_the_answers_and_not_with_their_order() -> None:
    first, second = read_task([task(annotation(1, "cat"), annotation(2, "dog"))], [control()]).given["pet"]
    edited = read_task([task(annotation(1, "cat", updated_at="2027-01-01T00:00:00Z"))], [control()]).given["pet"]

    assert signature([first, second], "cat") == signature([second, first], "cat")
    assert signature([first], "cat") != signature(edited, "cat")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment(text) is None


@given(held=LABELS, before=LABELS, delivered=st.none() | LABELS, new=LABELS.filter(bool))
def test_only_a_label_that_has_not_moved_is_replaced(
    held: PlainLabel, before: PlainLabel, delivered: PlainLabel, new: PlainLabel
) -> None:
    last = None if delivered is None else Delivered(delivered, "earlier")

    move = reconcile(held, before, last, Delivered(new, "now"))

    base = before if last is None else delivered
    assert move is (Move.WRITE if held in (base, new) else Move.CONFLICT)


@given(held=LABELS, before=LABELS, new=LABELS, conflicts=st.sampled_from(list(Conflicts)))
def test_what_was_brought_back_is_never_written_twice(
    held: PlainLabel, before: PlainLabel, new: PlainLabel, conflicts: Conflicts
) -> None:
    same = Delivered(new, "now")

    assert reconcile(held, before, same, same, conflicts) is Move.NOTHING


def test_key_of_pseudonyms_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pseudonyms.key"

    key = pseudonym_key(path)

    assert pseudonym_key(path) == key and len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_damaged_key_is_told_rather_than_replaced(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")

    with pytest.raises(DataError, match="Bring the file back"):
        pseudonym_key(tmp_path / "key")


def test_annotators_go_by_name_or_by_number() -> None:
    users = [{"id": 1, "first_name": "Ann", "last_name": "Lee", "email": "a@x.org"}, {"id": 2, "email": "b@x.org"}]

    by_name, by_number = AnnotatorNames(Naming.NAME, users=users), AnnotatorNames(Naming.NUMBER, users=users)

    assert [by_name(who) for who in (1, 2, 3, None)] == ["Ann Lee", "b@x.org", "annotator 3", "unknown"]
    assert [by_number(who) for who in (1, "Cy")] == ["annotator 1", "Cy"]
