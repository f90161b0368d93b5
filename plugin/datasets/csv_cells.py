"""Text in the cells of CSV files that people open in spreadsheets, where a cell that begins like a formula is run.

As OWASP advises ("CSV injection"), such a cell gets an apostrophe in front, by which spreadsheets know text; what reads
the file takes it away again. A cell that begins with an apostrophe gets one too, so that each text comes back whole.
"""

from __future__ import annotations

_RUN = ("=", "+", "-", "@", "\t", "\r")
_TEXT = "'"


def safe_cell(text: str) -> str:
    """Return the text as it is written into a cell."""
    return _TEXT + text if text.startswith((*_RUN, _TEXT)) else text


def plain_cell(cell: str) -> str:
    """Return the text that `safe_cell` wrote; a cell that it would not have written so is returned as it is."""
    return cell[1:] if cell.startswith(_TEXT) and cell[1:].startswith((*_RUN, _TEXT)) else cell
