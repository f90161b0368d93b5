from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image, ImageFilter

from winnow.plugin.datasets.runs import delete_run
from winnow.plugin.errors import ClassifierError, DataError, FieldError
from winnow.plugin.training.classifier import load_classifier, save_classifier
from winnow.plugin.training.reference import Reference
from winnow.plugin.workflows.drift import check_drift_of
from winnow.plugin.workflows.drift_record import RUN, load_drift
from winnow.plugin.workflows.drift_report import DriftReport
from winnow.plugin.workflows.drift_settings import DriftParams
from winnow.plugin.workflows.train import TrainParams, train_classifier

from .conftest import tile

KNOWN, UNKNOWN = ("dress", "sandal", "sneaker"), "bag"
LABELS = "ground_truth"
PER_CLASS = 40  # in each split


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Return a dataset with the splits `train`, `test`, `blurred` (the same as `test`, blurred) and `unknown`: bags."""
    root = tmp_path_factory.mktemp("world")
    rows = []
    for number in range(PER_CLASS):
        for name in KNOWN:
            shown = tile("train", name, PER_CLASS + number)
            rows += [
                ("train", name, tile("train", name, number)),
                ("test", name, shown),
                ("blurred", name, shown.filter(ImageFilter.GaussianBlur(1.2))),
            ]
    rows += [("unknown", UNKNOWN, tile("train", UNKNOWN, number)) for number in range(25)]
    made = fo.Dataset()
    made.add_samples([_sample(root, number, *row) for number, row in enumerate(rows)], progress=False)
    yield made
    made.delete()


def _sample(root: Path, number: int, split: str, name: str, image: Image.Image) -> fo.Sample:
    path, label = root / f"{number:03d}.png", fo.Classification(label=name)
    image.save(path)
    return fo.Sample(filepath=str(path), split=split, tags=[f"{split} tag"], ground_truth=label, night=number < 200)


@pytest.fixture(scope="module")
def classifier(world: fo.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a probe that was trained on the split `train`."""
    output = tmp_path_factory.mktemp("trained") / "classifier"
    return train_classifier(world, TrainParams(preset="probe", output=output)).classifier_dir


def rows_of(report: DriftReport, world: fo.Dataset, split: str) -> np.ndarray:
    return np.isin(report.current.samples.ids, world.match(fo.ViewField("split") == split).values("id"))


def test_two_splits_of_one_world_are_no_drift(world: fo.Dataset) -> None:
    report = check_drift_of(world, DriftParams(reference_split="train", current_split="test"))

    found = report.summary()
    assert not found["is_drift"]
    assert (found["images"], found["reference_images"]) == (120, 120)
    assert (found["current"], found["reference"]) == ("split test", "split train")
    assert "**No drift** beyond chance" in report.text()


def test_blurred_images_are_drift_from_what_is_stored_and_sharpness_explains_it(
    world: fo.Dataset, classifier: Path
) -> None:
    report = check_drift_of(world, DriftParams(classifier=classifier, current_split="blurred"))

    found = report.summary()
    assert found["is_drift"] and found["effect_size"] > 0.5
    assert found["reference"] == "what is stored with the classifier"
    assert found["version"] == load_classifier(classifier).version
    assert found["statistics"][0]["name"] == "sharpness"
    assert {each["name"] for each in found["classes"]} == set(KNOWN)
    assert "sharpness" in report.text()


def test_images_like_those_it_was_made_for_are_no_drift(world: fo.Dataset, classifier: Path) -> None:
    report = check_drift_of(world, DriftParams(classifier=classifier, current_split="test"))

    assert not report.summary()["is_drift"]
    assert report.drift.novel.mean() < 0.05


def test_images_of_an_unknown_class_come_first_and_their_slice_too(world: fo.Dataset, classifier: Path) -> None:
    view = world.match(fo.ViewField("split").is_in(["test", "unknown"]))

    report = check_drift_of(view, DriftParams(classifier=classifier, slice_by=("split",)))

    unknown = rows_of(report, world, "unknown")
    assert report.drift.scores[unknown].mean() > report.drift.scores[~unknown].mean() + 0.1
    assert report.drift.novel[unknown].mean() > report.drift.novel[~unknown].mean()
    first = next(each for each in report.slices if each.field == "split")
    assert (first.value, first.images) == ("unknown", 25)
    assert report.text().startswith(f"**{report.drift.novel.sum()} images of 145")
    assert "unlike anything that the classifier was trained on" in report.text().splitlines()[0]


def test_scores_are_written_to_what_was_checked_and_nothing_else(world: fo.Dataset) -> None:
    params = DriftParams(reference_split="train", current_split="test")
    check_drift_of(world, replace(params, current_split="blurred"))

    report = check_drift_of(world, params)

    scored = world.exists("drift_score")
    assert set(scored.values("id")) == set(report.current.samples.ids) == set(world.exists("drift_novel").values("id"))
    assert scored.bounds("drift_score")[0] >= 0 and scored.bounds("drift_score")[1] <= 1


def test_the_last_check_is_reloaded_with_the_history_of_all_and_deleted_together(world: fo.Dataset) -> None:
    made = world.clone()
    params = DriftParams(reference_split="train", current_split="test")
    check_drift_of(made, replace(params, current_split="blurred"))
    report = check_drift_of(made, params)

    saved = load_drift(made)

    assert saved is not None and saved.summary == report.summary()
    assert [each["current"] for each in saved.history[-2:]] == ["split blurred", "split test"]
    assert [each["is_drift"] for each in saved.history[-2:]] == [True, False]
    scored = made.exists("drift_score")
    assert saved.scores == dict(zip(*scored.values(["id", "drift_score"]), strict=True))
    assert sorted(saved.points["side"]) == ["current"] * 120 + ["reference"] * 120
    assert saved.stale is None
    delete_run(made, RUN)
    assert load_drift(made) is None
    assert not made.has_field("drift_score")
    made.delete()


def test_without_a_part_to_check_all_that_is_no_reference_is_checked(world: fo.Dataset) -> None:
    report = check_drift_of(world, DriftParams(reference_tag="train tag"))

    assert len(report.current.samples) == len(world) - 120
    assert report.names == (f"dataset {world.name} without tag train tag", "tag train tag")


def test_a_saved_view_and_another_dataset_are_references_too(world: fo.Dataset) -> None:
    made, other = world.clone(), world.match(fo.ViewField("split") == "train").clone()
    made.save_view("as it was", made.match(fo.ViewField("split") == "train"))
    before = other.list_runs(), other.values("drift_score")

    by_view = check_drift_of(made, DriftParams(reference_view="as it was", current_split="blurred"))
    by_dataset = check_drift_of(made, DriftParams(reference=other.name, current_split="blurred"))

    assert by_dataset.summary()["p_value"] == by_view.summary()["p_value"] <= 0.05
    assert by_dataset.names[1] == f"dataset {other.name}"
    assert (other.list_runs(), other.values("drift_score")) == before
    made.delete()
    other.delete()


def test_predictions_of_a_field_are_compared_where_no_classifier_is_named(world: fo.Dataset) -> None:
    made, rng = world.clone(), np.random.default_rng(0)
    logits = rng.normal(0, 1, (len(made), 3))
    logits[np.array(made.values("split")) == "blurred", 1] += 3
    made.set_values("model", [fo.Classification(label=KNOWN[row.argmax()], logits=row) for row in logits])
    made.classes["model"] = list(KNOWN)

    report = check_drift_of(
        made,
        DriftParams(reference_split="train", current_split="blurred", predictions_field="model", label_field=LABELS),
    )

    assert report.summary()["classes"][0]["name"] == KNOWN[1]
    assert report.summary()["label_shift"]["shares"].keys() == set(KNOWN)
    made.delete()


def test_an_unreadable_image_is_counted_and_marked(world: fo.Dataset, tmp_path: Path) -> None:
    made = world.clone()
    (tmp_path / "bad.png").write_bytes(b"no image")
    made.add_sample(fo.Sample(filepath=str(tmp_path / "bad.png"), split="test"))

    report = check_drift_of(made, DriftParams(reference_split="train", current_split="test"))

    assert report.summary()["failures"] == 1
    assert made.exists("winnow_failure").values("filepath") == [str(tmp_path / "bad.png")]
    assert "1 image could not be used" in report.text()
    made.delete()


def test_equal_files_on_both_sides_are_told(world: fo.Dataset) -> None:
    made = world.clone()
    train = made.match(fo.ViewField("split") == "train").limit(10)
    made.add_samples([fo.Sample(filepath=path, split="test") for path in train.values("filepath")], progress=False)

    report = check_drift_of(made, DriftParams(reference_split="train", current_split="test"))

    assert any(note.startswith("10 files of what is checked") for note in report.notes)
    made.delete()


def test_images_that_the_classifier_has_seen_are_told(world: fo.Dataset, classifier: Path) -> None:
    checked = check_drift_of(world, DriftParams(classifier=classifier, current_split="train"))
    held_against = check_drift_of(
        world, DriftParams(classifier=classifier, reference_split="train", current_split="test")
    )

    assert any("trained on 120 of the images that are checked" in note for note in checked.notes)
    assert any("trained on 120 of the reference images" in note for note in held_against.notes)


def test_a_classifier_of_an_earlier_version_needs_reference_images(
    world: fo.Dataset, classifier: Path, tmp_path: Path
) -> None:
    old = save_classifier(load_classifier(classifier), tmp_path / "old")
    assert Reference.load(old) is None

    with pytest.raises(ClassifierError, match=r"nothing is stored in .* Train it again, or name reference images"):
        check_drift_of(world, DriftParams(classifier=old))


def test_a_classifier_of_patches_is_refused(world: fo.Dataset, classifier: Path, tmp_path: Path) -> None:
    made = load_classifier(classifier)
    made.details["patches_field"] = "boxes"

    with pytest.raises(DataError, match="judges patches of 'boxes'"):
        check_drift_of(world, DriftParams(classifier=save_classifier(made, tmp_path / "patches")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "name what the images are held against"),
        ({"reference_split": "train", "reference_tag": "train tag"}, "name one reference, not 2"),
        ({"reference_split": "gone"}, "no image is of split 'gone'; the splits are: blurred, test, train, unknown"),
        ({"reference_tag": "gone"}, "no image has the tag 'gone'"),
        ({"reference_view": "gone"}, "no saved view 'gone'"),
        ({"reference_split": "train", "current_split": "train"}, "are the same images"),
        ({"reference_tag": "train tag", "current_split": "test", "current_tag": "train tag"}, "nothing to check"),
        ({"reference_split": "train", "alpha": 0.001}, "0.0025"),
        ({"reference_split": "train", "score_field": "split"}, "split"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_work(
    settings: dict[str, object], message: str, world: fo.Dataset
) -> None:
    with pytest.raises((DataError, FieldError), match=message):
        check_drift_of(world, DriftParams(**settings))


def test_too_few_images_are_refused(world: fo.Dataset) -> None:
    few = world.match(fo.ViewField("split") == "test").limit(5)

    with pytest.raises(DataError, match="at least 20"):
        check_drift_of(few, DriftParams(reference_split="train"))


def test_predictions_without_logits_are_refused(world: fo.Dataset) -> None:
    made = world.clone()
    made.set_values("guess", made.values("ground_truth"))

    params = DriftParams(reference_split="train", current_split="test", predictions_field="guess", label_field=LABELS)

    with pytest.raises(DataError, match="tell no probability of each class"):
        check_drift_of(made, params)
    made.delete()


def test_same_input_gives_the_same_result(world: fo.Dataset, classifier: Path) -> None:
    params = DriftParams(classifier=classifier, current_split="blurred", slice_by=("night",))

    first, second = (json.dumps(check_drift_of(world, params).summary()) for _ in range(2))

    assert first == second
