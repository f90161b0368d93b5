"""The store that replicas share: a real PostgreSQL, whose turn it is to train, and what they share besides."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.backend.postgres_server import PASSWORD, PostgresServer, free_port
from winnow.__main__ import app
from winnow.backend import postgres as postgres_module
from winnow.backend import turn as turn_module
from winnow.backend.database import StoreAwayError
from winnow.backend.learning_store import Event, LearningStore, StoreError, start_event
from winnow.backend.outbox import Outbox
from winnow.backend.registry import MARK, put_into_registry
from winnow.backend.store_address import StoreAddress, StoreAddressError, store_address
from winnow.backend.turn import OnlyServer, SharedTurn

EVENT = Event("a", "ANNOTATION_CREATED", 1, 3)


@pytest.fixture
def address(postgres: PostgresServer) -> StoreAddress:
    return StoreAddress.parse(postgres.address(postgres.new_database()))


@pytest.fixture
def opened(address: StoreAddress, tmp_path: Path) -> Iterator[Callable[[], LearningStore]]:
    """Return what opens the store as another replica does."""
    stores: list[LearningStore] = []

    def open_store() -> LearningStore:
        stores.append(LearningStore(tmp_path / "state", address))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return the time that turns go by, in place of the machine's; the database's goes on."""
    now = {"now": 1000.0}
    monkeypatch.setattr(turn_module.time, "monotonic", lambda: now["now"])
    return now


def expire(postgres: PostgresServer, address: StoreAddress) -> None:
    """Let the turn lapse, as if its holder had not been heard of for long."""
    postgres.execute("UPDATE turn SET until = 0", address.database)


def test_it_is_one_replicas_turn_until_it_gives_it_up(opened: Callable[[], LearningStore]) -> None:
    first, second = SharedTurn(opened(), "first"), SharedTurn(opened(), "second")

    turns = [first.look(), second.look(), first.look()]
    holder = second.holder()
    first.release()
    nobody = second.holder()
    second._renew_at = 0.0

    assert (turns, holder, nobody) == ([True, False, True], "first", None)
    assert second.look() and second.holder() == "second"


def test_replica_that_takes_over_finds_the_events_of_the_interrupted_job_waiting(
    opened: Callable[[], LearningStore], postgres: PostgresServer, address: StoreAddress, clock: dict[str, float]
) -> None:
    stores = opened(), opened()
    first, second = (SharedTurn(store, name) for store, name in zip(stores, ("first", "second"), strict=True))
    first.look()
    stores[0].add_event(EVENT)
    job = stores[0].start_job(1, first.term)
    assert job is not None
    expire(postgres, address)

    taken = second.look()
    clock["now"] += 5
    back = first.look()

    assert (taken, back, first.term, second.term) == (True, False, None, 2)
    assert (stores[1].jobs()[0].state, stores[1].waiting()[0].annotations) == ("interrupted", 3)
    assert not stores[0].end_job(job.id, "done", version="v1", promote="no-worse")
    assert stores[1].promotions() == []


def test_replica_that_was_paused_starts_no_job_when_it_comes_back(
    opened: Callable[[], LearningStore], postgres: PostgresServer, address: StoreAddress
) -> None:
    stores = opened(), opened()
    paused, other = SharedTurn(stores[0], "paused"), SharedTurn(stores[1], "other")
    paused.look()
    stores[0].add_event(EVENT)
    expire(postgres, address)
    other.look()

    assert stores[0].start_job(1, paused.term) is None
    assert stores[1].start_job(1, other.term) is not None
    assert len(stores[1].jobs()) == 1


def test_replica_that_was_paused_leaves_the_jobs_of_another_ones_turn_alone(
    opened: Callable[[], LearningStore], postgres: PostgresServer, address: StoreAddress
) -> None:
    stores = opened(), opened()
    paused, other = SharedTurn(stores[0], "paused"), SharedTurn(stores[1], "other")
    paused.look()
    expire(postgres, address)
    other.look()
    stores[1].start_job(1, other.term)

    stores[0].interrupt_jobs("mine", paused.term)
    kept = stores[0].has_running_job()
    stores[1].interrupt_jobs("mine", other.term)

    assert (kept, stores[0].has_running_job()) == (True, False)


def test_replica_that_is_cut_off_gives_its_turn_up_by_its_own_clock(
    opened: Callable[[], LearningStore], clock: dict[str, float]
) -> None:
    store = opened()
    turn = SharedTurn(store, "cut off")
    turn.look()
    store.close()

    clock["now"] += turn_module.LEASE_SECONDS - 1
    before = turn.look()
    clock["now"] += 2

    assert (before, turn.look()) == (True, False)


def test_what_was_taken_back_by_its_own_holder_is_another_turn(
    opened: Callable[[], LearningStore], postgres: PostgresServer, address: StoreAddress, clock: dict[str, float]
) -> None:
    store = opened()
    turn = SharedTurn(store, "first")
    turn.look()
    store.add_event(EVENT)
    store.start_job(1, turn.term)
    clock["now"] += turn_module.LEASE_SECONDS + 1
    expire(postgres, address)

    assert (turn.look(), turn.term) == (True, 2)
    assert store.jobs()[0].state == "interrupted"


def test_store_goes_on_after_the_database_was_restarted(
    opened: Callable[[], LearningStore], postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_PAUSE_SECONDS", 0.0)
    store = opened()
    store.add_event(EVENT)

    postgres.stop()
    with pytest.raises(StoreError, match="refused"):
        store.waiting()
    postgres.start()

    assert store.waiting()[0].annotations == 3
    postgres.stop()
    postgres.start()
    assert not store.add_event(EVENT)


def test_transaction_of_a_replica_that_is_paused_does_not_hold_up_the_others(
    opened: Callable[[], LearningStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_module._LIMITS, "idle_in_transaction_session_timeout", "300ms")
    paused, other = opened(), opened()

    with pytest.raises(StoreError), paused.database.writing() as transaction:
        transaction.execute("INSERT INTO held_out VALUES (1, 'unit')")
        added = other.add_event(EVENT)
        transaction.execute("INSERT INTO held_out VALUES (1, 'another')")

    assert added and other.held_out(1) == set()


def test_who_comes_while_the_database_hangs_is_told_soon(
    opened: Callable[[], LearningStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_WAIT_SECONDS", 0.05)
    store = opened()

    with store.database.writing(), pytest.raises(StoreAwayError, match="slow to answer"):
        store.add_event(EVENT)

    assert store.add_event(EVENT)


def test_events_that_came_while_the_database_was_away_are_delivered_once(
    opened: Callable[[], LearningStore], tmp_path: Path
) -> None:
    store, outbox = opened(), Outbox(tmp_path / "state")
    for event in (EVENT, EVENT, start_event(2)):
        outbox.keep(event)
    (tmp_path / "state" / "outbox" / "cut.json").write_text('{"key": ')

    delivered = outbox.deliver(store)
    again = Outbox(tmp_path / "state")
    again.keep(EVENT)

    assert (delivered, again.deliver(store), again.deliver(store)) == (3, 1, 0)
    assert {(each.project, each.annotations, each.asked_for) for each in store.waiting()} == {
        (1, 3, False),
        (2, 0, True),
    }


def test_event_that_no_database_takes_is_set_aside(opened: Callable[[], LearningStore], tmp_path: Path) -> None:
    store, outbox = opened(), Outbox(tmp_path / "state")
    outbox.keep(Event("b", "ANNOTATION_CREATED", 2**70, 1))
    outbox.keep(EVENT)

    outbox.deliver(store)

    assert [each.project for each in store.waiting()] == [1]
    assert [file.suffix for file in (tmp_path / "state" / "outbox").iterdir()] == [".refused"]


def test_folder_that_the_other_replicas_do_not_share_is_refused(
    opened: Callable[[], LearningStore], address: StoreAddress, tmp_path: Path
) -> None:
    opened()

    with pytest.raises(StoreError, match="not the folder that the other replicas"):
        LearningStore(tmp_path / "another", address)
    with pytest.raises(StoreError, match="WINNOW_STORE"):
        LearningStore(tmp_path / "state")


def test_folder_keeps_its_mark_where_the_database_is_a_new_one(
    opened: Callable[[], LearningStore], postgres: PostgresServer, tmp_path: Path
) -> None:
    opened()
    mark = (tmp_path / "state" / MARK).read_text()

    new = LearningStore(tmp_path / "state", StoreAddress.parse(postgres.address(postgres.new_database())))

    assert (tmp_path / "state" / MARK).read_text() == mark
    new.close()


def test_what_a_single_server_remembered_goes_into_the_database(
    opened: Callable[[], LearningStore], tmp_path: Path
) -> None:
    alone = LearningStore(tmp_path / "state")
    alone.add_event(EVENT)
    alone.end_job(alone.start_job(1).id, "done", version="v1")  # type: ignore[union-attr]
    alone.add_event(Event("b", "ANNOTATION_CREATED", 2, 1))
    alone.add_version("v1", tmp_path / "state" / "versions" / "v1", {"project": 1})
    alone.hold_out(1, [f"task {number}" for number in range(700)])
    alone.promote("v1", "ada", "better")
    before = alone.jobs(), alone.versions(), alone.promotions(), alone.held_out(1), alone.waiting()
    server = OnlyServer(alone)
    with pytest.raises(StoreError, match="another server learns"):
        opened()
    server.release()
    alone.close()

    store = opened()

    assert (store.jobs(), store.versions(), store.promotions(), store.held_out(1), store.waiting()) == before
    assert not store.add_event(EVENT)
    assert (store.start_job(2).id, store.promote("v0", "ada", "worse").id) == (2, 2)  # type: ignore[union-attr]
    assert opened().jobs() == store.jobs()


def test_classifier_is_copied_to_the_shared_folder_once_and_whole(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "classifier.json").write_text("{}")
    target = tmp_path / "state" / "versions" / "v1"

    put_into_registry(tmp_path / "model", target)
    shutil.rmtree(tmp_path / "model")
    put_into_registry(tmp_path / "model", target)

    assert [each.name for each in target.parent.iterdir()] == ["v1"]
    assert (target / "classifier.json").read_text() == "{}"


def test_database_of_a_later_version_is_refused(
    opened: Callable[[], LearningStore], postgres: PostgresServer, address: StoreAddress
) -> None:
    opened()
    postgres.execute("UPDATE winnow_schema SET version = 99", address.database)

    with pytest.raises(StoreError, match="later version"):
        opened()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"password": "wr0ng/secret"}, "password authentication failed"),
        ({"password": None}, "password"),
        ({"database": "absent"}, "does not exist"),
        ({"port": None}, "refused"),
        ({"tls": "require"}, "SSL"),
        ({"host": "nowhere.invalid"}, "nowhere.invalid"),
    ],
    ids=["wrong password", "no password", "no such database", "nobody listens", "no TLS", "no such host"],
)
def test_database_that_cannot_be_used_is_told_without_the_password(
    address: StoreAddress,
    tmp_path: Path,
    change: dict[str, object],
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = {name: getattr(address, name) for name in ("user", "host", "database", "port", "password", "tls")} | change
    values["port"] = values["port"] or free_port()

    with caplog.at_level(logging.DEBUG), pytest.raises(StoreError, match=told) as error:
        LearningStore(tmp_path, StoreAddress(**values))

    shown = f"{error.value!r} {caplog.text}"
    assert error.value.__cause__ is None and error.value.__suppress_context__
    assert not any(secret in shown for secret in (PASSWORD, "s3cr3t", "wr0ng"))
    assert str(values["database"]) in shown


def test_address_comes_back_from_a_process_environment_as_it_was() -> None:
    address = StoreAddress.parse("postgres://me%40home:a%2Fb%20c@db.example:6000/labels?sslmode=require")

    assert StoreAddress.parse(address.text()) == address
    assert (address.user, address.password, address.port, address.tls) == ("me@home", "a/b c", 6000, "require")
    assert "a/b c" not in f"{address!r} {address}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("redis://:s3cr3t@host/0", "has to be a PostgreSQL database"),
        ("postgresql://me:s3cr3t#1@host/db", "percent|%40"),
        ("postgresql://me:s3cr3t/x@host:5432/db", "not of the form"),
        ("postgresql://me:s3cr3t@host", "not of the form"),
        ("postgresql://me:s3cr3t@host/db?sslmode=often", "sslmode"),
        ("postgresql://me:s3cr3t@host/db?password=s3cr3t", "sslmode"),
        ("s3cr3t", "PostgreSQL"),
    ],
)
def test_malformed_address_is_told_without_its_content(text: str, told: str) -> None:
    with pytest.raises(StoreAddressError, match=told) as error:
        StoreAddress.parse(text)

    assert "s3cr3t" not in str(error.value)


def test_address_is_read_from_one_place_and_never_with_a_password_from_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "store"
    file.write_text("postgresql://me:s3cr3t@host/db\n")
    environment = {"WINNOW_STORE_FILE": str(file)}

    found = store_address(environment)

    assert found is not None and (found.password, found.host) == ("s3cr3t", "host")
    assert store_address({}) is None
    with pytest.raises(StoreAddressError, match="more than once"):
        store_address(environment, "postgresql://me@host/db")
    with pytest.raises(StoreAddressError, match="everybody on this machine can read"):
        store_address({}, "postgresql://me:s3cr3t@host/db")
    with pytest.raises(StoreAddressError, match="can't be read"):
        store_address({"WINNOW_STORE_FILE": str(tmp_path / "absent")})


def test_command_promotes_and_rolls_back_in_the_database_that_the_environment_names(
    opened: Callable[[], LearningStore], address: StoreAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, state = opened(), tmp_path / "state"
    for version in ("v0", "v1"):
        (state / "versions" / version).mkdir(parents=True)
        (state / "versions" / version / "classifier.json").write_text(json.dumps({"version": version}))
        store.add_version(version, state / "versions" / version)
    monkeypatch.setenv("WINNOW_STORE", address.text())
    said = ["--state", str(state), "--why", "better"]

    done = [CliRunner().invoke(app, ["labelstudio", "promote", *words, *said]) for words in (["v1"], ["--rollback"])]
    cancelled = CliRunner().invoke(app, ["labelstudio", "cancel", "--state", str(state)])
    elsewhere = CliRunner().invoke(app, ["labelstudio", "promote", "v1", "--state", str(tmp_path), "--why", "a guess"])

    assert [each.exit_code for each in (*done, cancelled)] == [0, 0, 0]
    assert [each.version for each in store.promotions()] == ["v0", "v1"]
    assert elsewhere.exit_code == 1 and "no state folder" in " ".join(elsewhere.output.split())


def test_history_of_jobs_and_events_is_there_for_the_next_replica(
    opened: Callable[[], LearningStore], address: StoreAddress, tmp_path: Path
) -> None:
    with closing(LearningStore(tmp_path / "state", address)) as store:
        store.add_event(EVENT)
        store.promote("v1", "ada", "first")

    other = opened()

    assert not other.add_event(EVENT)
    assert other.promotions()[0].who == "ada"
