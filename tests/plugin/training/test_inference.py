from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tests.small_classifier import CLASSES, small_classifier
from winnow.plugin.errors import JobCancelled
from winnow.plugin.training.classifier import Classifier
from winnow.plugin.training.inference import ImagePredictions, cached_in_chunks, predict_in_chunks, uncertainty
from winnow.plugin.vision.cache_keys import space_of
from winnow.plugin.vision.cache_store import embeddings_root
from winnow.plugin.vision.torch_engine import TorchEngine


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Return a classifier that predicts by torch."""
    return by_torch(small_classifier(tmp_path_factory.mktemp("weights")))


def by_torch(made: Classifier) -> Classifier:
    """Spare the classifier the export to ONNX, which takes seconds."""
    made.use_engine(TorchEngine(made.network, made.preprocessing.input, "cpu"))
    return made


@pytest.fixture
def paths(image_folder: Callable[..., Path]) -> list[str]:
    """Return 20 images, of which one cannot be read."""
    names = [f"{number}.png" for number in range(20)]
    folder = image_folder(*names)
    (folder / "7.png").write_bytes(b"no image")
    return [str(folder / name) for name in names]


def whole(chunks: list[ImagePredictions], name: str) -> np.ndarray:
    return np.concatenate([getattr(chunk, name) for chunk in chunks])


def test_processes_read_boxes_and_their_faults_as_threads_do(
    classifier: Classifier, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = np.random.default_rng(0).uniform(0.1, 0.6, (len(paths), 4))
    boxes[3, 2], boxes[5, 0] = 0, 1.5
    expected = list(predict_in_chunks(classifier, paths, boxes))

    monkeypatch.setenv("WINNOW_READERS", "1")
    found = list(predict_in_chunks(classifier, paths, boxes))

    np.testing.assert_array_equal(whole(found, "probabilities"), whole(expected, "probabilities"))
    assert [each.reasons for each in found] == [each.reasons for each in expected]
    assert sorted(found[0].reasons) == [3, 5, 7]


@pytest.mark.parametrize(("chunk", "batch_size"), [(1, 4), (6, 4), (20, 32), (64, 3)])
def test_chunks_together_are_the_predictions_of_the_classifier(
    chunk: int, batch_size: int, classifier: Classifier, paths: list[str]
) -> None:
    expected = classifier.predict(paths).probabilities

    found = list(predict_in_chunks(classifier, paths, batch_size=batch_size, chunk=chunk))

    assert len(found) == -(-len(paths) // chunk)
    assert whole(found, "rows").tolist() == [row for row in range(20) if row != 7]
    assert [row for each in found for row in each.reasons] == [7]
    np.testing.assert_allclose(whole(found, "probabilities"), np.delete(expected, 7, axis=0), atol=1e-5)
    np.testing.assert_allclose(
        classifier.probabilities(whole(found, "logits")), whole(found, "probabilities"), atol=1e-6
    )


def test_the_most_probable_class_is_decided_for(classifier: Classifier, paths: list[str]) -> None:
    (found,) = predict_in_chunks(classifier, paths)

    assert (found.present.sum(axis=1) == 1).all()
    assert found.present.argmax(axis=1).tolist() == found.probabilities.argmax(axis=1).tolist()
    assert len(set(found.present.argmax(axis=1))) > 1


def test_below_its_threshold_no_class_is_decided_for(classifier: Classifier, paths: list[str]) -> None:
    careful = by_torch(replace(classifier, thresholds=(0.8, 0.8, 2.0)))

    (found,) = predict_in_chunks(careful, paths)

    best = found.probabilities.argmax(axis=1)
    decided = (found.probabilities.max(axis=1) >= 0.8) & (best < 2)
    assert 0 < decided.sum() < len(decided)
    assert found.present.any(axis=1).tolist() == decided.tolist()


def test_independent_classes_are_decided_one_by_one(classifier: Classifier, paths: list[str]) -> None:
    several = by_torch(replace(classifier, multilabel=True))
    strict = by_torch(replace(several, thresholds=(0.9, 0.5, 0.5)))

    (found,) = predict_in_chunks(several, paths)
    (stricter,) = predict_in_chunks(strict, paths)

    assert found.present.tolist() == (found.probabilities >= 0.5).tolist()
    assert set(found.present.sum(axis=1)) - {1}
    assert stricter.present[:, 0].sum() < found.present[:, 0].sum()
    assert stricter.present[:, 1:].tolist() == found.present[:, 1:].tolist()


def test_a_box_gets_the_prediction_of_its_crop_saved_as_a_file(
    classifier: Classifier, paths: list[str], tmp_path: Path
) -> None:
    boxes = np.array([[0, 0, 0.5, 1], [0.5, 0.25, 0.5, 0.5], [0.2, 0.2, 0, 0.3], [0, 0, 1, 1]])
    files = [paths[0], paths[0], paths[0], paths[1]]
    with Image.open(paths[0]) as image:
        image.crop((0, 0, 8, 16)).save(tmp_path / "first.png")
        image.crop((8, 4, 16, 12)).save(tmp_path / "second.png")

    (found,) = predict_in_chunks(classifier, files, boxes)

    expected = classifier.predict([tmp_path / "first.png", tmp_path / "second.png", paths[1]]).probabilities
    assert found.rows.tolist() == [0, 1, 3]
    assert found.reasons == {2: "the box has no area"}
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


def test_an_output_that_is_no_number_is_a_failure(classifier: Classifier, paths: list[str]) -> None:
    broken = replace(classifier, network=copy.deepcopy(classifier.network))
    broken.network.scale_logits(float("nan"))

    (found,) = predict_in_chunks(by_torch(broken), paths[:3])

    assert found.probabilities.shape == (0, len(CLASSES))
    assert set(found.reasons) == {0, 1, 2}
    assert "NaN" in found.reasons[0]


def test_a_cancelled_job_has_yielded_whole_chunks(classifier: Classifier, paths: list[str]) -> None:
    def cancel(step: str, done: int, total: int) -> None:
        if done >= 16:
            raise JobCancelled

    found = []
    with pytest.raises(JobCancelled):
        for chunk in predict_in_chunks(classifier, paths, batch_size=4, chunk=5, progress=cancel):
            found.append(chunk)

    assert whole(found, "rows").tolist() == [row for row in range(15) if row != 7]


def test_no_images_give_no_chunk(classifier: Classifier) -> None:
    assert list(predict_in_chunks(classifier, [])) == []


def test_uncertainty_of_exclusive_classes_goes_from_certain_to_all_alike() -> None:
    probabilities = np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]], np.float32)

    entropy, margin = uncertainty(probabilities)

    np.testing.assert_allclose(entropy, [0, 1, np.log(2) / np.log(3)], atol=1e-6)
    np.testing.assert_allclose(margin, [1, 0, 0], atol=1e-6)


def test_uncertainty_of_independent_classes_is_that_of_their_decisions() -> None:
    probabilities = np.array([[1, 0], [0.5, 0.5], [0.5, 1], [0.9, 0.2]], np.float32)

    entropy, margin = uncertainty(probabilities, multilabel=True)

    np.testing.assert_allclose(entropy[:3], [0, 1, 0.5], atol=1e-6)
    np.testing.assert_allclose(margin, [1, 0, 0, 0.6], atol=1e-6)


def test_what_a_cluster_left_in_the_cache_is_predicted_alike(classifier: Classifier, paths: list[str]) -> None:
    boxes = np.array([(0, 0, 0.5, 0.5)] * 19 + [(2, 2, 0.5, 0.5)])
    expected = list(predict_in_chunks(classifier, paths, boxes, chunk=6))

    found = [list(cached_in_chunks(classifier, paths, boxes, chunk=6)) for _ in ("empty", "filled")]

    for chunks in found:
        assert [chunk.rows.tolist() for chunk in chunks] == [chunk.rows.tolist() for chunk in expected]
        assert [chunk.reasons for chunk in chunks] == [chunk.reasons for chunk in expected]
        np.testing.assert_allclose(whole(chunks, "logits"), whole(expected, "logits"), atol=1e-4)
    np.testing.assert_array_equal(whole(found[0], "logits"), whole(found[1], "logits"))
    space = space_of(classifier.as_backbone(), classifier.preprocessing, "float32")
    (shard,) = (embeddings_root() / space).glob("*.safetensors")
    assert load_file(shard)["thumbnails"].size == 0
