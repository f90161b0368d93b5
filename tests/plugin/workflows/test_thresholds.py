from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.runs import load_run
from winnow.plugin.errors import DataError
from winnow.plugin.training.calibration import NEVER, decide
from winnow.plugin.training.classifier import load_classifier, save_classifier
from winnow.plugin.training.reference import Reference
from winnow.plugin.workflows.thresholds import RUN, ThresholdParams, ThresholdReport, set_thresholds
from winnow.plugin.workflows.train import TrainParams, train_classifier

from .conftest import CLASSES, MakeDataset


@pytest.fixture(scope="module")
def trained(shared: fo.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("classifier")
    return train_classifier(shared, TrainParams(preset="probe", output=output)).classifier_dir


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """Return a classifier of one's own."""
    return Path(shutil.copytree(trained, tmp_path / "classifier"))


def choose(view: fo.Dataset | fo.DatasetView, folder: Path, **settings: float) -> ThresholdReport:
    return set_thresholds(view, ThresholdParams(folder, **settings))  # type: ignore[arg-type]


def test_thresholds_are_written_into_the_folder(shared: fo.Dataset, own: Path, trained: Path) -> None:
    report = choose(shared, own, precision=0.7)

    saved = load_classifier(own)
    assert saved.thresholds == tuple(report.thresholds.values)
    assert saved.version == report.summary()["version"] != load_classifier(trained).version
    assert load_run(shared, RUN).summary["goal"] == "precision of 70.0%"


def test_what_is_told_is_what_the_classifier_then_does(shared: fo.Dataset, own: Path) -> None:
    report = choose(shared, own, precision=0.7)

    test = shared.match(fo.ViewField("split") == "test")
    saved = load_classifier(own)
    decided = decide(saved.predict(test.values("filepath")).probabilities, saved.thresholds or ())
    names = np.array([*CLASSES, ""])[decided]
    for name, told in report.summary()["by_class"].items():
        mine = np.array(test.values("ground_truth.label"))[names == name]
        assert told["decided"] == len(mine)
        assert told["precision"] == (pytest.approx((mine == name).mean(), abs=1e-4) if len(mine) else None)
    assert report.summary()["abstained"] == pytest.approx((decided < 0).mean(), abs=1e-4)


def test_too_few_images_for_the_goal_are_told(shared: fo.Dataset, own: Path) -> None:
    report = choose(shared, own, precision=0.99)

    assert set(report.thresholds.values) == {NEVER}
    assert "too few images: 230 needed" in report.text()
    assert report.summary()["by_class"]["bag"]["threshold"] is None


def test_without_a_validation_split_the_choice_is_called_optimistic(shared: fo.Dataset, own: Path) -> None:
    report = choose(shared, own, recall=0.7)

    assert (report.chosen_on, report.images) == ("test", 55)
    assert "optimistic" in report.text()


def test_the_validation_split_goes_first(garments: MakeDataset, own: Path) -> None:
    made = garments("test/*/*")
    made.set_values("split", ["val", "test"] * 27 + ["val"])

    report = choose(made, own, recall=0.5)

    assert (report.chosen_on, report.images, report.notes) == ("validation", 28, ())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either a precision or a recall"),
        ({"precision": 0.9, "recall": 0.9}, "either a precision or a recall"),
        ({"precision": 1.0}, "a precision of 1 cannot be promised"),
    ],
)
def test_a_goal_that_makes_no_sense_is_an_error(
    settings: dict[str, float], message: str, shared: fo.Dataset, trained: Path
) -> None:
    with pytest.raises(DataError, match=message):
        choose(shared, trained, **settings)


def test_the_classifier_keeps_its_reference(shared: fo.Dataset, own: Path) -> None:
    before = Reference.load(own)

    choose(shared, own, recall=0.9)

    after = Reference.load(own)
    assert before is not None and after is not None
    np.testing.assert_array_equal(after.vectors, before.vectors)


def test_labels_of_another_kind_are_an_error(garments: MakeDataset, trained: Path) -> None:
    made = garments("test/bag/*")
    made.set_values("several", [fo.Classifications()] * len(made))

    with pytest.raises(DataError, match="gives one label an image, but the labels are several labels"):
        set_thresholds(made, ThresholdParams(trained, recall=0.9, label_field="several"))


def test_independent_classes_are_chosen_for_one_by_one(garments: MakeDataset, own: Path) -> None:
    save_classifier(replace(load_classifier(own), multilabel=True), own)
    made = garments("test/*/*")
    made.set_values("several", [fo.Classifications(classifications=[each]) for each in made.values("ground_truth")])

    report = set_thresholds(made, ThresholdParams(own, recall=0.7, label_field="several"))

    probabilities = load_classifier(own).predict(made.values("filepath")).probabilities
    claimed = decide(probabilities, report.thresholds.values, multilabel=True)
    present = np.array(made.values("ground_truth.label"))[:, None] == np.array(CLASSES)
    assert set(report.thresholds.reasons) == {""}
    np.testing.assert_allclose(report.thresholds.recall, (claimed & present).sum(axis=0) / 11)
    assert (report.thresholds.recall >= 0.7).all()
