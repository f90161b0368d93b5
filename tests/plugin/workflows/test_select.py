"""What is to be labelled next is written to the samples; what is labelled, away or held out is never chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import pytest

from tests.label_sets import make_dataset as make_label_sets
from tests.mosaics import write_mosaics
from tests.plugin.workflows.conftest import MakeDataset, MakeOfFolder, tile, truncated_png
from winnow.plugin.datasets.labeling_batches import Batch, LabelingState, mark_samples, save_batch
from winnow.plugin.datasets.runs import delete_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.select import SELECTION_RUN, SelectParams, select_for_labeling

LABELLED = 3  # of the ten training images of a class, the first so many


@pytest.fixture
def partly(garments: MakeDataset) -> fo.Dataset:
    """Return 100 images: 15 of the 50 training images are labelled, and the test split is."""
    dataset = garments("*/*/00?.png")
    unlabel(dataset, lambda path: "/train/" in path and int(Path(path).stem) >= LABELLED)
    return dataset


def unlabel(dataset: fo.Dataset, chosen: Callable[[str], bool]) -> None:
    for sample in dataset.iter_samples(autosave=True):
        if chosen(sample.filepath):
            sample["ground_truth"] = None


def ranked(dataset: fo.Dataset) -> list[str]:
    """Return the paths of the chosen images, rank 1 first."""
    return dataset.exists("selection_rank").sort_by("selection_rank").values("filepath")


def test_chosen_images_get_ranks_from_one_with_a_score_and_a_reason(partly: fo.Dataset) -> None:
    report = select_for_labeling(partly, SelectParams(count=8))

    found = partly.exists("selection_rank").sort_by("selection_rank")
    assert found.values("selection_rank") == list(range(1, 9))
    assert found.values("id") == list(report.ids)
    assert all(found.values("selection_reason"))
    assert None not in found.values("selection_score")


def test_neither_labelled_nor_test_images_are_chosen(partly: fo.Dataset) -> None:
    unlabel(partly, lambda path: "/test/" in path)

    select_for_labeling(partly, SelectParams(count=100, strategy="random"))

    assert len(ranked(partly)) > 20
    assert all("/train/" in path and int(Path(path).stem) >= LABELLED for path in ranked(partly))


def test_a_second_choice_replaces_the_first(partly: fo.Dataset) -> None:
    select_for_labeling(partly, SelectParams(count=9, strategy="random"))

    report = select_for_labeling(partly.skip(20), SelectParams(count=4, strategy="random", seed=1))

    assert partly.exists("selection_rank").count() == 4
    assert set(partly.exists("selection_reason").values("id")) == set(report.ids)


def test_the_same_choice_twice_is_the_same(partly: fo.Dataset) -> None:
    first = select_for_labeling(partly, SelectParams(count=10, strategy="badge"))

    second = select_for_labeling(partly, SelectParams(count=10, strategy="badge"))

    assert second.ids == first.ids


@pytest.mark.parametrize("state", [LabelingState.OUT, LabelingState.SKIPPED, LabelingState.DISAGREEMENT])
def test_what_is_out_or_not_settled_is_not_chosen_again(partly: fo.Dataset, state: LabelingState) -> None:
    away = select_for_labeling(partly, SelectParams(count=10)).ids
    mark_samples(partly, away, state, "1")

    report = select_for_labeling(partly, SelectParams(count=10))

    assert not set(away) & set(report.ids)
    assert report.summary()["out"] == 10


def test_images_of_an_evaluation_batch_are_neither_chosen_nor_learned_from(partly: fo.Dataset) -> None:
    ids = partly.match({"split": "train"}).values("id")
    lists = {"sample_ids": tuple(ids), "hashes": ("",) * len(ids), "labels_before": ({},) * len(ids)}
    save_batch(
        partly,
        Batch("eval", **lists, task_ids=(0,) * len(ids), blind=(True,) * len(ids), fields={}, purpose="evaluation"),
    )

    with pytest.raises(DataError, match=r"no image left to choose.*100 belong to an evaluation set"):
        select_for_labeling(partly, SelectParams(count=5))


def test_labels_outside_the_view_are_learned_from(partly: fo.Dataset) -> None:
    view = partly.match({"ground_truth": None})

    report = select_for_labeling(view, SelectParams(count=6, strategy="margin"))

    assert report.summary()["labelled"] == 15
    assert set(report.ids) <= set(view.values("id"))


def test_images_with_predictions_of_another_tool_alone_are_unlabelled(garments: MakeDataset) -> None:
    made = garments()
    made.set_values("guessed", [fo.Classification(label="dress", confidence=0.5)] * len(made))
    made.delete_sample_field("ground_truth")

    report = select_for_labeling(made, SelectParams(count=6))

    assert report.summary()["labelled"] == 0
    assert len(report.ids) == 6


def test_a_folder_without_any_label_can_be_begun_with(garments: MakeDataset) -> None:
    dataset = garments("train/*/00?.png")
    dataset.delete_sample_field("ground_truth")
    dataset.delete_sample_field("split")

    report = select_for_labeling(dataset, SelectParams(count=10, label_field="kind"))

    assert report.summary()["strategy"] == "typical"
    assert len({Path(path).parent.name for path in ranked(dataset)}) >= 4


def test_a_misspelt_label_field_is_an_error(partly: fo.Dataset) -> None:
    with pytest.raises(FieldError, match="no field 'ground_thruth'"):
        select_for_labeling(partly, SelectParams(label_field="ground_thruth"))


def test_unreadable_images_are_marked_and_not_chosen(tmp_path: Path, dataset_of_folder: MakeOfFolder) -> None:
    folder = tmp_path / "train" / "犬 #1"
    folder.mkdir(parents=True)
    for number in range(12):
        tile("train", "bag", number).save(folder / f"a b {number}.png")
    (folder / "broken.png").write_bytes(truncated_png())
    dataset = dataset_of_folder(tmp_path)
    dataset.clear_sample_field("ground_truth")

    report = select_for_labeling(dataset, SelectParams(count=13, strategy="random"))

    assert len(report.ids) >= 8
    assert not any(path.endswith("broken.png") for path in ranked(dataset))
    assert dataset.exists("winnow_failure").count() == 1


def test_stored_predictions_are_gone_by_where_a_field_is_named(partly: fo.Dataset) -> None:
    doubtful = partly.match({"ground_truth": None}).limit(3).values("id")
    partly.set_values(
        "model",
        {
            key: fo.Classification(label="bag", confidence=0.5 if key in doubtful else 0.99)
            for key in partly.skip(10).values("id")
        },
        key_field="id",
    )

    report = select_for_labeling(partly, SelectParams(count=3, strategy="least_confidence", predictions_field="model"))

    assert set(report.ids) == set(doubtful)
    assert report.summary()["predicted_by"] == "the confidences in `model`"


def test_images_of_a_class_to_go_for_come_first(partly: fo.Dataset) -> None:
    names = [Path(path).parent.name for path in partly.values("filepath")]
    sure = [fo.Classification(label=name, confidence=0.7 if name == "sandal" else 0.5) for name in names]
    partly.set_values("model", sure)

    select_for_labeling(partly, SelectParams(count=5, predictions_field="model", target_classes=("sandal",)))

    assert {Path(path).parent.name for path in ranked(partly)} == {"sandal"}


def test_a_class_that_does_not_exist_is_told(partly: fo.Dataset) -> None:
    with pytest.raises(DataError, match=r"no class 'sandals' to go for\. Classes are: bag, dress, sandal"):
        select_for_labeling(partly, SelectParams(target_classes=("sandals",)))


def test_a_strategy_that_needs_predictions_says_what_to_do_without_labels(garments: MakeDataset) -> None:
    dataset = garments("train/*/00?.png")
    dataset.clear_sample_field("ground_truth")

    with pytest.raises(DataError, match=r"'margin' needs predictions, and only 0 images are labelled\. Label 10"):
        select_for_labeling(dataset, SelectParams(strategy="margin"))


def test_suspicious_labels_are_mixed_in_on_request(partly: fo.Dataset) -> None:
    wrong = partly.match({"split": "train", "ground_truth.label": "bag"}).first()
    wrong["ground_truth"].label = "trouser"
    wrong.save()
    find_label_issues(partly, LabelIssueParams(sensitivity="thorough"))

    report = select_for_labeling(partly, SelectParams(count=6, relabel=0.2))

    assert wrong.id in report.ids
    assert "its label 'trouser' may be wrong" in report.reasons[report.ids.index(wrong.id)]
    assert report.summary()["suspects"] == 1


def test_suspicious_labels_cannot_be_mixed_in_before_they_were_looked_for(partly: fo.Dataset) -> None:
    with pytest.raises(DataError, match="Find label issues first"):
        select_for_labeling(partly, SelectParams(relabel=0.5))


def test_several_labels_an_image_are_chosen_by_a_probe_too(tmp_path: Path) -> None:
    shown = write_mosaics(tmp_path)
    labels = {path: names if row < 40 else None for row, (path, names) in enumerate(sorted(shown.items()))}
    dataset = make_label_sets(labels)

    report = select_for_labeling(dataset, SelectParams(count=10))
    dataset.delete()

    assert report.summary()["strategy"] == "auto"
    assert report.summary()["labelled"] == 40
    assert all("least sure about" in reason for reason in report.reasons)


def test_the_run_goes_with_its_fields(partly: fo.Dataset) -> None:
    select_for_labeling(partly, SelectParams(count=5))

    delete_run(partly, SELECTION_RUN)

    assert not partly.has_field("selection_rank")
    assert not partly.has_field("selection_reason")
