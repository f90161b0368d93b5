from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from winnow.plugin.curation.duplicates import DuplicatePairs, Kind
from winnow.plugin.curation.exact import ExactCopies, find_exact_copies


def digests_of(*contents: int) -> np.ndarray:
    return np.repeat(np.array(contents, np.uint8)[:, None], 32, axis=1)


def thumbnails_of(*greys: int) -> np.ndarray:
    return np.repeat(np.array(greys, np.uint8), 32 * 32).reshape(-1, 32, 32)


def copies_of(*pictures: int) -> ExactCopies:
    """Return copies whose files are all different; images with the same number show the same."""
    first = {picture: pictures.index(picture) for picture in pictures}
    return ExactCopies(np.arange(len(pictures)), np.array([first[picture] for picture in pictures]))


def near(*rows: tuple[int, int], score: float = 0.8) -> DuplicatePairs:
    return DuplicatePairs(np.array(rows, np.int64).reshape(-1, 2), np.full(len(rows), score, np.float32), 0.5)


def test_equal_files_are_found_without_decoding() -> None:
    asked: list[int] = []

    def pixel_digests(rows: np.ndarray) -> Iterator[bytes]:
        asked.extend(rows)
        return iter([b""] * len(rows))

    found = find_exact_copies(digests_of(1, 2, 1), thumbnails_of(1, 2, 1), pixel_digests)

    assert found.file.tolist() == found.picture.tolist() == [0, 1, 0]
    assert not asked


def test_equal_pixels_in_different_files_are_one_picture() -> None:
    found = find_exact_copies(
        digests_of(1, 2, 3, 3), thumbnails_of(7, 7, 7, 7), lambda rows: [b"x", b"y", b"x"][: len(rows)]
    )

    assert found.file.tolist() == [0, 1, 2, 2]
    assert found.picture.tolist() == [0, 1, 0, 0]


def test_only_files_that_share_a_thumbnail_are_decoded() -> None:
    asked: list[int] = []

    def pixel_digests(rows: np.ndarray) -> list[bytes]:
        asked.extend(rows.tolist())
        return [bytes([row]) for row in rows]

    find_exact_copies(digests_of(1, 2, 3, 4), thumbnails_of(5, 6, 5, 8), pixel_digests)

    assert asked == [0, 2]


def test_a_file_that_cannot_be_decoded_any_more_is_equal_to_nothing() -> None:
    found = find_exact_copies(digests_of(1, 2), thumbnails_of(5, 5), lambda rows: [None, None])

    assert found.picture.tolist() == [0, 1]


def test_one_image_of_each_picture_and_split_stands_for_all() -> None:
    copies = copies_of(5, 5, 6, 5, 5)
    splits = np.array(["train", "train", "train", "test", "test"], object)

    assert copies.stand_ins(splits).tolist() == [0, 2, 3]
    assert copies.stand_ins(None).tolist() == [0, 2]


def test_equal_images_pair_with_their_stand_ins_in_all_splits() -> None:
    copies = copies_of(5, 5, 6, 5, 5)
    splits = np.array(["train", "train", "train", "test", "test"], object)

    pairs = copies.hand_on(near(), splits)

    assert pairs.rows.tolist() == [[0, 1], [0, 3], [0, 4], [1, 3], [3, 4]]
    assert set(pairs.score.tolist()) == {1}
    assert set(pairs.kind.tolist()) == {Kind.SAME_PIXELS}


def test_copies_share_the_flagged_pairs_of_their_stand_in_and_no_others() -> None:
    copies = copies_of(1, 1, 2, 3)
    found = DuplicatePairs(np.array([[0, 1], [0, 2]]), np.array([0.8, 0.3], np.float32), 0.5)  # of rows 0, 2, 3

    pairs = copies.hand_on(found, None)

    assert pairs.rows.tolist() == [[0, 1], [0, 2], [1, 2], [0, 3]]
    assert pairs.score.tolist() == pytest.approx([1, 0.8, 0.8, 0.3])
    assert pairs.kind.tolist() == [Kind.SAME_PIXELS, Kind.NEAR, Kind.NEAR, Kind.NEAR]


def test_a_pair_found_among_equal_stand_ins_is_not_told_twice() -> None:
    copies = copies_of(1, 1)
    splits = np.array(["train", "test"], object)

    pairs = copies.hand_on(near((0, 1), score=0.6), splits)

    assert pairs.rows.tolist() == [[0, 1]]
    assert pairs.score.tolist() == [1]


def test_every_copy_has_a_partner_in_every_split_that_a_plain_search_would_find() -> None:
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 6, 40)
    splits = np.array(["train", "test", ""], object)[rng.integers(0, 3, 40)]
    alike = {(0, 1), (2, 3), (3, 4)}
    copies = copies_of(*pictures.tolist())
    standing = copies.stand_ins(splits)

    def is_alike(a: int, b: int) -> bool:
        low, high = sorted((int(pictures[a]), int(pictures[b])))
        return low == high or (low, high) in alike

    places = range(len(standing))
    rows = [(i, j) for i in places for j in places if i < j and is_alike(standing[i], standing[j])]
    pairs = copies.hand_on(near(*rows), splits)

    found = {(a, splits[b]) for a, b in pairs.rows} | {(b, splits[a]) for a, b in pairs.rows}
    wanted = {(a, splits[b]) for a in range(40) for b in range(40) if a != b and is_alike(a, b)}
    assert found == wanted
    assert len(np.unique(pairs.rows, axis=0)) == len(pairs.rows)


def test_a_million_pairs_are_not_made_of_a_thousand_equal_images() -> None:
    copies = ExactCopies(np.zeros(1000, np.int64), np.zeros(1000, np.int64))

    assert len(copies.hand_on(near(), None).rows) == 999


@pytest.mark.parametrize("n", [0, 1])
def test_no_or_one_image_has_no_copies(n: int) -> None:
    found = find_exact_copies(digests_of(*range(n)), thumbnails_of(*range(n)), lambda rows: [])

    assert found.stand_ins(None).tolist() == list(range(n))
    assert len(found.hand_on(near(), None).rows) == 0
