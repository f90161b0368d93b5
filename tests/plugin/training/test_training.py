from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from winnow.plugin.errors import DataError
from winnow.plugin.training.classifier import load_classifier, save_classifier
from winnow.plugin.training.labelled_images import LabelledImages
from winnow.plugin.training.probes import fit_head, temperature
from winnow.plugin.training.recipe import Recipe, preset_recipe
from winnow.plugin.training.training import Trained, train
from winnow.plugin.vision.backbones import Backbone, hash_weights
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.torch_engine import TorchEngine

CLASSES = ["lying", "standing"]
PROBE = preset_recipe("probe")
QUICK = replace(preset_recipe("quick"), batch_size=16, flip=0.0)
AT_REST = replace(QUICK, epochs=1, learning_rate=0.0, head_learning_rate=0.0)  # ends in a tie, which fine-tuning wins


class Training:
    """Trains the tiny backbone on given images."""

    def __init__(self, backbone: Backbone, preprocessing: Preprocessing) -> None:
        self.backbone, self.preprocessing = backbone, preprocessing

    def __call__(
        self, images: LabelledImages, recipe: Recipe, validation: LabelledImages | None = None, **settings: object
    ) -> Trained:
        return train(images, validation, CLASSES, self.backbone, self.preprocessing, recipe, **settings)

    def probabilities(self, trained: Trained, images: LabelledImages) -> np.ndarray:
        trained.classifier.use_engine(TorchEngine(trained.classifier.network, self.preprocessing.input, "cpu"))
        return trained.classifier.predict(images.paths).probabilities


@pytest.fixture
def training(backbone: Backbone, preprocessing: Preprocessing) -> Training:
    return Training(backbone, preprocessing)


@pytest.fixture(scope="module")
def quick(backbone: Backbone, preprocessing: Preprocessing, stripes: LabelledImages) -> Trained:
    """Return what the quick preset makes of the first forty pictures, validated on the rest."""
    rows = np.arange(60)
    return Training(backbone, preprocessing)(stripes[rows < 40], QUICK, stripes[rows >= 40])


def test_the_probe_preset_learns_the_task(training: Training, stripes: LabelledImages) -> None:
    trained = training(stripes, PROBE)

    right = training.probabilities(trained, stripes).argmax(axis=1) == stripes.labels
    assert trained.kept == "probe"
    assert right.mean() >= 0.9
    assert trained.validation.keys() == {"probe"}
    assert 0.7 <= trained.validation["probe"] <= right.mean()


def test_the_network_with_the_probe_gives_the_probes_probabilities(training: Training, stripes: LabelledImages) -> None:
    trained = training(stripes, PROBE)

    probe = fit_head(stripes.vectors, stripes.labels, 2, groups=stripes.groups, seed=0)
    expected = softmax(probe.logits(stripes.vectors), axis=1)
    np.testing.assert_allclose(training.probabilities(trained, stripes), expected, atol=1e-4)


def test_the_quick_preset_weighs_both_candidates(quick: Trained) -> None:
    accuracy = quick.validation

    assert accuracy.keys() == {"probe", "fine-tuned"}
    assert accuracy[quick.kept] == max(accuracy.values())
    assert accuracy[quick.kept] >= 0.7


def test_class_names_and_their_order_are_kept(quick: Trained) -> None:
    assert quick.classifier.classes == tuple(CLASSES)


def test_the_classifier_tells_how_it_was_made(quick: Trained) -> None:
    details = quick.classifier.details

    assert details["recipe"] == QUICK.to_dict()
    assert details["kept"] == quick.kept
    assert details["validation"] == quick.validation
    assert details["training_images"] == 40
    assert details["versions"].keys() == {"python", "torch", "timm", "pillow", "numpy"}


def test_what_was_trained_can_be_saved_and_loaded(quick: Trained, stripes: LabelledImages, tmp_path: Path) -> None:
    loaded = load_classifier(save_classifier(quick.classifier, tmp_path / "model"))

    engine = TorchEngine(loaded.network, loaded.preprocessing.input, "cpu")
    loaded.use_engine(engine)
    quick.classifier.use_engine(TorchEngine(quick.classifier.network, loaded.preprocessing.input, "cpu"))
    expected = quick.classifier.predict(stripes.paths[40:]).probabilities
    np.testing.assert_allclose(loaded.predict(stripes.paths[40:]).probabilities, expected, atol=1e-6)


def test_a_fine_tuned_network_that_is_worse_is_not_kept(training: Training, stripes: LabelledImages) -> None:
    ruinous = replace(QUICK, epochs=1, learning_rate=1.0, head_learning_rate=1.0, frozen_share=0.0)

    trained = training(stripes, ruinous)

    assert trained.validation["fine-tuned"] < trained.validation["probe"]
    assert trained.kept == "probe"
    assert trained.classifier.details["training_images"] == 60  # the part set aside is used again
    right = training.probabilities(trained, stripes).argmax(axis=1) == stripes.labels
    assert right.mean() >= 0.9


def test_the_temperature_fits_the_validation_images(training: Training, stripes: LabelledImages) -> None:
    rows = np.arange(60)
    wrong = np.isin(rows, [41, 45, 50, 58])
    doubtful = replace(stripes, labels=np.where(wrong, 1 - stripes.labels, stripes.labels))[rows >= 40]

    trained = training(stripes[rows < 40], AT_REST, doubtful)

    assert trained.kept == "fine-tuned"
    factor = temperature(np.log(training.probabilities(trained, doubtful)), doubtful.labels)
    assert factor == pytest.approx(1, rel=0.02)


def test_without_a_validation_split_a_part_is_set_aside_by_groups(training: Training, stripes: LabelledImages) -> None:
    pairs = replace(stripes, groups=np.arange(60) // 4 * 2 + stripes.labels)

    trained = training(pairs, AT_REST)

    assert trained.kept == "fine-tuned"
    assert (
        trained.classifier.details["training_images"] == 60 - 10
    )  # one in seven of the pairs, none of them torn apart


def test_the_backbone_stays_as_it_was(quick: Trained, backbone: Backbone) -> None:
    assert hash_weights(backbone.network) == backbone.weights_hash
    assert quick.classifier.network.backbone is not backbone.network


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU adds in no fixed order")
def test_the_same_seed_gives_the_same_classifier(quick: Trained, training: Training, stripes: LabelledImages) -> None:
    rows = np.arange(60)

    again = training(stripes[rows < 40], QUICK, stripes[rows >= 40])

    assert again.classifier.version == quick.classifier.version


def test_the_fingerprint_knows_images_and_labels_but_no_order(training: Training, stripes: LabelledImages) -> None:
    relabelled = replace(stripes, labels=np.where(np.arange(60) == 0, 1, stripes.labels))
    variants = (stripes, stripes[np.arange(60)[::-1]], relabelled, stripes[np.arange(59)])

    prints = [training(images, PROBE).classifier.details["training_fingerprint"] for images in variants]

    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@pytest.mark.parametrize("recipe", [PROBE, QUICK], ids=["probe", "quick"])
def test_one_class_is_an_error(recipe: Recipe, training: Training, stripes: LabelledImages) -> None:
    with pytest.raises(DataError, match="same class"):
        training(stripes[stripes.labels == 0], recipe)


def test_too_few_images_are_an_error(training: Training, stripes: LabelledImages) -> None:
    with pytest.raises(DataError, match="only 6 labelled images"):
        training(stripes[np.arange(6)], PROBE)


def test_a_class_without_images_is_no_hindrance(
    stripes: LabelledImages, backbone: Backbone, preprocessing: Preprocessing
) -> None:
    trained = train(stripes, None, [*CLASSES, "never seen"], backbone, preprocessing, PROBE)

    probabilities = Training(backbone, preprocessing).probabilities(trained, stripes)
    assert probabilities.shape == (60, 3)
    assert (probabilities.argmax(axis=1) < 2).all()


def test_validation_images_that_are_gone_do_not_count(
    training: Training, stripes: LabelledImages, tmp_path: Path
) -> None:
    recipe, rows = replace(QUICK, epochs=1), np.arange(60)
    gone = replace(stripes[rows >= 40], paths=stripes.paths[40:].copy())
    gone.paths[:15] = str(tmp_path / "gone.png")

    trained = training(stripes[rows < 40], recipe, gone)

    assert trained.validation == training(stripes[rows < 40], recipe, stripes[rows >= 55]).validation
