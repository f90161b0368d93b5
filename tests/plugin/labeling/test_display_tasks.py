"""A folder of images as tasks: from the command line to what the backend reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from winnow.commands.labelstudio import app
from winnow.plugin.errors import ClassifierError, TargetError
from winnow.plugin.labeling.display_tasks import make_display_tasks
from winnow.plugin.labeling.downloads import Downloader
from winnow.plugin.labeling.image_sources import ImageSources, address_in
from winnow.plugin.vision.decoder import Decode, decode
from winnow.plugin.vision.preprocessing import Preprocessing


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder of originals, 12 bits in files of 16, and a document root."""
    originals, served = tmp_path / "originals", tmp_path / "served"
    (originals / "ward ä").mkdir(parents=True)
    served.mkdir()
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(originals / "ward ä" / "1.tif")
    (originals / "broken.dcm").write_bytes(bytes(128) + b"DICM")
    return originals, served


def test_command_writes_tasks_whose_originals_the_backend_reads(folders: tuple[Path, Path], tmp_path: Path) -> None:
    originals, served = folders
    arguments = [str(originals), "--document-root", str(served), "--output", str(tmp_path / "out" / "tasks.json")]

    result = CliRunner().invoke(app, ["copies", *arguments, "--json"])

    summary = json.loads(result.stdout.splitlines()[-1])
    assert (result.exit_code, summary["copies"], summary["exposed"]) == (0, 1, False)
    assert [Path(failure["path"]).name for failure in summary["failures"]] == ["broken.dcm"]
    (task,) = json.loads(Path(summary["tasks"]).read_text())
    sources = ImageSources(Downloader(), served, 10**6, originals_root=originals)
    source: Any = sources.open(address_in(task["data"], "image"))
    assert source.read() == (originals / "ward ä" / "1.tif").read_bytes()
    (copy,) = (served / "winnow-copies").iterdir()
    assert task["data"]["image"] == f"/data/local-files/?d=winnow-copies/{copy.name}"
    assert decode(copy)[-1, -1, 0] == 255  # the range in use was found: 12 bits


def test_window_is_the_classifiers_where_one_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    originals, served = folders
    preprocessing = Preprocessing(Decode(value_range=(0, 1000)))
    (tmp_path / "classifier").mkdir()
    description = json.dumps({"preprocessing": preprocessing.to_dict()})
    (tmp_path / "classifier" / "classifier.json").write_text(description)

    make_display_tasks(originals, served, tmp_path / "tasks.json", classifier=tmp_path / "classifier")

    (copy,) = (served / "winnow-copies").iterdir()
    assert (decode(copy) == decode(originals / "ward ä" / "1.tif", Decode(value_range=(0, 1000)))).all()


def test_image_that_browsers_can_show_is_its_own_task(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, served = folders
    Image.new("RGB", (4, 4)).save(served / "a b.png")

    report = make_display_tasks(served, served, tmp_path / "tasks.json", key="photo")

    assert (report.copies, report.plain, report.failures) == (0, 1, ())
    assert json.loads(report.file.read_text()) == [{"data": {"photo": "/data/local-files/?d=a%20b.png"}}]


def test_originals_that_annotators_could_open_are_told_of(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, served = folders
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(served / "a.tif")

    report = make_display_tasks(served, served, tmp_path / "tasks.json")
    again = make_display_tasks(served, served, tmp_path / "tasks.json")

    assert "WINNOW_ORIGINALS_ROOT" in report.text()
    assert again.copies == 1  # copies are no originals


@pytest.mark.parametrize("description", [None, "{}", "no JSON", "[]"])
def test_classifier_without_a_description_is_refused(
    folders: tuple[Path, Path], tmp_path: Path, description: str | None
) -> None:
    originals, served = folders
    if description is not None:
        (tmp_path / "classifier.json").write_text(description)

    with pytest.raises(ClassifierError, match="cannot read"):
        make_display_tasks(originals, served, tmp_path / "tasks.json", classifier=tmp_path)


def test_folder_without_images_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, served = folders

    with pytest.raises(TargetError, match="holds no images"):
        make_display_tasks(served, served, tmp_path / "tasks.json")
