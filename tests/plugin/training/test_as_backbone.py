from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.errors import ClassifierError
from winnow.plugin.training.as_backbone import backbone_of, is_classifier
from winnow.plugin.training.classifier import Classifier, save_classifier
from winnow.plugin.training.network import ClassifierNetwork
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.embeddings import embed_images
from winnow.plugin.vision.preprocessing import Preprocessing

from .conftest import picture_of_stripes


@pytest.fixture
def folder(backbone: Backbone, preprocessing: Preprocessing, tmp_path: Path) -> Path:
    """Return the folder of a classifier of stripes, untrained."""
    network = ClassifierNetwork(backbone.network, backbone.width, 2).eval()
    classifier = Classifier(network, backbone.architecture, backbone.width, ("lying", "standing"), preprocessing)
    return save_classifier(classifier, tmp_path / "classifier")


def test_a_classifiers_folder_gives_the_vectors_that_its_last_layer_sees(
    folder: Path, backbone: Backbone, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    paths = [str(picture_of_stripes(tmp_path / f"{row}.png", row % 2, rng)) for row in range(4)]
    expected = embed_images(paths, paths, backbone, preprocessing, cache_root=tmp_path / "a").vectors

    loaded = backbone_of(str(folder))
    found = embed_images(paths, paths, loaded, Preprocessing(input=loaded.input), cache_root=tmp_path / "b").vectors

    assert expected.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_other_names_are_backbones_of_their_own() -> None:
    assert not is_classifier("lite0")
    assert backbone_of("lite0").name == "lite0"


def test_a_damaged_classifier_is_an_error(folder: Path) -> None:
    (folder / "classifier.json").write_text("{")

    with pytest.raises(ClassifierError):
        backbone_of(str(folder))
