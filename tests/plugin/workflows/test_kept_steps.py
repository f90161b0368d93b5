"""A search for near-duplicates that was killed goes on behind the last step that it had done."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
import pytest

from winnow.plugin.curation.search import Search, search
from winnow.plugin.curation.steps import Arrays
from winnow.plugin.vision.cache_store import pairs_root
from winnow.plugin.workflows.kept_steps import KeptSteps

KEYS = [b"first", b"second"]
N = 60


@pytest.fixture(autouse=True)
def no_files() -> None:
    shutil.rmtree(pairs_root(), ignore_errors=True)


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings and thumbnails of which each second one repeats the one before, a little lighter."""
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(N // 2, 16)).repeat(2, axis=0) + 0.05 * rng.normal(size=(N, 16))
    thumbnails = rng.integers(0, 240, (N // 2, 8, 8)).repeat(2, axis=0).repeat(4, axis=1).repeat(4, axis=2)
    return embeddings.astype(np.float32), (thumbnails + np.arange(N)[:, None, None] % 2).astype(np.uint8)


class Counted:
    """Steps that are kept, counted as they are done; after `most` the job is killed."""

    def __init__(self, most: int = 100) -> None:
        self.kept, self.most, self.done = KeptSteps("search", KEYS, worth=0), most, 0

    def __call__(self, name: str, work: Callable[[], Arrays]) -> Arrays:
        def counted() -> Arrays:
            if self.done == self.most:
                raise KeyboardInterrupt
            self.done += 1
            return work()

        return self.kept(name, counted)


def found(result: Search) -> tuple[list[list[int]], list[list[float]]]:
    return result.evidence.pairs.tolist(), result.evidence.values.tolist()


@pytest.mark.parametrize("before", [1, 3])
def test_what_was_done_before_is_not_done_again(before: int, images: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(*images, steps=Counted(most=before))
    rest = Counted()

    result = search(*images, steps=rest)

    assert rest.done == 4 - before  # three kinds of neighbours, and one step of pairs
    assert found(result) == found(search(*images))


def test_steps_of_other_images_are_not_found() -> None:
    KeptSteps("search", KEYS, worth=0)("step", lambda: (np.ones(1),))

    (other,) = KeptSteps("search", KEYS[::-1], worth=0)("step", lambda: (np.zeros(1),))

    assert other == 0


def test_a_short_step_is_not_worth_a_file() -> None:
    KeptSteps("search", KEYS)("step", lambda: (np.ones(1),))

    assert not pairs_root().exists()


def test_a_damaged_file_costs_only_time() -> None:
    steps = KeptSteps("search", KEYS, worth=0)
    steps("step", lambda: (np.ones(1),))
    (file,) = pairs_root().iterdir()
    file.write_bytes(file.read_bytes()[:40])

    (again,) = steps("step", lambda: (np.full(1, 2.0),))

    assert again == 2


def test_nothing_is_left_once_all_is_done() -> None:
    steps = KeptSteps("search", KEYS, worth=0)
    steps("nearest embeddings", lambda: (np.ones(1),))

    steps.forget()

    assert not list(pairs_root().iterdir())
