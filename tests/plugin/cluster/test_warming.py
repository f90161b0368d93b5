from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.conftest import write_image
from tests.plugin.cluster.conftest import ROOT, processes_of
from tests.small_classifier import SIZE
from winnow.plugin.cluster.params import ClusterParams
from winnow.plugin.cluster.warming import images_a_batch, warm_cache
from winnow.plugin.errors import DataError, JobCancelled
from winnow.plugin.progress import Progress, silent
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.cache_keys import space_of
from winnow.plugin.vision.embeddings import Embeddings, embed_images
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.speed import expected_seconds, is_measured

Images = Callable[[int], np.ndarray]

# A driver in a process of its own, which can be killed.
DRIVER = """
import sys
from pathlib import Path
import numpy as np
from tests.small_classifier import SIZE, small_backbone
from winnow.plugin.cluster.params import ClusterParams
from winnow.plugin.cluster.warming import warm_cache
from winnow.plugin.vision.preprocessing import Preprocessing

folder, cluster, store = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
backbone = small_backbone(Path(sys.argv[4]))
paths = np.array(sorted(map(str, folder.iterdir())), object)
show = lambda step, done, total: print(done, flush=True)
made = Preprocessing(input=backbone.input).with_size(SIZE)
warm_cache(paths, backbone, made, ClusterParams(cluster=cluster, store=store), progress=show)
"""


@pytest.fixture
def warm(backbone: Backbone, preprocessing: Preprocessing, tmp_path: Path) -> Callable[..., None]:
    """Return `warm_cache` by the small network, with a store in a folder unless another one is named."""

    def call(
        paths: np.ndarray, cluster: str, progress: Progress = silent, store: str | None = None, **settings: object
    ) -> None:
        where = ClusterParams(cluster=cluster, store=str(tmp_path / "store") if store is None else store)
        warm_cache(paths, backbone, preprocessing, where, progress=progress, **settings)

    return call


@pytest.fixture
def embed(backbone: Backbone, preprocessing: Preprocessing) -> Callable[..., Embeddings]:
    def call(paths: np.ndarray, **settings: object) -> Embeddings:
        return embed_images(paths, paths, backbone, preprocessing, thumbnails=False, **settings)

    return call


def rows_in(store: Path, backbone: Backbone, preprocessing: Preprocessing) -> int:
    """Return how many vectors were left in a store."""
    from winnow.plugin.cluster.store import Store

    at, space = Store(str(store)), space_of(backbone, preprocessing, "float32")
    return sum(len(at.keys(space, name)) for name in at.names(space))


@pytest.fixture(scope="module")
def shared(
    cluster: str, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[np.ndarray, list[int], str]]:
    """Warm an own home by the cluster; return the paths, what progress told, and what a second job was told."""
    folder = tmp_path_factory.mktemp("shared")
    paths = np.array([str(write_image(folder / "images" / f"{number}.png")) for number in range(60)], object)
    Path(paths[7]).write_bytes(b"no image")
    time.sleep(2.1)
    made, where = Preprocessing(input=backbone.input).with_size(SIZE), ClusterParams(cluster=cluster, store=str(folder))
    told: list[int] = []
    refused: list[str] = []

    def progress(step: str, done: int, total: int) -> None:
        told.append(done)
        if done and not refused:
            with pytest.raises(DataError) as error:
                warm_cache(paths, backbone, made, where, verify=True)
            refused.append(str(error.value))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_HOME", str(folder / "winnow"))
        warm_cache(paths, backbone, made, where, progress=progress)
    yield paths, told, refused[0]


@pytest.fixture
def shared_home(shared: tuple, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the home that the cluster has warmed."""
    folder = Path(shared[0][0]).parents[1]
    monkeypatch.setenv("WINNOW_HOME", str(folder / "winnow"))
    return folder


def test_workers_compute_what_one_machine_computes(
    shared: tuple, shared_home: Path, embed: Callable[..., Embeddings], tmp_path: Path
) -> None:
    plain = embed(shared[0], cache_root=tmp_path / "plain")

    found = embed(shared[0])

    assert found.computed == 0
    np.testing.assert_allclose(found.vectors, plain.vectors, atol=1e-5)
    assert found.ids.tolist() == plain.ids.tolist()
    assert [(each.id, each.reason) for each in found.failures] == [(each.id, each.reason) for each in plain.failures]
    assert len(found.failures) == 1


def test_progress_counts_the_images_of_all_workers(shared: tuple) -> None:
    _, told, _ = shared

    assert (told == sorted(told), told[0], told[-1]) == (True, 0, 60)


def test_a_second_job_of_the_process_is_told_to_wait(shared: tuple) -> None:
    assert "another job of this process" in shared[2]


def test_the_store_spares_another_machine_the_work(
    shared: tuple, shared_home: Path, warm: Callable[..., None], embed: Callable[..., Embeddings]
) -> None:
    for shard in (shared_home / "winnow" / "cache" / "embeddings").rglob("*.safetensors"):
        shard.unlink()  # as if they had been removed for want of space

    readable = np.delete(shared[0], 7)
    warm(readable, "127.0.0.1:1", store=str(shared_home))

    assert embed(readable).computed == 0


def test_nothing_missing_needs_no_cluster(
    images: Images, warm: Callable[..., None], embed: Callable[..., Embeddings]
) -> None:
    paths = images(3)
    embed(paths)

    warm(paths, "127.0.0.1:1")
    warm(paths[:0], "127.0.0.1:1")


def test_workers_speed_decides_the_size_of_their_batches_and_is_not_taken_for_this_machines(
    cluster: str, images: Images, warm: Callable[..., None], backbone: Backbone
) -> None:
    before = images_a_batch(backbone, 1_000_000, 2)

    warm(images(70), cluster)

    assert not is_measured(backbone.name)
    seconds = expected_seconds(f"{backbone.name} on a worker", 1)
    assert images_a_batch(backbone, 1_000_000, 2) == min(int(8 / seconds), 4096) != before


def test_batches_of_a_network_that_never_ran_here_are_short_where_it_is_slow(backbone: Backbone) -> None:
    class Slow(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            time.sleep(0.2)
            return images

    slow = replace(backbone, network=Slow())

    assert images_a_batch(slow, 1_000_000, 2) in range(16, 41)  # of 0.2 seconds and more, eight seconds
    assert images_a_batch(backbone, 1_000_000, 2) > 100
    assert images_a_batch(backbone, 6_400, 2) == 200  # so that the workers end together
    assert images_a_batch(backbone, 10, 2) == 16


def test_a_killed_worker_costs_its_batch_alone(
    cluster: str,
    images: Images,
    warm: Callable[..., None],
    embed: Callable[..., Embeddings],
    tmp_path: Path,
    backbone: Backbone,
    preprocessing: Preprocessing,
) -> None:
    paths = images(600)
    killed: list[int] = []

    def kill(step: str, done: int, total: int) -> None:
        if done and not killed:
            workers = [each for each in psutil.process_iter(["cmdline"]) if "Embedder" in str(each.info["cmdline"])]
            killed.append(workers[0].pid)
            workers[0].send_signal(signal.SIGKILL)

    warm(paths, cluster, kill)

    assert len(killed) == 1
    assert embed(paths).computed == 0
    assert 600 <= rows_in(tmp_path / "store", backbone, preprocessing) <= 600 + 2 * 64


def test_a_killed_driver_goes_on_where_it_stopped(
    cluster: str,
    images: Images,
    warm: Callable[..., None],
    embed: Callable[..., Embeddings],
    tmp_path: Path,
    backbone: Backbone,
    preprocessing: Preprocessing,
) -> None:
    paths = images(600)
    (tmp_path / "weights").mkdir()
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "images"), cluster, str(tmp_path / "store")]
    driver = subprocess.Popen(
        [*command, str(tmp_path / "weights")], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert driver.stdout is not None
    for line in driver.stdout:
        if int(line) > 100:
            break
    driver.kill()
    driver.wait()
    time.sleep(1)
    before = rows_in(tmp_path / "store", backbone, preprocessing)

    warm(paths, cluster)

    assert 100 < before < 600
    assert embed(paths).computed == 0
    assert rows_in(tmp_path / "store", backbone, preprocessing) < 600 + before


def test_cancelling_ends_the_work_and_keeps_what_was_done(
    cluster: str,
    images: Images,
    warm: Callable[..., None],
    tmp_path: Path,
    backbone: Backbone,
    preprocessing: Preprocessing,
) -> None:
    import ray

    def cancel(step: str, done: int, total: int) -> None:
        if done:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        warm(images(300), cluster, cancel)

    assert not ray.is_initialized()
    assert 0 < rows_in(tmp_path / "store", backbone, preprocessing) < 300


@pytest.mark.skipif(sys.platform != "linux", reason="/proc shows each process a folder of its own")
def test_a_folder_that_only_the_driver_sees_is_named_before_work_begins(
    cluster: str, images: Images, warm: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images(4)
    monkeypatch.chdir(tmp_path)
    paths = np.array([f"/proc/self/cwd/images/{number}.png" for number in range(4)], object)

    with pytest.raises(DataError, match=r"node .* can't read 4 of the images .*/proc/self/cwd/images/0.png"):
        warm(paths, cluster)


def test_a_store_that_the_driver_does_not_see_is_named(cluster: str, images: Images, warm: Callable[..., None]) -> None:
    with pytest.raises(DataError, match=r"does not see what node .* wrote to the store 'memory://here'"):
        warm(images(4), cluster, store="memory://here")


def test_a_store_without_permission_is_named(
    cluster: str, images: Images, warm: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DataError, match=r"node .* can't write to the store '.*/file/store'"):
        warm(images(4), cluster, store=str(tmp_path / "file" / "store"))


def test_workers_of_another_version_are_named(
    cluster: str, images: Images, warm: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.__version__", "99.0")  # as if this machine had been upgraded alone

    with pytest.raises(DataError, match=r"node .* has Winnow .*, this machine 99.0"):
        warm(images(4), cluster)


def test_what_is_no_cluster_is_named_in_time(images: Images, warm: Callable[..., None]) -> None:
    import socket

    pytest.importorskip("ray")
    with socket.socket() as listening:
        listening.bind(("", 0))  # Ray takes this machine's own address in place of loopback's
        listening.listen()
        address = f"127.0.0.1:{listening.getsockname()[1]}"

        with pytest.raises(DataError, match="does not answer as a Ray cluster"):
            warm(images(4), address)


def test_a_local_cluster_leaves_no_process_behind(
    images: Images, warm: Callable[..., None], embed: Callable[..., Embeddings]
) -> None:
    pytest.importorskip("ray")
    before, during = set(Path("/tmp").glob("winnow-ray-*")), set[Path]()

    def look(step: str, done: int, total: int) -> None:
        during.update(set(Path("/tmp").glob("winnow-ray-*")) - before)

    paths = images(20)
    warm(paths, "local", look, store="")

    assert embed(paths).computed == 0
    assert [folder.exists() or processes_of(folder) for folder in during] == [[]]
