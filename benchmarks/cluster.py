"""A Ray cluster of one-thread workers on this machine: its rate, its overhead, its results, and its kills.

    python -m benchmarks.cluster [--quick] [--json]

Workers are processes of one thread each. The cluster runs before a measurement starts, as where people have one; what
a job takes to connect and to start its workers is in the figures. `--quick`: a few images and one kill of each, a smoke
test. Alone on 2 cores the whole takes some 40 minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from .embeddings import make_images
from .isolation import isolate
from .report import Target, finish

_KILLS, _KILLED = 10, 2_000  # of each kind, and images that a killed job embeds
_WORKERS = 2
_PAIRED = 2_000  # images whose pairs are compared
_REPOSITORY = Path(__file__).parents[1]
# A driver that can be killed: it embeds, and tells how far it is.
_DRIVER = """
import sys
from pathlib import Path
import numpy as np
from benchmarks.cluster import embed

paths = np.array(sorted(map(str, Path(sys.argv[1]).iterdir())), object)[: int(sys.argv[4])]
embed(paths, sys.argv[2], Path(sys.argv[3]), lambda step, done, total: print(done, flush=True))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few images: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    home = isolate()
    targets, details = measure(home, quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    count, kills = (96, 1) if quick else (10_000, _KILLS)
    paths = np.array(make_images(home / "images", 500, 375, "jpg", count), object)
    time.sleep(2.1)  # until their times can be trusted
    os.environ["WINNOW_CORES"] = "1"  # of the plain path, as each worker has one
    _export()
    details: dict[str, Any] = {"images": count, "load before": os.getloadavg()[0]}
    with _cluster(home, 1) as address:
        details["idle daemons, cores"] = idle = _idle_share()
        one = {name: _rate(job, paths, address, home / f"one-{name}") for name, job in _JOBS.items()}
        plain = {name: _rate(job, paths, "", home / f"plain-{name}") for name, job in _JOBS.items()}
    with _cluster(home, _WORKERS) as address:
        two = {name: _rate(job, paths, address, home / f"two-{name}") for name, job in _JOBS.items()}
        print("kills ...", file=sys.stderr)
        some = paths[:_KILLED]
        worker = [_kill_worker(some, address, home / f"worker-{number}", number) for number in range(kills)]
        driver = [_kill_driver(some, address, home / f"driver-{number}", number) for number in range(kills)]
    details |= {"images_per_second": {"plain": plain, "one worker": one, "two workers": two}}
    details |= {"worker kills": worker, "driver kills": driver}
    targets = []
    for name in _JOBS:
        scaled = two[name] / (2 * one[name])
        targets.append(Target(f"{name}: two workers over twice one", scaled, at_least=0.75))
        targets.append(Target(f"{name}: overhead of the cluster", plain[name] / one[name] - 1, at_most=0.10))
    targets += _same(paths, home)
    for name, found in (("worker", worker), ("driver", driver)):
        lost, twice = sum(each["lost"] for each in found), sum(each["twice"] for each in found)
        targets.append(Target(f"{name} killed: images lost", lost, at_most=0))
        targets.append(Target(f"{name} killed: images with two rows", twice, at_most=0))
        redone = max(each["seconds redone"] for each in found)
        targets.append(Target(f"{name} killed: seconds redone, most", redone, at_most=60))
    details["of two cores left by idle daemons"] = 2 - idle
    return targets, details


def embed(paths: np.ndarray, cluster: str, home: Path, progress: Callable[..., None] | None = None) -> Any:
    """Embed by `lite0`, in a home of its own, and return the `Embeddings`."""
    from winnow.plugin.cluster.params import ClusterParams
    from winnow.plugin.cluster.warming import warm_cache
    from winnow.plugin.progress import silent
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    preprocessing = Preprocessing(input=backbone.input)
    with _home(home):
        if cluster:
            where = ClusterParams(cluster=cluster, store=str(home / "store"))
            warm_cache(paths, backbone, preprocessing, where, progress=progress or silent)
        return embed_images(paths, paths, backbone, preprocessing, progress=progress or silent)


def predict(paths: np.ndarray, cluster: str, home: Path) -> np.ndarray:
    """Predict by a classifier of ten classes on `lite0`, and return the (n, 10) logits."""
    from winnow.plugin.cluster.params import ClusterParams
    from winnow.plugin.cluster.warming import warm_cache
    from winnow.plugin.training.inference import cached_in_chunks, predict_in_chunks

    classifier = _classifier()
    with _home(home):
        if not cluster:
            chunks = predict_in_chunks(classifier, paths)
        else:
            where = ClusterParams(cluster=cluster, store=str(home / "store"))
            warm_cache(paths, classifier.as_backbone(), classifier.preprocessing, where, step="predictions")
            chunks = cached_in_chunks(classifier, paths)
        return np.concatenate([chunk.logits for chunk in chunks])


_JOBS: dict[str, Callable[[np.ndarray, str, Path], Any]] = {"embedding": embed, "prediction": predict}


def _classifier() -> Any:
    from winnow.plugin.training.classifier import Classifier
    from winnow.plugin.training.network import ClassifierNetwork
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    network = ClassifierNetwork(backbone.network, backbone.width, 10).eval()
    rng = np.random.default_rng(0)
    network.set_head(rng.normal(0, 0.05, (backbone.width, 10)).astype(np.float32), np.zeros(10, np.float32))
    classes = tuple(map(str, range(10)))
    return Classifier(network, backbone.architecture, backbone.width, classes, Preprocessing(input=backbone.input))


def _export() -> None:
    """Have the networks exported for this machine's home, where workers look: that is done once, not by each job."""
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.engines import engine_of

    classifier = _classifier()
    for backbone in (load_backbone(), classifier.as_backbone()):
        engine_of(backbone, classifier.preprocessing)


def _rate(job: Callable[[np.ndarray, str, Path], Any], paths: np.ndarray, cluster: str, home: Path) -> float:
    job(paths[:2], "", home)  # exports the network for this home
    started = time.monotonic()
    job(paths, cluster, home)
    rate = len(paths) / (time.monotonic() - started)
    print(f"{home.name}: {rate:.1f} images a second", file=sys.stderr)
    return rate


def _same(paths: np.ndarray, home: Path) -> list[Target]:
    """Compare what a cluster left in the cache with what one machine computed: vectors, pairs and flags."""
    from winnow.plugin.curation.duplicates import find_duplicates

    plain, shared = embed(paths, "", home / "plain-embedding"), embed(paths, "", home / "two-embedding")
    difference = float(np.abs(plain.vectors - shared.vectors).max())
    found = [find_duplicates(each.vectors[:_PAIRED], each.thumbnails[:_PAIRED]) for each in (plain, shared)]
    pairs = [set(map(tuple, each.rows.tolist())) for each in found]
    flags = [set(map(tuple, each.rows[each.score >= each.threshold].tolist())) for each in found]
    return [
        Target("largest difference of vectors", difference, at_most=1e-5),
        Target("pairs that only one of them has", float(len(pairs[0] ^ pairs[1])), at_most=0),
        Target("flags that only one of them has", float(len(flags[0] ^ flags[1])), at_most=0),
    ]


def _kill_worker(paths: np.ndarray, cluster: str, home: Path, seed: int) -> dict[str, float]:
    """Embed, and kill a worker at a random moment; return what that cost."""
    at = np.random.default_rng(seed).uniform(0.1, 0.8) * len(paths)
    killed: list[int] = []

    def progress(step: str, done: int, total: int) -> None:
        if done >= at and not killed:
            workers = [each for each in psutil.process_iter() if "Embedder" in " ".join(_command(each))]
            workers[0].kill()
            killed.append(workers[0].pid)

    embed(paths, cluster, home, progress)
    return _cost(paths, home, at, died=1)


def _kill_driver(paths: np.ndarray, cluster: str, home: Path, seed: int) -> dict[str, float]:
    """Embed in a process of its own, kill it at a random moment, and embed again; return what that cost."""
    at = np.random.default_rng(seed).uniform(0.1, 0.8) * len(paths)
    command = [sys.executable, "-c", _DRIVER, str(Path(paths[0]).parent), cluster, str(home), str(len(paths))]
    driver = subprocess.Popen(
        command, cwd=_REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ
    )
    assert driver.stdout is not None
    for line in driver.stdout:
        if int(line) >= at:
            break
    driver.kill()
    driver.wait()
    embed(paths, cluster, home)
    return _cost(paths, home, at, died=_WORKERS)


def _cost(paths: np.ndarray, home: Path, at: float, died: int) -> dict[str, float]:
    """Return what is missing, what is there twice, and how many seconds of work were done twice at most.

    That is what is in the store beyond the images, and a batch, of which nothing is left, for each worker that died.
    """
    from winnow.plugin.cluster.store import Store
    from winnow.plugin.vision.speed import expected_seconds

    store = Store(str(home / "store"))
    (space,) = (path.name for path in (home / "store").iterdir() if path.name != "preflight")
    batches = [len(store.keys(space, name)) for name in store.names(space)]
    found = embed(paths, "", home)
    extra = max(0, sum(batches) - len(paths)) + died * max(batches)
    return {
        "killed after images": round(at),
        "lost": float(found.computed + len(found.failures)),
        "twice": float(len(found.ids) - len(set(found.ids.tolist()))),
        "images redone": float(extra),
        "seconds redone": expected_seconds("lite0", extra),
    }


@contextlib.contextmanager
def _home(folder: Path) -> Iterator[None]:
    before = os.environ["WINNOW_HOME"]
    os.environ["WINNOW_HOME"] = str(folder)
    try:
        yield
    finally:
        os.environ["WINNOW_HOME"] = before


@contextlib.contextmanager
def _cluster(home: Path, workers: int) -> Iterator[str]:
    """Start a cluster as people do, and yield its address."""
    folder = Path("/tmp") / f"wb{os.getpid()}"  # short: Ray's sockets lie below it
    link = home / "import"
    link.mkdir(exist_ok=True)
    if not (link / "winnow").exists():
        (link / "winnow").symlink_to(_REPOSITORY)
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(link), "OMP_NUM_THREADS": "1"}
    options = [f"--num-cpus={workers}", "--port=0", "--include-dashboard=false", "--disable-usage-stats"]
    options += [f"--temp-dir={folder}", "--object-store-memory=100000000"]
    ray = str(Path(sys.executable).parent / "ray")
    subprocess.run([ray, "start", "--head", *options], env=environment, check=True, capture_output=True)
    try:
        yield (folder / "ray_current_cluster").read_text().strip()
    finally:
        daemons = _daemons(folder)
        for process in daemons:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(daemons, timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _daemons(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(file.path.startswith(str(folder)) for file in process.open_files()):
                found.append(process)
    return found


def _idle_share(seconds: float = 5.0) -> float:
    """Return how many cores the cluster's processes take while nothing runs."""
    daemons = _daemons(Path("/tmp") / f"wb{os.getpid()}")

    def used() -> float:
        return sum(sum(each.cpu_times()[:2]) for each in daemons if each.is_running())

    before = used()
    time.sleep(seconds)
    return (used() - before) / seconds


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()
