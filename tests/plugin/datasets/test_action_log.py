"""An action that grows keeps its records in order over any number of parts, and a crash leaves it whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from winnow.plugin.datasets import action_log, runs
from winnow.plugin.datasets.action_log import append_records, list_logged, read_records, record_action

if TYPE_CHECKING:
    import fiftyone as fo


def numbers(made: fo.Dataset, key: str) -> list[int]:
    return [record["number"] for record in read_records(made, key)]


def test_records_that_are_added_come_back_in_order(
    dataset: Callable[..., fo.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_log, "_NEWEST_BYTES", 100)
    monkeypatch.setattr(action_log, "_PART_BYTES", 200)
    made = dataset()
    key = record_action(made, "review", {}, 0, ())

    for start, stop in ((0, 1), (1, 3), (3, 40), (40, 41), (41, 60)):
        append_records(made, key, stop, ({"number": number} for number in range(start, stop)))

    assert numbers(made, key) == list(range(60))
    assert [(run.key, run.summary["samples"]) for run in list_logged(made)] == [(key, 60)]


def test_an_action_that_is_cut_off_while_it_grows_is_as_before(
    dataset: Callable[..., fo.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_log, "_NEWEST_BYTES", 1)
    made = dataset()
    key = record_action(made, "review", {}, 0, ())
    append_records(made, key, 1, [{"number": 0}])

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(runs, "update_run", cut_off)  # the older part is written then, the rest is not
        with pytest.raises(KeyboardInterrupt):
            append_records(made, key, 2, [{"number": 1}])
    assert numbers(made, key) == [0]
    append_records(made, key, 2, [{"number": 2}])

    assert numbers(made, key) == [0, 2]


def test_an_action_without_added_records_reads_as_ever(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()

    key = record_action(made, "tag", {}, 2, [{"number": 0}, {"number": 1}])

    assert numbers(made, key) == [0, 1]
