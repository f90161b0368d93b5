from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.plugin.vision.pipeline import run_images
from winnow.plugin.vision.preprocessing import Input
from winnow.plugin.vision.regions import Prepared
from winnow.plugin.vision.torch_engine import TorchEngine


class Sums:
    """An engine that gives each image's sum, and notes the sizes of its batches and who called it."""

    def __init__(self, *, concurrent: bool) -> None:
        self.concurrent = concurrent
        self.sizes: list[int] = []
        self.threads: set[int] = set()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        self.threads.add(threading.get_ident())
        return images.reshape(len(images), -1).sum(axis=1, dtype=np.float32)[:, None]


def read(item: int) -> Prepared:
    """Odd tens fail, multiples of seven are known already."""
    if item % 20 == 10:
        return Prepared(reason=f"{item} is bad", note=item)
    if item % 7 == 0:
        return Prepared(note=item)
    return Prepared(np.full((2, 2, 3), item % 256, np.uint8), note=item)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 150), st.integers(1, 40), st.booleans())
def test_every_item_comes_back_in_order_with_its_own_output(count: int, batch_size: int, concurrent: bool) -> None:
    results = list(run_images(range(count), read, Sums(concurrent=concurrent), batch_size))

    assert [prepared.note for prepared, _ in results] == list(range(count))
    for item, (prepared, output) in enumerate(results):
        if read(item).pixels is None:
            assert output is None
            assert prepared.reason == read(item).reason
        else:
            assert output.tolist() == [12 * (item % 256)]


def test_a_gpu_engine_gets_full_batches_from_one_thread() -> None:
    engine = Sums(concurrent=False)

    list(run_images(range(1, 200), read, engine, 16))

    assert set(engine.sizes[:-1]) == {16}
    assert engine.threads == {threading.get_ident()}


class Device(Sums):
    """A device that computes while its caller goes on; notes when it was asked to begin and for what came out."""

    on_gpu = True

    def __init__(self) -> None:
        super().__init__(concurrent=False)
        self.events: list[str] = []

    def room(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.empty(shape, np.uint8)

    def start(self, images: np.ndarray) -> Callable[[], np.ndarray]:
        outputs, number = self(images), len(self.sizes)
        self.events.append(f"begin {number}")

        def finish() -> np.ndarray:
            self.events.append(f"end {number}")
            return outputs

        return finish


def test_a_gpu_begins_with_a_batch_before_the_last_one_is_consumed() -> None:
    engine = Device()

    results = list(run_images(range(1, 700), read, engine))

    assert engine.sizes == [256, 256, sum(read(item).pixels is not None for item in range(1, 700)) - 512]
    assert engine.events == ["begin 1", "begin 2", "end 1", "begin 3", "end 2", "end 3"]
    for item, (_, output) in enumerate(results, start=1):
        assert (output is None) == (read(item).pixels is None)
        assert output is None or output.tolist() == [12 * (item % 256)]


@pytest.mark.parametrize(("batch_size", "at_once"), [(1, 8), (32, 256), (64, 256), (400, 400)])
def test_a_gpu_gets_more_images_at_a_time(batch_size: int, at_once: int) -> None:
    engine = Device()

    list(run_images([1] * 900, read, engine, batch_size))

    assert set(engine.sizes[:-1]) == {at_once}


def test_a_batch_that_is_started_gives_what_one_that_is_called_gives() -> None:
    engine = TorchEngine(torch.nn.Flatten(), Input(size=2, mean=(0, 0, 0), std=(1, 1, 1)))
    images = engine.room((5, 2, 2, 3))
    images[:] = np.random.default_rng(0).integers(0, 256, images.shape)

    finish = engine.start(images)

    np.testing.assert_array_equal(finish(), engine(images))


def test_nothing_is_run_where_nothing_can_be() -> None:
    engine = Sums(concurrent=False)

    results = list(run_images([0, 7, 10, 14], read, engine))

    assert [output for _, output in results] == [None] * 4
    assert engine.sizes == []


class SmallMemory(torch.nn.Module):
    """Fails like a GPU that holds three images; a stand-in, since tests have no GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(images))
        return images.mean(dim=(2, 3))


def test_a_batch_that_does_not_fit_the_memory_is_halved_until_it_does() -> None:
    network = SmallMemory()
    images = np.arange(16, dtype=np.uint8)[:, None, None, None] * np.ones((2, 2, 3), np.uint8)
    engine = TorchEngine(network, Input(size=2, mean=(0, 0, 0), std=(1, 1, 1)), "cpu")

    first = engine(images)
    second = engine(images)

    np.testing.assert_allclose(first[:, 0] * 255, np.arange(16), atol=1e-4)
    np.testing.assert_array_equal(second, first)
    assert set(network.sizes) == {2}


def test_memory_that_does_not_hold_one_image_is_an_error() -> None:
    class Nothing(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        TorchEngine(Nothing(), Input(size=2), "cpu")(np.zeros((4, 2, 2, 3), np.uint8))


class Large(torch.nn.Module):
    """Passes the largest number of half precision on the way to an ordinary one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        halved = torch.is_autocast_enabled(images.device.type)
        return (images * 1e3).to(torch.float16 if halved else torch.float32).mean(dim=(2, 3)).float() / 1e3


def test_numbers_beyond_half_precision_are_computed_in_full(caplog: pytest.LogCaptureFixture) -> None:
    images = np.array([60, 200, 70], np.uint8)[:, None, None, None] * np.ones((2, 2, 3), np.uint8)
    engine = TorchEngine(Large(), Input(size=2, mean=(0, 0, 0), std=(1 / 255,) * 3), "cpu", half=True)

    alone, together = engine(images[:1]), engine(images)

    np.testing.assert_allclose(alone, 60, rtol=1e-3)
    np.testing.assert_allclose(together, np.array([[60], [200], [70]]) * np.ones(3), rtol=1e-6)
    assert "beyond half precision" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_network_stays_where_it_is_when_another_device_runs_it() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 2), torch.nn.Flatten())
    images = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)

    found = [TorchEngine(network, Input(size=2), device)(images) for device in ("cuda", "cpu")]

    assert next(network.parameters()).device.type == "cpu"
    np.testing.assert_allclose(*found, atol=1e-2)
