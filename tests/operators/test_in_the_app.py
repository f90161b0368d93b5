"""An operator that the App executes at once streams its progress and ends with a readable output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators.executor import ExecutionContext, Executor


def stream_of(name: str, dataset: fo.Dataset, *, cancel: bool = False, **params: Any) -> list[dict[str, Any]]:
    """Execute an operator as the App does, and return the requests that it is sent.

    With `cancel`, the button that is shown during the job is pressed as soon as it appears.
    """
    operator = foo.get_operator(f"@winnow/curation/{name}")
    request = {"dataset_name": dataset.name, "view": [], "params": params, "filters": {}}
    context = ExecutionContext(request, executor=Executor(), operator_uri=operator.uri)
    sent = []
    for message in operator.execute(context):
        sent.append(message.body.to_json())
        if cancel and len(sent) == 1:
            button = shown_in(sent[0])["cancel"]["view"]
            foo.execute_operator(button["operator"], dataset=dataset, params=button["params"])
    return sent


def shown_in(request: dict[str, Any]) -> dict[str, Any]:
    return request["params"]["outputs"]["type"]["properties"]


def test_progress_comes_first_and_the_output_last(colours: fo.Dataset) -> None:
    sent = stream_of("find_duplicates", colours)

    assert "progress" in shown_in(sent[0])
    assert "text" in shown_in(sent[-2])
    assert sent[-1]["operator_uri"] == "reload_dataset"


def test_output_offers_a_look_at_the_finding_and_the_next_step(colours: fo.Dataset) -> None:
    output = shown_in(stream_of("find_duplicates", colours)[-2])

    assert output["show"]["view"]["operator"] == "set_view"
    assert output["next"]["view"]["operator"] == "@winnow/curation/find_leaks"


def test_error_is_shown_as_its_message_without_a_traceback(colours: fo.Dataset) -> None:
    output = shown_in(stream_of("find_duplicates", colours, group_field="ground_truth")[-2])

    assert "ground_truth" in output["error"]["view"]["label"]
    assert "Traceback" not in str(output)


def test_cancel_button_ends_the_job(colours: fo.Dataset) -> None:
    output = shown_in(stream_of("find_duplicates", colours, cancel=True)[-2])

    assert output["error"]["view"]["label"].startswith("cancelled")


def test_names_that_the_apps_buttons_add_are_passed_over(colours: fo.Dataset) -> None:
    output = shown_in(stream_of("find_duplicates", colours, path="next")[-2])

    assert "text" in output


def test_flagged_labels_are_to_be_reviewed_and_good_ones_trained_on(colours: fo.Dataset) -> None:
    flagged = shown_in(stream_of("find_label_issues", colours)[-2])
    colours.set_values("ground_truth.label", [Path(path).stem.split()[0] for path in colours.values("filepath")])
    good = shown_in(stream_of("find_label_issues", colours)[-2])

    assert flagged["next"]["view"]["operator"] == "@winnow/curation/review_label_issues"
    assert good["next"]["view"]["operator"] == "@winnow/curation/train_classifier"


def test_nothing_follows_the_vectors_of_patches(colours: fo.Dataset) -> None:
    made = colours.limit(3).clone()
    box = fo.Detection(label="part", bounding_box=[0.1, 0.1, 0.6, 0.6])
    made.set_values("parts", [fo.Detections(detections=[box.copy()]) for _ in range(3)])

    output = shown_in(
        stream_of("compute_embeddings", made, patches_field="parts", projection="none", similarity=False)[-2]
    )
    made.delete()

    assert "text" in output
    assert "next" not in output


def test_only_the_kind_of_reference_that_was_chosen_last_counts(colours: fo.Dataset) -> None:
    colours[:21].tag_samples("old")
    chosen = {"held_against": "reference_tag", "reference_tag": "old", "reference_split": "test"}

    output = shown_in(stream_of("check_drift", colours, **chosen)[-2])

    assert "held against 21 images, tag old" in str(output["text"])
    assert output["show"]["view"]["label"] == "Show what drifts most"
