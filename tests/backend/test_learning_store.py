"""The store of events, jobs, versions and promotions."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from winnow.backend import learning_store
from winnow.backend.learning_store import FILE, START, Event, LearningStore, StoreError, start_event
from winnow.backend.store_address import StoreAddress

ADD_UNTIL_KILLED = """
import sys
from itertools import count
from pathlib import Path
from winnow.backend.learning_store import Event, LearningStore

store = LearningStore(Path(sys.argv[1]))
for number in count():
    store.add_event(Event(f"event {number}", "ANNOTATION_CREATED", 1, 1))
    print(number, flush=True)
"""


def annotated(key: str, project: int = 1, annotations: int = 1) -> Event:
    return Event(key, "ANNOTATION_CREATED", project, annotations)


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def address(request: pytest.FixtureRequest) -> StoreAddress | None:
    """Return where the store is kept: each does what the other does."""
    if request.param == "SQLite":
        return None
    server = request.getfixturevalue("postgres")
    return StoreAddress.parse(server.address(server.new_database()))


@pytest.fixture
def store(tmp_path: Path, address: StoreAddress | None) -> Iterator[LearningStore]:
    opened = LearningStore(tmp_path, address)
    yield opened
    opened.close()


def test_events_that_were_acknowledged_are_there_after_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ADD_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(20)]

    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.readlines()
    process.wait()
    process.stdout.close()

    kept = LearningStore(tmp_path)
    assert kept.waiting()[0].annotations >= len(acknowledged) >= 20
    kept.close()


def test_event_that_came_before_is_known(store: LearningStore) -> None:
    assert [store.add_event(annotated(key)) for key in ("a", "b", "a")] == [True, True, False]


def test_event_that_a_job_has_used_is_still_known(store: LearningStore) -> None:
    store.add_event(annotated("a"))
    store.end_job(store.start_job(1).id, "done")

    assert not store.add_event(annotated("a"))


def test_wish_to_train_is_kept_once_until_a_job_takes_it_up(store: LearningStore) -> None:
    before = [store.add_event(start_event(1)) for _ in range(2)]
    store.start_job(1)

    assert (before, store.add_event(start_event(1))) == ([True, False], True)


def test_waiting_events_are_summed_by_project(store: LearningStore) -> None:
    for event in (annotated("a", 1, 2), annotated("b", 2), annotated("c", 1, 3), start_event(2)):
        store.add_event(event)

    found = [(each.project, each.annotations, each.asked_for) for each in store.waiting()]

    assert found == [(1, 5, False), (2, 1, True)]


def test_job_takes_up_the_events_of_its_project_and_those_that_come_later_wait(store: LearningStore) -> None:
    store.add_event(annotated("a"))
    store.add_event(annotated("b", project=2))

    store.start_job(1)
    store.add_event(annotated("c"))

    assert [(each.project, each.annotations) for each in store.waiting()] == [(2, 1), (1, 1)]


def test_events_of_a_job_that_ended_in_vain_wait_again(store: LearningStore) -> None:
    store.add_event(annotated("a"))
    job = store.start_job(1)

    store.end_job(job.id, "interrupted", again=True)

    assert store.waiting()[0].annotations == 1


def test_old_used_events_are_forgotten_and_waiting_ones_never(
    store: LearningStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_store, "_USED_EVENTS_KEPT", 2)
    for number in range(5):
        store.add_event(annotated(f"used {number}"))
    job = store.start_job(1)
    for number in range(4):
        store.add_event(annotated(f"waiting {number}"))

    store.end_job(job.id, "done")

    keys = [row[0] for row in store.database.read("SELECT key FROM events ORDER BY id")]
    assert keys == ["used 3", "used 4", "waiting 0", "waiting 1", "waiting 2", "waiting 3"]


def test_versions_keep_their_report_and_lie_relative_to_the_state_folder(
    store: LearningStore, tmp_path: Path, address: StoreAddress | None
) -> None:
    store.add_version("v1", tmp_path / "versions" / "v1", {"project": 1})
    store.add_version("v1", tmp_path / "versions" / "v1")
    store.close()
    moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name} moved"))

    found = LearningStore(moved, address)

    (version,) = found.versions()
    assert (version.folder, version.report) == (moved / "versions" / "v1", {"project": 1})
    found.close()


def test_what_is_held_out_stays_so_and_counts_once(store: LearningStore) -> None:
    units = [f"task {number}" for number in range(1_200)]
    store.hold_out(1, units[:700])
    store.hold_out(1, units[600:])
    store.hold_out(2, units[:1])

    assert (store.held_out(1), store.held_out(2)) == (set(units), {"task 0"})


def test_rule_promotes_what_a_job_made_unless_somebody_promoted_another_meanwhile(store: LearningStore) -> None:
    seen = store.promote("v1", "ada", "first").id
    store.end_job(store.start_job(1).id, "done", version="v2", promote="no-worse", followed=seen)
    store.end_job(store.start_job(1).id, "done", version="v3", promote="no-worse", followed=seen)

    assert [(each.version, each.who) for each in store.promotions()] == [("v2", "automatic"), ("v1", "ada")]


def test_job_that_was_taken_over_neither_ends_nor_adds_a_version(store: LearningStore, tmp_path: Path) -> None:
    store.add_event(annotated("a"))
    job = store.start_job(1)
    store.interrupt_jobs("killed")

    ended = store.end_job(job.id, "done", version="v1", promote="no-worse")

    assert (ended, store.jobs()[0].state, store.promotions()) == (False, "interrupted", [])
    assert (store.is_running(job.id), store.waiting()[0].annotations) == (False, 1)
    with pytest.raises(StoreError, match="taken over"):
        store.add_version("v1", tmp_path / "versions" / "v1", {}, job=job.id)


def test_running_job_is_asked_to_be_cancelled(store: LearningStore) -> None:
    before = store.ask_to_cancel()
    job = store.start_job(1)

    assert (before, store.ask_to_cancel(), store.jobs()[0].cancel) == (None, job.id, 1)


def test_promotions_are_kept_with_who_and_why(store: LearningStore) -> None:
    store.promote("v1", "ada", "first")
    store.promote("v2", "bob", "better")

    assert [(each.version, each.who, each.why) for each in store.promotions()] == [
        ("v2", "bob", "better"),
        ("v1", "ada", "first"),
    ]


def test_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    LearningStore(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(StoreError, match="later version"):
        LearningStore(tmp_path)


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="another --state"):
        LearningStore(tmp_path / "file" / "state")


def test_two_processes_share_the_store(store: LearningStore, tmp_path: Path, address: StoreAddress | None) -> None:
    other = LearningStore(tmp_path, address)

    other.add_event(start_event(1))

    assert store.waiting()[0].asked_for
    assert START == "START_TRAINING"
    other.close()
