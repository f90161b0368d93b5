"""The menu has every job and panel, says where each stands, and opens it; names and icons are of one kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext, Executor

from tests.operators import panels
from tests.operators.panels import drawn
from winnow.operators import OPERATORS, PANELS
from winnow.operators.menu_panel import GROUPS
from winnow.plugin.datasets import jobs
from winnow.plugin.datasets.runs import save_run

OWN = ("open_menu", "menu")  # the menu itself
EVERY = [kind().config for kind in (*OPERATORS, *PANELS)]

sent_by = partial(panels.sent_by, "menu")


def rows(dataset: fo.Dataset) -> dict[str, Any]:
    """Return what the menu shows of each job and panel, by name."""
    shown = drawn(sent_by(dataset))
    return {
        name: row
        for number in range(len(GROUPS))
        for name, row in shown[f"rows_{number}"]["type"]["properties"].items()
    }


def about(dataset: fo.Dataset, name: str) -> str:
    return rows(dataset)[f"{name}_about"]["default"]


def test_every_job_and_every_panel_stands_in_the_menu_once() -> None:
    listed = [name for names in GROUPS.values() for name in names]

    assert sorted([*listed, *OWN]) == sorted(config.name for config in EVERY)


def test_a_job_opens_as_a_form_and_a_panel_as_a_panel(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    shown = rows(made)

    job, panel = shown["find_leaks"]["view"], shown["classifiers"]["view"]
    opened = sent_by(made, "open", **panel["params"])

    assert (job["operator"], job["prompt"], job["label"]) == (
        "@winnow/curation/find_leaks",
        True,
        "Find leaks between splits",
    )
    assert opened["open_panel"][0]["name"] == "classifiers"


def test_a_job_that_was_never_run_has_its_sentence_alone(dataset: Callable[..., fo.Dataset]) -> None:
    assert about(dataset(), "find_leaks") == (
        "Find test and validation images of which the training split holds a copy."
    )


def test_a_job_says_when_it_was_run_and_that_samples_came_since(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/nowhere/1.png", media_type="image"))
    save_run(made, "winnow_leaks", method="find_leaks", params={}, fields=[], summary={})
    before = about(made, "find_leaks")
    made.add_sample(fo.Sample(filepath="/nowhere/2.png", media_type="image"))

    assert "*Last run " in before
    assert "*Out of date: 1 samples were added since" in about(made, "find_leaks")


def test_an_action_counts_as_a_run_of_its_operator(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    save_run(made, "winnow_action_1", method="tag_samples", params={}, fields=[], summary={})

    assert "*Last run " in about(made, "tag_findings")


def test_a_session_of_reviewing_counts_as_a_run_of_its_panel(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    save_run(made, "winnow_action_1", method="review_groups", params={}, fields=[], summary={})

    assert "*Last run " in about(made, "review")


def test_a_job_that_runs_says_how_far_it_is(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()

    with jobs.running_job(made, "find_leaks", "one") as progress:
        progress("comparing", 1, 2)
        told = about(made, "find_leaks")

    assert told.endswith("*Running: comparing: 1 of 2.*")


def test_the_button_in_the_bar_opens_the_menu_beside_the_grid(dataset: Callable[..., fo.Dataset]) -> None:
    operator = foo.get_operator("@winnow/curation/open_menu")
    context = ExecutionContext({"dataset_name": dataset().name}, executor=Executor(), operator_uri=operator.uri)

    operator.execute(context)

    (asked,) = context.executor.to_json()["requests"]
    assert (asked["operator_uri"], asked["params"]["name"]) == ("open_panel", "menu")
    assert operator.resolve_placement(context).place == types.Places.SAMPLES_GRID_ACTIONS


def test_the_bar_has_the_menu_and_what_works_on_selected_samples(dataset: Callable[..., fo.Dataset]) -> None:
    context = ExecutionContext({"dataset_name": dataset().name}, executor=Executor())

    placed = {kind.operator_name for kind in OPERATORS if kind().resolve_placement(context) is not None}

    assert placed == {
        "open_menu",
        "decide_duplicates",
        "review_label_issues",
        "tag_findings",
        "move_to_split",
        "delete_samples",
        "send_to_label_studio",
        "undo_action",
    }


@pytest.mark.parametrize("config", EVERY, ids=lambda config: config.name)
def test_names_are_of_one_kind(config: Any) -> None:
    title = config.label.removeprefix("Winnow: ")
    sentence = getattr(config, "description", None) or config.help_markdown

    assert config.label.startswith("Winnow: ")
    assert title[0].islower()
    assert sentence[0].isupper()
    assert sentence.endswith(".") == (config.name in {panel().config.name for panel in PANELS})
    assert config.icon


def test_no_two_have_the_same_icon() -> None:
    icons = [config.icon for config in EVERY]

    assert len(set(icons)) == len(icons)
