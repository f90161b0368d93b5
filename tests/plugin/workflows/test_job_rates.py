"""What a job took is remembered, and told before the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets.labeling_batches import LabelingState, mark_samples
from winnow.plugin.errors import DataError
from winnow.plugin.progress import Progress, silent
from winnow.plugin.training.recipe import RecipeChanges
from winnow.plugin.workflows import job_rates
from winnow.plugin.workflows.compare import CompareParams
from winnow.plugin.workflows.duplicates import DuplicateParams
from winnow.plugin.workflows.job_rates import Rate, Settings, rates_of, remember, settings_of, timed, units_of
from winnow.plugin.workflows.pull_params import PullParams
from winnow.plugin.workflows.send_params import SendParams
from winnow.plugin.workflows.train import TrainParams
from winnow.plugin.workflows.vectors import VectorParams

SETTINGS = Settings("find_leaks", "birds", "vectors.backbone=lite0")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def forty(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    path = str(write_image(tmp_path / "one.png"))
    made = dataset()
    made.add_samples(fo.Sample(filepath=path) for _ in range(40))
    return made


def test_five_runs_are_remembered_the_newest_last() -> None:
    for images in range(100, 107):
        remember(SETTINGS, Rate(images, images / 50, 4))

    rates, own = rates_of(SETTINGS)

    assert own
    assert [rate.images for rate in rates] == [100, 103, 104, 105, 106]


def test_the_slowest_run_stays_as_later_ones_may_have_found_their_work_done() -> None:
    for seconds in (1.0, 60.0, *[2.0] * 8):
        remember(SETTINGS, Rate(100, seconds, 4))

    rates, _ = rates_of(SETTINGS)

    assert [rate.seconds for rate in rates] == [60, 2, 2, 2, 2]


def test_runs_on_other_datasets_stand_in_for_missing_ones() -> None:
    remember(SETTINGS, Rate(100, 2.0, 4))

    rates, own = rates_of(Settings("find_leaks", "fish", SETTINGS.text))

    assert (rates, own) == ([Rate(100, 2.0, 4)], False)
    assert rates_of(Settings("find_leaks", "fish", "vectors.backbone=other")) == ([], False)


def test_settings_that_were_not_used_for_longest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_rates, "_SETTINGS_KEPT", 2)
    first, second, third = (Settings("find_leaks", name, name) for name in ("a", "b", "c"))

    for settings in (first, second, first, third):
        remember(settings, Rate(100, 1.0, 1))

    assert rates_of(second) == ([], False)
    assert len(rates_of(first)[0]) == 2


def test_a_run_of_few_images_says_nothing(home: Path) -> None:
    remember(SETTINGS, Rate(31, 2.0, 4))

    assert not home.exists()


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 3}', '{"a": [{"images": 0, "seconds": 1, "cores": 1}]}', "\xff"])
def test_a_damaged_file_counts_as_none(home: Path, content: str) -> None:
    home.mkdir()
    (home / "rates.json").write_bytes(content.encode("latin-1"))

    assert rates_of(SETTINGS) == ([], False)
    remember(SETTINGS, Rate(100, 2.0, 4))
    assert rates_of(SETTINGS) == ([Rate(100, 2.0, 4)], True)


def test_a_job_remembers_its_time_without_that_of_its_vectors(
    forty: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(job_rates.time, "monotonic", lambda: now)

    @timed("find_duplicates")
    def work(view: fo.Dataset, params: DuplicateParams, progress: Progress = silent) -> str:
        nonlocal now
        for step, seconds in (("embeddings", 30.0), ("neighbours", 4.0), ("embeddings", 5.0), ("writing", 1.0)):
            now += seconds
            progress(step, 1, 1)
        return "done"

    assert work(forty, DuplicateParams()) == "done"

    settings = settings_of("find_duplicates", forty, DuplicateParams())
    assert settings is not None
    ((rate,), own) = rates_of(settings)
    assert own
    assert (rate.images, rate.seconds) == (40, 5.0)


def test_a_batch_is_remembered_by_what_went_out_though_nothing_waits_afterwards(forty: fo.Dataset) -> None:
    @timed("send_to_label_studio")
    def work(view: fo.Dataset, params: SendParams, progress: Progress = silent) -> None:
        mark_samples(view, view.values("id")[:35], LabelingState.OUT, "1")

    params = SendParams(limit=35)
    work(forty, params)
    settings = settings_of("send_to_label_studio", forty, params)

    assert settings is not None
    assert [rate.images for rate in rates_of(settings)[0]] == [35]
    assert units_of("send_to_label_studio", forty, params) == 5
    assert units_of("pull_from_label_studio", forty, PullParams(batch="1")) == 35


@pytest.mark.parametrize(
    ("job", "params"),
    [("send_to_label_studio", SendParams(dry_run=True)), ("pull_from_label_studio", PullParams(file="export.json"))],
)
def test_what_takes_another_time_than_the_job_is_not_remembered(forty: fo.Dataset, job: str, params: Any) -> None:
    assert settings_of(job, forty, params) is None


def test_a_job_that_fails_remembers_nothing(forty: fo.Dataset, home: Path) -> None:
    @timed("find_duplicates")
    def work(view: fo.Dataset, params: DuplicateParams, progress: Progress = silent) -> None:
        raise DataError("no")

    with pytest.raises(DataError):
        work(forty, DuplicateParams())
    assert not home.exists()


def test_settings_that_change_the_time_are_told_apart(forty: fo.Dataset) -> None:
    plain = settings_of("find_duplicates", forty, DuplicateParams())
    other = settings_of("find_duplicates", forty, DuplicateParams(vectors=VectorParams(backbone="resnet18")))
    threshold = settings_of("find_duplicates", forty, DuplicateParams(threshold=0.5))

    assert plain == threshold
    assert plain != other


def test_a_training_by_a_recipe_of_its_own_is_not_mixed_up_with_a_preset(forty: fo.Dataset) -> None:
    preset = settings_of("train_classifier", forty, TrainParams(preset="strong"))
    changed = settings_of("train_classifier", forty, TrainParams(preset="strong", changes=RecipeChanges(epochs=1)))

    assert preset is not None
    assert preset.text == "preset=strong"
    assert changed is None


def test_time_of_a_comparison_depends_on_the_images_alone(forty: fo.Dataset) -> None:
    settings = settings_of("compare_predictions", forty, CompareParams("a", "b"))

    assert settings == Settings("compare_predictions", forty.name, "")
