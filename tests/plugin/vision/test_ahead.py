from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from winnow.plugin.vision.ahead import work_ahead


class Counter:
    """Counts its calls, from any thread."""

    def __init__(self) -> None:
        self.calls = 0
        self._lock = threading.Lock()

    def __call__(self, item: int) -> int:
        with self._lock:
            self.calls += 1
        return item


def test_results_come_in_the_order_of_the_items() -> None:
    naps = np.random.default_rng(0).uniform(0, 0.002, 100)

    def work(item: int) -> int:
        time.sleep(naps[item])
        return item * item

    assert list(work_ahead(work, range(100), threads=8)) == [item * item for item in range(100)]


def test_no_items_give_no_results() -> None:
    assert list(work_ahead(str, [])) == []


@pytest.mark.parametrize("window", [1, 8, 40])
def test_all_items_are_worked_on_whatever_the_window(window: int) -> None:
    assert list(work_ahead(str, range(21), window=window)) == [str(item) for item in range(21)]


def test_an_exception_reaches_the_consumer() -> None:
    def work(item: int) -> int:
        if item == 50:
            raise ValueError("item 50")
        return item

    with pytest.raises(ValueError, match="item 50"):
        list(work_ahead(work, range(100)))


def test_never_more_than_the_window_is_worked_ahead() -> None:
    work = Counter()
    ahead = []

    for consumed, _ in enumerate(work_ahead(work, range(400), window=32, threads=4), start=1):
        time.sleep(0.0005)  # time enough for the threads to run away, if they could
        ahead.append(work.calls - consumed)

    assert max(ahead) <= 32


def test_a_consumer_that_stops_early_stops_the_work() -> None:
    work = Counter()
    results = work_ahead(work, range(400), window=32)

    next(results)
    results.close()

    assert work.calls <= 40
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("winnow-ahead")]
