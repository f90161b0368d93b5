"""The report as an HTML file: whole, without anything from elsewhere, and safe whatever classes are called."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.healths import CLASSES, HOSTILE, health
from winnow.plugin.errors import DataError
from winnow.plugin.workflows.health_figures import ClassifierFacts, Health, Missing
from winnow.plugin.workflows.health_page import health_page, write_page

VOID = {"meta", "link", "rect", "circle", "path"}


class Reader(HTMLParser):
    """Collects tags, attributes and text of a page, and which tags are left open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_page_refers_to_nothing_elsewhere() -> None:
    read = Reader(health_page(health()))

    names = {name for _, attributes in read.tags for name in attributes}
    links = [attributes["href"] for _, attributes in read.tags if "href" in attributes]
    assert links == ["data:,"]
    assert not names & {"src", "srcset", "action", "background", "onclick", "onload", "style"}
    assert not {tag for tag, _ in read.tags} & {"script", "iframe", "img", "object", "embed", "form", "base"}
    assert "url(" not in health_page(health())


def test_policy_of_the_page_forbids_all_but_its_own_style() -> None:
    policies = [
        attributes["content"]
        for tag, attributes in Reader(health_page(health())).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]

    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_names_are_text_whatever_they_hold() -> None:
    page = health_page(health())

    read = Reader(page)
    assert read.open == []
    assert "<script" not in page
    assert HOSTILE in read.texts


def test_plots_have_words_and_tables_beside_them() -> None:
    read = Reader(health_page(health()))

    drawn = [attributes for tag, attributes in read.tags if tag == "svg" and attributes["class"] == "plot"]
    assert len(drawn) == 3
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawn)
    bars = [attributes for tag, attributes in read.tags if tag == "svg" and attributes["class"] == "bar"]
    assert all(attributes["aria-hidden"] == "true" for attributes in bars)
    assert "33.3\u00a0% (21.7 to 46.7\u00a0%)" in read.texts
    heads = [attributes.get("scope") for tag, attributes in read.tags if tag == "th"]
    assert set(heads) == {"col", "row"}


def test_what_is_missing_is_named_and_not_drawn() -> None:
    about = ClassifierFacts("/models/pets", "new", CLASSES)

    read = Reader(health_page(Health(about, missing=(Missing("What annotators answered", "set `X=1`."),))))

    assert not [tag for tag, _ in read.tags if tag in ("svg", "table")]
    assert {"What annotators answered.", "X=1"} <= set(read.texts)


def test_report_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = write_page(Health(ClassifierFacts("/models/pets", "old", CLASSES)), tmp_path / "health.html")

    write_page(health(), path)

    assert "<code>new</code>" in path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["health.html"]


def test_other_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.html").write_text("<html>mine</html>")

    with pytest.raises(DataError, match=r"thesis\.html' exists and is no report of Winnow's"):
        write_page(health(), tmp_path / "thesis.html")

    assert (tmp_path / "thesis.html").read_text() == "<html>mine</html>"


def test_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write the report"):
        write_page(health(), tmp_path / "nowhere" / "health.html")


def test_large_report_stays_small() -> None:
    assert len(health_page(health())) < 60_000
