from __future__ import annotations

from collections.abc import Callable, Iterator

import fiftyone as fo
import pytest

from tests.label_sets import labels_of, make_dataset
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.runs import load_run, save_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.compare import RUN, CompareParams, compare_predictions
from winnow.plugin.workflows.findings import LEAKS_RUN

from .conftest import MakeDataset

Row = tuple[str | None, str | None, str | None]  # label, and what either model says
PARAMS = CompareParams("old", "new", label_field="ground_truth")


@pytest.fixture
def predicted(dataset: MakeDataset) -> Callable[..., fo.Dataset]:
    """Return a factory of datasets with one sample a row and the predictions `new` and `old`."""

    def make(*rows: Row) -> fo.Dataset:
        made = dataset()
        for name in ("ground_truth", "new", "old"):
            made.add_sample_field(name, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
        made.add_samples([fo.Sample(filepath=f"/images/{number}.png") for number in range(len(rows))], progress=False)
        for name, labels in zip(("ground_truth", "new", "old"), zip(*rows, strict=True), strict=True):
            made.set_values(name, [None if label is None else fo.Classification(label=label) for label in labels])
        return made

    return make


def test_the_better_one_is_named_with_what_it_fixes_and_breaks(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(*[("cat", "cat", "dog")] * 9, ("dog", "cat", "dog"), *[("dog", "dog", "dog")] * 10)

    report = compare_predictions(made, PARAMS)

    found = report.summary()
    assert (found["better"], found["fixed"], found["broken"]) == ("new", 9, 1)
    assert found["accuracy"] == [0.95, 0.55]
    assert found["p_value"] == pytest.approx(0.0215)
    assert "**`new` is better** on all labelled images, 20 images: `new` has +40.0 points" in report.text()


def test_what_could_be_chance_is_not_called_better(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "dog"), ("cat", "cat", "cat"), ("dog", "dog", "dog"))

    report = compare_predictions(made, PARAMS)

    assert report.summary()["better"] is None
    assert report.text().startswith("**Neither is shown to be better**")


def test_a_field_tells_who_is_right(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(
        ("cat", "cat", "cat"), ("cat", "cat", "dog"), ("cat", "dog", "cat"), ("cat", "emu", "dog"), ("cat", None, "cat")
    )

    report = compare_predictions(made, PARAMS)

    assert made.values("prediction_comparison") == ["both", "only new", "only old", "neither", None]
    assert report.comparison.left_out == 1
    assert load_run(made, RUN).fields == ("prediction_comparison",)


def test_classes_are_told_with_the_largest_difference_first(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "dog"), ("cat", "cat", "cat"), ("dog", "dog", "dog"), ("emu", "emu", "emu"))

    found = compare_predictions(made, PARAMS).summary()

    assert list(found["by_class"]) == ["cat", "dog", "emu"]
    assert found["by_class"]["cat"] == {"f1": [1.0, 0.6667], "f1_gain": 0.3333}


def test_leaked_images_and_other_splits_do_not_count(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(*[("cat", "cat", "dog")] * 3, ("cat", "dog", "dog"))
    made.set_values("split", ["test", "test", "train", "test"])
    write_values(made, "leak_score", made.values("id")[:1], [0.9], kind="float")
    save_run(made, LEAKS_RUN, method="find_leaks", params={}, fields=["leak_score"], summary={})

    report = compare_predictions(made, PARAMS)

    assert (report.evaluated_on, report.comparison.images, report.leaked) == ("test", 2, 1)
    assert made.values("prediction_comparison") == [None, "only new", None, "neither"]


def test_models_that_order_their_classes_differently_are_compared_by_name(
    predicted: Callable[..., fo.Dataset],
) -> None:
    made = predicted(("cat", "cat", "cat"), ("dog", "dog", "dog"))
    for field, order, logits in (
        ("new", ["dog", "cat"], [[0.0, 1], [1, 0]]),
        ("old", ["cat", "dog"], [[1.0, 0], [0, 1]]),
    ):
        made.set_values(f"{field}.logits", logits)
        made.classes[field] = order
    made.save()

    report = compare_predictions(made, PARAMS)

    assert report.comparison.score == (1, 1)


def test_without_common_images_there_is_nothing_to_compare(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", None, "dog"))

    report = compare_predictions(made, PARAMS)

    assert report.text().startswith("**Nothing to compare**")
    assert report.summary()["accuracy"] == [None, None]


def test_a_field_is_not_compared_with_itself(predicted: Callable[..., fo.Dataset]) -> None:
    with pytest.raises(DataError, match="can't be compared with itself"):
        compare_predictions(predicted(("cat", "cat", "cat")), CompareParams("new", "new"))


def test_a_field_of_somebody_else_is_not_overwritten(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "cat"))
    made.set_values("mine", ["x"])

    with pytest.raises(FieldError, match="was not made by Winnow"):
        compare_predictions(made, CompareParams("old", "new", label_field="ground_truth", output_field="mine"))


Names = set[str] | None


@pytest.fixture
def several() -> Iterator[Callable[..., fo.Dataset]]:
    """Return a factory of datasets of (labels, what `new` says, what `old` says) rows, several labels an image."""
    made: list[fo.Dataset] = []

    def make(*rows: tuple[Names, Names, Names]) -> fo.Dataset:
        dataset = make_dataset({f"/images/{number:03d}.png": row[0] for number, row in enumerate(rows)})
        made.append(dataset)
        for column, name in enumerate(("new", "old"), start=1):
            dataset.add_sample_field(name, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
            dataset.set_values(name, [None if row[column] is None else labels_of(row[column]) for row in rows])
        return dataset

    yield make
    for dataset in made:
        dataset.delete()


def test_of_several_labels_an_image_whoever_has_more_of_them_right_is_ahead(several: Callable[..., fo.Dataset]) -> None:
    made = several(
        *[({"cat", "dog"}, {"cat", "dog"}, {"cat", "emu"})] * 8,
        ({"cat"}, set(), {"cat"}),
        ({"dog"}, {"cat", "dog"}, {"dog", "emu"}),
        (set(), set(), set()),
        ({"dog"}, None, {"dog"}),
        (None, {"dog"}, {"dog"}),
    )

    report = compare_predictions(made, CompareParams("old", "new", label_field="things"))

    found = report.summary()
    assert (found["images"], found["left_out"], found["fixed"], found["broken"]) == (11, 1, 8, 1)
    assert made.values("prediction_comparison") == [*["only new"] * 8, "only old", "neither", "both", None, None]
    assert found["micro_f1"] == [pytest.approx(34 / 36, abs=1e-4), pytest.approx(20 / 37, abs=1e-4)]
    assert found["p_value"] == pytest.approx(0.0391)
    assert "**`new` is better**" in report.text()
    assert "points of micro F1" in report.text()
