from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from PIL import Image

from winnow.plugin.curation.neighbors import unit_rows
from winnow.plugin.datasets.brain import BrainKeys
from winnow.plugin.datasets.runs import is_stale, load_run
from winnow.plugin.datasets.views import one_slice
from winnow.plugin.errors import DataError, FieldError, JobCancelled
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.workflows.embed import EmbedParams, compute_embeddings

from .conftest import IMAGES, MakeDataset, truncated_png

ImageFolder = Callable[..., Path]
POINTS_KEY, SIMILARITY_KEY = BrainKeys().points, BrainKeys().similarity


def dataset_of(made: fo.Dataset, folder: Path) -> fo.Dataset:
    """Add a sample for each file of a folder."""
    made.add_samples([fo.Sample(filepath=str(path), media_type="image") for path in sorted(folder.iterdir())])
    return made


def test_every_image_gets_a_vector(shared: fo.Dataset) -> None:
    report = compute_embeddings(shared, EmbedParams(vector_field="vector"))

    vectors = np.array(shared.values("vector"))
    assert vectors.shape == (IMAGES, report.width)
    assert np.isfinite(vectors).all()
    assert report.images == IMAGES


def test_a_second_run_computes_nothing(shared: fo.Dataset) -> None:
    compute_embeddings(shared)

    report = compute_embeddings(shared)

    assert report.computed == 0
    assert report.summary()["from_cache"] == IMAGES


def test_in_a_grown_folder_only_new_images_are_computed(dataset: MakeDataset, image_folder: ImageFolder) -> None:
    made = dataset_of(dataset(), image_folder("a.png", "b.png", root="grown"))
    compute_embeddings(made)
    made.add_sample(fo.Sample(filepath=str(image_folder("c.png", root="grown") / "c.png")))

    report = compute_embeddings(made)

    assert (report.images, report.computed) == (3, 1)


def test_a_renamed_image_is_not_computed_again(dataset: MakeDataset, image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder("renamed.png")
    compute_embeddings(dataset_of(dataset(), folder))
    shutil.move(folder / "renamed.png", tmp_path / "other name.png")
    made = dataset()
    made.add_sample(fo.Sample(filepath=str(tmp_path / "other name.png")))

    report = compute_embeddings(made)

    assert (report.images, report.computed) == (1, 0)


def test_a_grown_dataset_keeps_its_input_and_so_its_cache(dataset: MakeDataset, image_folder: ImageFolder) -> None:
    folder = image_folder("small.png")
    made = dataset_of(dataset(), folder)
    first = compute_embeddings(made)
    for number in range(3):  # from now on, the median image is large
        Image.effect_noise((200, 300), 40 + number).save(folder / f"large {number}.png")
    made.add_samples([fo.Sample(filepath=str(folder / f"large {number}.png")) for number in range(3)])

    report = compute_embeddings(made)

    assert report.preprocessing == first.preprocessing
    assert report.computed == 3


def test_nothing_is_cut_off_small_images(shared: fo.Dataset) -> None:
    report = compute_embeddings(shared)

    assert report.preprocessing["input"]["mode"] == "squash"


def test_input_has_the_size_that_was_asked_for(dataset: MakeDataset, image_folder: ImageFolder) -> None:
    report = compute_embeddings(dataset_of(dataset(), image_folder("sized.png")), EmbedParams(image_size=96))

    assert report.preprocessing["input"]["size"] == 96


def test_unreadable_and_missing_files_are_marked_and_cost_only_themselves(
    dataset: MakeDataset, image_folder: ImageFolder
) -> None:
    folder = image_folder("fine.png")
    (folder / "cut off.png").write_bytes(truncated_png())
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no image")
    made = dataset_of(dataset(), folder)
    made.add_sample(fo.Sample(filepath=str(folder / "missing.png")))

    report = compute_embeddings(made)

    reasons = {Path(path).name: why for path, why in zip(*made.values(["filepath", "winnow_failure"]), strict=True)}
    assert report.images == 1
    assert reasons.pop("fine.png") is None
    assert set(reasons) == {"cut off.png", "empty.png", "text.jpg", "missing.png"}
    assert all(reasons.values())
    assert {Path(failure.path).name: failure.reason for failure in report.failures} == reasons
    assert "4 images could not be used" in report.text()


@pytest.fixture
def sides(dataset: MakeDataset, image_folder: ImageFolder) -> fo.Dataset:
    """Return groups of an image left, an image right (one of them cut off) and a film."""
    made, folder = dataset(), image_folder("left0.png", "left1.png", "left2.png", "right0.png", "right1.png")
    (folder / "right2.png").write_bytes(truncated_png())
    made.add_group_field("group", default="left")
    for row in range(3):
        group = fo.Group()
        made.add_samples(
            fo.Sample(filepath=str(folder / f"{side}{row}.png"), group=group.element(side))
            for side in ("left", "right")
        )
        made.add_sample(fo.Sample(filepath=f"/films/{row}.mp4", group=group.element("film")))
    return made


def test_a_slice_that_is_not_the_shown_one_gets_its_vectors_and_marks(sides: fo.Dataset) -> None:
    right = one_slice(sides, "right")

    report = compute_embeddings(right, EmbedParams(vector_field="vector"))

    assert report.images == 2
    assert [vector is not None for vector in right.values("vector")] == [True, True, False]
    assert [reason is not None for reason in right.values("winnow_failure")] == [False, False, True]
    assert not any(one_slice(sides, "left").values("vector"))
    assert right.sort_by_similarity(right.first().id, k=2, brain_key=SIMILARITY_KEY).count() == 2


def test_a_slice_that_has_grown_is_told_by_its_run(sides: fo.Dataset) -> None:
    compute_embeddings(one_slice(sides, "right"))
    assert is_stale(sides, "winnow_embeddings") is None
    element = sides.first().group
    sides.add_sample(fo.Sample(filepath="/images/4.png", group=element.element("third")))

    assert "1 samples were added" in (is_stale(sides, "winnow_embeddings") or "")


def test_a_slice_of_films_is_declined(sides: fo.Dataset) -> None:
    with pytest.raises(DataError, match="no slice 'film' of images; its slices of images are: left, right"):
        one_slice(sides, "film")


def test_a_mended_file_loses_its_mark(dataset: MakeDataset, image_folder: ImageFolder) -> None:
    folder = image_folder("fine.png")
    (folder / "mended.png").touch()
    made = dataset_of(dataset(), folder)
    compute_embeddings(made)
    image_folder("mended.png")

    report = compute_embeddings(made)

    assert report.failures == ()
    assert made.values("winnow_failure") == [None, None]


def test_no_readable_image_at_all_is_an_error_that_names_the_first(dataset: MakeDataset, tmp_path: Path) -> None:
    made = dataset()
    made.add_samples([fo.Sample(filepath=str(tmp_path / f"missing {number}.png")) for number in range(2)])

    with pytest.raises(DataError, match=r"none of the 2 images can be read; the first, '.*missing 0.png'"):
        compute_embeddings(made)


def test_a_vector_field_that_holds_something_else_is_an_error(shared: fo.Dataset) -> None:
    with pytest.raises(FieldError, match=r"'ground_truth' of .* holds Classification"):
        compute_embeddings(shared, EmbedParams(vector_field="ground_truth"))


def test_after_cancelling_the_next_run_goes_on_from_there(dataset: MakeDataset, image_folder: ImageFolder) -> None:
    made = dataset_of(dataset(), image_folder(*(f"cancelled {number}.png" for number in range(12))))

    def cancel(step: str, done: int, total: int) -> None:
        if done >= 8:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        compute_embeddings(made, EmbedParams(batch_size=4), cancel)
    report = compute_embeddings(made, EmbedParams(batch_size=4))

    assert report.images == 12
    assert 0 < report.computed < 12


def test_how_it_was_done_is_saved_with_the_dataset(shared: fo.Dataset) -> None:
    report = compute_embeddings(shared)

    run = load_run(shared, "winnow_embeddings")
    assert run.method == "compute_embeddings"
    assert Preprocessing.from_dict(run.params["preprocessing"]) == Preprocessing.from_dict(report.preprocessing)
    assert run.samples == IMAGES


def test_the_app_can_sort_and_plot_what_was_embedded(shared: fo.Dataset) -> None:
    report = compute_embeddings(shared, EmbedParams(vector_field="vector"))

    vectors = unit_rows(np.array(shared.values("vector")), centered=False)
    ids = np.array(shared.values("id"))
    found = shared.sort_by_similarity(ids[3], k=20, brain_key=SIMILARITY_KEY).values("id")
    assert found[0] == ids[3]
    assert len(set(found) & set(ids[np.argsort(-(vectors @ vectors[3]))[:20]])) >= 19
    assert len(shared.load_brain_results(POINTS_KEY).points) == IMAGES
    assert [key for key in (SIMILARITY_KEY, POINTS_KEY) if key in report.text()] == [SIMILARITY_KEY, POINTS_KEY]


def test_a_large_collection_is_indexed_by_fewer_numbers_or_not_at_all(
    shared: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.plugin.datasets.brain._MOST_NUMBERS", 60 * IMAGES)
    fewer = compute_embeddings(shared)
    width = shared.load_brain_results(SIMILARITY_KEY).embeddings.shape[1]
    monkeypatch.setattr("winnow.plugin.workflows.embed._MOST_SIMILAR", IMAGES - 1)
    left_out = compute_embeddings(shared)

    assert width == 60
    assert "of the variance" in fewer.text()
    assert "left out" in left_out.text()
    assert not shared.has_brain_run(SIMILARITY_KEY)


def test_nothing_is_registered_where_nothing_is_wanted(shared: fo.Dataset) -> None:
    for key in shared.list_brain_runs():
        shared.delete_brain_run(key)

    compute_embeddings(shared, EmbedParams(similarity=False, projection="none"))

    assert shared.list_brain_runs() == []


def test_16_bit_images_that_a_look_at_some_headers_missed_get_their_range(
    dataset: MakeDataset, image_folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.plugin.workflows.vectors._HEADERS_READ", 1)
    folder = image_folder("a.png", "b.png")
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 16).save(folder / "c.png")

    report = compute_embeddings(dataset_of(dataset(), folder))

    assert report.failures == ()
    assert report.preprocessing["decode"]["value_range"] == (0.0, 4095.0)
    assert "from 0 to 4095" in report.text()


def test_a_brain_key_of_somebody_else_is_refused_before_the_work(
    dataset: MakeDataset, image_folder: ImageFolder
) -> None:
    made = dataset_of(dataset(), image_folder("a.png", "b.png"))
    fob.compute_visualization(made, points=np.zeros((2, 2)), brain_key=POINTS_KEY)

    with pytest.raises(DataError, match=f"'{POINTS_KEY}'.*not made by Winnow"):
        compute_embeddings(made)

    assert not made.has_field("winnow_failure")
    assert made.list_brain_runs() == [POINTS_KEY]
