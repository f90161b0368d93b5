"""What the backend remembers of predictions, and how the annotations that come back are laid beside it."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from winnow.plugin.curation.outcomes import NO_LABEL, NONE_OF_THEM
from winnow.plugin.labeling.annotations import read_labels
from winnow.plugin.labeling.labeling_config import Control
from winnow.plugin.labeling.returned_annotations import Returned, deleted_in_event, returned_in_event, returned_in_task
from winnow.plugin.labeling.served_predictions import ServedMapping, ServedPrediction
from winnow.plugin.labeling.served_store import Decision, ServedStore, ServedStoreError
from winnow.plugin.training.tracking import track

NOW = 1_800_000_000.0
SINGLE = Control("kind", "image", "image", "choices", 1, ())
SEVERAL = Control("kind", "image", "image", "choices", None, ())
MAPPING = ServedMapping("v1", ("cat", "dog", "owl"), False, SINGLE, ("Cat", "Dog", None))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ServedStore]:
    opened = ServedStore(tmp_path / "state")
    yield opened
    opened.close()


def served(task: int, *chosen: Any, at: float = NOW, **fields: Any) -> ServedPrediction:
    mapping, chosen = fields.get("mapping", MAPPING), chosen or ("Cat",)
    probabilities = np.array([0.9 if written in chosen else 0.05 for written in mapping.written], np.float32)
    return replace(ServedPrediction(1, task, mapping, at, True, chosen, probabilities), **fields)


def text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def annotation(
    number: int, task: int, choices: list[Any], after: float = 10, edited: float = 0, **fields: Any
) -> Returned:
    body: dict[str, Any] = {
        "id": number,
        "task": task,
        "completed_by": number,
        "created_at": text(NOW + after),
        "updated_at": text(NOW + after + edited),
        "was_cancelled": False,
        "result": [{"from_name": "kind", "type": "choices", "value": {"choices": choices}}] if choices else [],
    }
    (found,) = returned_in_event({"action": "ANNOTATION_UPDATED", "project": {"id": 1}, "annotation": body | fields})
    return found


def test_answer_is_compared_with_the_last_prediction_before_it(store: ServedStore) -> None:
    later = replace(MAPPING, version="v2")
    store.remember([served(1), served(1, "Dog", at=NOW + 20, mapping=later)])
    store.answered([annotation(5, 1, ["Dog"], after=10, edited=100)])

    found = store.outcomes()

    assert found.versions.tolist() == ["v1"]
    assert (found.answers.tolist(), found.predicted.tolist(), found.overrides.tolist()) == ([1], [0], [1])
    assert found.times.tolist() == [NOW + 110]


def test_version_that_label_studio_tells_goes_before_the_time(store: ServedStore) -> None:
    store.remember([served(1), served(1, "Dog", at=NOW + 5, mapping=replace(MAPPING, version="v2"))])
    task = {
        "id": 1,
        "annotations": [dict(annotation(5, 1, ["Cat"]).content, parent_prediction=70)],
        "predictions": [{"id": 70, "model_version": "v1"}, {"id": 71, "model_version": "v2"}],
    }

    store.answered(returned_in_task(task, 1))

    assert store.outcomes().versions.tolist() == ["v1"]
    assert len(store.outcomes(version="v2")) == 0


def test_prediction_that_came_after_the_annotation_was_not_answered(store: ServedStore) -> None:
    store.remember([served(1, at=NOW + 20)])
    store.answered([annotation(5, 1, ["Dog"], after=10)])

    assert len(store.outcomes()) == 0


def test_asking_again_for_a_task_keeps_one_prediction_and_the_time_of_the_first(store: ServedStore) -> None:
    store.remember([served(1), served(1, at=NOW + 20), served(1, at=NOW + 30)])
    store.answered([annotation(5, 1, ["Cat"])])

    assert store.held().predictions == 1
    assert len(store.outcomes()) == 1


@pytest.mark.parametrize(
    ("choices", "answer"), [([["Cat"]], 0), ([["Owl"]], NONE_OF_THEM), ([["Cat"], ["Dog"]], NO_LABEL)]
)
def test_choice_without_a_class_is_none_of_them_and_annotators_may_be_split(
    store: ServedStore, choices: list[list[str]], answer: int
) -> None:
    store.remember([served(1)])
    store.answered([annotation(number, 1, chosen) for number, chosen in enumerate(choices)])

    found = store.outcomes()

    assert found.answers.tolist() == [answer]
    assert (found.reviews.tolist(), found.overrides.tolist()) == ([len(choices)], [sum(c != ["Cat"] for c in choices)])


def test_skipped_and_open_answers_are_none(store: ServedStore) -> None:
    store.remember([served(1), served(2)])
    store.answered([annotation(5, 1, [], was_cancelled=True), annotation(6, 2, [])])

    assert len(store.outcomes()) == 0


def test_ground_truth_goes_before_the_majority(store: ServedStore) -> None:
    store.remember([served(1)])
    store.answered([annotation(n, 1, ["Cat"]) for n in (1, 2)] + [annotation(3, 1, ["Dog"], ground_truth=True)])

    assert store.outcomes().answers.tolist() == [1]


def test_withheld_prediction_is_answered_blind(store: ServedStore) -> None:
    store.remember([served(1, shown=False), served(2)])
    store.answered([annotation(5, 1, ["Dog"]), annotation(6, 2, ["Dog"])])

    found = store.outcomes()

    assert (found.shown.tolist(), found.reviews.tolist(), found.overrides.tolist()) == ([False, True], [0, 1], [0, 1])


def test_several_labels_are_compared_class_by_class(store: ServedStore) -> None:
    mapping = ServedMapping("v1", ("cat", "dog", "owl"), True, SEVERAL, ("Cat", ("Pet", "Dog"), None))
    store.remember([served(1, "Cat", ("Pet", "Dog"), mapping=mapping)])
    store.answered([annotation(5, 1, ["Cat", "Fox"])])

    found = store.outcomes()

    np.testing.assert_array_equal(found.answers, [[1, 0, np.nan]])
    np.testing.assert_array_equal(found.predicted, [[1, 1, np.nan]])
    assert found.overrides.tolist() == [1]


def test_paths_of_a_taxonomy_are_classes(store: ServedStore) -> None:
    control = Control("kind", "image", "image", "taxonomy", None, ())
    mapping = ServedMapping("v1", ("cat", "dog"), False, control, (("Pet", "Cat"), ("Pet", "Dog")))
    store.remember([served(1, ("Pet", "Cat"), mapping=mapping)])
    body = {"result": [{"from_name": "kind", "value": {"taxonomy": [["Pet", "Dog"]]}}]}
    store.answered([annotation(5, 1, [], **body)])

    found = store.outcomes()

    assert (found.answers.tolist(), found.predicted.tolist()) == ([1], [0])


def test_deleted_annotation_stays_deleted_whatever_comes_late(store: ServedStore) -> None:
    store.remember([served(1), served(2)])
    first, second = annotation(5, 1, ["Cat"]), annotation(6, 2, ["Cat"])
    store.answered([first])

    store.deleted(deleted_in_event({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}, {"id": 6}]}))
    store.answered([first, second])

    assert len(store.outcomes()) == 0 and store.held().answers == 0


def test_annotation_that_a_pass_did_not_see_is_gone_until_it_is_seen_again(store: ServedStore) -> None:
    store.remember([served(1), served(2)])
    both = [annotation(5, 1, ["Cat"]), annotation(6, 2, ["Cat"])]
    store.answered(both)

    store.keep_only(1, [6])
    without = len(store.outcomes())
    store.answered(both)

    assert (without, len(store.outcomes())) == (1, 2)


Change = tuple[int, int, int | None, bool]  # annotation, when, choice (None = skipped), deleted


@settings(
    max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_figures_of_a_replayed_stream_are_those_of_the_final_state(tmp_path: Path, data: st.DataObject) -> None:
    """Annotations of 6 tasks by 3 annotators: late, edited, deleted, repeated, and in any order."""
    order = random.Random(data.draw(st.integers(0, 2**32)))
    names = ("Cat", "Dog", "Owl")
    stream: list[Returned | int] = []
    final: dict[int, dict[str, Any]] = {}
    for number in range(18):
        task, choices = number % 6, data.draw(st.lists(st.sampled_from([*names, None]), min_size=1, max_size=3))
        for edit, name in enumerate(choices):
            changed = annotation(
                number, task, [] if name is None else [name], 10 + number, edit, was_cancelled=name is None
            )
            stream += [changed] * order.randint(1, 2)
            final[number] = changed.content | {"task": task}
        if data.draw(st.booleans()):
            stream.append(number)
            del final[number]
    order.shuffle(stream)
    predictions = [served(task, names[task % 2], shown=task != 3) for task in range(6)]
    store = ServedStore(tmp_path / str(len(list(tmp_path.iterdir()))))
    store.remember(predictions)

    for event in stream:
        store.deleted([event]) if isinstance(event, int) else store.answered([event])

    found = track(store.outcomes(), window=4).overall
    store.close()
    tasks = [
        {"id": task, "annotations": [each for each in final.values() if each["task"] == task]} for task in range(6)
    ]
    labels = read_labels(tasks, SINGLE).labels
    said = {task: [each for each in final.values() if each["task"] == task and each["result"]] for task in range(6)}
    last = sorted((max(each["updated_at"] for each in said[task]), task) for task in range(6) if said[task])[-4:]
    judged = [task for _, task in last if task in labels]
    right = [labels[task].present == {names[task % 2]} for task in judged]
    changed_mind = [
        each["result"][0]["value"]["choices"] != [names[task % 2]]
        for _, task in last
        if task != 3
        for each in said[task]
    ]
    assert (found.judged, found.split) == (len(judged), len(last) - len(judged))
    np.testing.assert_equal(found.accuracy, np.mean(right) if right else np.nan)
    assert (found.reviews, found.overrides) == (len(changed_mind), sum(changed_mind))
    assert found.blind == sum(task == 3 for task in judged)


def test_vectors_are_those_of_the_latest_images_each_once(store: ServedStore) -> None:
    vector = np.arange(4, dtype=np.float32)
    other = replace(MAPPING, control=replace(SINGLE, name="again"))
    store.remember([served(task, at=NOW + task, vector=vector + task) for task in range(5)])
    store.remember([served(4, at=NOW + 9, vector=vector + 4, mapping=other), served(9, at=NOW + 99)])

    vectors, probabilities, tasks = store.vectors("v1", limit=3)

    assert tasks.tolist() == [4, 3, 2]
    np.testing.assert_array_equal(vectors, [vector + 4, vector + 3, vector + 2])
    assert (vectors.dtype, probabilities.shape) == (np.float32, (3, 3))
    assert store.vectors("v2")[0].shape == (0, 0)


def test_what_is_too_old_is_forgotten_with_its_answers(store: ServedStore) -> None:
    now = time.time()
    store.remember([served(1, at=now - 100), served(2, at=now)])
    store.answered([annotation(5, 1, ["Cat"], after=now - NOW), annotation(6, 2, ["Cat"], after=now - NOW)])

    gone = store.forget(before=now + 1, most_bytes=2**30)

    assert gone == 2 and store.held().predictions == store.held().answers == 0


def test_file_stays_within_its_bytes_and_the_oldest_predictions_go_first(store: ServedStore) -> None:
    limit = 1_000_000
    for start in range(0, 2_000, 100):
        rows = [served(n, at=NOW + n, vector=np.full(1280, n, np.float32)) for n in range(start, start + 100)]
        store.remember(rows)
        store.forget(before=0, most_bytes=limit)

    _, _, tasks = store.vectors("v1", limit=5_000)
    size = sum(file.stat().st_size for file in store.path.parent.iterdir() if "shm" not in file.name)

    assert tasks[0] == 1_999 and tasks.tolist() == list(range(1_999, 1_999 - len(tasks), -1))
    assert len(tasks) > 50 and size < 2 * limit
    assert store.held().bytes <= limit


def test_full_disk_is_told_and_what_was_there_stays(store: ServedStore) -> None:
    store.remember([served(1)])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(ServedStoreError, match="full"):
        store.remember([served(n, vector=np.zeros(4_000, np.float32)) for n in range(50)])
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.remember([served(2, mapping=replace(MAPPING, version="v2"))])

    assert store.held().predictions == 2


def test_another_process_may_look_while_one_writes_and_afterwards(store: ServedStore) -> None:
    store.remember([served(1)])
    reader = ServedStore(store.path.parent, read_only=True)
    before = reader.changes()

    store.answered([annotation(5, 1, ["Cat"])])

    assert reader.changes() > before and len(reader.outcomes()) == 1
    with pytest.raises(ServedStoreError):
        reader.remember([served(2)])
    reader.close()
    store.close()
    again = ServedStore(store.path.parent, read_only=True)
    assert len(again.outcomes()) == 1
    again.close()


def test_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    store = ServedStore(tmp_path)
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    for read_only in (False, True):
        with pytest.raises(ServedStoreError, match="later version"):
            ServedStore(tmp_path, read_only=read_only)


def test_reading_where_nothing_is_remembered_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ServedStoreError, match="WINNOW_REMEMBER_DAYS"):
        ServedStore(tmp_path, read_only=True)
    assert not list(tmp_path.iterdir())


def test_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "served.sqlite").write_bytes(os.urandom(4096))

    with pytest.raises(ServedStoreError, match="not a database"):
        ServedStore(tmp_path)


def test_file_is_its_owners_alone_and_holds_no_address_of_an_annotator(store: ServedStore) -> None:
    store.answered([annotation(5, 1, ["Cat"], completed_by={"id": 3, "email": "anna@example.org"})])

    content = b"".join(file.read_bytes() for file in store.path.parent.iterdir())
    assert b"Cat" in content and b"anna" not in content
    assert store.path.stat().st_mode & 0o077 == 0


def test_decisions_are_kept_the_newest_first(store: ServedStore) -> None:
    for number in range(3):
        store.decide(Decision(NOW + number, 1, "v1", "accuracy", "train", "below", number, dry_run=True))

    found = store.decisions(limit=2)

    assert [(each.evidence, each.dry_run) for each in found] == [(2, True), (1, True)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "ANNOTATION_CREATED"},
        {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": {"id": 1, "result": []}},
        {"action": "ANNOTATION_CREATED", "project": {"id": "1"}, "annotation": {"id": 1, "task": 2, "result": []}},
        {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": {"id": 1, "task": 2, "result": None}},
        {"action": "PROJECT_UPDATED", "project": {"id": 1}, "annotation": {"id": 1, "task": 2, "result": []}},
    ],
)
def test_event_without_a_whole_annotation_brings_no_answer(body: dict[str, Any]) -> None:
    assert returned_in_event(body) == [] and deleted_in_event(body) == []
