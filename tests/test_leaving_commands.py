"""`winnow changes` and `winnow export`: exit status, JSON, and what lands on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from winnow.__main__ import app
from winnow.plugin.datasets.targets import open_target
from winnow.plugin.workflows.actions import move_samples

ImageFolder = Callable[..., Path]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--json"])


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout.splitlines()[-1]))


def test_changes_are_written_planned_and_followed(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder("train/cat/0.png", "train/dog/1.png", "test/cat/2.png")
    shutil.copytree(folder, tmp_path / "copy")
    images = open_target(str(folder)).dataset
    move_samples(images, images.match({"split": "train"}).values("id"), "test")

    listed = told(run("changes", folder, "--csv", tmp_path / "changes.csv", "--sha256"))
    planned = told(run("changes", tmp_path / "copy", "--replay", tmp_path / "changes.csv"))
    done = told(run("changes", tmp_path / "copy", "--replay", tmp_path / "changes.csv", "--yes"))

    assert listed["changed"] == 2
    assert (planned["splits"], planned["done"], done["splits"], done["done"]) == (2, False, 2, True)
    assert open_target(str(tmp_path / "copy")).dataset.distinct("split") == ["test"]


def test_a_dataset_is_exported_to_a_folder_and_a_table(image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder("train/cat/0.png", "test/dog/1.png")

    summary = told(run("export", folder, "--output", tmp_path / "out", "--csv", tmp_path / "out.csv"))

    assert summary["splits"] == {"test": 1, "train": 1}
    assert (tmp_path / "out" / "train" / "cat" / "0.png").read_bytes() == (folder / "train/cat/0.png").read_bytes()
    assert (tmp_path / "out.csv").is_file()


def test_export_without_a_place_is_wrong_usage(image_folder: ImageFolder) -> None:
    assert run("export", image_folder("cat/0.png")).exit_code == 2


def test_confirming_without_a_table_to_follow_is_wrong_usage(image_folder: ImageFolder) -> None:
    assert run("changes", image_folder("cat/0.png"), "--yes").exit_code == 2


def test_what_was_not_looked_for_can_not_be_left_out(image_folder: ImageFolder, tmp_path: Path) -> None:
    result = run("export", image_folder("cat/0.png"), "--output", tmp_path / "out", "--leave-out", "copies")

    assert result.exit_code == 1
    assert "Find near-duplicates first" in json.loads(result.stdout.splitlines()[-1])["error"]
