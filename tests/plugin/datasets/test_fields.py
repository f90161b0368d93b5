from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.fields import clear_field, is_own, write_labels, write_values
from winnow.plugin.errors import FieldError

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def four(dataset: MakeDataset) -> fo.Dataset:
    """Return a dataset of four samples, two of them tagged `even`."""
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png", tags=["even"] * (row % 2 == 0)) for row in range(4)])
    return made


@pytest.mark.parametrize(
    ("kind", "values", "stored"),
    [
        ("int", np.array([3, 1], dtype=np.int32), [3, 1]),
        ("float", np.array([0.5, np.nan], dtype=np.float32), [0.5, None]),
        ("bool", np.array([True, False]), [True, False]),
        ("str", ["a", None], ["a", None]),
    ],
)
def test_arrays_are_stored_as_plain_values(four: fo.Dataset, kind: str, values: list, stored: list) -> None:
    ids = four.values("id")

    write_values(four, "result", ids[1:3], values, kind=kind)

    assert four.values("result") == [None, *stored, None]


def test_vectors_are_stored_whole(four: fo.Dataset) -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)

    write_values(four, "vector", four.values("id"), vectors, kind="vector")

    assert np.array_equal(np.stack(four.values("vector")), vectors)


def test_the_field_exists_and_is_indexed_even_where_every_value_is_none(four: fo.Dataset) -> None:
    write_values(four, "group", four.values("id"), [None] * 4, kind="int")

    assert isinstance(four.get_field("group"), fo.IntField)
    assert "group" in four.list_indexes()


def test_values_of_an_earlier_run_vanish_from_the_dataset(four: fo.Dataset) -> None:
    ids = four.values("id")
    write_values(four, "score", ids, [1.0, 2.0, 3.0, 4.0], kind="float")

    write_values(four, "score", ids[:1], [5.0], kind="float")

    assert four.values("score") == [5.0, None, None, None]


def test_a_run_on_a_view_leaves_the_values_outside_it(four: fo.Dataset) -> None:
    ids = four.values("id")
    write_values(four, "score", ids, [1.0, 2.0, 3.0, 4.0], kind="float")

    write_values(four.match_tags("even"), "score", ids[:1], [5.0], kind="float")

    assert four.values("score") == [5.0, 2.0, None, 4.0]


def test_a_view_that_filters_by_the_field_itself_is_written_whole(four: fo.Dataset) -> None:
    write_values(four, "flag", four.values("id"), [True, True, True, False], kind="bool")
    view = four.match(fo.ViewField("flag"))

    write_values(view, "flag", view.values("id")[:2], [False, False], kind="bool")

    assert four.values("flag") == [False, False, None, False]


def test_labels_are_stored_with_their_confidence(four: fo.Dataset) -> None:
    ids = four.values("id")

    write_labels(four, "prediction", ids[:3], ["cat", None, "dog"], [np.float32(0.5), None, None])

    assert four.values("prediction.label") == ["cat", None, "dog", None]
    assert four.values("prediction.confidence") == [0.5, None, None, None]
    assert "prediction.label" in four.list_indexes()


def test_labels_of_an_earlier_run_vanish(four: fo.Dataset) -> None:
    ids = four.values("id")
    write_labels(four, "prediction", ids, ["cat"] * 4, [0.5] * 4)

    write_labels(four, "prediction", ids[2:], ["dog"] * 2, [0.5] * 2)

    assert four.values("prediction.label") == [None, None, "dog", "dog"]


def test_a_suggestion_knows_the_label_in_whose_place_it_is(four: fo.Dataset) -> None:
    ids = four.values("id")
    write_labels(four, "prediction", ids, ["cat"] * 4, [0.5] * 4)  # of a run that did not tell

    write_labels(four, "prediction", ids[:2], ["cat", "dog"], [0.5, 0.5], given=["dog", "fox"])

    assert four.values("prediction.given") == ["dog", "fox", None, None]
    assert is_own(four, "prediction.given")


def test_a_field_of_another_type_is_not_overwritten(four: fo.Dataset) -> None:
    four.set_values("score", ["high", "low", "low", "low"])

    with pytest.raises(FieldError, match=r"'score' of '.*' holds StringField, but the result is FloatField"):
        write_values(four, "score", four.values("id"), [1.0] * 4, kind="float")


def test_a_field_that_somebody_else_filled_is_not_overwritten(four: fo.Dataset) -> None:
    four.set_values("score", [0.1, 0.2, 0.3, 0.4])

    with pytest.raises(FieldError, match=r"was not made by Winnow.*Name another field"):
        write_values(four, "score", four.values("id"), [1.0] * 4, kind="float")

    assert four.values("score") == [0.1, 0.2, 0.3, 0.4]


def test_the_label_field_that_was_read_is_not_written_to(four: fo.Dataset) -> None:
    with pytest.raises(FieldError, match="holds the labels that were read"):
        write_labels(four, "species", four.values("id"), ["cat"] * 4, [1.0] * 4, label_field="species")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "1st", "_hidden", "filepath", "tags", "id"])
def test_an_impossible_field_name_is_an_error(four: fo.Dataset, name: str) -> None:
    with pytest.raises(FieldError):
        write_values(four, name, four.values("id"), ["x"] * 4, kind="str")


def test_clearing_for_a_dataset_removes_the_field(four: fo.Dataset) -> None:
    write_values(four, "score", four.values("id"), [1.0] * 4, kind="float")

    clear_field(four, "score")

    assert not four.has_field("score")


def test_clearing_within_a_view_keeps_the_rest(four: fo.Dataset) -> None:
    write_values(four, "score", four.values("id"), [1.0, 2.0, 3.0, 4.0], kind="float")

    clear_field(four.match_tags("even"), "score")

    assert four.values("score") == [None, 2.0, None, 4.0]


def test_a_users_field_is_never_cleared(four: fo.Dataset) -> None:
    four.set_values("score", [1.0] * 4)

    with pytest.raises(FieldError, match="not made by Winnow"):
        clear_field(four, "score")


def test_the_mark_of_a_field_survives_a_clone(four: fo.Dataset) -> None:
    write_values(four, "score", four.values("id"), [1.0] * 4, kind="float")

    clone = four.clone()

    assert is_own(clone, "score")
