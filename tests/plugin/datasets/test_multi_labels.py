"""Several labels an image become a table of 0, 1 and NaN."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.fields import write_labels
from winnow.plugin.datasets.multi_labels import multi_label_fields, read_multi_labels


def labels(*names: str) -> fo.Classifications:
    return fo.Classifications(classifications=[fo.Classification(label=name) for name in names])


@pytest.fixture
def scenes(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    made = dataset()
    made.add_samples(
        [fo.Sample(f"/{row}.png", seen=seen) for row, seen in enumerate((labels("sea", "dog"), labels(), None))]
    )
    return made


def test_absent_is_told_from_not_annotated(scenes: fo.Dataset) -> None:
    table, classes = read_multi_labels(scenes, np.array(scenes.values("id"), object), "seen")

    assert classes == ("dog", "sea")
    np.testing.assert_array_equal(table, [[1, 1], [0, 0], [np.nan, np.nan]])


def test_rows_follow_the_order_of_the_ids(scenes: fo.Dataset) -> None:
    table, _ = read_multi_labels(scenes, np.array(scenes.values("id"), object)[[1, 0]], "seen")

    assert table.tolist() == [[0, 0], [1, 1]]


def test_a_field_without_any_label_has_no_classes(scenes: fo.Dataset) -> None:
    table, classes = read_multi_labels(scenes.skip(1), np.array(scenes.skip(1).values("id"), object), "seen")

    assert (table.shape, classes) == ((2, 0), ())


def test_fields_of_several_labels_are_those_of_the_user(scenes: fo.Dataset) -> None:
    write_labels(scenes, "prediction", scenes.values("id"), ["sea"] * 3, [0.5] * 3)

    assert multi_label_fields(scenes) == ["seen"]
