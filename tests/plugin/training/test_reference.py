from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.special import softmax

from tests.engines import ENGINES_AGREE
from winnow.plugin.errors import ClassifierError, DataError
from winnow.plugin.training.classifier import Classifier, load_classifier, save_classifier
from winnow.plugin.training.labelled_images import LabelledImages
from winnow.plugin.training.probes import LinearHead
from winnow.plugin.training.recipe import preset_recipe
from winnow.plugin.training.reference import MOST_IMAGES, Layers, Reference
from winnow.plugin.training.reference_sample import ReferenceSample
from winnow.plugin.training.training import Trained, train
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.statistics import STATISTICS
from winnow.plugin.vision.torch_engine import TorchEngine

FILE = "reference.safetensors"
PROBE = preset_recipe("probe")
AT_REST = replace(preset_recipe("quick"), epochs=1, batch_size=16, flip=0.0, learning_rate=0.0, head_learning_rate=0.0)
CLASSES = ("lying", "standing")


def made_reference(images: int = 30, width: int = 4, **changes: object) -> Reference:
    rng = np.random.default_rng(0)
    parts = {
        "vectors": rng.normal(size=(images, width)).astype(np.float16),
        "probabilities": np.full((images, 2), 0.5, np.float32),
        "labels": np.arange(images) % 2,
        "statistics": rng.normal(size=(images, 1)).astype(np.float32),
        "statistic_names": ("brightness",),
        "training_vectors": rng.normal(size=(7, width)).astype(np.float16),
        "classes": CLASSES,
    }
    return Reference(**(parts | changes))


@pytest.fixture(scope="module")
def probe(backbone: Backbone, preprocessing: Preprocessing, stripes: LabelledImages) -> Trained:
    return train(stripes, None, CLASSES, backbone, preprocessing, PROBE)


@pytest.fixture(scope="module")
def tuned(backbone: Backbone, preprocessing: Preprocessing, stripes: LabelledImages) -> Trained:
    """Return what is fine-tuned on the first forty pictures; the rest are for validation."""
    return train(stripes[:40], stripes[40:], CLASSES, backbone, preprocessing, AT_REST)


def predicted(classifier: Classifier, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one = classifier.with_vectors()
    one.use_engine(TorchEngine(one.engine_network, one.preprocessing.input, "cpu"))
    found = one.predict(paths)
    assert found.vectors is not None
    return found.probabilities, found.vectors


def test_a_probes_reference_holds_what_it_said_of_images_before_it_learnt_them(
    probe: Trained, stripes: LabelledImages
) -> None:
    reference = probe.reference

    assert reference is not None
    seen, vectors = predicted(probe.classifier, stripes.paths)
    np.testing.assert_allclose(reference.vectors.astype(float), vectors, rtol=2e-3, atol=1e-3)
    assert reference.labels.tolist() == stripes.labels.tolist()
    right = np.arange(60), stripes.labels
    assert reference.probabilities[right].mean() < seen[right].mean() - 0.01
    np.testing.assert_allclose(reference.probabilities.sum(axis=1), 1, atol=1e-5)
    assert len(reference.training_vectors) == 0  # there are no others


def test_new_images_are_judged_by_the_layers_that_have_not_seen_the_probes(probe: Trained) -> None:
    reference = probe.reference

    assert reference is not None and reference.layers is not None
    for layer in range(5):
        rows = reference.layers.of_row == layer
        one = replace(reference.layers, of_row=reference.layers.of_row[rows])
        logits = one.logits(reference.vectors[rows].astype(np.float32), seed=0)
        np.testing.assert_allclose(softmax(logits, axis=1), reference.probabilities[rows], atol=2e-3)


def test_each_layer_judges_as_often_as_it_did(probe: Trained) -> None:
    assert probe.reference is not None and probe.reference.layers is not None
    marks = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    layers = Layers(np.array([0, 0, 1]), np.zeros((2, 4, 2), np.float32), marks)

    logits = layers.logits(np.ones((300, 4), np.float32), seed=0)

    assert logits.sum(axis=0).tolist() == [200, 100]


def test_of_many_images_some_are_kept_and_the_vectors_of_others() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(7_000, 3)).astype(np.float32)
    paths, labels = np.full(7_000, "/no/such/file.png", object), np.arange(7_000) % 2
    images = LabelledImages(paths, labels, vectors, np.full(7_000, -1))
    rows = np.arange(0, 7_000, 2)
    head = LinearHead(
        *(np.zeros((3, 2)), np.zeros(2), rows, np.zeros((3_500, 2)), np.zeros(3_500, int)),
        *(np.zeros((1, 3, 2)), np.zeros((1, 2)), 0.1, 1.0),
    )

    reference = ReferenceSample(CLASSES, Preprocessing(), seed=0).of_probe(images, head)

    assert reference is not None
    assert (len(reference), len(reference.training_vectors)) == (2_000, 4_000)
    kept, others = ({tuple(each) for each in part} for part in (reference.vectors, reference.training_vectors))
    assert kept <= {tuple(each) for each in vectors[rows].astype(np.float16)}
    assert not kept & others


def test_a_fine_tuned_networks_reference_holds_the_validation_images(tuned: Trained, stripes: LabelledImages) -> None:
    reference = tuned.reference

    assert tuned.kept == "fine-tuned" and reference is not None
    probabilities, vectors = predicted(tuned.classifier, stripes.paths)
    np.testing.assert_allclose(reference.probabilities, probabilities[40:], atol=ENGINES_AGREE)
    atol = max(ENGINES_AGREE, 1e-3)
    np.testing.assert_allclose(reference.vectors.astype(float), vectors[40:], rtol=2e-3, atol=atol)
    np.testing.assert_allclose(reference.training_vectors.astype(float), vectors[:40], rtol=2e-3, atol=atol)
    assert reference.labels.tolist() == stripes.labels[40:].tolist()


def test_statistics_of_the_files_are_kept(probe: Trained) -> None:
    assert probe.reference is not None
    assert probe.reference.statistic_names == STATISTICS
    assert (probe.reference.statistics[:, STATISTICS.index("width")] == 48).all()


def test_several_labels_an_image_are_kept_as_they_are(
    backbone: Backbone, preprocessing: Preprocessing, stripes: LabelledImages
) -> None:
    labels = np.stack([stripes.labels, 1 - stripes.labels], axis=1).astype(float)
    labels[0, 1] = np.nan

    reference = train(replace(stripes, labels=labels), None, CLASSES, backbone, preprocessing, PROBE).reference

    assert reference is not None and reference.multilabel
    np.testing.assert_array_equal(reference.labels, labels.astype(np.float32))
    assert np.abs(reference.probabilities.sum(axis=1) - 1).max() > 1e-3


def test_an_image_without_a_usable_vector_is_left_out(
    backbone: Backbone, preprocessing: Preprocessing, stripes: LabelledImages
) -> None:
    gone = replace(stripes, paths=stripes.paths.copy())
    gone.paths[45] = "/no/such/file.png"

    reference = train(gone[:40], gone[40:], CLASSES, backbone, preprocessing, AT_REST).reference

    assert reference is not None
    assert len(reference) == 19


def test_no_reference_is_made_of_a_classifier_that_is_thrown_away(
    backbone: Backbone, preprocessing: Preprocessing, stripes: LabelledImages
) -> None:
    assert train(stripes, None, CLASSES, backbone, preprocessing, PROBE, with_reference=False).reference is None


def test_what_is_saved_is_loaded(probe: Trained, tmp_path: Path) -> None:
    folder = save_classifier(probe.classifier, tmp_path / "model", probe.reference)

    loaded = Reference.load(folder)

    assert loaded is not None and probe.reference is not None
    for name in ("vectors", "probabilities", "labels", "statistics", "training_vectors"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(probe.reference, name))
    assert (loaded.classes, loaded.statistic_names) == (CLASSES, STATISTICS)
    assert loaded.layers is not None and probe.reference.layers is not None
    np.testing.assert_array_equal(loaded.layers.weights, probe.reference.layers.weights)


def test_the_version_does_not_depend_on_it(probe: Trained, tmp_path: Path) -> None:
    without = save_classifier(probe.classifier, tmp_path / "without")
    beside = save_classifier(probe.classifier, tmp_path / "with", probe.reference)

    assert load_classifier(beside).version == load_classifier(without).version
    assert Reference.load(without) is None


def test_a_classifier_in_its_place_does_not_inherit_it(probe: Trained, tmp_path: Path) -> None:
    folder = save_classifier(probe.classifier, tmp_path / "model", probe.reference)

    save_classifier(replace(probe.classifier, classes=("a", "b")), folder)

    assert Reference.load(folder) is None


def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    made_reference().save(tmp_path)
    whole = (tmp_path / FILE).read_bytes()

    for damaged in (whole[:-9], b"", pickle.dumps({"vectors": 1})):
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(ClassifierError, match=r"damaged.*Train the classifier again"):
            Reference.load(tmp_path)


@pytest.mark.parametrize(
    "arrays", [{"probabilities": np.zeros((3, 2), np.float32)}, {"labels": np.zeros((30, 9), np.float32)}]
)
def test_arrays_that_do_not_fit_each_other_are_damage(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    whole = made_reference()
    names = ("vectors", "probabilities", "labels", "statistics", "training_vectors")
    parts = {name: getattr(whole, name) for name in names} | arrays
    metadata = {"format": "1", "classes": '["a", "b"]', "statistic_names": '["brightness"]'}

    save_file(parts, tmp_path / FILE, metadata)

    with pytest.raises(ClassifierError, match="must have shape"):
        Reference.load(tmp_path)


def test_more_images_than_are_ever_kept_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2,000 images"):
        made_reference(MOST_IMAGES + 1)


def test_a_later_format_is_told_apart_from_damage(tmp_path: Path) -> None:
    save_file({"vectors": np.zeros((1, 1), np.float16)}, tmp_path / FILE, {"format": "2"})

    with pytest.raises(ClassifierError, match="upgrade"):
        Reference.load(tmp_path)


@pytest.mark.parametrize(("width", "classes"), [(5, 2), (4, 3)])
def test_what_another_classifier_says_cannot_be_held_against_it(width: int, classes: int) -> None:
    with pytest.raises(DataError, match="same classifier"):
        made_reference().check(np.zeros((9, width)), np.zeros((9, classes)))
