from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

import winnow
from tests.fragile_reader import SIZE, FragileReader, Item
from winnow.plugin.errors import DataError
from winnow.plugin.vision import reader_pool, readers
from winnow.plugin.vision.readers import Apart, read_ahead, reader_processes
from winnow.plugin.vision.regions import Prepared

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="processes read on Linux alone")


@pytest.fixture(autouse=True)
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_READERS", "2")
    monkeypatch.setattr(reader_pool, "_MODULES", ())  # they take seconds, and the reader here needs none


@pytest.fixture(autouse=True, scope="module")
def _nothing_stays() -> Iterator[None]:
    yield
    readers.close_readers()


def read(items: Iterable[Item], folder: Path) -> Iterator[Prepared]:
    """Read ahead by processes; pixels are copied, as their memory is used again."""
    reader = FragileReader(str(folder))
    for some in read_ahead(items, reader, on_gpu=True, window=64, apart=Apart(reader, SIZE)):
        for prepared in some:
            if prepared.pixels is not None:
                prepared.pixels = prepared.pixels.copy()
            yield prepared


def fates(found: Iterable[Prepared]) -> list[int | str]:
    """Return the number that each image's pixels show, or why it has none."""
    return [prepared.reason if prepared.pixels is None else int(prepared.pixels.max()) for prepared in found]


def children() -> set[int]:
    """Return the processes that read for this one."""
    found = set()
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since, and a zombie has none either
            if "reader_process" in " ".join(each.cmdline()):
                found.add(each.pid)
    return found


@pytest.mark.parametrize("count", [0, 1, 15, 250])
def test_processes_give_what_threads_give_in_order(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(number, "is bad" if number % 20 == 7 else "") for number in range(count)]
    found = list(read(items, tmp_path))

    monkeypatch.setenv("WINNOW_READERS", "threads")
    expected = list(read(items, tmp_path))

    assert fates(found) == fates(expected)
    assert [each.note for each in found] == [each.note for each in expected] == list(range(count))


def test_images_that_fill_the_memory_come_in_smaller_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_pool, "_MEMORY", 20 * SIZE * SIZE * 3)

    assert fates(read(map(Item, range(100)), tmp_path)) == list(range(100))


@pytest.mark.parametrize("does", ["is killed", "crashes"])
def test_an_image_that_ends_its_process_twice_costs_only_itself(does: str, tmp_path: Path) -> None:
    found = fates(read([Item(number, does if number == 21 else "") for number in range(60)], tmp_path))

    assert "ended the process" in str(found[21])
    assert found[:21] + found[22:] == [*range(21), *range(22, 60)]


def test_a_process_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    items = [Item(number, "is killed once" if number in (0, 40) else "") for number in range(60)]

    assert fates(read(items, tmp_path)) == list(range(60))


def test_processes_that_are_killed_between_jobs_are_replaced(tmp_path: Path) -> None:
    list(read([Item(0)], tmp_path))
    before = children()
    for process in before:
        os.kill(process, signal.SIGKILL)

    assert fates(read(map(Item, range(40)), tmp_path)) == list(range(40))
    assert not before & children()


def test_a_job_after_another_finds_its_processes_running(tmp_path: Path) -> None:
    list(read([Item(0)], tmp_path))
    first = children()

    list(read([Item(1)], tmp_path))

    assert children() == first


def test_jobs_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    first, second = read(map(Item, range(90)), tmp_path), read(map(Item, range(100, 190)), tmp_path)

    pairs = list(zip(first, second, strict=True))

    assert fates(one for one, _ in pairs) == list(range(90))
    assert fates(other for _, other in pairs) == list(range(100, 190))


def test_an_error_of_the_reader_reaches_the_consumer_and_ends_the_processes(tmp_path: Path) -> None:
    readers.close_readers()

    with pytest.raises(RuntimeError, match="ValueError: 30 raises"):
        list(read([Item(number, "raises" if number == 30 else "") for number in range(60)], tmp_path))

    assert children() == set()


def test_a_consumer_that_stops_early_ends_the_processes(tmp_path: Path) -> None:
    readers.close_readers()
    found = read(map(Item, range(10_000)), tmp_path)

    next(found)
    running = children()
    found.close()

    assert len(running) == 2
    assert children() == set()


def test_processes_without_work_end_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers.close_readers()
    monkeypatch.setattr(readers, "_IDLE_SECONDS", 0.05)

    list(read([Item(0)], tmp_path))

    deadline = time.monotonic() + 20
    while children() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert children() == set()


def test_a_process_knows_this_very_package_and_not_fiftyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers.close_readers()
    monkeypatch.undo()  # all is imported that is imported in earnest
    monkeypatch.setenv("WINNOW_READERS", "1")

    ((process, package, packages),) = [each.note for each in read([Item(0, "looks around")], tmp_path)]

    assert process != os.getpid()
    assert package == winnow.__file__
    assert "torch" in packages
    assert not packages & {"fiftyone", "pymongo", "mongoengine"}


@pytest.mark.parametrize("executable", ["/bin/false", "/no/such/python"])
def test_threads_read_where_no_process_starts(
    executable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    readers.close_readers()
    monkeypatch.setattr(reader_pool, "get_executable", lambda: executable)

    assert fates(read(map(Item, range(200)), tmp_path)) == list(range(200))
    assert "threads read" in caplog.text


# Not guarded by `if __name__ == "__main__"`, as many scripts are.
SLEEPER = """
import sys, time
from tests.fragile_reader import FragileReader, Item, SIZE
from winnow.plugin.vision.readers import Apart, read_ahead
from winnow.plugin.vision import reader_pool
reader_pool._MODULES = ()
reader = FragileReader(sys.argv[1])
found = read_ahead(map(Item, range(10_000)), reader, on_gpu=True, window=64, apart=Apart(reader, SIZE))
next(found)
import psutil
print(*(child.pid for child in psutil.Process().children()), flush=True)
time.sleep(60)
"""


def test_processes_end_with_the_one_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLEEPER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as script:
        started = [int(pid) for pid in script.stdout.readline().split()]
        script.kill()

    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(started) == 2
    assert not any(is_running(pid) for pid in started)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("asked", "cores", "on_gpu", "images", "processes"),
    [
        ("", 16, True, 100_000, 15),
        ("", 16, True, 100, 0),  # they would take longer to start
        ("", 2, True, 100_000, 0),
        ("", 16, False, 100_000, 0),  # the network needs the cores
        ("", 128, True, 100_000, 32),
        ("threads", 16, True, 100_000, 0),
        ("processes", 16, False, 10, 15),
        ("processes", 1, True, 10, 1),
        ("3", 16, True, 10, 3),
    ],
)
def test_processes_read_where_they_pay_or_where_asked(
    asked: str, cores: int, on_gpu: bool, images: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_READERS", asked)
    monkeypatch.setattr(readers, "available_cores", lambda: cores)

    assert reader_processes(images, on_gpu=on_gpu) == processes


@pytest.mark.parametrize("asked", ["0", "-1", "many", "1.5"])
def test_what_means_nothing_is_an_error(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_READERS", asked)

    with pytest.raises(DataError, match="WINNOW_READERS"):
        reader_processes(1, on_gpu=True)
