"""Text comes back from a cell as it was, and no spreadsheet runs it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.plugin.datasets.csv_cells import plain_cell, safe_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_spreadsheet_would_run_is_written_as_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_each_text_comes_back_as_it_was(text: str) -> None:
    cell = safe_cell(text)

    assert plain_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("cell", ["cat", "'til dawn", "", "'"])
def test_a_cell_that_another_program_wrote_stays(cell: str) -> None:
    assert plain_cell(cell) == cell
