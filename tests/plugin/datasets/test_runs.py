from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import fiftyone as fo
import pytest

import winnow
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.runs import delete_run, is_stale, list_runs, load_results, load_run, save_run
from winnow.plugin.errors import DataError

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def three(dataset: MakeDataset) -> fo.Dataset:
    """Return a dataset of three samples."""
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png") for row in range(3)])
    return made


def save(
    view: fo.Dataset | fo.DatasetView, key: str = "duplicates", fields: tuple[str, ...] = (), **more: dict
) -> None:
    save_run(
        view, key, method="find_duplicates", params={"threshold": 0.9}, fields=fields, summary={"pairs": 2}, **more
    )


def test_a_run_is_loaded_as_it_was_saved(three: fo.Dataset) -> None:
    save(three, fields=("group", "score"), results={"pairs": [[1, 2], [3, 4]]})

    run = load_run(three, "duplicates")

    assert (run.method, run.params, run.fields, run.summary) == (
        "find_duplicates",
        {"threshold": 0.9},
        ("group", "score"),
        {"pairs": 2},
    )
    assert load_results(three, "duplicates") == {"pairs": [[1, 2], [3, 4]]}
    assert run.version == winnow.__version__
    assert abs(datetime.now(UTC) - run.time) < timedelta(hours=1)


def test_a_run_survives_reloading_the_dataset(three: fo.Dataset) -> None:
    save(three, results={"pairs": [1]})

    three.reload()

    assert load_run(three, "duplicates").summary == {"pairs": 2}
    assert load_results(three, "duplicates") == {"pairs": [1]}


def test_saving_again_replaces_the_run_and_its_results(three: fo.Dataset) -> None:
    save(three, results={"pairs": [1]})

    save_run(three, "duplicates", method="find_duplicates", params={}, fields=[], summary={"pairs": 0})

    assert [run.summary for run in list_runs(three)] == [{"pairs": 0}]
    assert load_results(three, "duplicates") is None


def test_a_run_whose_saving_is_cut_off_leaves_the_earlier_one_whole(three: fo.Dataset) -> None:
    save(three, results={"pairs": [1]})

    with pytest.raises(TypeError):
        save_run(three, "duplicates", method="other", params={}, fields=[], summary={}, results={"pairs": object()})

    three.reload()
    assert load_run(three, "duplicates").summary == {"pairs": 2}
    assert load_results(three, "duplicates") == {"pairs": [1]}


def test_a_new_run_whose_saving_is_cut_off_is_none_and_can_be_saved_again(three: fo.Dataset) -> None:
    with pytest.raises(TypeError):
        save(three, results={"pairs": object()})
    cut_off = list_runs(three)

    save(three, results={"pairs": [1]})

    assert not cut_off
    assert load_results(three, "duplicates") == {"pairs": [1]}


def test_a_run_on_a_view_counts_the_views_samples(three: fo.Dataset) -> None:
    save(three.limit(2))

    run = load_run(three, "duplicates")

    assert (run.samples, run.dataset_samples) == (2, 3)


def test_runs_of_others_are_not_listed(three: fo.Dataset) -> None:
    three.register_run("theirs", three.init_run(method="something"))
    save(three)

    assert [run.key for run in list_runs(three)] == ["duplicates"]


def test_an_unknown_run_is_an_error_with_the_known_ones(three: fo.Dataset) -> None:
    save(three)

    with pytest.raises(DataError, match="no run 'leaks' of Winnow; its runs are: duplicates"):
        load_run(three, "leaks")


def test_deleting_a_run_deletes_its_fields(three: fo.Dataset) -> None:
    write_values(three, "score", three.values("id"), [1.0, 2.0, 3.0], kind="float")
    save(three, fields=("score",))

    delete_run(three, "duplicates")

    assert not three.has_field("score")
    assert not three.has_run("duplicates")


def test_a_field_that_another_run_wrote_too_stays(three: fo.Dataset) -> None:
    write_values(three, "score", three.values("id"), [1.0, 2.0, 3.0], kind="float")
    save(three, "first", fields=("score",))
    save(three, "second", fields=("score",))

    delete_run(three, "first")

    assert three.has_field("score")


def test_deleting_a_run_never_deletes_a_users_field(three: fo.Dataset) -> None:
    three.set_values("score", [1.0, 2.0, 3.0])
    save(three, fields=("score",))

    delete_run(three, "duplicates")

    assert three.values("score") == [1.0, 2.0, 3.0]


def test_a_run_is_fresh_while_the_samples_are_the_same(three: fo.Dataset) -> None:
    save(three)

    three.tag_samples("seen")

    assert is_stale(three, "duplicates") is None


def test_added_and_removed_samples_make_a_run_stale(three: fo.Dataset) -> None:
    save(three)
    three.delete_samples(three.values("id")[:2])
    three.add_sample(fo.Sample(filepath="/images/new.png"))

    reason = is_stale(three, "duplicates")

    assert reason is not None
    assert reason.startswith("1 samples were added and 2 samples were removed since 20")
