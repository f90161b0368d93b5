"""How a project's labeling config fits the classifier."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from winnow.backend.fit_log import FitLog


def test_what_does_not_fit_is_logged_once_and_kept_by_project(config: str, caplog: pytest.LogCaptureFixture) -> None:
    fit_log = FitLog()

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            fit_log.tell("1", config, ("red", "yak"))
        fit_log.tell("2", config, ("red", "green", "blue"))

    assert fit_log.by_project()["1"][0] == "no choice of 'colour' matches the class(es) 'yak'"
    assert fit_log.by_project()["2"] == []
    assert caplog.text.count("'yak'") == 1


def test_another_classifier_is_told_of_anew(config: Any) -> None:
    fit_log = FitLog()
    fit_log.tell("1", config, ("red", "yak"))

    fit_log.tell("1", config, ("red", "green", "blue"))

    assert fit_log.by_project() == {"1": []}


def test_projects_that_anyone_can_name_do_not_pile_up(config: str) -> None:
    fit_log = FitLog()

    for number in range(500):
        fit_log.tell(str(number), config, ("red",))

    assert len(fit_log.by_project()) == 200
    assert "499" in fit_log.by_project()
