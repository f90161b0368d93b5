"""How a run went: a CSV file that panels draw live, TensorBoard's events, and MLflow where that is set up."""

from __future__ import annotations

import csv
import importlib.util
import io
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .recipe import Recipe

CURVES = "curves.csv"
logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Where points are drawn to."""

    def add(self, point: Mapping[str, float]) -> None:
        """Draw a point, whose `step` says where."""

    def close(self) -> None:
        """End the curve."""


class Curves:
    """The points of a run, kept with its state, so that a run which goes on after a kill has each of them once.

    A point is a step's number with whatever was measured there: `learning_rate`, `loss` (mean since the last point)
    and, at the end of an epoch, `validation_...`.

    Args:
        folder: For `curves.csv` and TensorBoard's files; None = points are only kept.
        recipe: Of the run; MLflow shows it.
        points: Those of the part that is done already.
    """

    def __init__(self, folder: Path | None, recipe: Recipe, points: list[dict[str, float]]) -> None:
        self.points = list(points)
        self._file = folder / CURVES if folder else None
        self._sinks: list[Sink] = []
        if folder:
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier run of the same name
            folder.mkdir(parents=True)
            self._sinks = [_TensorBoard(folder), *_mlflow(recipe)]
        for point in points:
            self._draw(point)
        self._write()

    def add(self, point: Mapping[str, float]) -> None:
        """Draw a point."""
        self.points.append(dict(point))
        self._draw(point)
        self._write()

    def close(self) -> None:
        """End the curves."""
        for sink in self._sinks:
            sink.close()

    def _draw(self, point: Mapping[str, float]) -> None:
        for sink in list(self._sinks):
            try:
                sink.add(point)
            except Exception as cause:  # a server that is down, a full disk: no reason to lose hours of training
                logger.warning("no more curves to %s (%s: %s)", type(sink).__name__, type(cause).__name__, cause)
                self._sinks.remove(sink)

    def _write(self) -> None:
        if self._file is None:
            return
        columns = list(dict.fromkeys(name for point in self.points for name in point))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in point.items()} for point in self.points)
        temporary = self._file.with_suffix(".new")
        temporary.write_text(text.getvalue(), encoding="utf-8")
        os.replace(temporary, self._file)  # a panel reads it meanwhile


def read_curves(path: Path) -> list[dict[str, float]]:
    """Return the points of a `curves.csv`; none where there is no such file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter  # late: protobuf takes a moment

        self._writer = SummaryWriter(str(folder))

    def add(self, point: Mapping[str, float]) -> None:
        for name, value in point.items():
            if name != "step":
                self._writer.add_scalar(name, value, int(point["step"]))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _mlflow(recipe: Recipe) -> list[Sink]:
    """Return MLflow, where it is installed and told where to write: unasked it would make a folder wherever we are."""
    if not os.environ.get("MLFLOW_TRACKING_URI") or importlib.util.find_spec("mlflow") is None:
        return []
    return [_MLflow(recipe)]


class _MLflow:
    def __init__(self, recipe: Recipe) -> None:
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "winnow")
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        self._run = self._client.create_run(experiment).info.run_id
        for key, value in recipe.to_dict().items():
            self._client.log_param(self._run, key, value)

    def add(self, point: Mapping[str, float]) -> None:
        for name, value in point.items():
            if name != "step":
                self._client.log_metric(self._run, name, value, step=int(point["step"]))

    def close(self) -> None:
        self._client.set_terminated(self._run)
