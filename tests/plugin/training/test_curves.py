from __future__ import annotations

from pathlib import Path

import pytest

from winnow.plugin.training import curves as module
from winnow.plugin.training.curves import CURVES, Curves, read_curves
from winnow.plugin.training.recipe import Recipe

POINTS = [{"step": 2, "epoch": 0.5, "loss": 1.5}, {"step": 4, "epoch": 1.0, "loss": 1.0, "validation_accuracy": 0.75}]


def test_what_is_drawn_is_read_back(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "logs", Recipe(), [])
    for point in POINTS:
        curves.add(point)
    curves.close()

    assert read_curves(tmp_path / "logs" / CURVES) == POINTS


def test_tensorboards_file_holds_each_curve(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "logs", Recipe(), POINTS[:1])
    curves.add(POINTS[1])
    curves.close()

    (events,) = (tmp_path / "logs").glob("events.out.tfevents.*")
    written = events.read_bytes()
    assert all(written.count(name) == count for name, count in ((b"loss", 2), (b"validation_accuracy", 1)))


def test_an_earlier_runs_curves_are_replaced(tmp_path: Path) -> None:
    for points in (POINTS, POINTS[:1]):
        Curves(tmp_path / "logs", Recipe(), points).close()

    assert read_curves(tmp_path / "logs" / CURVES) == POINTS[:1]
    assert len(list((tmp_path / "logs").glob("events.out.tfevents.*"))) == 1


def test_where_nothing_can_be_drawn_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def add(self, point: object) -> None:
            raise ConnectionError("the server is down")

    monkeypatch.setattr(module, "_mlflow", lambda recipe: [Broken()])  # a server that goes down cannot be had here
    curves = Curves(tmp_path / "logs", Recipe(), [])

    for point in POINTS:
        curves.add(point)
    curves.close()

    assert read_curves(tmp_path / "logs" / CURVES) == POINTS


def test_without_a_folder_points_are_kept_all_the_same() -> None:
    curves = Curves(None, Recipe(), POINTS[:1])

    curves.add(POINTS[1])

    assert curves.points == POINTS


def test_no_curves_are_no_points(tmp_path: Path) -> None:
    assert read_curves(tmp_path / CURVES) == []


def test_mlflow_gets_recipe_and_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed; `pip install mlflow-skinny` runs this too")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    monkeypatch.chdir(tmp_path)

    curves = Curves(tmp_path / "logs", Recipe(epochs=7), POINTS[:1])
    curves.add(POINTS[1])
    curves.close()

    client = mlflow.tracking.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("winnow").experiment_id])
    assert run.data.params["epochs"] == "7"
    assert run.data.metrics["loss"] == 1.0
    assert run.info.status == "FINISHED"


def test_mlflow_is_left_alone_where_nobody_told_it_where_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    assert module._mlflow(Recipe()) == []
