from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from winnow.plugin.workflows.planting import Planted, plant


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def planted(root: Path) -> Planted:
    return plant(root, seed=0)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/*/*")}


def test_the_same_seed_plants_the_same_files(planted: Planted, root: Path, tmp_path: Path) -> None:
    again = plant(tmp_path, seed=0)

    assert again == planted
    assert content(tmp_path) == content(root)


def test_another_seed_plants_other_faults(planted: Planted, tmp_path: Path) -> None:
    other = plant(tmp_path, seed=1)

    assert set(other.copies.values()) != set(planted.copies.values())
    assert set(other.wrong_labels) != set(planted.wrong_labels)
    assert set(other.unreadable) != set(planted.unreadable)


def test_every_image_of_the_embedded_sample_and_every_copy_is_a_file(planted: Planted, root: Path) -> None:
    names = set(content(root))

    assert len(names) == 2400 + 600 + 90
    assert set(planted.copies) | set(planted.copies.values()) <= names
    assert set(planted.wrong_labels) | set(planted.unreadable) <= names


def test_a_copy_lies_in_the_other_split_than_its_source(planted: Planted) -> None:
    assert len(planted.copies) == 90
    assert all(copy.split("/")[0] != source.split("/")[0] for copy, source in planted.copies.items())


def test_a_copy_is_like_its_source_but_not_the_same(planted: Planted, root: Path) -> None:
    for copy, source in planted.copies.items():
        with Image.open(root / copy) as one, Image.open(root / source) as other:
            difference = np.abs(np.asarray(one, float) - np.asarray(other, float)).mean()
        assert 0 < difference < 80


def test_one_label_in_twenty_is_wrong(planted: Planted) -> None:
    assert len(planted.wrong_labels) == round(0.05 * 3090)
    assert all(path.split("/")[1] != true for path, true in planted.wrong_labels.items())


def test_three_files_cannot_be_read_and_all_others_can(planted: Planted, root: Path) -> None:
    def is_readable(path: Path) -> bool:
        try:
            with Image.open(path) as image:
                image.load()
        except OSError:
            return False
        return True

    assert len(planted.unreadable) == 3
    assert {name for name in content(root) if not is_readable(root / name)} == set(planted.unreadable)


def test_no_fault_hides_another(planted: Planted) -> None:
    damaged = set(planted.unreadable)

    assert not damaged & (set(planted.copies) | set(planted.copies.values()) | set(planted.wrong_labels))


def test_what_was_planted_can_be_written_as_json_and_read_back(planted: Planted) -> None:
    assert Planted(**planted.to_dict()) == planted
