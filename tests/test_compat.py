"""`make compat`: what is run, what is told of what can't be, and where the table goes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.compat import matrix
from tests.compat.matrix import Cell, Outcome


def test_the_oldest_fiftyone_is_the_one_that_the_plugin_admits() -> None:
    assert matrix.oldest_fiftyone() == "1.22.0"


def test_a_python_is_found_by_its_version_and_by_its_name() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert matrix.find_python(version, [sys.executable]) == sys.executable
    assert matrix.find_python("2.0", [sys.executable]) is None


def test_a_python_that_is_missing_is_a_row_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    status = matrix.main(["--versions", "2.0", "--fiftyone", "1.22.0", "--database", "embedded"])

    assert status == 0
    assert "| 2.0 | 1.22.0 | embedded | not run | Python 2.0 was not found" in capsys.readouterr().out


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    document = tmp_path / "compatibility.md"
    outcome = Outcome(Cell("3.11", "1.22.0", "by URI"), "9 passed", "10 images", False, 61)
    document.write_text(f"# Title\n{matrix.BEGIN}\nold\n{matrix.END}\nafter\n")

    matrix.write_into(document, matrix.table([outcome], "2026-01-31"))

    text = document.read_text()
    assert "| 3.11 | 1.22.0 | by URI | **fails** | 9 passed | 10 images | 1 min |" in text
    assert text.startswith("# Title\n") and text.endswith("\nafter\n") and "old" not in text
