from __future__ import annotations

import pytest

from winnow.plugin.curation.name_groups import looks_like_groups, name_prefixes


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("patient012_03.png", "patient012"),
        ("p7-slice-004.tif", "p7"),
        ("video3_frame0012.jpg", "video3"),
        ("scan 5 (2).jpg", "scan 5"),
        ("患者12_3.png", "患者12"),
        ("portrait.png", "portrait"),
        ("0001.png", None),
    ],
)
def test_the_number_at_the_end_is_left_out(name: str, prefix: str | None) -> None:
    assert name_prefixes([f"/data/{name}"]).tolist() == [prefix]


def test_numbered_prefixes_that_many_images_share_look_like_groups() -> None:
    names = [f"patient{patient:03d}_{shot}.png" for patient in range(10) for shot in range(3)]

    assert looks_like_groups(name_prefixes(names))


@pytest.mark.parametrize(
    "names",
    [
        [f"cat_{number:03d}.png" for number in range(20)] + [f"dog_{number:03d}.png" for number in range(20)],
        [f"IMG_{number:04d}.JPG" for number in range(20)],
        [f"{number:05d}.png" for number in range(20)],
        [f"a{number}b.png" for number in range(20)],  # each on its own
        [],
    ],
)
def test_classes_cameras_and_plain_numbers_do_not(names: list[str]) -> None:
    assert not looks_like_groups(name_prefixes(names))
