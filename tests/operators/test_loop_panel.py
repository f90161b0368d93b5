"""The panel of a loop and its operator, as the App calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionContext, Executor

from tests.conftest import write_image
from tests.operators import panels
from tests.operators.panels import data_of, drawn
from winnow.plugin.datasets import loops
from winnow.plugin.datasets.labeling_batches import Batch, LabelingState, mark_samples, save_batch
from winnow.plugin.vision.file_hashes import file_hashes
from winnow.plugin.workflows.loop_settings import LoopSettings

URI = "@winnow/curation/loop_status"
SETTINGS = {"label_field": "ground_truth", "share": 1.0, "patience": 9, "least_gain": 0.0}
MEASURED = 6


@pytest.fixture
def looped(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    """Return twelve images: six to measure on, three of a round that was measured, two of a second that is out."""
    made = dataset()
    made.add_samples(fo.Sample(filepath=str(write_image(tmp_path / f"{row}.png"))) for row in range(12))
    made.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    ids = made.values("id")
    labels = {key: fo.Classification(label="cat" if row % 2 else "犬") for row, key in enumerate(ids[: MEASURED + 3])}
    made.set_values("ground_truth", labels, key_field="id")
    hashes = [found or "" for found in file_hashes(made.values("filepath")[:MEASURED])]
    settings = vars(LoopSettings(**SETTINGS))
    loops.save_loop(made, "loop", settings, loops.FrozenSet.of(ids[:MEASURED], hashes), ["it is small"])
    for name, rows, state in (("evaluation", slice(6), "back"), ("1", slice(6, 9), "back"), ("2", slice(9, 11), "out")):
        put_out(made, f"loop_{name}", ids[rows], LabelingState(state))
    save_round(made, number=1, right=4)
    return made


def put_out(made: fo.Dataset, name: str, ids: list[str], state: LabelingState) -> None:
    count = len(ids)
    nothing = ({"ground_truth": None},) * count
    save_batch(
        made, Batch(name, tuple(ids), ("",) * count, nothing, (0,) * count, (False,) * count, {"label": "ground_truth"})
    )
    mark_samples(made, ids, state, name)


def save_round(made: fo.Dataset, number: int, right: int) -> None:
    labels = made.limit(MEASURED).values("ground_truth.label")
    said = [label if row < right else "fox" for row, label in enumerate(labels)]
    summary = {
        "trained": True,
        "why_not": "",
        "labels": 3,
        "by_class": {"犬": 2, "cat": 1},
        "preset": "probe",
        "processor_minutes": 0.25,
        "classifier": "/nowhere",
        "version": "abc",
    }
    loops.save_round(made, "loop", number, summary, said, [])


sent_by = partial(panels.sent_by, "loop")


def form_of(dataset: fo.Dataset, **params: Any) -> dict[str, Any]:
    operator = foo.get_operator(URI)
    request = {"dataset_name": dataset.name, "view": [], "params": params, "filters": {}}
    context = ExecutionContext(request, executor=Executor(), operator_uri=operator.uri)
    return operator.resolve_type(context, "inputs").to_json()["type"]["properties"]


def test_without_a_loop_the_panel_offers_to_begin_one(dataset: Callable[..., fo.Dataset]) -> None:
    shown = drawn(sent_by(dataset()))

    assert "No loop yet" in shown["nothing"]["default"]
    assert shown["start"]["view"]["operator"] == URI
    assert shown["start"]["view"]["params"] == {"action": "start", "name": "loop"}
    assert "curve" not in shown


def test_panel_draws_the_curve_and_what_the_rounds_did(looped: fo.Dataset) -> None:
    sent = sent_by(looped)
    data = data_of(sent)

    assert data["curve"][0]["x"] == [3]
    assert data["curve"][0]["y"] == [66.67]
    assert data["rounds_1"][0] | {"interval": ""} == {
        "round": "1",
        "labels": "3",
        "score": "66.7%",
        "interval": "",
        "gain": "",
    }
    assert [(row["name"], row["added"], row["found"]) for row in data["classes_2"]] == [
        ("犬", "+2", "66.7%"),
        ("cat", "+1", "66.7%"),
    ]


def test_panel_says_what_comes_next(looped: fo.Dataset) -> None:
    shown = drawn(sent_by(looped))

    assert "Batch of round 2: 0 of 2 images are labelled." in shown["head"]["default"]
    assert "label 2 images in the App's view `loop: label to train`" in shown["next_step"]["default"]
    assert shown["next"]["view"]["params"] == {"action": "next", "name": "loop"}
    assert "It is small." in shown["notes"]["default"]


def test_button_shows_what_is_to_be_labelled(looped: fo.Dataset) -> None:
    sent = sent_by(looped, "show_training")

    view = fo.DatasetView._build(looped, sent["set_view"][0]["view"])
    assert view.values("id") == looped.values("id")[9:11]


def test_button_for_what_is_all_labelled_says_so(looped: fo.Dataset) -> None:
    sent = sent_by(looped, "show_evaluation")

    assert "set_view" not in sent
    assert sent["notify"][0]["message"] == "Nothing of it is left to label."


def test_several_loops_can_be_chosen_from(looped: fo.Dataset) -> None:
    frozen = loops.find_loop(looped, "loop")
    assert frozen is not None
    loops.save_loop(looped, "rare", vars(LoopSettings(**SETTINGS)), frozen.evaluation, [])

    first, other = sent_by(looped), sent_by(looped, "choose", value="loop")

    assert drawn(first)["loop"]["type"]["values"] == ["loop", "rare"]
    assert "Loop `rare`" in drawn(first)["head"]["default"]
    assert "Loop `loop`" in drawn(other)["head"]["default"]


def test_form_offers_to_begin_a_loop_or_to_take_it_on(
    looped: fo.Dataset, dataset: Callable[..., fo.Dataset], tmp_path: Path
) -> None:
    fresh = dataset()
    fresh.add_sample(fo.Sample(filepath=str(write_image(tmp_path / "one.png"))))

    begins, goes_on = form_of(fresh), form_of(looped)

    assert begins["action"]["type"]["values"] == ["status", "start"]
    assert goes_on["action"]["type"]["values"] == ["status", "next", "stop"]


def test_operator_tells_where_a_loop_stands_in_a_call_from_python(looped: fo.Dataset) -> None:
    done = foo.execute_operator(URI, params={"action": "status"}, dataset=looped).result

    assert done["summary"]["stage"] == "label"
    assert done["text"].startswith("**Loop `loop`, round 2**")


def test_stopping_from_the_form_stops_the_loop(looped: fo.Dataset) -> None:
    foo.execute_operator(URI, params={"action": "stop"}, dataset=looped)

    found = loops.find_loop(looped, "loop")
    assert found is not None
    assert found.stopped == "at your wish"
