"""The classifier in its process."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from winnow.backend.hosting import ModelHost, NotReadyError
from winnow.plugin.errors import ClassifierError


def test_starting_does_not_wait_for_the_classifier(colours: Any) -> None:
    loaded = threading.Event()
    host = ModelHost(lambda: loaded.wait(20) and colours())

    host.start()
    state_before = host.state
    loaded.set()

    assert state_before == "loading"
    assert host.wait(20)
    assert (host.state, host.version) == ("ready", "colours-1")


def test_classifier_that_cannot_be_loaded_says_why_to_every_request() -> None:
    def load() -> Any:
        raise ClassifierError("classifier.json is damaged")

    host = ModelHost(load)
    host.start()
    host.wait(20)

    assert host.state == "failed"
    with pytest.raises(NotReadyError, match=r"classifier\.json is damaged"):
        _ = host.served


def test_unexpected_loading_error_stays_in_the_log() -> None:
    def load() -> Any:
        raise RuntimeError("internal detail")

    host = ModelHost(load)
    host.start()
    host.wait(20)

    with pytest.raises(NotReadyError, match="the log has it"):
        _ = host.served


def test_swapped_classifier_is_served_once_it_is_loaded(colours: Any) -> None:
    loaded = threading.Event()
    host = ModelHost(colours)
    host.start()
    host.wait(20)

    swap = host.swap(lambda: loaded.wait(20) and colours(version="colours-2"), "colours-2")
    version_meanwhile = host.version
    loaded.set()

    assert version_meanwhile == "colours-1"
    assert swap.result(20).version == "colours-2"
    assert host.version == "colours-2"


@pytest.mark.parametrize("wrong", ["damaged", "another version"])
def test_swap_that_fails_leaves_the_classifier_that_is_served(colours: Any, wrong: str) -> None:
    def load() -> Any:
        if wrong == "damaged":
            raise ClassifierError("classifier.json is damaged")
        return colours(version="colours-3")

    host = ModelHost(colours)
    host.start()
    host.wait(20)

    problem = host.swap(load, "colours-2").exception(20)

    assert isinstance(problem, ClassifierError)
    assert (host.state, host.version, host.problem) == ("ready", "colours-1", str(problem))


def test_last_swap_wins_though_it_is_loaded_first(colours: Any) -> None:
    slow = threading.Event()
    host = ModelHost(colours)
    host.start()
    host.wait(20)

    first = host.swap(lambda: slow.wait(20) and colours(version="colours-2"))
    host.swap(lambda: colours(version="colours-3")).result(20)
    slow.set()
    first.result(20)

    assert host.version == "colours-3"
