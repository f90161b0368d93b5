"""Each operator does its job when it is called from Python, and says clearly why it can't."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionError

from tests.small_classifier import small_classifier
from winnow.plugin.home import winnow_home
from winnow.plugin.training.classifier import load_classifier, save_classifier


def execute(name: str, target: fo.Dataset | fo.DatasetView, /, **params: Any) -> dict[str, Any]:
    """Execute an operator of the plugin from Python and return its result."""
    where = {"view": target} if isinstance(target, fo.DatasetView) else {"dataset": target}
    return foo.execute_operator(f"@winnow/curation/{name}", params=params, **where).result


def test_compute_embeddings_fills_the_vector_field(colours: fo.Dataset) -> None:
    result = execute("compute_embeddings", colours, vector_field="vector")

    assert len(colours.first().vector) > 100
    assert result["text"]


def test_find_duplicates_groups_the_copy_with_its_source(colours: fo.Dataset) -> None:
    execute("find_duplicates", colours)

    groups = colours.values("duplicate_group")
    assert groups[0] is not None
    assert groups[0] == groups[10]


def test_find_leaks_scores_the_copy_in_the_test_split(colours: fo.Dataset) -> None:
    result = execute("find_leaks", colours)

    scores = colours.values("leak_score")
    assert scores[10] == max(score for score in scores if score is not None)
    assert result["show"]["label"] == "Show the leaks"


def test_split_dataset_keeps_the_copy_with_its_source(colours: fo.Dataset) -> None:
    result = execute("split_dataset", colours, fractions="train=0.5,test=0.5")

    splits = colours.values("split")
    assert splits[0] == splits[10]
    assert sorted(result["summary"]["sizes"].values()) == [21, 21]


def test_split_dataset_repairs_the_splits_with_what_is_chosen_in_the_form(colours: fo.Dataset) -> None:
    colours.set_values("patient", [f"p{row % 21}" for row in range(42)])

    result = execute("split_dataset", colours, repair=True, freeze=["test"], group_by=["patient"])

    assert set(result["summary"]["moved"]) == {"train to test"}
    assert result["summary"]["largest_unit"] >= 2


def test_find_label_issues_flags_the_wrong_label(colours: fo.Dataset) -> None:
    execute("find_label_issues", colours)

    wrong = colours.skip(3).first()
    assert wrong.label_quality == min(colours.values("label_quality"))


def test_find_label_issues_judges_by_predictions_too(colours: fo.Dataset) -> None:
    labels = ["blue" if row == 3 else label for row, label in enumerate(colours.values("ground_truth.label"))]
    colours.set_values("model", [fo.Classification(label=label, confidence=0.9) for label in labels])

    result = execute("find_label_issues", colours, predictions_field="model")

    assert colours.match(fo.ViewField("label_issue") == True).values("id") == [colours.skip(3).first().id]  # noqa: E712
    assert result["summary"]["flagged"] == 1


def test_labels_are_brought_back_from_a_table_without_label_studio(colours: fo.Dataset, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"sample,label,annotator\n{colours.first().id},mauve,Ann\n", "utf-8")

    result = execute("pull_from_label_studio", colours, file=str(table), fields=["seen"])

    assert (colours.first().seen.label, colours.first().seen.annotator) == ("mauve", "Ann")
    assert (result["summary"]["labelled"], result["show"]["label"]) == (1, "Show what is back")


def test_label_studio_that_is_not_set_is_told_before_labels_are_brought_back(
    colours: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(Exception, match="LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"):
        execute("pull_from_label_studio", colours)


def test_images_of_a_folder_can_be_kept_before_others(colours: fo.Dataset, tmp_path: Path) -> None:
    first = colours.first()
    copy = tmp_path / "preferred" / "copy.png"
    copy.parent.mkdir()
    shutil.copy(first.filepath, copy)
    colours.add_sample(fo.Sample(filepath=str(copy), ground_truth=first.ground_truth, tags=first.tags))

    execute("find_duplicates", colours, keep_paths=[str(copy.parent)])

    assert colours[str(copy)].duplicate_role == "keeper"
    assert colours[first.id].duplicate_role == "copy"


def test_trained_classifier_can_be_applied(colours: fo.Dataset) -> None:
    execute("train_classifier", colours, preset="probe", name="colours")
    folder = next(winnow_home().glob("**/colours*/classifier.json")).parent

    execute("apply_classifier", colours, classifier=str(folder))

    right = [
        prediction == label
        for prediction, label in zip(*colours.values(["prediction.label", "ground_truth.label"]), strict=True)
    ]
    assert sum(right) > 0.9 * len(right)


@pytest.fixture
def classifier(tmp_path: Path) -> str:
    """Return the folder of a classifier of a small network."""
    return str(save_classifier(small_classifier(tmp_path), tmp_path / "classifier"))


def test_apply_classifier_shows_what_it_is_least_sure_of(colours: fo.Dataset, classifier: str) -> None:
    result = execute("apply_classifier", colours, classifier=classifier, logits=True)

    assert colours.exists("prediction.logits").count() == len(colours)
    assert result["show"]["label"] == "Show the least sure first"


def test_apply_classifier_predicts_the_patches_of_a_view(colours: fo.Dataset, classifier: str) -> None:
    box = fo.Detection(label="middle", bounding_box=[0.25, 0.25, 0.5, 0.5])
    colours.set_values("boxes", [fo.Detections(detections=[box.copy()]) for _ in range(len(colours))])

    result = execute("apply_classifier", colours.limit(5).to_patches("boxes"), classifier=classifier)

    assert result["summary"]["unit"] == "patch"
    assert colours.count("boxes.detections.prediction") == 5


def test_export_classifier_writes_a_file_that_was_checked_on_images_of_the_view(
    colours: fo.Dataset, classifier: str, tmp_path: Path
) -> None:
    result = execute("export_classifier", colours.limit(7), classifier=classifier, output=str(tmp_path / "c.onnx"))

    assert (tmp_path / "c.onnx").is_file()
    assert result["summary"]["checked_images"] == 7
    assert result["summary"]["largest_difference"] <= 1e-4


def store_predictions(made: fo.Dataset, field: str, wrong: int) -> None:
    """Store predictions of which the first ones of the test split are wrong."""
    for place, sample in enumerate(made.match_tags("test")):
        label = "grey" if place < wrong else sample.ground_truth.label
        sample[field] = fo.Classification(label=label, confidence=0.9)
        sample.save()


def test_export_dataset_writes_the_images_of_the_view(colours: fo.Dataset, tmp_path: Path) -> None:
    result = execute("export_dataset", colours.limit(3), output=str(tmp_path / "out"))

    assert result["summary"]["images"] == 3
    assert len(list((tmp_path / "out").glob("train/*/*"))) == 3


def test_evaluate_predictions_tells_slices_and_shows_what_is_wrong(colours: fo.Dataset) -> None:
    store_predictions(colours, "model", wrong=3)

    result = execute("evaluate_predictions", colours, prediction_field="model", slices=["ground_truth"])

    assert result["summary"]["accuracy_given_test"] == 0.75
    assert result["summary"]["slices"][0]["value"] == "blue"
    assert result["show"]["label"] == "Show the wrong predictions"
    assert colours.count_values("model_evaluation")[False] == 3


def test_check_drift_shows_what_drifts_most(colours: fo.Dataset) -> None:
    colours[:21].tag_samples("old")

    result = execute("check_drift", colours, reference_tag="old", slice_by=["ground_truth"])

    assert result["show"]["label"] == "Show what drifts most"
    assert result["summary"]["images"] == colours.count("drift_score") == 21
    assert {each["value"] for each in result["summary"]["slices"]} == {"green", "red"}


def test_compare_predictions_shows_what_one_alone_has_right(colours: fo.Dataset) -> None:
    store_predictions(colours, "old", wrong=7)
    store_predictions(colours, "new", wrong=1)

    result = execute("compare_predictions", colours, prediction_field="new", other_field="old")

    assert result["summary"]["better"] == "new"
    assert result["show"]["label"] == "Show what one alone has right"
    assert colours.count_values("prediction_comparison")["only new"] == 6


def test_set_thresholds_writes_them_into_the_classifier(colours: fo.Dataset) -> None:
    execute("train_classifier", colours, preset="probe", name="colours")
    folder = next(winnow_home().glob("**/colours*/classifier.json")).parent

    result = execute("set_thresholds", colours, classifier=str(folder), recall=0.5)

    assert result["summary"]["version"] == load_classifier(folder).version
    assert len(load_classifier(folder).thresholds or ()) == 3


def test_operator_works_on_the_given_view_only(colours: fo.Dataset) -> None:
    execute("find_label_issues", colours.match_tags("train"))

    assert colours.match_tags("train").exists("label_quality").count() == 30
    assert colours.match_tags("test").exists("label_quality").count() == 0


def test_chosen_field_name_is_used(colours: fo.Dataset) -> None:
    execute("find_label_issues", colours, quality_field="trust")

    assert colours.has_field("trust")
    assert not colours.has_field("label_quality")


def message_of(name: str, dataset: fo.Dataset, /, **params: Any) -> str:
    """Execute an operator that can't do its job, and return what the user is told."""
    with pytest.raises(ExecutionError) as caught:
        execute(name, dataset, **params)
    return str(caught.value)


@pytest.mark.parametrize("field", ["boxes", "note", "no_such_field"])
def test_field_that_holds_no_classification_is_refused_with_those_that_do(colours: fo.Dataset, field: str) -> None:
    message = message_of("find_label_issues", colours, label_field=field)

    assert f"'{field}' is no Classification field" in message
    assert "choose from: ground_truth" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    "name", ["compute_embeddings", "find_duplicates", "find_leaks", "split_dataset", "find_label_issues"]
)
def test_empty_dataset_is_refused(dataset: Callable[..., fo.Dataset], name: str) -> None:
    message = message_of(name, dataset())

    assert "has no samples" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("name", ["find_label_issues", "train_classifier"])
def test_single_class_is_refused(colours: fo.Dataset, name: str) -> None:
    one_class = colours.match(fo.ViewField("ground_truth.label") == "red").clone()

    message = message_of(name, one_class)

    assert "needs two classes, 'ground_truth' has red" in message
    assert "Traceback" not in message


def test_dataset_without_splits_is_refused_by_find_leaks(colours: fo.Dataset) -> None:
    colours.untag_samples(["train", "test"])

    message = message_of("find_leaks", colours)

    assert "needs 2 splits, found: none" in message
    assert "Traceback" not in message


def test_folder_without_classifier_is_refused(colours: fo.Dataset, tmp_path: Path) -> None:
    message = message_of("apply_classifier", colours, classifier=str(tmp_path))

    assert "holds no classifier.json" in message
    assert "Traceback" not in message


def test_misspelt_parameter_is_refused_with_the_right_names(colours: fo.Dataset) -> None:
    message = message_of("find_duplicates", colours, treshold=0.9)

    assert "unknown parameter 'treshold'" in message
    assert "threshold" in message.split("takes")[1]


def test_label_issues_of_a_view_of_patches_can_be_shown_as_patches(colours: fo.Dataset) -> None:
    box = [0.25, 0.25, 0.5, 0.5]
    parts = [fo.Detection(label=found.label, bounding_box=box) for found in colours.values("ground_truth")]
    colours.set_values("boxes", [fo.Detections(detections=[part]) for part in parts])

    result = execute("find_label_issues", colours.to_patches("boxes"))

    shown = fo.DatasetView._build(colours, result["show"]["view"])
    assert result["summary"]["unit"] == "patch"
    assert result["show"]["label"] == "Show the flagged patches"
    assert shown.values("boxes.label_issue") == [True] * result["summary"]["flagged"]


def test_select_for_labeling_ranks_unlabelled_training_images(colours: fo.Dataset) -> None:
    for sample in colours.match_tags("train").skip(15).iter_samples(autosave=True):
        sample["ground_truth"] = None

    result = execute("select_for_labeling", colours, count=4)

    chosen = colours.exists("selection_rank")
    assert sorted(chosen.values("selection_rank")) == [1, 2, 3, 4]
    assert set(chosen.values("ground_truth")) == {None}
    assert result["show"]["label"] == "Show the chosen images"
