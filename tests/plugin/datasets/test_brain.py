from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

from winnow.plugin.datasets import brain
from winnow.plugin.datasets.brain import BrainKeys, forget, register_points, register_similarity
from winnow.plugin.errors import DataError

N = 30
IMAGES = BrainKeys()


@pytest.fixture
def made(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png", media_type="image") for row in range(N)])
    return made


@pytest.fixture
def vectors() -> np.ndarray:
    """Return vectors of different lengths around one direction, as backbones give them."""
    rng = np.random.default_rng(0)
    return ((rng.normal(size=(N, 16)) + 2) * rng.uniform(0.5, 4, (N, 1))).astype(np.float32)


def by_cosine(ids: np.ndarray, vectors: np.ndarray, row: int) -> list[str]:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return ids[np.argsort(-(unit @ unit[row]), kind="stable")].tolist()


def test_the_app_sorts_by_cosine(made: fo.Dataset, vectors: np.ndarray) -> None:
    ids = np.array(made.values("id"), object)

    register_similarity(made, IMAGES, ids, vectors)

    for row in (0, 7, 29):
        found = made.sort_by_similarity(ids[row], brain_key=IMAGES.similarity).values("id")
        assert found == by_cosine(ids, vectors, row)


def test_images_without_a_vector_are_left_out(made: fo.Dataset, vectors: np.ndarray) -> None:
    ids = np.array(made.values("id"), object)
    keep = np.arange(N) % 10 != 5

    register_similarity(made, IMAGES, ids[keep], vectors[keep])
    register_points(made, IMAGES, ids[keep], vectors[keep, :2])

    assert made.sort_by_similarity(ids[0], brain_key=IMAGES.similarity).values("id") == by_cosine(
        ids[keep], vectors[keep], 0
    )
    assert sorted(made.load_brain_results(IMAGES.points).sample_ids) == sorted(ids[keep])


def test_points_belong_to_their_samples(made: fo.Dataset, vectors: np.ndarray) -> None:
    ids = np.array(made.values("id"), object)
    order = np.random.default_rng(1).permutation(N)

    register_points(made, IMAGES, ids[order], vectors[order, :2])
    results = fo.load_dataset(made.name).load_brain_results(IMAGES.points)

    rows = {sample_id: row for row, sample_id in enumerate(ids)}
    expected = vectors[[rows[sample_id] for sample_id in results.sample_ids], :2]
    np.testing.assert_allclose(results.points, expected, rtol=1e-6)


def test_a_second_registration_replaces_the_first(made: fo.Dataset, vectors: np.ndarray) -> None:
    ids = np.array(made.values("id"), object)
    register_similarity(made, IMAGES, ids, vectors)
    register_points(made, IMAGES, ids, vectors[:, :2])

    register_similarity(made.limit(5), IMAGES, ids[:5], vectors[:5])
    register_points(made.limit(5), IMAGES, ids[:5], vectors[:5, :2])

    assert made.load_brain_results(IMAGES.similarity).total_index_size == 5
    assert len(made.load_brain_results(IMAGES.points).points) == 5


def test_runs_of_others_stay(made: fo.Dataset, vectors: np.ndarray) -> None:
    fob.compute_visualization(made, points=vectors[:, :2], brain_key="mine")

    register_points(made, IMAGES, np.array(made.values("id"), object), vectors[:, :2])
    forget(made, IMAGES.points)

    assert made.list_brain_runs() == ["mine"]


@pytest.mark.parametrize("key", [IMAGES.points, IMAGES.similarity])
def test_a_run_of_others_with_our_name_is_not_overwritten(made: fo.Dataset, vectors: np.ndarray, key: str) -> None:
    fob.compute_visualization(made, points=vectors[:, :2], brain_key=key)
    register = register_points if key == IMAGES.points else register_similarity

    with pytest.raises(DataError, match="was not made by Winnow"):
        register(made, IMAGES, np.array(made.values("id"), object), vectors[:, :2])

    assert made.list_brain_runs() == [key]


def test_an_index_that_would_be_too_large_keeps_the_main_directions(
    made: fo.Dataset, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brain, "_MOST_NUMBERS", N * 4)
    flat = vectors @ np.random.default_rng(1).normal(size=(16, 3)) @ np.random.default_rng(2).normal(size=(3, 16))
    ids = np.array(made.values("id"), object)

    kept = register_similarity(made, IMAGES, ids, flat.astype(np.float32))

    assert made.load_brain_results(IMAGES.similarity).embeddings.shape == (N, 4)
    assert kept == pytest.approx(1)
    # Five decimals leave the order of vectors that differ by less open, so the ten nearest are compared as a set.
    nearest = made.sort_by_similarity(ids[3], k=10, brain_key=IMAGES.similarity).values("id")
    assert len(set(nearest) & set(by_cosine(ids, flat, 3)[:10])) >= 9
