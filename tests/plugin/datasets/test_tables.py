from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from winnow.plugin.datasets.tables import read_table
from winnow.plugin.errors import TargetError

ImageFolder = Callable[..., Path]


@pytest.fixture
def table(image_folder: ImageFolder) -> Callable[..., Path]:
    """Return a factory of tables beside the images 1.png, 2.png and 3.png."""
    folder = image_folder("1.png", "2.png", "3.png")

    def make(text: str, name: str = "table.csv", encoding: str = "utf-8") -> Path:
        (folder / name).write_text(text, encoding=encoding)
        return folder / name

    return make


def test_paths_are_relative_to_the_table(table: Callable[..., Path]) -> None:
    path = table("path,label,split\n1.png,cat,train\n2.png,dog,val\n")

    records = read_table(path).records

    assert [(record.path, record.label, record.split) for record in records] == [
        (path.parent / "1.png", "cat", "train"),
        (path.parent / "2.png", "dog", "val"),
    ]


def test_absolute_paths_are_taken_as_they_are(table: Callable[..., Path], image_folder: ImageFolder) -> None:
    elsewhere = image_folder("a.png", root="elsewhere") / "a.png"

    records = read_table(table(f"path\n{elsewhere}\n")).records

    assert [record.path for record in records] == [elsewhere]


@pytest.mark.parametrize(
    "text", ["path;label\n1.png;a,b\n", "path\tlabel\n1.png\ta,b\n", '\ufeffpath,label\n1.png,"a,b"\n']
)
def test_separator_and_byte_order_mark_are_recognised(table: Callable[..., Path], text: str) -> None:
    records = read_table(table(text)).records

    assert [record.label for record in records] == ["a,b"]


def test_labels_are_kept_exactly(table: Callable[..., Path]) -> None:
    records = read_table(table("path,label\n1.png, Cat \n2.png,NA\n3.png,\n")).records

    assert [record.label for record in records] == [" Cat ", "NA", None]


def test_a_label_delimiter_makes_labels_multi_label(table: Callable[..., Path]) -> None:
    records = read_table(table("path,labels\n1.png,cat| dog|cat\n2.png,cat\n3.png,\n"), "|").records

    assert [record.label for record in records] == [("cat", "dog"), ("cat",), None]


def test_jsonl_takes_lists_numbers_and_nulls_as_labels(table: Callable[..., Path]) -> None:
    rows = [{"path": "1.png", "label": 7}, {"path": "2.png", "label": ["a", "b"]}, {"path": "3.png", "label": None}]

    records = read_table(table("\n".join(map(json.dumps, rows)), "table.jsonl")).records

    assert [record.label for record in records] == [("7",), ("a", "b"), None]


def test_further_columns_are_kept_as_text(table: Callable[..., Path]) -> None:
    source = read_table(table("path,label,patient,site id,tags\n1.png,cat,007,A b,x\n2.png,dog,,,\n"))

    assert [dict(record.groups) for record in source.records] == [
        {"patient": "007", "site_id": "A b", "table_tags": "x"},
        {},
    ]
    assert source.notes == ("further columns are kept as text fields: patient, site_id, table_tags",)


def test_missing_files_are_listed_and_counted(table: Callable[..., Path]) -> None:
    source = read_table(table("path,label\n1.png,cat\nnone.png,dog\n"))

    assert [(failure.id, Path(failure.path).name) for failure in source.failures] == [("line 3", "none.png")]
    assert "1 files in the table are missing" in source.notes[0]


def test_the_first_of_two_rows_for_a_file_wins_and_contradictions_are_told(table: Callable[..., Path]) -> None:
    source = read_table(table("path,label\n1.png,cat\n./1.png,cat\n1.png,dog\n"))

    assert [record.label for record in source.records] == ["cat"]
    assert [failure.reason for failure in source.failures] == [
        "repeats line 2",
        "contradicts line 2, which was taken: label cat there, label dog here",
    ]
    assert len(source.notes) == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "has no rows"),
        ("a.csv", "path,label\n", "has no rows"),
        ("a.csv", "file,label\n1.png,cat\n", "no column 'path'; it has 'file', 'label'"),
        ("a.csv", "path,label,label\n1.png,cat,dog\n", "more than one column 'label'"),
        ("a.csv", "path,label\n1.png,cat,dog\n", "line 2 .* has 3 cells"),
        ("a.csv", "path,label\n1.png,cat\n,dog\n", "line 3 .* has no 'path'"),
        ("a.csv", "path,a b,a-b\n1.png,x,y\n", "differ only in signs"),
        ("a.csv", "path\nnone.png\n", "none of the 1 files"),
        ("a.jsonl", "", "has no rows"),
        ("a.jsonl", '{"path": "1.png"}\n{"path": \n', "line 2 .* is not valid JSON"),
        ("a.jsonl", '["1.png"]\n', "line 1 .* is no JSON object"),
        ("a.jsonl", '{"file": "1.png"}\n', "line 1 .* has no 'path'"),
        ("a.jsonl", '{"path": "1.png", "label": {"name": "cat"}}\n', "column 'label' is .* text or a number"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error_that_says_why(
    table: Callable[..., Path], name: str, text: str, message: str
) -> None:
    path = table(text, name)

    with pytest.raises(TargetError, match=message):
        read_table(path)


def test_a_table_in_another_encoding_is_an_error(table: Callable[..., Path]) -> None:
    path = table("path,label\n1.png,Käse\n", encoding="latin-1")

    with pytest.raises(TargetError, match="not UTF-8"):
        read_table(path)
