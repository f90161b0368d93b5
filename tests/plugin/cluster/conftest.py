from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.small_classifier import SIZE, small_backbone
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.preprocessing import Preprocessing

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Ray cluster of two one-thread workers, as `ray start` does, and return its address."""
    pytest.importorskip("ray")
    folder = Path("/tmp") / f"wr{os.getpid()}"  # short: Ray's sockets lie below it
    link = tmp_path_factory.mktemp("import")
    (link / "winnow").symlink_to(ROOT)
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(link), "OMP_NUM_THREADS": "1"}
    ray = str(Path(sys.executable).parent / "ray")
    options = ["--head", "--num-cpus=2", "--port=0", "--include-dashboard=false", "--object-store-memory=100000000"]
    subprocess.run(
        [ray, "start", *options, f"--temp-dir={folder}", "--disable-usage-stats"],
        env=environment,
        cwd=link,
        check=True,
        capture_output=True,
        timeout=120,
    )
    yield (folder / "ray_current_cluster").read_text().strip()
    for process in processes_of(folder):
        process.kill()
    psutil.wait_procs(processes_of(folder), timeout=30)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that write logs below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(file.path.startswith(str(folder)) for file in process.open_files()) and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Return a network of 100,000 random weights."""
    return small_backbone(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def preprocessing(backbone: Backbone) -> Preprocessing:
    return Preprocessing(input=backbone.input).with_size(SIZE)


@pytest.fixture
def images(image_folder: Callable[..., Path]) -> Callable[[int], np.ndarray]:
    """Return a factory of the paths of so many images, old enough for the index of files to trust their times."""

    def make(count: int) -> np.ndarray:
        folder = image_folder(*(f"{number}.png" for number in range(count)))
        paths = [folder / f"{number}.png" for number in range(count)]
        time.sleep(2.1)
        return np.array([str(path) for path in paths], object)

    return make


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a cache of its own, but for exported networks, which take seconds to make."""
    exported = tmp_path_factory.getbasetemp() / "exported"
    exported.mkdir(exist_ok=True)
    (tmp_path / "winnow" / "cache").mkdir(parents=True)
    (tmp_path / "winnow" / "cache" / "onnx").symlink_to(exported)
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "winnow"))
