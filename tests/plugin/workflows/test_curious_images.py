"""Near-duplicates among images that nobody would choose for an example, and the faults of other tools.

What FiftyOne's brain was seen to do wrong with duplicates has its tests where ours is made: wrong distances in
`curation/test_neighbors.py`, leaks beside a group's representative and in rings in `curation/test_leaks.py`, a keeper
that was deleted in `test_choosing.py`, an order that decides in `test_duplicates.py`, groups and empty datasets in
`test_bad_input.py`; the rest is here.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import fiftyone as fo
import numpy as np
from PIL import Image, ImageDraw

from winnow.plugin.datasets.runs import is_stale
from winnow.plugin.workflows.duplicates import find_duplicates
from winnow.plugin.workflows.leaks import find_leaks

from .conftest import MakeDataset, MakeOfFolder, names_of, tile, values_by_name


def test_pixels_of_their_own_and_transparency_are_no_obstacle(tmp_path: Path, dataset_of_folder: MakeOfFolder) -> None:
    folder = tmp_path / "train" / "odd"
    folder.mkdir(parents=True)
    for number in range(8):
        tile("train", "bag", number).save(folder / f"bag{number}.png")
    Image.new("RGB", (1, 1), (9, 80, 200)).save(folder / "dot.png")
    Image.new("RGB", (1, 500), (9, 80, 200)).save(folder / "line.png")
    Image.new("RGBA", (30, 30), (9, 80, 200, 0)).save(folder / "nothing.png")
    glass = tile("train", "sandal", 0).convert("RGBA")
    glass.putalpha(tile("train", "sandal", 0).point(lambda grey: 255 if grey else 0))
    glass.save(folder / "glass.png")
    glass.save(folder / "glass.webp", lossless=True)
    dataset = dataset_of_folder(tmp_path)

    report = find_duplicates(dataset)

    groups = values_by_name(dataset, "duplicate_group")
    assert report.failures == ()
    assert groups["train/odd/glass.png"] == groups["train/odd/glass.webp"] is not None
    assert groups["train/odd/bag0.png"] is None


def test_without_any_duplicate_nothing_is_flagged(tmp_path: Path, dataset_of_folder: MakeOfFolder) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "train" / "noise"
    folder.mkdir(parents=True)
    for number in range(60):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{number}.png")

    report = find_duplicates(dataset_of_folder(tmp_path))

    assert report.summary()["groups"] == report.summary()["copies"] == 0


def test_a_missing_file_is_named_and_is_no_duplicate(garments: MakeDataset, tmp_path: Path) -> None:
    made = garments("*/bag/*")
    made.add_samples([fo.Sample(filepath=str(tmp_path / f"gone{number}.png"), split="train") for number in range(2)])

    report = find_duplicates(made)

    assert [Path(failure.path).name for failure in report.failures] == ["gone0.png", "gone1.png"]
    assert made.match(fo.ViewField("filepath").contains_str("gone")).values("duplicate_group") == [None, None]


def test_after_a_deletion_the_survivor_is_no_duplicate_and_the_findings_are_called_stale(
    garments: MakeDataset,
) -> None:
    made = garments("*/bag/*")
    find_duplicates(made)
    source = made.match(fo.ViewField("filepath").ends_with("train/bag/000.png"))
    assert source.values("duplicate_group") != [None]

    made.delete_samples(source)

    assert "1 samples were removed" in is_stale(made, "winnow_duplicates")
    find_duplicates(made)
    assert values_by_name(made, "duplicate_group")["test/bag/copy.jpg"] is None


def test_a_crowd_of_copies_inside_a_split_hides_no_leak(tmp_path: Path, dataset_of_folder: MakeOfFolder) -> None:
    """Each test image has 40 closer copies in its own split than the one in train."""
    train, test = tmp_path / "train" / "bag", tmp_path / "test" / "bag"
    train.mkdir(parents=True), test.mkdir(parents=True)
    for number in range(30):
        tile("train", "bag", number).save(train / f"{number:03d}.png")
    for quality in range(40):
        tile("train", "bag", 0).save(test / f"{quality:02d}.jpg", quality=50 + quality)
    dataset = dataset_of_folder(tmp_path)

    report = find_leaks(dataset)

    scores = values_by_name(dataset, "leak_score")
    assert scores["train/bag/000.png"] is not None
    assert report.summary()["by_splits"] == {"test in train": 40}


def test_a_thousand_versions_of_one_shot_are_a_few_groups_in_bounded_pairs(
    tmp_path: Path, dataset_of_folder: MakeOfFolder
) -> None:
    folder = tmp_path / "train" / "bag"
    folder.mkdir(parents=True)
    for number in range(1000):
        tile("train", "bag", 0).save(folder / f"{number:04d}.jpg", quality=30 + number % 60, comment=str(number))
    shutil.copyfile(folder / "0000.jpg", folder / "copy.jpg")
    dataset = dataset_of_folder(tmp_path)

    report = find_duplicates(dataset)

    assert len(report.pairs.rows) < 40 * 1001
    assert report.summary()["images_in_groups"] == 1001
    assert report.summary()["groups"] <= 5  # of JPEG qualities from 30 to 89
    assert len(names_of(dataset)) == 1001


def filled_in(number: int) -> Image.Image:
    """Return a form of one template, filled in by somebody else each time and scanned a little askew."""
    template, person = np.random.default_rng(1000), np.random.default_rng(number)
    words = ["one", "form", "has", "many", "lines", "with", "words", "that", "say", "what", "to", "write", "here"]
    form = Image.new("L", (620, 800), 250)
    draw = ImageDraw.Draw(form)
    draw.text((40, 20), "APPLICATION FORM 27-B", fill=0, font_size=28)
    for line in range(16):
        top = 80 + 42 * line
        draw.text((40, top), " ".join(template.choice(words, 3)), fill=20, font_size=15)
        draw.rectangle((260, top - 4, 580, top + 26), outline=60)
        draw.text((268, top), f"{' '.join(person.choice(words, 3))} {person.integers(10**6)}", fill=10, font_size=17)
    shift = tuple(int(pixels) for pixels in person.integers(-6, 7, 2))
    askew = np.asarray(form.rotate(float(person.uniform(-1, 1)), fillcolor=250, translate=shift), np.float64)
    return Image.fromarray(np.clip(askew + person.normal(0, 5, askew.shape), 0, 255).astype(np.uint8))


def test_forms_of_one_template_are_mostly_told_apart(tmp_path: Path, dataset_of_folder: MakeOfFolder) -> None:
    folder = tmp_path / "train" / "form"
    folder.mkdir(parents=True)
    for number in range(40):
        filled_in(number).save(folder / f"{number:02d}.png")

    report = find_duplicates(dataset_of_folder(tmp_path))

    assert report.summary()["pairs"] <= 30  # of 780; 19 when this was written
