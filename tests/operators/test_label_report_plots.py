from __future__ import annotations

import json

import numpy as np
import pytest

from winnow.operators.label_report_plots import matrix_layout, matrix_traces, pair_rows, rate_layout, rate_traces
from winnow.plugin.curation.label_report import LabelReport


def report_on(classes: tuple[str, ...], seed: int = 0) -> LabelReport:
    rng = np.random.default_rng(seed)
    joint = np.diag(rng.uniform(50, 100, len(classes))) + rng.exponential(2, (len(classes),) * 2)
    return LabelReport(classes, joint, joint.round().astype(int) * ~np.eye(len(classes), dtype=bool))


def test_diagonal_is_drawn_apart_from_the_errors() -> None:
    errors, right = matrix_traces(report_on(("cat", "dog", "犬")))

    assert all(errors["z"][row][row] is None and right["z"][row][row] is not None for row in range(3))
    assert all(right["z"][row][column] is None for row in range(3) for column in range(3) if row != column)


def test_numbers_in_the_cells_are_the_expected_counts_where_there_are_any() -> None:
    joint, flagged = np.array([[9.0, 2.6, 0.2], [0.1, 8, 0], [0, 0, 7]]), np.zeros((3, 3), int)
    flagged[1, 0] = 1

    errors, right = matrix_traces(LabelReport(("cat", "dog", "犬"), joint, flagged))

    assert errors["text"] == [["", "3", ""], ["0", "", ""], ["", "", ""]]
    assert [right["text"][row][row] for row in range(3)] == ["9", "8", "7"]


def test_of_a_thousand_classes_the_worst_thirty_are_drawn() -> None:
    report = report_on(tuple(f"class {row}" for row in range(1000)))

    traces, rates = matrix_traces(report), rate_traces(report)

    assert len(traces[0]["x"]) == len(traces[0]["z"]) == len(rates[0]["y"]) == 30
    assert traces[0]["texttemplate"] == ""
    assert len(pair_rows(report)) == 20


def test_names_that_look_like_numbers_stay_names_and_long_ones_are_cut() -> None:
    axis = matrix_layout(report_on(("7", "8", "a name that is far too long for an axis")))["xaxis"]

    assert axis["type"] == "category"
    assert axis["tickvals"][0] == "7"
    assert len(axis["ticktext"][2]) == 18


@pytest.mark.parametrize("draw", [matrix_traces, matrix_layout, rate_traces, rate_layout, pair_rows])
def test_what_is_drawn_is_json_without_nan(draw: object) -> None:
    empty_class = LabelReport(("cat", "dog"), np.array([[3.0, 1], [0, 0]]), np.zeros((2, 2), int))

    json.dumps(draw(empty_class), allow_nan=False)


def test_interval_lies_around_the_rate() -> None:
    (bars,) = rate_traces(report_on(("cat", "dog", "犬")))

    assert all(length > 0 for length in bars["error_x"]["array"] + bars["error_x"]["arrayminus"])
