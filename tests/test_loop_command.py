"""`winnow loop`, from a folder without labels to a measured round, with labels in a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.plugin.workflows.conftest import tile
from winnow.__main__ import app

CLASSES = ("bag", "trouser")
A_CLASS = 30


def loop(*arguments: str | Path) -> Result:
    import fiftyone  # noqa: F401 - its log handler would keep the runner's stream, which is closed afterwards

    return CliRunner().invoke(app, ["loop", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return images of two classes in one folder, so that nothing tells their labels."""
    made = tmp_path / "to label 袋"
    made.mkdir()
    for name in CLASSES:
        for number in range(A_CLASS):
            tile("train", name, number).save(made / f"{name} {number:02d}.png")
    return made


def label_all(folder: Path, table: Path) -> None:
    """Write a label for every image, also for those that are not out."""
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerows([path, path.name.split()[0]] for path in sorted(folder.iterdir()))


def test_loop_is_begun_and_taken_on_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    before = loop(folder)
    started = loop(folder, "start", "--batch", "12", "--evaluation-images", "10", "--no-duplicates", "--json")
    label_all(folder, table := tmp_path / "labels.csv")
    taken_on = loop(folder, "next", "--labels", table, "--json")
    after = loop(folder)

    assert "Next: begin it: `winnow loop TARGET start`" in before.stdout
    assert json.loads(started.stdout.splitlines()[-1])["lacking"] == {"loop_evaluation": 9, "loop_1": 11}
    summary = json.loads(taken_on.stdout.splitlines()[-1])
    assert [each["round"] for each in summary["rounds"]] == [1]
    assert summary["rounds"][0]["labels"] == 2 * A_CLASS - 10  # labels count wherever they come from
    assert summary["stage"] == "no image left"
    assert "Loop `loop`, round 1" in after.stdout


def test_action_that_does_not_exist_is_an_error_that_names_those_that_do(folder: Path) -> None:
    done = loop(folder, "begin")

    assert done.exit_code == 1
    assert "action must be one of status, start, next, stop, got 'begin'" in done.stderr
