"""Neighbours by vector databases that run: LanceDB in a folder, and PostgreSQL with pgvector."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

from winnow.plugin.curation.neighbors import NeighborIndex, unit_rows
from winnow.plugin.datasets import similarity_neighbors
from winnow.plugin.datasets.similarity_indexes import (
    KEY,
    check_backend,
    check_index,
    database_indexes,
    register_in_database,
)
from winnow.plugin.datasets.similarity_neighbors import SimilarityNeighbors
from winnow.plugin.errors import DataError, JobCancelled, MissingPartError
from winnow.plugin.workflows.kept_steps import KeptSteps

from .vector_servers import PASSWORD, point_at, postgres, start, stop

N, WIDTH, K = 400, 24, 8


@dataclass(frozen=True)
class Indexed:
    """A dataset whose vectors lie in a database."""

    dataset: fo.Dataset
    ids: np.ndarray
    vectors: np.ndarray
    backend: str

    @property
    def rows(self) -> np.ndarray:
        return unit_rows(self.vectors)

    def neighbors(self, key: str = KEY) -> SimilarityNeighbors:
        return SimilarityNeighbors(self.dataset, key, self.ids, self.vectors, self.rows)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Path]]:
    with postgres() as running:
        yield running


@pytest.fixture
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Point FiftyOne at the database that the test is about, LanceDB unless it says otherwise; return its name."""
    backend = getattr(request, "param", "lancedb")
    if backend == "lancedb":
        pytest.importorskip("lancedb")
        point_at(backend, str(tmp_path / "lance"), monkeypatch)
    else:
        point_at(backend, request.getfixturevalue("server")[0], monkeypatch)
    return backend


@pytest.fixture
def indexed(address: str, dataset: Callable[..., fo.Dataset]) -> Indexed:
    """Return vectors in clusters around one direction, as backbones give them; the first 50 come twice."""
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png", media_type="image") for row in range(N)])
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, WIDTH)) + 1
    vectors = (centres[rng.integers(0, 20, N)] + 0.6 * rng.normal(size=(N, WIDTH))).astype(np.float32)
    vectors[-50:] = vectors[:50] + 0.02 * rng.normal(size=(50, WIDTH))
    ids = np.array(made.values("id"), object)
    register_in_database(made, address, ids, vectors, "space")
    return Indexed(made, ids, vectors, address)


both = pytest.mark.parametrize("address", ["lancedb", "pgvector"], indirect=True)


def shared(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean([np.isin(theirs, ours).mean() for ours, theirs in zip(found, expected, strict=True)]))


@both
def test_the_nearest_images_are_those_of_an_exact_search(indexed: Indexed) -> None:
    _, expected = NeighborIndex(indexed.rows, exact=True).search_itself(K)

    found = indexed.neighbors().of_all(K)

    assert found.shape == (N, K)
    assert not (found == np.arange(N)[:, None]).any()
    assert shared(found, expected) >= 0.99
    assert found[:50, 0].tolist() == list(range(N - 50, N))


@both
def test_images_of_other_splits_are_found_behind_a_crowd_of_the_own_one(indexed: Indexed) -> None:
    other = np.arange(0, N, 8)
    own = np.setdiff1d(np.arange(N), other)
    _, expected = NeighborIndex(indexed.rows[other], exact=True).search(indexed.rows[own], K)

    found = indexed.neighbors().between(own, other, K)

    assert np.isin(found, other).all()
    assert shared(found, other[expected]) >= 0.99


@both
def test_other_images_are_compared_with_those_of_the_index(indexed: Indexed) -> None:
    centre = indexed.vectors.mean(axis=0)
    asked = indexed.vectors[:30] + 0.01

    found = indexed.neighbors().of_queries(unit_rows(asked - centre, centered=False), asked, K)

    copies = np.stack([np.arange(30), np.arange(N - 50, N - 20)], axis=1)
    assert np.sort(found[:, :2], axis=1).tolist() == copies.tolist()


def test_images_outside_the_view_are_no_neighbours(indexed: Indexed) -> None:
    some = np.arange(0, N, 10)
    rows = unit_rows(indexed.vectors[some])
    _, expected = NeighborIndex(rows, exact=True).search_itself(K)

    found = SimilarityNeighbors(indexed.dataset, KEY, indexed.ids[some], indexed.vectors[some], rows).of_all(K)

    assert shared(found, expected) >= 0.99


def test_few_images_have_few_neighbours(indexed: Indexed) -> None:
    few = slice(0, 3)
    neighbors = SimilarityNeighbors(
        indexed.dataset, KEY, indexed.ids[few], indexed.vectors[few], unit_rows(indexed.vectors[few])
    )

    found = neighbors.of_all(K)

    assert [sorted(row[row >= 0]) for row in found] == [[1, 2], [0, 2], [0, 1]]


def test_the_answer_does_not_depend_on_the_size_of_batches(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = indexed.neighbors().of_all(K)
    monkeypatch.setattr(similarity_neighbors, "_AT_ONCE", 7 * 32)
    monkeypatch.setattr(similarity_neighbors, "_A_STEP", 90)

    found = indexed.neighbors().of_all(K)

    assert found.tolist() == expected.tolist()


@both
def test_a_second_registration_adds_what_is_new_and_removes_what_is_gone(indexed: Indexed) -> None:
    made, gone = indexed.dataset, indexed.ids[:10].tolist()
    made.delete_samples(gone)
    assert "still holds 10 samples" in check_index(made, KEY)[0]
    new = made.add_samples([fo.Sample(filepath=f"/images/new{row}.png", media_type="image") for row in range(5)])
    ids = np.concatenate([indexed.ids[10:], np.array(new, object)])
    vectors = np.concatenate([indexed.vectors[10:], indexed.vectors[:5]])

    changes = register_in_database(made, indexed.backend, ids, vectors, "space")

    assert changes == (5, 10)
    assert made.load_brain_results(KEY, cache=False).total_index_size == N - 5
    assert check_index(made, KEY) == ()
    nearest = SimilarityNeighbors(made, KEY, ids, vectors, unit_rows(vectors)).of_all(1)
    assert nearest[-5:, 0].tolist() == [N - 60, N - 59, N - 58, N - 57, N - 56]


@both
def test_vectors_of_another_kind_replace_those_there_are(indexed: Indexed) -> None:
    changes = register_in_database(indexed.dataset, indexed.backend, indexed.ids[:9], indexed.vectors[:9, :6], "other")

    assert changes == (9, 0)
    assert indexed.dataset.load_brain_results(KEY, cache=False).total_index_size == 9


@both
def test_the_app_sorts_by_what_was_registered(indexed: Indexed) -> None:
    nearest = indexed.dataset.sort_by_similarity(indexed.ids[3], k=2, brain_key=KEY).values("id")

    assert nearest == [indexed.ids[3], indexed.ids[N - 47]]


@both
def test_images_that_the_index_lacks_are_counted_and_named(indexed: Indexed) -> None:
    extra = indexed.dataset.add_sample(fo.Sample(filepath="/images/late.png", media_type="image"))
    ids = np.append(indexed.ids, extra)
    vectors = np.concatenate([indexed.vectors, indexed.vectors[:1]])

    with pytest.raises(DataError, match=rf"lacks 1 of 401 images \(samples {extra}\).*--index {indexed.backend}"):
        SimilarityNeighbors(indexed.dataset, KEY, ids, vectors, unit_rows(vectors))


def test_an_index_of_none_of_the_images_is_refused(indexed: Indexed) -> None:
    strangers = np.array([f"{row:024x}" for row in range(N)], object)

    with pytest.raises(DataError, match="holds none of these images"):
        SimilarityNeighbors(indexed.dataset, KEY, strangers, indexed.vectors, indexed.rows)


def test_an_index_of_other_vectors_is_refused(indexed: Indexed) -> None:
    others = indexed.vectors[::-1].copy()

    with pytest.raises(DataError, match=r"holds other vectors than this job's for 6[0-9] of 64 images"):
        SimilarityNeighbors(indexed.dataset, KEY, indexed.ids, others, unit_rows(others))


def test_an_index_of_vectors_of_another_width_is_refused(indexed: Indexed) -> None:
    with pytest.raises(DataError, match="holds vectors of 24 numbers, this job's have 12"):
        SimilarityNeighbors(
            indexed.dataset, KEY, indexed.ids, indexed.vectors[:, :12], unit_rows(indexed.vectors[:, :12])
        )


def test_an_unknown_key_is_refused_with_those_there_are(indexed: Indexed) -> None:
    with pytest.raises(DataError, match=f"no similarity index 'mine'; those in a vector database: {KEY}"):
        check_index(indexed.dataset, "mine")


def test_runs_of_other_kinds_are_refused(indexed: Indexed) -> None:
    made = indexed.dataset
    fob.compute_visualization(made, points=indexed.vectors[:, :2], brain_key="points")
    fob.compute_similarity(made, embeddings=indexed.vectors, brain_key="own", backend="sklearn")

    with pytest.raises(DataError, match=f"'points' .*is no similarity index; name one of {KEY}"):
        check_index(made, "points")
    with pytest.raises(DataError, match=r"'own' .*lies in no vector database"):
        check_index(made, "own")
    assert database_indexes(made) == {KEY: "lancedb"}


def test_an_index_of_patches_is_refused(indexed: Indexed) -> None:
    made = indexed.dataset
    box = fo.Detections(detections=[fo.Detection(label="a", bounding_box=[0, 0, 1, 1])])
    made.set_values("boxes", [box] * N)
    fob.compute_similarity(made, patches_field="boxes", embeddings=False, brain_key="patches", backend="lancedb")

    with pytest.raises(DataError, match="holds the patches of 'boxes'"):
        check_index(made, "patches")


@both
def test_an_empty_index_is_refused_with_the_setting_that_may_be_wrong(indexed: Indexed) -> None:
    fob.compute_similarity(indexed.dataset, embeddings=False, brain_key="empty", backend=indexed.backend)

    with pytest.raises(DataError, match=f"'empty' .*is empty.*FIFTYONE_BRAIN_SIMILARITY_{indexed.backend.upper()}_"):
        check_index(indexed.dataset, "empty")


def test_a_folder_that_is_gone_is_an_empty_index(
    indexed: Indexed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path / "lance")

    with pytest.raises(DataError, match="is empty in the lancedb"):
        check_index(indexed.dataset, KEY)


@pytest.mark.parametrize("address", ["pgvector"], indirect=True)
def test_a_job_goes_on_where_it_was_when_the_database_went_away(
    indexed: Indexed, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity_neighbors, "_A_STEP", 100)
    neighbors, data = indexed.neighbors(), server[1]
    expected = neighbors.of_all(K)
    done: list[int] = []

    def told(step: str, finished: int, total: int) -> None:
        done.append(finished)
        if finished == 200:
            stop(data)

    steps = KeptSteps("gone", [b"1"], worth=0)
    try:
        with pytest.raises(DataError, match="the pgvector of the index") as stopped:
            neighbors.of_all(K, progress=told, steps=steps)
    finally:
        start(data)
    done.clear()
    found = indexed.neighbors().of_all(K, progress=lambda *step: done.append(step[1]), steps=steps)
    steps.forget()

    assert "OperationalError" in str(stopped.value)
    assert PASSWORD not in str(stopped.value)
    assert found.tolist() == expected.tolist()
    assert done == [300, 400]


@pytest.mark.parametrize("address", ["pgvector"], indirect=True)
def test_a_wrong_address_is_told_without_its_password(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("pgvector", f"postgresql://winnow:{PASSWORD}@127.0.0.1:1/postgres", monkeypatch)

    with pytest.raises(DataError, match=r"does not answer as it should.*CONNECTION_STRING") as refused:
        check_index(indexed.dataset, KEY)

    assert PASSWORD not in str(refused.value)
    assert refused.value.__suppress_context__


def test_asking_can_be_cancelled(indexed: Indexed) -> None:
    def cancel(step: str, done: int, total: int) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        indexed.neighbors().of_all(K, progress=cancel)


def test_a_database_that_cannot_be_used_is_refused_before_work(
    dataset: Callable[..., fo.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataset()
    monkeypatch.delitem(fob.brain_config.similarity_backends["lancedb"], "uri", raising=False)
    point_at("qdrant", "http://127.0.0.1:1", monkeypatch)

    with pytest.raises(DataError, match=r"index must be one of .*lancedb, .*, got 'oracle'"):
        check_backend(made, "oracle")
    with pytest.raises(DataError, match="where the lancedb lies is not set; set FIFTYONE_BRAIN_SIMILARITY_LANCEDB_URI"):
        check_backend(made, "lancedb")
    with pytest.raises(MissingPartError, match="pip install qdrant-client"):
        check_backend(made, "qdrant")


def test_a_run_of_others_with_our_name_is_not_overwritten(address: str, dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/images/1.png", media_type="image"))
    fob.compute_visualization(made, points=np.zeros((1, 2)), brain_key=KEY)

    with pytest.raises(DataError, match="was not made by Winnow"):
        check_backend(made, address)
