"""The drawings of the report on a model's health."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from winnow.plugin.workflows.health_svg import Dots, Line, line_chart, scatter, share_bar

DAY = 86_400.0


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<all>{svg}</all>")


def line(values: list[float], name: str = "new", **edges: np.ndarray) -> Line:
    return Line(name, 1_000_000_000 + DAY * np.arange(len(values)), np.array(values), **edges)


def places(svg: str, kind: str) -> list[tuple[float, float]]:
    """Return the points of the first path of a kind."""
    path = next(each.attrib["d"] for each in parsed(svg).iter("path") if each.attrib["class"].startswith(kind))
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_higher_share_lies_higher() -> None:
    (x0, y0), (x1, y1) = places(line_chart([line([0.5, 1.0])], title="t", description="d"), "line")

    assert x0 < x1
    assert y0 > y1


def test_axis_reaches_as_far_as_the_lines() -> None:
    svg = line_chart([line([0.32, 0.9])], title="t", description="d", floor=0.5, ceiling=0.8)

    assert [each.text for each in parsed(svg).iter("text") if "%" in (each.text or "")] == [
        f"{percent} %" for percent in (30, 40, 50, 60, 70, 80, 90)
    ]


def test_gap_breaks_the_line() -> None:
    svg = line_chart([line([0.5, 0.6, np.nan, 0.7, 0.8])], title="t", description="d")

    (path,) = (each.attrib["d"] for each in parsed(svg).iter("path") if each.attrib["class"].startswith("line"))
    assert path.count("M") == 2


def test_thousands_of_points_are_thinned_and_the_last_one_stays() -> None:
    values = [0.5] * 9_999 + [1.0]

    points = places(line_chart([line(values)], title="t", description="d"), "line")

    assert len(points) <= 200
    assert points[-1][1] < points[0][1]


def test_names_and_words_are_escaped() -> None:
    svg = line_chart([line([0.5, 0.6], "<b>"), line([0.5, 0.6], "&")], title="<i>", description='"x"')

    root = parsed(svg)
    assert [each.text for each in root.iter("bdi")] == ["<b>", "&"]
    assert next(root.iter("title")).text == "<i>"


def test_single_point_is_drawn() -> None:
    root = parsed(line_chart([line([0.7])], title="t", description="d"))

    assert len([each for each in root.iter("circle")]) == 1


def test_scatter_of_very_many_points_stays_small() -> None:
    points = np.random.default_rng(0).normal(size=(50_000, 2))

    svg = scatter([Dots("then", points), Dots("now", points + 1)], title="t", description="d")

    assert len(svg) < 60_000
    assert {each.attrib["class"] for each in parsed(svg).iter("g")} == {"dots d0", "dots d1"}


def test_share_is_a_bar_of_its_length_and_an_unknown_one_none() -> None:
    bars = [parsed(share_bar(share, 0.2, 1)) for share in (0.5, 1.0)]

    filled = [each for bar in bars for each in bar.iter("rect") if "filled" in each.attrib["class"]]
    half, whole = (float(each.attrib["width"]) for each in filled)
    assert half == whole / 2
    assert share_bar(np.nan, 0, 1) == ""
