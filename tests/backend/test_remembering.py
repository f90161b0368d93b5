"""What the backend remembers beside its answers, and what `/status` and `/metrics` make of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from winnow.backend import remembering
from winnow.backend.learning_plan import LearningPlan
from winnow.backend.remembering import Memory, RememberPlan
from winnow.backend.settings import Settings
from winnow.plugin.labeling.served_store import FILE, ServedStore

PLAN = RememberPlan(days=30)


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until something is so, and return it."""
    for _ in range(int(seconds / 0.02)):
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came to be")


def predict(client: Any, config: str, tasks: list[dict[str, Any]], project: str = "1.1") -> list[Any]:
    response = client.post("/predict", json={"tasks": tasks, "label_config": config, "project": project})
    assert response.status_code == 200, response.text
    results: list[Any] = response.json()["results"]
    return results


def annotate(client: Any, task: int, choice: str, number: int | None = None, action: str = "ANNOTATION_CREATED") -> str:
    """Send the event of an annotation that is made now, as Label Studio does; return what became of it."""
    now = datetime.now(UTC).isoformat()
    region = {"from_name": "colour", "to_name": "img", "type": "choices", "value": {"choices": [choice]}}
    annotation = {
        "id": task if number is None else number,
        "task": task,
        "completed_by": 1,
        "created_at": now,
        "updated_at": now,
        "was_cancelled": False,
        "result": [region],
    }
    body = {"action": action, "project": {"id": 1}, "annotation": annotation}
    status: str = client.post("/webhook", json=body).json()["status"]
    return status


def held(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/status").json()["quality"]["held"]
    return found


def test_overrides_and_accuracy_are_told_by_version(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    client = backend(memory=Memory(tmp_path, PLAN))
    colours = ("red", "lime", "blue", "red")
    predict(client, config, [task(n, image_uri(colour)) for n, colour in enumerate(colours)])
    until(lambda: held(client)["predictions"] == 4)

    statuses = [annotate(client, n, choice) for n, choice in enumerate(("red", "Green", "red"))]

    quality = until(lambda: (q := client.get("/status").json()["quality"]) and q["held"]["answers"] == 3 and q)
    (version,) = quality["versions"]
    assert statuses == ["ignored"] * 3  # by training, which is off
    assert (version["version"], version["judged"], version["accuracy"]) == ("colours-1", 3, 0.6667)
    assert (version["reviews"], version["overrides"], version["override_rate"]) == (3, 1, 0.3333)
    assert version["worst_classes"][0] | {"recall_interval": None} == {
        "class": "red",
        "images": 2,
        "recall": 0.5,
        "recall_interval": None,
    }
    assert (quality["problem"], quality["dropped"]) == (None, 0)


def test_deleted_annotation_counts_no_more(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    client = backend(memory=Memory(tmp_path, PLAN))
    predict(client, config, [task(1, image_uri("red"))])
    until(lambda: held(client)["predictions"])
    annotate(client, 1, "blue", number=7)

    client.post("/webhook", json={"action": "ANNOTATIONS_DELETED", "project": {"id": 1}, "annotations": [{"id": 7}]})

    until(lambda: held(client)["answers"] == 0)
    assert client.get("/status").json()["quality"]["versions"] == []


def test_withheld_task_gets_no_prediction_and_is_predicted_for_the_record_once(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    classifier = colours()
    client = backend(Settings(learning=LearningPlan(blind_share=1.0)), classifier, memory=Memory(tmp_path, PLAN))

    entries = predict(client, config, [task(1, image_uri("red")), task(2, "s3://gone/x.png")])
    until(lambda: held(client)["withheld"] == 1)
    predict(client, config, [task(1, image_uri("red"))])
    annotate(client, 1, "blue")

    quality = until(lambda: (q := client.get("/status").json()["quality"]) and q["held"]["answers"] and q)
    (version,) = quality["versions"]
    assert entries == [[], []] and classifier.sizes == [1]
    assert (version["blind"], version["blind_accuracy"], version["reviews"]) == (1, 0.0, 0)
    assert client.get("/status").json()["recent_problems"] == []


def test_withheld_tasks_are_answered_at_once_while_the_queue_is_full(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    settings = Settings(learning=LearningPlan(blind_share=1.0), max_waiting=0)
    client = backend(settings, memory=Memory(tmp_path, PLAN))

    assert predict(client, config, [task(1, image_uri("red"))]) == [[]]


def test_vectors_of_the_classifier_are_kept_as_float16(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    client = backend(memory=Memory(tmp_path, PLAN))

    predict(client, config, [task(1, image_uri("red"))])
    until(lambda: held(client)["predictions"])

    with_reader = ServedStore(tmp_path, read_only=True)
    vectors, probabilities, tasks = with_reader.vectors("colours-1")
    with_reader.close()
    np.testing.assert_array_equal(vectors, [[256, 1, 1]])
    np.testing.assert_allclose(probabilities, [[256 / 258, 1 / 258, 1 / 258]], atol=1e-3)
    assert tasks.tolist() == [1]


def test_nothing_is_written_where_remembering_is_off(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    client = backend(memory=Memory(tmp_path, RememberPlan()))

    predict(client, config, [task(1, image_uri("red"))])
    annotate(client, 1, "red")

    assert client.get("/status").json()["quality"]["held"] is None
    store = ServedStore(tmp_path, read_only=True)
    assert (store.held().predictions, store.held().answers) == (0, 0)
    store.close()


def test_task_without_a_number_or_a_project_is_predicted_and_not_remembered(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    client = backend(memory=Memory(tmp_path, PLAN))

    entries = predict(client, config, [task(1, image_uri("red")) | {"id": "one"}])
    entries += predict(client, config, [task(1, image_uri("red"))], project="garments")
    predict(client, config, [task(3, image_uri("red"))])

    until(lambda: held(client)["predictions"] == 1)
    assert all(entries)


def test_broken_store_costs_no_prediction_and_no_event_and_is_told(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 500)
    client = backend(memory=Memory(tmp_path, PLAN))

    entries = [predict(client, config, [task(n, image_uri("red"))]) for n in range(3)]
    annotate(client, 1, "red")
    quality = until(lambda: (q := client.get("/status").json()["quality"]) and q["dropped"] == 3 and q)

    assert all(entry[0] for entry in entries)
    assert "not a database" in quality["problem"]
    assert caplog.text.count("served all the same") == 1
    assert client.get("/metrics").status_code == 200


def test_store_that_can_be_written_again_is_used_again(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 500)
    client = backend(memory=Memory(tmp_path, PLAN))
    predict(client, config, [task(1, image_uri("red"))])
    until(lambda: client.get("/status").json()["quality"]["dropped"])

    (tmp_path / FILE).unlink()
    predict(client, config, [task(2, image_uri("red"))])

    until(lambda: (found := held(client)) and found["predictions"] == 1)
    assert client.get("/status").json()["quality"]["problem"] is None


def test_what_does_not_fit_in_the_queue_is_dropped_and_counted(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "_MOST_WAITING", 2)
    client = backend(memory=Memory(tmp_path, PLAN))

    entries = predict(client, config, [task(n, image_uri("red")) for n in range(3)])

    assert all(entries) and client.get("/status").json()["quality"]["dropped"] == 3


def test_what_waits_is_written_before_the_server_ends(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    client = backend(memory=Memory(tmp_path, PLAN))
    for number in range(20):
        predict(client, config, [task(number, image_uri("red"))])

    client.__exit__(None, None, None)

    store = ServedStore(tmp_path, read_only=True)
    assert store.held().predictions == 20
    store.close()


def test_metrics_tell_the_figures_by_version_and_class(
    backend: Any, config: str, task: Any, image_uri: Any, tmp_path: Path
) -> None:
    client = backend(memory=Memory(tmp_path, PLAN))
    predict(client, config, [task(n, image_uri(colour)) for n, colour in enumerate(("red", "blue"))])
    until(lambda: held(client)["predictions"] == 2)
    annotate(client, 0, "red")
    annotate(client, 1, "red")
    until(lambda: (v := client.get("/status").json()["quality"]["versions"]) and v[0]["judged"] == 2)

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }

    assert samples["winnow_rolling_accuracy", "colours-1"] == 0.5
    assert samples["winnow_override_rate", "colours-1"] == 0.5
    assert samples["winnow_judged_predictions", "colours-1"] == 2
    assert samples["winnow_class_recall", "red", "colours-1"] == 0.5
    assert ("winnow_blind_accuracy", "colours-1") not in samples
    assert samples["winnow_remembered_predictions",] == 2
    assert samples["winnow_remember_dropped_total",] == 0


def test_annotations_that_are_read_off_tasks_count_until_a_pass_misses_them(tmp_path: Path) -> None:
    memory = Memory(tmp_path, PLAN)
    watch = memory.watch(1)
    made = {"id": 5, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "result": []}

    counts = []
    for present in ([made], [], [made]):
        watch.see({"id": 1, "annotations": present, "predictions": []})
        watch.end_pass()
        found = memory.try_to(lambda store: store.held())
        counts.append(found and found.answers)
    memory.stop()

    assert counts == [1, 0, 1]
