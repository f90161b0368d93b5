"""One queue in front of one model: order, fairness, limits, and what a failure costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from winnow.backend.batching import Batcher, QueueFullError
from winnow.backend.hosting import Served
from winnow.backend.image_jobs import Unpredicted
from winnow.plugin.labeling.image_access import AccessProblem, ImageAccessError


class Numbers:
    """Takes `BytesIO` images that hold a number, and answers with it as the only probability, in hundredths."""

    classes = ("number",)
    version = "numbers-1"
    multilabel = False
    thresholds = None

    def __init__(self, concurrent: bool = True) -> None:
        self.concurrent = concurrent
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.seen: list[list[int]] = []
        self.at_once = self.most_at_once = 0

    def predict(self, images: Any, batch_size: int = 32) -> Any:
        self.started.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.gate.wait(20)
        numbers = [int(image.read()) for image in images]
        self.seen.append(numbers)
        self.at_once -= 1
        if 66 in numbers:
            raise RuntimeError("cannot count to 66")
        return Answer(np.array(numbers, np.float32)[:, None] / 100)


class Answer:
    def __init__(self, probabilities: np.ndarray) -> None:
        self.probabilities = probabilities
        self.failures: list[Any] = []
        self.vectors = None


def open_number(number: int) -> BytesIO:
    if number < 0:
        raise ImageAccessError(AccessProblem.MISSING, "no such number")
    return BytesIO(str(number).encode())


@pytest.fixture
def batcher() -> Iterator[Callable[..., Batcher]]:
    """Return a factory of batchers of numbers, which are closed in the end."""
    made: list[Batcher] = []

    def make(open_image: Callable[[Any], Any] = open_number, **settings: Any) -> Batcher:
        made.append(Batcher(open_image, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_each_job_gets_its_own_results_in_order(batcher: Any) -> None:
    queue, served = batcher(), Served.of(Numbers())
    asked = [[(7 * row + job) % 60 for row in range(40)] for job in range(8)]

    jobs = [queue.submit(served, numbers) for numbers in asked]

    found = [[round(100 * float(row[0])) for row in job.future.result(20)] for job in jobs]
    assert found == asked
    assert (queue.waiting, queue.jobs) == (0, 0)


def test_job_without_images_is_done_at_once(batcher: Any) -> None:
    assert batcher().submit(Served.of(Numbers()), []).future.result(0) == []


def test_image_that_cannot_be_had_and_one_that_breaks_the_classifier_cost_their_own_results(batcher: Any) -> None:
    job = batcher().submit(Served.of(Numbers()), [1, -1, 66, 2])

    first, missing, breaking, last = job.future.result(20)

    assert (round(100 * first[0]), round(100 * last[0])) == (1, 2)
    assert (missing.kind, breaking.kind) == ("missing", "error")


def test_single_image_does_not_wait_for_a_large_job(batcher: Any) -> None:
    classifier = Numbers()
    classifier.gate.clear()
    queue, served = batcher(), Served.of(classifier)
    large = queue.submit(served, [1] * 1200)
    classifier.started.wait(20)

    single = queue.submit(served, [50])
    classifier.gate.set()
    single.future.result(20)

    large.future.result(20)
    position = [50 in numbers for numbers in classifier.seen].index(True)
    assert sum(map(len, classifier.seen[:position])) < 100


def test_few_images_are_open_at_a_time_however_many_are_asked_for(batcher: Any) -> None:
    opened: list[int] = []
    classifier = Numbers()
    classifier.gate.clear()

    def open_image(number: int) -> BytesIO:
        opened.append(number)
        return open_number(number)

    queue = batcher(open_image)
    job = queue.submit(Served.of(classifier), [1] * 1200)
    classifier.started.wait(20)
    opened_meanwhile = len(opened)
    classifier.gate.set()
    job.future.result(20)

    assert opened_meanwhile < 200
    assert len(opened) == 1200


def test_full_queue_refuses_before_anything_is_opened(batcher: Any) -> None:
    opened: list[int] = []
    classifier = Numbers()
    classifier.gate.clear()
    queue, served = (
        batcher(lambda number: opened.append(number) or open_number(number), capacity=4),
        Served.of(classifier),
    )
    held = [queue.submit(served, [1]) for _ in range(4)]

    with pytest.raises(QueueFullError, match="ask again"):
        queue.submit(served, [99])

    classifier.gate.set()
    for job in held:
        job.future.result(20)
    assert 99 not in opened
    assert queue.submit(served, [3]).future.result(20)


def test_job_larger_than_the_queue_leaves_room_for_others(batcher: Any) -> None:
    classifier = Numbers()
    classifier.gate.clear()
    queue, served = batcher(capacity=4), Served.of(classifier)

    jobs = [queue.submit(served, [1] * 100), queue.submit(served, [2])]
    classifier.gate.set()

    assert [len(job.future.result(20)) for job in jobs] == [100, 1]


def test_batch_never_holds_images_for_two_classifiers(batcher: Any) -> None:
    classifiers = [Numbers(), Numbers()]
    for classifier in classifiers:
        classifier.gate.clear()
    queue = batcher()

    jobs = [queue.submit(Served.of(classifiers[number % 2]), [number % 2]) for number in range(20)]
    for classifier in classifiers:
        classifier.gate.set()
    for job in jobs:
        job.future.result(20)

    assert [{number for batch in classifier.seen for number in batch} for classifier in classifiers] == [{0}, {1}]


def test_classifier_that_takes_one_caller_at_a_time_gets_full_batches(batcher: Any) -> None:
    classifier = Numbers(concurrent=False)
    classifier.gate.clear()
    sizes: list[int] = []
    opened: list[int] = []
    queue = batcher(lambda number: opened.append(number) or open_number(number), batch_size=16, on_batch=sizes.append)
    job = queue.submit(Served.of(classifier), [1] * 200)
    classifier.started.wait(20)
    while len(opened) < 20:
        time.sleep(0.001)
    classifier.gate.set()
    job.future.result(20)

    assert classifier.most_at_once == 1
    assert 1 < max(sizes) <= 16
    assert sum(sizes) == 200


def test_job_that_is_given_up_ends_at_once_and_others_go_on(batcher: Any) -> None:
    classifier = Numbers()
    classifier.gate.clear()
    queue, served = batcher(), Served.of(classifier)
    job, other = queue.submit(served, [1] * 50), queue.submit(served, [2])
    late = Unpredicted("late", "took too long")

    queue.give_up(job, late)
    given_up = job.future.result(0)
    classifier.gate.set()

    assert given_up == [late] * 50
    assert round(100 * other.future.result(20)[0][0]) == 2


def test_closing_ends_jobs_and_threads() -> None:
    before = set(threading.enumerate())  # servers of other tests may still be ending
    classifier = Numbers()
    classifier.gate.clear()
    queue, served = Batcher(open_number), Served.of(classifier)
    job = queue.submit(served, [1] * 50)
    classifier.started.wait(20)

    closing = threading.Thread(target=queue.close)
    closing.start()
    results = job.future.result(20)
    classifier.gate.set()
    closing.join(20)

    assert {result.kind for result in results if isinstance(result, Unpredicted)} == {"stopped"}
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name in ("open-image", "predict")]
    with pytest.raises(QueueFullError, match="shutting down"):
        queue.submit(served, [1])
