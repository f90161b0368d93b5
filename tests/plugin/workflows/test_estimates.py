"""How long a job will take is told by what this machine remembers, and never surer than that."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets import runs
from winnow.plugin.vision import file_index
from winnow.plugin.vision.cache import EmbeddingCache
from winnow.plugin.vision.cache_store import embeddings_root
from winnow.plugin.vision.file_index import FileIndex, stamp_of
from winnow.plugin.vision.preprocessing import Decode, Input, Preprocessing
from winnow.plugin.workflows import estimates
from winnow.plugin.workflows.duplicates import DuplicateParams
from winnow.plugin.workflows.embed import EmbedParams
from winnow.plugin.workflows.estimates import Estimate, estimate
from winnow.plugin.workflows.evaluate import EvaluateParams
from winnow.plugin.workflows.export import ExportParams
from winnow.plugin.workflows.job_estimates import estimate_jobs
from winnow.plugin.workflows.job_rates import Rate, Settings, remember, settings_of
from winnow.plugin.workflows.vectors import RUN, VectorParams


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of two cores that computes a vector in a second, and has run nothing yet."""
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(estimates, "available_cores", lambda: 2)
    monkeypatch.setattr(estimates, "is_measured", lambda backbone: True)
    monkeypatch.setattr(estimates, "expected_seconds", lambda backbone, images: 1.0 * images)
    return tmp_path / "home"


@pytest.fixture
def hundred(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    made = dataset()
    made.add_samples(fo.Sample(filepath=str(write_image(tmp_path / "one.png"))) for _ in range(100))
    return made


def embed(made: fo.Dataset) -> None:
    """Leave what embedding all images leaves: the run, the index of files, and vectors in the cache."""
    preprocessing = Preprocessing(Decode(), Input(size=160, mode="squash"))
    made_so = {"preprocessing": preprocessing.to_dict(), "weights": "abc"}
    params = {**vars(VectorParams()), **made_so}
    runs.save_run(made, RUN, method="compute_embeddings", params=params, fields=[], summary={"images": len(made)})
    path = Path(made.first().filepath)
    digest = hashlib.sha256(path.read_bytes()).digest()
    os.utime(path, (0, 0))
    index = FileIndex(embeddings_root() / "files.sqlite")
    stamp = stamp_of(str(path))
    assert stamp is not None
    index._pending.append((file_index._key(str(path)), stamp, digest))  # `remember` waits until a file has settled
    index.close()
    cache = EmbeddingCache(embeddings_root() / f"lite0-abc-{preprocessing.hash()}", 4)
    cache.put(digest, np.ones(4, np.float32), np.zeros((32, 32), np.uint8))
    cache.flush()


def ran(made: fo.Dataset, rate: Rate, name: str | None = None) -> None:
    settings = settings_of("find_duplicates", made, DuplicateParams())
    assert settings is not None
    remember(Settings(settings.job, name or settings.dataset, settings.text), rate)


def found(made: fo.Dataset | fo.DatasetView) -> Estimate:
    expected = estimate("find_duplicates", made, DuplicateParams())
    assert expected is not None
    return expected


def test_without_a_run_only_the_time_of_the_vectors_is_told(hundred: fo.Dataset) -> None:
    expected = found(hundred)

    assert expected.high is None
    assert expected.text() == (
        "No earlier run to estimate the time from. Embedding the 100 images that are not embedded yet takes about "
        "2 minutes."
    )


def test_a_run_on_this_dataset_gives_the_time_of_the_next(hundred: fo.Dataset) -> None:
    ran(hundred, Rate(50, 100.0, 2))
    embed(hundred)

    expected = found(hundred)

    assert expected.low is not None
    assert expected.high is not None
    assert expected.low < 200 < expected.high
    assert expected.text().startswith("About 3 minutes for 100 images, embedded already")


def test_new_images_are_the_ones_to_be_embedded(hundred: fo.Dataset, tmp_path: Path) -> None:
    ran(hundred, Rate(100, 20.0, 2))
    embed(hundred)
    hundred.add_samples(fo.Sample(filepath=str(write_image(tmp_path / "new.png"))) for _ in range(100))

    expected = found(hundred)

    assert (expected.images, expected.embedded, expected.least) == (200, 100, 100)


def test_a_cache_that_was_cleared_holds_no_vectors(hundred: fo.Dataset) -> None:
    embed(hundred)
    for shard in embeddings_root().glob("*/*.safetensors"):
        shard.unlink()

    assert found(hundred).embedded == 0


def test_vectors_of_another_backbone_do_not_help(hundred: fo.Dataset) -> None:
    embed(hundred)

    expected = estimate("find_duplicates", hundred, DuplicateParams(vectors=VectorParams(backbone="resnet18")))

    assert expected is not None
    assert expected.embedded == 0


def test_runs_of_other_datasets_or_sizes_give_a_wider_range(hundred: fo.Dataset) -> None:
    embed(hundred)
    ran(hundred, Rate(100, 60.0, 2), name="other")
    other = found(hundred)
    ran(hundred, Rate(100, 60.0, 2))
    same = found(hundred)
    few = found(hundred.limit(2))

    assert width(same) < width(other)
    assert width(same) < width(few)


def width(expected: Estimate) -> float:
    assert expected.low
    assert expected.high
    return expected.high / expected.low


def test_twice_the_cores_are_expected_to_take_half_the_time(
    hundred: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed(hundred)
    ran(hundred, Rate(100, 60.0, 2))
    before = found(hundred).high
    monkeypatch.setattr(estimates, "available_cores", lambda: 4)

    assert before is not None
    assert found(hundred).high == pytest.approx(before / 2)


def test_a_backbone_that_was_never_measured_is_called_a_guess(
    hundred: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "is_measured", lambda backbone: False)

    expected = estimate("compute_embeddings", hundred, EmbedParams())

    assert expected is not None
    assert expected.text() == (
        "33 seconds to 5 minutes for 100 images, by guess: no vectors were computed on this machine yet."
    )


def test_a_job_without_vectors_is_not_told_of_them(hundred: fo.Dataset) -> None:
    expected = estimate("evaluate_predictions", hundred, EvaluateParams())

    assert expected is not None
    assert (expected.embedded, expected.least) == (None, 0)
    assert expected.text() == "No earlier run to estimate the time from."


def test_nothing_is_told_of_a_job_whose_time_is_not_remembered(hundred: fo.Dataset) -> None:
    assert estimate("export_classifier", hundred, ExportParams("folder")) is None


def test_summary_is_plain_json(hundred: fo.Dataset) -> None:
    assert found(hundred).summary() == {
        "images": 100,
        "embedded": 0,
        "seconds_low": None,
        "seconds_high": None,
        "basis": "",
    }


def test_all_jobs_are_estimated_at_once(hundred: fo.Dataset) -> None:
    ran(hundred, Rate(100, 60.0, 2))
    embed(hundred)

    report = estimate_jobs(hundred)

    assert report.summary()["jobs"]["duplicates"]["embedded"] == 100
    assert "| duplicates | About 60 seconds for 100 images, embedded already, by earlier runs" in report.text()
    assert "| train --preset strong | No earlier run to estimate the time from. All images" in report.text()
