"""One entry per task, in order, whatever happens to single images."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from winnow.backend.settings import Settings


def predict(client: Any, config: str, tasks: list[dict[str, Any]]) -> list[Any]:
    response = client.post("/predict", json={"tasks": tasks, "label_config": config, "project": "1.1"})
    assert response.status_code == 200, response.text
    results: list[Any] = response.json()["results"]
    return results


def chosen(entries: list[Any]) -> list[str | None]:
    return [entry["result"][0]["value"]["choices"][0] if entry else None for entry in entries]


def test_image_that_cannot_be_used_costs_only_its_own_entry(
    backend: Any, config: str, task: Any, image_uri: Any, caplog: pytest.LogCaptureFixture
) -> None:
    addresses = [image_uri("red"), "data:image/png;base64,AAAA", None, "s3://bucket/key.png", image_uri("blue")]
    client = backend()

    with caplog.at_level(logging.WARNING):
        entries = predict(client, config, [task(number, address) for number, address in enumerate(addresses)])

    assert chosen(entries) == ["red", None, None, None, "blue"]
    assert entries[1:4] == [[], [], []]
    for sentence in ("task 1: no prediction from 'data URI': not an image", "task 2: ", "task 3: ", "3 image(s) of 5"):
        assert sentence in caplog.text


def test_probabilities_that_are_not_finite_cost_only_their_own_entry(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    class Overflowing(colours):
        def predict(self, images: Any, batch_size: int = 32) -> Any:
            predicted = super().predict(images, batch_size)
            predicted.probabilities[predicted.probabilities[:, 0] > 0.9] = float("nan")
            return predicted

    tasks = [task(number, image_uri(colour)) for number, colour in enumerate(("red", "blue"))]
    entries = predict(backend(classifier=Overflowing()), config, tasks)

    assert chosen(entries) == [None, "blue"]


def test_request_of_1200_tasks_is_answered_in_order(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    uris = {colour: image_uri(colour) for colour in ("red", "lime", "blue")}
    order = [("red", "lime", "blue")[number * 7 % 3] for number in range(1200)]
    classifier = colours()

    entries = predict(backend(classifier=classifier), config, [task(n, uris[colour]) for n, colour in enumerate(order)])

    assert chosen(entries) == [{"red": "red", "lime": "Green", "blue": "blue"}[colour] for colour in order]
    assert max(classifier.sizes) <= 32


def test_local_file_is_predicted_and_one_outside_the_root_is_not(
    backend: Any, config: str, task: Any, image_bytes: Any, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "ä 1.png").write_bytes(image_bytes("red"))
    (tmp_path / "secret.png").write_bytes(image_bytes("red"))
    client = backend(Settings(document_root=root))

    addresses = ["/data/local-files/?d=%C3%A4%201.png", "/data/local-files/?d=..%2Fsecret.png"]
    entries = predict(client, config, [task(number, address) for number, address in enumerate(addresses)])

    assert chosen(entries) == ["red", None]


def test_each_image_of_a_task_answers_its_own_control(backend: Any, task: Any, image_uri: Any) -> None:
    choices = "".join(f'<Choice value="{colour}"/>' for colour in ("red", "green", "blue"))
    config = (
        '<View><Image name="l" value="$left"/><Choices name="cl" toName="l">' + choices + "</Choices>"
        '<Image name="r" value="$right"/><Choices name="cr" toName="r">' + choices + "</Choices></View>"
    )
    both = task(1, None) | {"data": {"left": image_uri("red"), "right": image_uri("blue")}}
    one = task(2, None) | {"data": {"left": image_uri("lime")}}

    entries = predict(backend(), config, [both, one])

    picked = [[(region["from_name"], *region["value"]["choices"]) for region in entry["result"]] for entry in entries]
    assert picked == [[("cl", "red"), ("cr", "blue")], [("cl", "green")]]


def test_most_probable_class_without_a_choice_gives_no_prediction_and_a_reason(
    backend: Any, config: str, task: Any, image_uri: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = backend()

    with caplog.at_level(logging.WARNING):
        entries = predict(client, config.replace('"blue"', '"violet"'), [task(1, image_uri("blue"))])

    assert entries == [[]]
    assert "its most probable class 'blue' is not among the choices of 'colour'" in caplog.text


def test_config_with_no_known_class_gives_an_empty_entry_for_each_task(
    backend: Any, config: str, task: Any, image_uri: Any
) -> None:
    config = config.replace("red", "x").replace("Red", "x").replace("Green", "y").replace("blue", "z")

    assert predict(backend(), config, [task(1, image_uri("red")), task(2, None)]) == [[], []]


def test_several_classes_of_one_image_are_written_together(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    client = backend(classifier=colours(multilabel=True))

    entries = predict(client, config.replace('"single"', '"multiple"'), [task(1, image_uri("#fe00fe"))])

    assert entries[0]["result"][0]["value"] == {"choices": ["red", "blue"]}


def test_thresholds_of_the_classifier_decide_which_of_several_classes_are_written(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    client = backend(classifier=colours(multilabel=True, thresholds=(0.99, 0.5, 0.2)))

    entries = predict(client, config.replace('"single"', '"multiple"'), [task(1, image_uri("#c0004c"))])

    assert entries[0]["result"][0]["value"] == {"choices": ["blue"]}
