"""The forms offer what the dataset has, and show what they found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionContext, Executor

from tests.small_classifier import small_classifier
from winnow.plugin.datasets import jobs
from winnow.plugin.datasets.fields import write_labels
from winnow.plugin.home import winnow_home
from winnow.plugin.training.classifier import save_classifier
from winnow.plugin.workflows.classifiers import promote_classifier


def form_of(name: str, dataset: fo.Dataset, *, selected: list[str] | None = None, **params: Any) -> dict[str, Any]:
    """Return the properties of an operator's form, as the App gets them: name -> JSON."""
    operator = foo.get_operator(f"@winnow/curation/{name}")
    request = {"dataset_name": dataset.name, "view": [], "params": params, "selected": selected or [], "filters": {}}
    context = ExecutionContext(request, executor=Executor(), operator_uri=operator.uri)
    return operator.resolve_type(context, "inputs").to_json()["type"]["properties"]


def test_only_classification_fields_are_offered_as_label_field(colours: fo.Dataset) -> None:
    form = form_of("find_label_issues", colours)

    assert form["label_field"]["type"]["values"] == ["ground_truth"]


def test_fields_of_several_labels_an_image_are_offered_after_those_of_one(colours: fo.Dataset) -> None:
    several = fo.Classifications(classifications=[fo.Classification(label=name) for name in ("sea", "dog")])
    colours.set_values("all_things", [several] * len(colours))

    first = form_of("find_label_issues", colours)
    chosen = form_of("find_label_issues", colours, label_field="all_things")

    assert first["label_field"]["type"]["values"] == ["ground_truth", "all_things"]
    assert first["label_field"]["default"] == "ground_truth"
    assert chosen["classes"]["view"]["label"] == "2 classes: dog, sea"


def test_splits_found_in_tags_are_shown_with_their_sizes(colours: fo.Dataset) -> None:
    form = form_of("find_leaks", colours)

    assert form["split_field"]["default"] == "tags"
    assert form["split_field_note"]["view"]["label"] == "Splits: train 30 · test 12"


def test_splits_found_in_a_field_come_first(colours: fo.Dataset) -> None:
    colours.set_values("split", ["Training" if "train" in tags else "val" for tags in colours.values("tags")])

    form = form_of("find_leaks", colours)

    assert form["split_field"]["type"]["values"] == ["split", "tags", "folders"]
    assert form["split_field_note"]["view"]["label"] == "Splits: train 30 · validation 12"


def test_neighbours_are_offered_from_indexes_in_a_vector_database(
    colours: fo.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lancedb")
    monkeypatch.setitem(fob.brain_config.similarity_backends["lancedb"], "uri", str(tmp_path))
    before = form_of("find_duplicates", colours, more_settings=True)
    fob.compute_similarity(colours, embeddings=False, brain_key="far", backend="lancedb")

    form = form_of("find_duplicates", colours, more_settings=True)

    assert "neighbors" not in before
    assert form["neighbors"]["type"]["values"] == ["", "far"]
    assert [each["label"] for each in form["neighbors"]["view"]["choices"]] == ["this machine", "far: lancedb"]
    assert form_of("compute_embeddings", colours)["index"]["type"]["values"] == ["", "lancedb"]


def test_number_of_images_follows_the_selection(colours: fo.Dataset) -> None:
    selected = colours.take(5, seed=0).values("id")

    form = form_of("find_duplicates", colours, selected=selected, view_target="SELECTED_SAMPLES")

    assert form["image_count"]["view"]["label"] == "5 images"
    assert "SELECTED_SAMPLES" in form["view_target"]["type"]["values"]


def test_a_grouped_dataset_is_asked_for_its_slice(colours: fo.Dataset) -> None:
    grouped = fo.Dataset()
    grouped.add_group_field("side", default="left")
    paths = colours.limit(4).values("filepath")
    for left, right in (paths[:2], paths[2:]):
        side = fo.Group()
        grouped.add_sample(fo.Sample(filepath=left, side=side.element("left")))
        grouped.add_sample(fo.Sample(filepath=right, side=side.element("right")))

    form = form_of("compute_embeddings", grouped)
    result = foo.execute_operator(
        "@winnow/curation/compute_embeddings",
        dataset=grouped,
        params={"group_slice": "right", "vector_field": "vector"},
    ).result
    grouped.delete()

    assert form["group_slice"]["type"]["values"] == ["left", "right"]
    assert form["image_count"]["view"]["label"] == "2 images"
    assert result["summary"]["images"] == 2


def test_defaults_are_those_of_the_params(colours: fo.Dataset) -> None:
    from winnow.plugin.workflows.duplicates import DuplicateParams

    form = form_of("find_duplicates", colours, more_settings=True)

    assert form["group_field"]["default"] == DuplicateParams().group_field
    assert form["backbone"]["default"] == DuplicateParams().vectors.backbone


def test_rare_settings_appear_on_request(colours: fo.Dataset) -> None:
    plain = form_of("find_duplicates", colours)
    more = form_of("find_duplicates", colours, more_settings=True)

    assert "backbone" not in plain
    assert "backbone" in more


def test_fields_of_predictions_are_offered_as_further_evidence(colours: fo.Dataset) -> None:
    without = form_of("find_label_issues", colours, more_settings=True)
    colours.set_values("model", [fo.Classification(label="red", confidence=0.9)] * 42)

    form = form_of("find_label_issues", colours, more_settings=True)

    assert "predictions_field" not in without
    assert form["predictions_field"]["type"]["values"] == ["model"]
    assert not form["predictions_field"]["required"]
    assert form["fine_tune"]["default"] is False


def test_word_is_said_when_no_worker_is_alive(colours: fo.Dataset) -> None:
    form = form_of("find_duplicates", colours)

    assert form["worker"]["view"]["label"] == "No delegated worker is running"


def execution_options(dataset: fo.Dataset, **params: Any) -> Any:
    operator = foo.get_operator("@winnow/curation/compute_embeddings")
    request = {"dataset_name": dataset.name, "view": [], "params": params, "filters": {}}
    return operator.resolve_execution_options(ExecutionContext(request, executor=Executor(), operator_uri=operator.uri))


@pytest.mark.parametrize(("seconds", "is_delegated"), [(59, False), (61, True)])
def test_embeddings_go_to_a_worker_where_they_take_longer_than_people_wait(
    colours: fo.Dataset, monkeypatch: pytest.MonkeyPatch, seconds: float, is_delegated: bool
) -> None:
    monkeypatch.setattr(jobs, "can_schedule", lambda: True)
    monkeypatch.setattr(
        "winnow.plugin.workflows.estimates.expected_seconds",
        lambda backbone, images: seconds * images / colours.count() * (backbone == "lite0"),
    )

    assert execution_options(colours).default_choice_to_delegated is is_delegated


def test_the_form_tells_how_long_it_takes(colours: fo.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))  # where no earlier run is known
    monkeypatch.setattr("winnow.plugin.workflows.estimates.expected_seconds", lambda backbone, images: 5.0 * images)
    monkeypatch.setattr("winnow.plugin.workflows.estimates.is_measured", lambda backbone: True)

    form = form_of("compute_embeddings", colours)

    assert form["image_count"]["view"]["label"] == "42 images"
    assert form["image_count"]["view"]["description"] == "About 4 minutes for 42 images, by what this machine does."


def test_boxes_of_detections_are_offered_and_a_view_of_patches_is_taken_as_such(colours: fo.Dataset) -> None:
    made = colours.limit(3).clone()
    box = fo.Detection(label="thing", bounding_box=[0, 0, 0.5, 0.5])
    made.set_values("objects", [fo.Detections(detections=[box.copy(), box.copy()]) for _ in range(3)])

    form = form_of("compute_embeddings", made, patches_field="objects")
    view = made.to_patches("objects").limit(4)
    result = foo.execute_operator("@winnow/curation/compute_embeddings", view=view).result
    made.delete()

    assert form["image_count"]["view"]["label"] == "6 patches"
    assert form["patches_field"]["type"]["values"] == ["whole images", "boxes", "objects"]
    assert (result["summary"]["images"], result["summary"]["unit"]) == (4, "patch")


def test_the_labels_of_patches_are_judged_without_a_label_field_of_the_images(colours: fo.Dataset) -> None:
    of_images = form_of("find_label_issues", colours)
    of_patches = form_of("find_label_issues", colours, patches_field="boxes")

    assert of_images["patches_field"]["default"] == "whole images"
    assert {"label_field", "fine_tune"} <= set(of_images)
    assert not {"label_field", "fine_tune"} & set(of_patches)


def test_splits_and_group_fields_are_offered_for_clean_splits(colours: fo.Dataset) -> None:
    colours.set_values("patient", ["p1"] * 42)

    form = form_of("split_dataset", colours)

    assert [choice["value"] for choice in form["freeze"]["view"]["choices"]] == ["test", "train"]
    assert "patient" in [choice["value"] for choice in form["group_by"]["view"]["choices"]]
    assert form["fractions"]["default"] == "train=0.8, validation=0.1, test=0.1"


def test_a_repair_asks_for_no_fractions_and_needs_two_splits(colours: fo.Dataset) -> None:
    colours.untag_samples("test")

    form = form_of("split_dataset", colours, repair=True)

    assert "fractions" not in form
    assert form["split_field_problem"]["view"]["label"] == "This job needs 2 splits, found: train"


def test_new_splits_need_no_old_ones(colours: fo.Dataset) -> None:
    colours.untag_samples(["train", "test"])

    form = form_of("split_dataset", colours)

    assert "split_field_problem" not in form


@pytest.mark.parametrize("name", ["find_duplicates", "find_leaks"])
def test_the_last_run_tells_what_other_thresholds_would_flag(name: str, colours: fo.Dataset) -> None:
    made = colours.clone()
    before = form_of(name, made)

    foo.execute_operator(f"@winnow/curation/{name}", dataset=made)
    after = form_of(name, made)
    made.delete()

    assert "pairs_at" not in before
    assert after["pairs_at"]["view"]["label"].startswith("Pairs of the last run from a score of 0.95: ")


def test_fields_of_predictions_are_offered_winnows_own_first_without_labels_and_suggestions(
    colours: fo.Dataset,
) -> None:
    ids = colours.values("id")
    colours.set_values("elsewhere", [fo.Classification(label="red")] * len(ids))
    write_labels(colours, "prediction", ids, ["red"] * len(ids), [0.9] * len(ids))
    write_labels(colours, "suggested_label", ids[:1], ["red"], [0.9], given=["blue"])

    form = form_of("evaluate_predictions", colours)
    pair = form_of("compare_predictions", colours)

    assert form["prediction_field"]["type"]["values"] == ["prediction", "elsewhere"]
    assert pair["other_field"]["type"]["values"] == ["elsewhere"]


def test_without_predictions_the_form_says_what_to_do(colours: fo.Dataset) -> None:
    form = form_of("evaluate_predictions", colours)

    assert form["prediction_field_problem"]["invalid"]
    assert "apply a classifier" in form["prediction_field_problem"]["view"]["description"]


def test_the_classifier_in_use_is_offered_first_and_none_of_another_dataset(
    colours: fo.Dataset, tmp_path: Path
) -> None:
    folders = {}
    for name, dataset, day in (("old", colours.name, 1), ("new", colours.name, 2), ("other", "another", 3)):
        about = {"dataset": dataset, "trained_at": f"2026-01-0{day}T00:00:00+00:00"}
        folder = winnow_home() / "classifiers" / f"{colours.name}-{name}"
        folders[name] = str(save_classifier(small_classifier(tmp_path, details=about), folder))
    promote_classifier(colours, f"{colours.name}-old")

    form = form_of("apply_classifier", colours)["classifier"]

    assert form["default"] == folders["old"]
    assert [choice["value"] for choice in form["view"]["choices"]] == [folders["old"], folders["new"]]


def test_labels_of_a_file_can_be_brought_back_where_label_studio_is_not_set(
    colours: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    without, with_file = (form_of("pull_from_label_studio", colours, **given) for given in ({}, {"file": "labels.csv"}))

    assert without["label_studio"]["invalid"] and "LABEL_STUDIO_URL" in without["label_studio"]["error_message"]
    assert "label_studio" not in with_file and with_file["conflicts"]["default"] == "show"


def test_what_images_can_be_held_against_is_offered(colours: fo.Dataset) -> None:
    form = form_of("check_drift", colours)
    by_split = form_of("check_drift", colours, held_against="reference_split")

    assert form["held_against"]["type"]["values"] == ["classifier", "reference_split", "reference_tag", "reference"]
    assert form["no_classifier"]["invalid"]
    assert by_split["reference_split"]["type"]["values"] == ["test", "train"]
    assert "no_classifier" not in by_split and not by_split["classifier"]["required"]
