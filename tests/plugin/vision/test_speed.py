from __future__ import annotations

from pathlib import Path

import pytest

from winnow.plugin.vision import speed
from winnow.plugin.vision.speed import expected_seconds, remember_speed


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "available_cores", lambda: 2)


def test_the_next_run_takes_as_long_an_image_as_the_last_one(tmp_path: Path) -> None:
    remember_speed("lite0", 1_000, 5.0, tmp_path)
    remember_speed("other", 100, 10.0, tmp_path)

    assert expected_seconds("lite0", 10_000, tmp_path) == pytest.approx(50)
    assert expected_seconds("other", 10, tmp_path) == pytest.approx(1)


def test_a_machine_with_twice_the_cores_is_expected_to_take_half_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_speed("lite0", 1_000, 5.0, tmp_path)
    monkeypatch.setattr(speed, "available_cores", lambda: 4)

    assert expected_seconds("lite0", 1_000, tmp_path) == pytest.approx(2.5)


def test_a_run_of_few_images_says_nothing(tmp_path: Path) -> None:
    remember_speed("lite0", 3, 60.0, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[1]", "not json", '{"lite0": "fast"}', '{"lite0": -1}', "\xff"])
def test_a_damaged_measurement_counts_as_none(tmp_path: Path, content: str) -> None:
    unmeasured = expected_seconds("lite0", 100, tmp_path)
    (tmp_path / "speed.json").write_bytes(content.encode("latin-1"))

    assert expected_seconds("lite0", 100, tmp_path) == unmeasured > 0
    remember_speed("lite0", 100, 2.0, tmp_path)
    assert expected_seconds("lite0", 100, tmp_path) == pytest.approx(2.0)


def test_a_folder_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    remember_speed("lite0", 100, 2.0, tmp_path / "nowhere")

    assert not (tmp_path / "nowhere").exists()
