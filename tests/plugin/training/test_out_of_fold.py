from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from winnow.plugin.errors import DataError, JobCancelled
from winnow.plugin.home import winnow_home
from winnow.plugin.training import out_of_fold
from winnow.plugin.training.classifier import Classifier, Predictions
from winnow.plugin.training.labelled_images import LabelledImages
from winnow.plugin.training.out_of_fold import FINE_TUNING_FOLDS, OutOfFold, fine_tuned_probabilities
from winnow.plugin.training.recipe import Recipe
from winnow.plugin.training.training import Trained
from winnow.plugin.vision.backbones import Backbone, hash_weights
from winnow.plugin.vision.layered import with_layers
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.torch_engine import TorchEngine

CLASSES = ["lying", "standing"]
LEARNING = Recipe(epochs=3, batch_size=16, learning_rate=3e-3, frozen_share=0.0, flip=0.0)
SHORT = Recipe(epochs=1, batch_size=60, flip=0.0)
FineTune = Callable[..., OutOfFold]


@pytest.fixture(scope="module")
def fine_tune(backbone: Backbone, preprocessing: Preprocessing) -> FineTune:
    """Return a function that fine-tunes the tiny backbone out of fold."""

    def run(images: LabelledImages, recipe: Recipe = SHORT, **settings: object) -> OutOfFold:
        return fine_tuned_probabilities(images, CLASSES, backbone, preprocessing, recipe, **settings)

    return run


def test_images_are_told_apart_by_networks_that_have_not_seen_them(
    fine_tune: FineTune, stripes: LabelledImages
) -> None:
    found = fine_tune(stripes, LEARNING)

    right = found.probabilities.argmax(axis=1) == stripes.labels

    assert found.probabilities.shape == (60, 2)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert right.mean() >= 0.85  # a probe on the random weights reaches 0.75
    assert found.kept == ("fine-tuned",) * FINE_TUNING_FOLDS


def test_no_network_is_asked_about_an_image_or_a_copy_of_one_that_it_has_seen(
    fine_tune: FineTune, stripes: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = replace(stripes, groups=np.arange(60) // 2)  # the two of a pair have different labels
    group_of = dict(zip(pairs.paths, pairs.groups, strict=True))
    seen: dict[int, set[int]] = {}
    asked: dict[int, set[int]] = {}

    def train(images: LabelledImages, *settings: object, **named: object) -> Trained:
        trained = real_train(images, *settings, **named)
        seen[id(trained.classifier)] = {group_of[path] for path in images.paths}
        kept_alive.append(trained)
        return trained

    def predict(classifier: Classifier, paths: list[str], *settings: object, **named: object) -> Predictions:
        asked[id(classifier)] = {group_of[path] for path in paths}
        return real_predict(classifier, paths, *settings, **named)

    kept_alive: list[Trained] = []
    real_train, real_predict = out_of_fold.train, Classifier.predict
    monkeypatch.setattr(out_of_fold, "train", train)
    monkeypatch.setattr(Classifier, "predict", predict)

    fine_tune(pairs)

    assert len(seen) == FINE_TUNING_FOLDS
    assert all(seen[key].isdisjoint(asked[key]) for key in seen)
    assert set.union(*(asked[key] for key in seen)) == set(range(30))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU adds in no fixed order")
def test_the_same_seed_gives_the_same_probabilities(fine_tune: FineTune, stripes: LabelledImages) -> None:
    assert np.array_equal(fine_tune(stripes).probabilities, fine_tune(stripes).probabilities)


def test_an_image_that_is_gone_gets_all_classes_alike(
    fine_tune: FineTune, stripes: LabelledImages, tmp_path: Path
) -> None:
    gone = replace(stripes, paths=stripes.paths.copy())
    gone.paths[7] = str(tmp_path / "gone.png")

    found = fine_tune(gone)

    assert found.probabilities[7].tolist() == [0.5, 0.5]
    assert (found.probabilities[np.arange(60) != 7] != 0.5).all()


@pytest.mark.parametrize("step", ["fold 2 of 3: fine-tuning", "fold 1 of 3: predictions"])
def test_it_can_be_cancelled_between_batches(fine_tune: FineTune, stripes: LabelledImages, step: str) -> None:
    def cancel(told: str, done: int, total: int) -> None:
        if told == step:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        fine_tune(stripes, progress=cancel)


def test_a_backbone_that_looks_closer_can_be_fine_tuned(
    backbone: Backbone, preprocessing: Preprocessing, stripes: LabelledImages
) -> None:
    closer = with_layers(backbone)
    engine = TorchEngine(closer.network, preprocessing.input, "cpu")
    images = replace(stripes, vectors=engine(np.stack([preprocessing(path) for path in stripes.paths])))

    found = fine_tuned_probabilities(images, CLASSES, closer, preprocessing, SHORT)

    assert (found.probabilities.argmax(axis=1) == stripes.labels).mean() >= 0.7


def test_too_few_images_are_an_error_that_names_the_fold_and_the_way_out(
    fine_tune: FineTune, stripes: LabelledImages
) -> None:
    with pytest.raises(DataError, match=r"without fold 1 of 3: only \d labelled images.* without fine-tuning"):
        fine_tune(stripes[np.arange(12)])


def test_the_backbone_stays_as_it_was_and_nothing_is_written(
    fine_tune: FineTune, stripes: LabelledImages, backbone: Backbone
) -> None:
    before = sorted(winnow_home().glob("**/*"))

    fine_tune(stripes)

    assert hash_weights(backbone.network) == backbone.weights_hash
    assert sorted(winnow_home().glob("**/*")) == before
