from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from winnow.plugin.curation.duplicates import DuplicatePairs
from winnow.plugin.vision.backbones import load_backbone
from winnow.plugin.vision.embeddings import embed_images
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.workflows.duplicates import DuplicateReport, find_duplicates
from winnow.plugin.workflows.leaks import find_leaks
from winnow.plugin.workflows.pairs import best_scores, expectation_lines, score_images

from .conftest import CLASSES


@pytest.fixture(scope="module")
def report(shared: fo.Dataset) -> DuplicateReport:
    return find_duplicates(shared)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def rows(report: DuplicateReport, folder: Path, tmp_path: Path) -> list[dict[str, str]]:
    report.write_pairs(tmp_path / "pairs.csv", folder)
    return read(tmp_path / "pairs.csv")


def test_every_candidate_pair_has_a_row_with_the_fixed_columns(
    rows: list[dict[str, str]], report: DuplicateReport
) -> None:
    assert list(rows[0]) == ["path_a", "path_b", "split_a", "split_b", "score", "flagged"]
    assert len(rows) == len(report.pairs.rows)


def test_paths_are_relative_to_the_root(rows: list[dict[str, str]], folder: Path) -> None:
    assert all((folder / row["path_a"]).is_file() and not Path(row["path_a"]).is_absolute() for row in rows)
    assert all(row["path_b"].split("/")[0] == row["split_b"] for row in rows)


def test_best_pairs_come_first(rows: list[dict[str, str]]) -> None:
    scores = [float(row["score"]) for row in rows]

    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_flagged_tells_the_automatic_cut(rows: list[dict[str, str]], report: DuplicateReport) -> None:
    assert {row["flagged"] for row in rows} == {"0", "1"}
    assert all((row["flagged"] == "1") == (float(row["score"]) >= report.pairs.threshold) for row in rows)


def test_planted_copies_are_among_the_flagged(rows: list[dict[str, str]]) -> None:
    flagged = {frozenset((row["path_a"], row["path_b"])) for row in rows if row["flagged"] == "1"}

    assert {frozenset((f"test/{name}/copy.jpg", f"train/{name}/000.png")) for name in CLASSES} <= flagged


def test_evaluation_side_of_a_leak_is_a(shared: fo.Dataset, folder: Path, tmp_path: Path) -> None:
    find_leaks(shared).write_pairs(tmp_path / "leaks.csv", folder)

    assert {(row["split_a"], row["split_b"]) for row in read(tmp_path / "leaks.csv")} == {("test", "train")}


def test_without_a_root_paths_are_absolute(report: DuplicateReport, tmp_path: Path) -> None:
    report.write_pairs(tmp_path / "pairs.csv")

    assert all(Path(row["path_a"]).is_absolute() for row in read(tmp_path / "pairs.csv"))


def test_a_path_outside_the_root_stays_absolute(report: DuplicateReport, folder: Path, tmp_path: Path) -> None:
    report.write_pairs(tmp_path / "pairs.csv", folder / "train")

    paths = {row["path_a"] for row in read(tmp_path / "pairs.csv")}
    assert all(path.startswith(str(folder / "test")) or not Path(path).is_absolute() for path in paths)


def test_best_score_is_that_of_the_best_flagged_pair() -> None:
    pairs = DuplicatePairs(np.array([[0, 1], [1, 2], [0, 3]]), np.array([0.9, 0.7, 0.1], np.float32), 0.5)

    scores = best_scores(pairs, 5)

    np.testing.assert_allclose(scores, [0.9, 0.9, 0.7, np.nan, np.nan], rtol=1e-6)


def test_a_texture_that_was_turned_is_found_by_its_keypoints(tmp_path: Path) -> None:
    from skimage import data

    backbone = load_backbone("lite0")
    preprocessing = Preprocessing(input=replace(backbone.input, size=160, mode="squash"))
    paths = []
    for name in ("brick", "grass", "gravel"):
        for angle in (0, 25):
            paths.append(str(tmp_path / f"{name}-{angle}.png"))
            Image.fromarray(getattr(data, name)()).rotate(angle, Image.Resampling.BICUBIC).save(paths[-1])
    found = embed_images(paths, paths, backbone, preprocessing)

    pairs = score_images(paths, found.vectors, found.thumbnails, backbone=backbone, preprocessing=preprocessing)

    assert sorted(map(tuple, pairs.rows[pairs.flagged].tolist())) == [(0, 1), (2, 3), (4, 5)]


@pytest.mark.parametrize(("recall", "said"), [(None, False), (0.8, False), (0.05, True)])
def test_a_poor_recall_is_said_with_what_a_lower_threshold_would_show(recall: float | None, said: bool) -> None:
    pairs = DuplicatePairs(np.array([[0, 1], [0, 2], [1, 2]]), np.array([0.6, 0.4, 0.1], np.float32), 0.95, recall)

    text = "\n".join(expectation_lines(pairs))

    assert ("with a threshold of 0.3 there are 2" in text) is said


def test_no_lower_threshold_is_advised_where_it_would_show_no_more() -> None:
    pairs = DuplicatePairs(np.array([[0, 1], [0, 2]]), np.array([0.99, 0.97], np.float32), 0.97, 0.05)

    text = "\n".join(expectation_lines(pairs))

    assert "can hardly be told" in text
    assert "with a threshold of" not in text
