from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.training.batches import TrainingSet, epoch_order, read_batches
from winnow.plugin.training.labelled_images import LabelledImages, training_set
from winnow.plugin.training.recipe import Recipe
from winnow.plugin.vision.preprocessing import Preprocessing

RECIPE = Recipe(epochs=2, batch_size=16)


def imbalanced(images: int = 1000, rare: int = 20) -> TrainingSet:
    labels = np.zeros(images, np.int64)
    labels[:rare] = 1
    return TrainingSet(
        np.arange(images).astype(str).astype(object), np.eye(2, dtype=np.float32)[labels], np.ones(images)
    )


def test_each_epoch_has_every_image_once_in_an_order_of_its_own() -> None:
    first, again, second = (epoch_order(imbalanced(), RECIPE, epoch) for epoch in (0, 0, 1))

    assert sorted(first) == list(range(1000))
    assert first.tolist() == again.tolist() != second.tolist()


def test_balanced_sampling_shows_classes_equally_often() -> None:
    data = imbalanced()

    drawn = epoch_order(data, replace(RECIPE, sampling="balanced"), 0)

    assert 0.44 < data.targets[drawn, 1].mean() < 0.56


def test_of_several_labels_the_rarest_is_balanced() -> None:
    targets = np.zeros((1000, 3), np.float32)
    targets[:, 0] = 1
    targets[:20, 1] = 1
    targets[:500, 2] = np.nan
    data = TrainingSet(np.arange(1000).astype(object), targets, np.ones(1000), multilabel=True)

    drawn = epoch_order(data, replace(RECIPE, sampling="balanced"), 0)

    assert 0.4 < (drawn < 20).mean() < 0.6


def test_processes_share_each_batch(stripes: LabelledImages, preprocessing: Preprocessing) -> None:
    data = training_set(stripes, 2)
    whole = list(read_batches(data, preprocessing, RECIPE, start=0))

    halves = [list(read_batches(data, preprocessing, RECIPE, start=0, rank=rank, processes=2)) for rank in (0, 1)]

    assert [(batch.epoch, batch.number) for batch in whole] == [(batch.epoch, batch.number) for batch in halves[0]]
    for batch, *parts in zip(whole, *halves, strict=True):
        for rank, part in enumerate(parts):
            assert np.array_equal(part.images, batch.images[rank::2])
            assert np.array_equal(part.targets, batch.targets[rank::2])


def test_processes_read_the_same_batches_as_threads(
    stripes: LabelledImages, preprocessing: Preprocessing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = stripes.paths.copy()
    paths[5] = str(tmp_path / "gone.png")
    data = replace(training_set(stripes, 2), paths=paths)
    expected = list(read_batches(data, preprocessing, RECIPE, start=0))

    monkeypatch.setenv("WINNOW_READERS", "1")
    found = list(read_batches(data, preprocessing, RECIPE, start=0))

    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.targets, other.targets)


def test_a_run_that_goes_on_gets_the_batches_that_are_left(
    stripes: LabelledImages, preprocessing: Preprocessing
) -> None:
    data = training_set(stripes, 2)
    whole = list(read_batches(data, preprocessing, RECIPE, start=0))

    rest = list(read_batches(data, preprocessing, RECIPE, start=3))

    assert len(whole) == 8
    assert [np.array_equal(a.images, b.images) for a, b in zip(whole[3:], rest, strict=True)] == [True] * 5


def test_a_batch_of_nothing_readable_is_blank_and_weighs_nothing(
    stripes: LabelledImages, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    images = stripes[np.arange(10)]
    images.paths[:] = str(tmp_path / "gone.png")

    (batch,) = read_batches(training_set(images, 2), preprocessing, replace(RECIPE, epochs=1), start=0)

    assert batch.images.shape == (1, 48, 48, 3)
    assert batch.weights.tolist() == [0]


@pytest.mark.parametrize("multilabel", [False, True])
def test_counts_are_weighed(multilabel: bool) -> None:
    targets = np.array([[1, 0], [1, np.nan if multilabel else 0], [0, 1]], np.float32)
    data = TrainingSet(np.array(list("abc"), object), targets, np.array([1, 0.5, 1], np.float32), multilabel)

    counts = data.counts()

    assert counts.tolist() == ([[1.5, 1], [1, 1]] if multilabel else [1.5, 1])
