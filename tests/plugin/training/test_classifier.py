from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.engines import ENGINES_AGREE
from winnow.plugin.errors import ClassifierError
from winnow.plugin.training.classifier import Classifier, load_classifier, save_classifier
from winnow.plugin.training.labelled_images import LabelledImages, training_set
from winnow.plugin.training.network import ClassifierNetwork
from winnow.plugin.training.recipe import Recipe
from winnow.plugin.training.trainer import fine_tune
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.torch_engine import TorchEngine

CLASSES = ("liegend", "stehend ↕")


@pytest.fixture
def classifier(backbone: Backbone, preprocessing: Preprocessing) -> Classifier:
    """Return a classifier with a random last layer that predicts by torch."""
    network = ClassifierNetwork(copy.deepcopy(backbone.network), backbone.width, 2).eval()
    rng = np.random.default_rng(0)
    network.set_head(rng.normal(size=(backbone.width, 2)).astype(np.float32), np.array([0.1, -0.1], np.float32))
    details = {"kept": "probe", "training_images": 48}
    return by_torch(Classifier(network, backbone.architecture, backbone.width, CLASSES, preprocessing, details=details))


@pytest.fixture
def folder(classifier: Classifier, tmp_path: Path) -> Path:
    """Return that classifier's folder."""
    return save_classifier(classifier, tmp_path / "model")


def by_torch(classifier: Classifier) -> Classifier:
    """Spare the classifier the export to ONNX, which takes seconds."""
    classifier.use_engine(TorchEngine(classifier.engine_network, classifier.preprocessing.input, "cpu"))
    return classifier


def edit(folder: Path, **changes: object) -> None:
    """Change entries of classifier.json; the value `...` removes one."""
    path = folder / "classifier.json"
    description = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in description.items() if value is not ...}
    path.write_text(json.dumps(kept), encoding="utf-8")


def test_a_loaded_classifier_gives_the_same_probabilities(
    classifier: Classifier, folder: Path, stripes: LabelledImages
) -> None:
    expected = classifier.predict(stripes.paths[:10]).probabilities

    loaded = by_torch(load_classifier(folder))

    np.testing.assert_allclose(loaded.predict(stripes.paths[:10]).probabilities, expected, atol=1e-6)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_a_loaded_classifier_knows_what_the_saved_one_knew(classifier: Classifier, folder: Path) -> None:
    loaded = load_classifier(folder)

    names = ("version", "classes", "preprocessing", "architecture", "width", "multilabel", "thresholds", "details")
    assert {name: getattr(loaded, name) for name in names} == {name: getattr(classifier, name) for name in names}


def test_the_folder_holds_weights_and_a_description_and_no_pickle(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["classifier.json", "model.safetensors"]


def test_a_fine_tuned_network_is_saved_whole(classifier: Classifier, stripes: LabelledImages, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=16)
    fine_tune(classifier.network, training_set(stripes[np.arange(32)], 2), classifier.preprocessing, recipe)
    tuned = by_torch(replace(classifier))  # in channels_last from here on

    loaded = by_torch(load_classifier(save_classifier(tuned, tmp_path / "tuned")))

    assert loaded.version == tuned.version
    found, expected = (one.predict(stripes.paths[:10]).probabilities for one in (loaded, tuned))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_by_itself_it_predicts_with_the_fastest_engine(
    classifier: Classifier, folder: Path, stripes: LabelledImages
) -> None:
    found = load_classifier(folder).predict(stripes.paths[:5]).probabilities

    np.testing.assert_allclose(found, classifier.predict(stripes.paths[:5]).probabilities, atol=ENGINES_AGREE)


def test_with_vectors_it_says_the_same_and_gives_the_feature_it_judged_by(
    classifier: Classifier, backbone: Backbone, stripes: LabelledImages
) -> None:
    paths = stripes.paths[:7]

    found = by_torch(classifier.with_vectors()).predict(paths)

    assert found.vectors is not None
    assert (found.vectors.shape, found.vectors.dtype) == ((7, backbone.width), np.float32)
    np.testing.assert_allclose(found.vectors, stripes.vectors[:7], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.probabilities, classifier.predict(paths).probabilities, atol=1e-6)
    assert classifier.predict(paths).vectors is None


def test_with_vectors_it_stays_the_same_version(classifier: Classifier) -> None:
    strict = replace(classifier, thresholds=(0.5, 0.9))

    assert [one.with_vectors().version for one in (classifier, strict)] == [classifier.version, strict.version]


def test_with_vectors_the_fastest_engine_gives_them_too(
    classifier: Classifier, folder: Path, stripes: LabelledImages
) -> None:
    found = load_classifier(folder).with_vectors().predict(stripes.paths[:5])

    expected = by_torch(classifier.with_vectors()).predict(stripes.paths[:5])
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=ENGINES_AGREE)
    np.testing.assert_allclose(found.vectors, expected.vectors, rtol=1e-3, atol=ENGINES_AGREE)


def test_with_vectors_logits_are_those_of_the_classes_alone(classifier: Classifier, stripes: LabelledImages) -> None:
    logits, _ = by_torch(classifier.with_vectors()).logits(stripes.paths[:3])

    assert logits.shape == (3, 2)


def test_an_unreadable_image_has_no_vector(classifier: Classifier, stripes: LabelledImages, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")

    found = by_torch(classifier.with_vectors()).predict([str(tmp_path / "bad.png"), stripes.paths[0]])

    assert found.vectors is not None
    assert np.isnan(found.vectors).all(axis=1).tolist() == [True, False]


def test_probabilities_of_exclusive_classes_sum_to_one(classifier: Classifier, stripes: LabelledImages) -> None:
    found = classifier.predict(stripes.paths[:7]).probabilities

    assert (found.shape, found.dtype) == ((7, 2), np.float32)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_probabilities_of_a_multi_label_classifier_are_independent(
    classifier: Classifier, stripes: LabelledImages
) -> None:
    exclusive = classifier.predict(stripes.paths[:7]).probabilities

    found = by_torch(replace(classifier, multilabel=True)).predict(stripes.paths[:7]).probabilities

    logits = np.log(found / (1 - found))
    np.testing.assert_allclose(exclusive[:, 0], 1 / (1 + np.exp(logits[:, 1] - logits[:, 0])), atol=1e-5)
    assert np.abs(found.sum(axis=1) - 1).max() > 0.01


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_an_unreadable_image_costs_only_its_own_row(
    batch_size: int, classifier: Classifier, stripes: LabelledImages, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    paths = list(stripes.paths[:8])
    expected = classifier.predict(paths).probabilities
    paths[2], paths[7] = str(tmp_path / "bad.png"), str(tmp_path / "gone.png")

    found = classifier.predict(paths, batch_size)

    assert np.flatnonzero(np.isnan(found.probabilities).all(axis=1)).tolist() == [2, 7]
    assert [(failure.id, failure.path) for failure in found.failures] == [("2", paths[2]), ("7", paths[7])]
    good = np.isfinite(found.probabilities).all(axis=1)
    np.testing.assert_allclose(found.probabilities[good], expected[good], atol=1e-5)


def test_open_files_are_read_like_paths(classifier: Classifier, stripes: LabelledImages) -> None:
    with Path(stripes.paths[0]).open("rb") as file:
        found = classifier.predict([file]).probabilities

    np.testing.assert_array_equal(found, classifier.predict(stripes.paths[:1]).probabilities)


def test_no_images_give_no_rows(classifier: Classifier) -> None:
    assert classifier.predict([]).probabilities.shape == (0, 2)


def test_progress_ends_with_the_last_image(classifier: Classifier, stripes: LabelledImages) -> None:
    told: list[tuple[str, int, int]] = []

    classifier.predict(stripes.paths[:7], 3, lambda *call: told.append(call))

    assert told == [("predictions", 3, 7), ("predictions", 6, 7), ("predictions", 7, 7)]


def test_the_version_tells_classifiers_apart(classifier: Classifier) -> None:
    renamed = replace(classifier, classes=("a", "b"))
    resized = replace(classifier, preprocessing=classifier.preprocessing.with_size(64))
    retrained = replace(classifier, network=copy.deepcopy(classifier.network))
    retrained.network.scale_logits(2)
    stricter = replace(classifier, thresholds=(0.5, 0.9))

    versions = [one.version for one in (classifier, renamed, resized, retrained, stricter, replace(classifier))]

    assert len(set(versions)) == 5
    assert versions[0] == versions[-1]


def test_thresholds_are_saved(classifier: Classifier, tmp_path: Path) -> None:
    strict = replace(classifier, thresholds=(0.8125, 2))

    loaded = load_classifier(save_classifier(strict, tmp_path / "strict"))

    assert loaded.thresholds == (0.8125, 2.0)
    assert loaded.version == strict.version


def test_as_many_thresholds_as_classes_are_needed(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="1 thresholds, but 2 classes"):
        replace(classifier, thresholds=(0.5,))


def test_saving_again_replaces_the_classifier(classifier: Classifier, folder: Path) -> None:
    renamed = replace(classifier, classes=("a", "b"))

    save_classifier(renamed, folder)

    assert load_classifier(folder).classes == ("a", "b")


def test_saving_again_removes_what_was_exported_of_the_earlier_classifier(classifier: Classifier, folder: Path) -> None:
    (folder / "model.onnx").touch()

    save_classifier(replace(classifier, classes=("a", "b")), folder)

    assert sorted(path.name for path in folder.iterdir()) == ["classifier.json", "model.safetensors"]


def test_a_folder_with_other_files_is_not_written_to(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()

    with pytest.raises(ClassifierError, match="holds other files"):
        save_classifier(classifier, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_in_place_of_the_folder_is_an_error(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "model").touch()

    with pytest.raises(ClassifierError, match=r"cannot write the classifier to '.*model'"):
        save_classifier(classifier, tmp_path / "model")
    with pytest.raises(ClassifierError, match="model"):
        load_classifier(tmp_path / "model")


def test_a_missing_folder_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=r"no classifier in '.*nowhere'.*`winnow train`"):
        load_classifier(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["classifier.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()

    with pytest.raises(ClassifierError, match=f"{name} is missing"):
        load_classifier(folder)


@pytest.mark.parametrize("name", ["classifier.json", "model.safetensors"])
@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:100], lambda content: b"\xff" * 50])
def test_a_damaged_file_is_an_error(name: str, damage: Callable[[bytes], bytes], folder: Path) -> None:
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ClassifierError, match="is damaged"):
        load_classifier(folder)


def test_a_single_changed_weight_is_noticed(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(ClassifierError, match="are not the saved ones"):
        load_classifier(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": ...},
        {"format": "one"},
        {"classes": ["a"]},
        {"classes": ["b", "a"]},
        {"classes": None},
        {"classes": [1, 2]},
        {"architecture": ...},
        {"architecture": "test_vit"},
        {"architecture": 3},
        {"architecture": "no_such_network"},
        {"width": 5},
        {"width": "wide"},
        {"preprocessing": {}},
        {"preprocessing": "none"},
        {"multilabel": ...},
        {"thresholds": [0.5, 0.5]},
        {"thresholds": "high"},
        {"version": ...},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_is_an_error(changes: dict, folder: Path) -> None:
    edit(folder, **changes)

    with pytest.raises(ClassifierError):
        load_classifier(folder)


def test_a_description_that_is_no_object_is_an_error(folder: Path) -> None:
    (folder / "classifier.json").write_text("[1, 2]")

    with pytest.raises(ClassifierError, match="is damaged"):
        load_classifier(folder)


def test_a_later_format_is_told_from_damage(folder: Path) -> None:
    edit(folder, format=2)

    with pytest.raises(ClassifierError, match="later version of Winnow; upgrade"):
        load_classifier(folder)
