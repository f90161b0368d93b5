"""A classifier that is trained further on images of a few of its classes does not forget the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from winnow.plugin.training.batches import TrainingSet
from winnow.plugin.training.earlier import EarlierHead
from winnow.plugin.training.labelled_images import LabelledImages
from winnow.plugin.training.probes import LinearHead, fit_head
from winnow.plugin.training.recipe import Recipe, preset_recipe
from winnow.plugin.training.training import train
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.preprocessing import Preprocessing

N, D, K = 800, 24, 4
NAMES = ("ant", "bee", "cat", "dog")
LABELS = np.arange(N) % K
OLD, NEW = np.arange(N) < 400, (np.arange(N) >= 400) & (LABELS < 2)
FRESH = (np.arange(N) >= 400) & (LABELS >= 2)
PROBE = preset_recipe("probe")
QUICK = replace(preset_recipe("quick"), batch_size=16, flip=0.0, epochs=1)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, D))
    rows[:, :K] += 2.5 * np.eye(K)[LABELS]
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def earlier(vectors: np.ndarray) -> EarlierHead:
    """Return what was learnt from all four classes."""
    head = fit(vectors[OLD], LABELS[OLD])
    return EarlierHead(NAMES, head.weights, head.bias, multilabel=False)


def fit(vectors: np.ndarray, labels: np.ndarray, classes: int = K, **settings: object) -> LinearHead:
    return fit_head(vectors, labels, classes, groups=np.full(len(vectors), -1), seed=0, **settings)


def accuracy(head: LinearHead, vectors: np.ndarray, labels: np.ndarray) -> float:
    return float((head.logits(vectors).argmax(axis=1) == labels).mean())


def test_classes_that_the_new_images_lack_are_recognised_as_before(vectors: np.ndarray, earlier: EarlierHead) -> None:
    unit = vectors[FRESH] / np.linalg.norm(vectors[FRESH], axis=1, keepdims=True)
    before = float(((unit @ earlier.weights + earlier.bias).argmax(axis=1) == LABELS[FRESH]).mean())

    head = fit(vectors[NEW], LABELS[NEW], prior=earlier.prior(NAMES, LABELS[NEW]))

    assert accuracy(head, vectors[FRESH], LABELS[FRESH]) >= before - 0.05
    assert accuracy(fit(vectors[NEW], LABELS[NEW]), vectors[FRESH], LABELS[FRESH]) == 0


def test_a_new_class_is_learnt_beside_those_that_were_known(vectors: np.ndarray, earlier: EarlierHead) -> None:
    emu = vectors[FRESH] + 6 * np.eye(D, dtype=np.float32)[10]
    rows, labels = np.concatenate([vectors[NEW], emu]), np.concatenate([LABELS[NEW], np.full(len(emu), 4)])

    head = fit(rows, labels, 5, prior=earlier.prior((*NAMES, "emu"), labels))

    assert accuracy(head, emu, np.full(len(emu), 4)) > 0.95
    assert accuracy(head, vectors[OLD], LABELS[OLD]) > 0.7


def test_what_was_known_can_be_unlearnt_where_the_labels_say_otherwise(
    vectors: np.ndarray, earlier: EarlierHead
) -> None:
    head = fit(vectors[NEW], 1 - LABELS[NEW], prior=earlier.prior(NAMES, LABELS[NEW]))

    assert accuracy(head, vectors[NEW], 1 - LABELS[NEW]) > 0.8


def test_a_label_stays_likelier_than_all_that_the_earlier_classifier_believed(
    vectors: np.ndarray, earlier: EarlierHead
) -> None:
    prior = earlier.prior(NAMES, LABELS[NEW])
    assert prior is not None

    targets = prior.targets(vectors[FRESH], np.zeros(FRESH.sum(), int))

    assert targets.sum(axis=1) == pytest.approx(np.ones(FRESH.sum()))
    assert (targets[:, 0] >= 0.5 - 1e-6).all()
    assert (targets[:, 2:].sum(axis=1) > 0.4).any()
    assert (targets[:, 1] == 0).all()


def test_of_several_labels_an_image_those_that_nobody_annotated_stay_as_they_were(vectors: np.ndarray) -> None:
    labels = np.eye(K, dtype=np.float32)[LABELS]
    head = fit(vectors[OLD], labels[OLD])
    known = EarlierHead(NAMES, head.weights, head.bias, multilabel=True)
    labels[:, 2:] = np.nan

    further = fit(vectors[NEW], labels[NEW], prior=known.prior(NAMES, labels[NEW]))

    np.testing.assert_allclose(further.logits(vectors)[:, 2:] / further.factor, head.logits(vectors)[:, 2:], atol=1e-3)


def test_nothing_is_taken_over_where_no_class_or_another_kind_of_labels_is_known(earlier: EarlierHead) -> None:
    assert earlier.prior(("fox", "gnu"), np.array([0, 1])) is None
    assert earlier.prior(NAMES, np.eye(K)) is None


def test_a_class_without_an_image_counts_as_neither_rare_nor_frequent() -> None:
    targets = np.array([[0.9, 0, 0.1], [0.8, 0, 0.2], [0, 0.7, 0.3]], np.float32)
    data = TrainingSet(
        np.array(list("abc"), object), targets, np.ones(3, np.float32), lacking=np.array([0, 0, 1], bool)
    )

    assert data.counts() == pytest.approx([1.7, 0.7, 1.2])


@pytest.mark.parametrize("recipe", [PROBE, QUICK], ids=["probe", "quick"])
def test_training_appends_the_classes_that_the_images_lack(
    recipe: Recipe, stripes: LabelledImages, backbone: Backbone, preprocessing: Preprocessing
) -> None:
    known = EarlierHead(("dots", "standing"), np.zeros((backbone.width, 2)), np.array([-3.0, 0]), multilabel=False)

    names = ["lying", "standing"]

    kept = train(stripes, None, names, backbone, preprocessing, recipe, earlier=known)
    recipe = replace(recipe, keep_classes=False)
    dropped = train(stripes, None, names, backbone, preprocessing, recipe, earlier=known)

    assert kept.classifier.classes == ("lying", "standing", "dots")
    assert kept.classifier.details["kept_classes"] == ["dots"]
    assert dropped.classifier.classes == ("lying", "standing")
    assert "kept_classes" not in dropped.classifier.details
