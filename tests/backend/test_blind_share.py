"""Tasks for which annotators get no prediction on purpose."""

from __future__ import annotations

from typing import Any

from winnow.backend.learning_plan import LearningPlan
from winnow.backend.settings import Settings


def withheld(client: Any, config: str, tasks: list[dict[str, Any]]) -> set[int]:
    """Return the numbers of the tasks that get no prediction."""
    results = client.post("/predict", json={"tasks": tasks, "label_config": config, "project": "1.1"}).json()["results"]
    return {task["id"] for task, entry in zip(tasks, results, strict=True) if entry == []}


def test_a_share_of_the_tasks_gets_no_prediction_whatever_else_is_asked_for(
    backend: Any, config: str, task: Any, image_uri: Any
) -> None:
    client = backend(Settings(learning=LearningPlan(blind_share=0.3)))
    tasks = [task(number, image_uri("red")) for number in range(100)]

    found = withheld(client, config, tasks)

    assert 15 <= len(found) <= 45
    assert found == {number for each in tasks for number in withheld(client, config, [each])}


def test_tasks_of_one_group_are_withheld_together(backend: Any, config: str, task: Any, image_uri: Any) -> None:
    client = backend(Settings(learning=LearningPlan(blind_share=0.3, group_key="patient")))
    tasks = [task(number, image_uri("red")) for number in range(60)]
    for each in tasks:
        each["data"]["patient"] = each["id"] // 4

    found = withheld(client, config, tasks)

    assert 0 < len(found) < 60
    assert {number // 4 for number in found}.isdisjoint(number // 4 for number in set(range(60)) - found)
