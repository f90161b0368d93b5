"""The Label Studio backend under load, beside the usual kind of server, and with faults.

    python -m benchmarks.serving [--quick] [--json]

Servers and clients are processes of their own on one machine; the servers are asked in turns. The peers need Flask,
which is no dependency of Winnow's (`pip install flask`); without it they are left out. `--quick`: a smoke test.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from . import faces
from .embeddings import make_images, rate
from .isolation import isolate
from .load import Load, Seen, local_file, run_elsewhere
from .report import Target, finish
from .servers import Server, swapping_server, usual_server, winnow_server

_CLIENTS = (1, 8, 32)
_SIZE = 224
_IMAGES = 256
_LARGE = 1_200
_CONFIG = (
    '<View><Image name="i" value="$image"/><Choices name="c" toName="i">'
    + "".join(f'<Choice value="{name}"/>' for name in faces.CLASSES)
    + "</Choices></View>"
)
_EMPTY_SHARE = {"corrupt image in each request": 0.25, "Label Studio gone": 0.25, "swaps under load": 0.0}
# Computes without a pause, with capped threads and a low priority, as a training beside the server does.
_TRAINING = """
import os, torch
os.nice(10)
torch.set_num_threads(1)
a = torch.randn(512, 512)
while True:
    (a @ a).sum()
"""


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few requests: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    targets, details = measure(isolate(), quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    seconds, rounds = (0.5, 1) if quick else (8.0, 5)
    folder = faces.save_unlearnt_classifier(home / "classifier", _SIZE)
    root = home / "images"
    paths = make_images(root, 500, 375, "jpg", 16 if quick else _IMAGES)
    addresses = [local_file(Path(path).name) for path in paths]
    engine = _Engine(folder, paths)
    with ExitStack() as stack:
        servers = {"winnow": stack.enter_context(winnow_server(folder, root))}
        if importlib.util.find_spec("flask") is None:
            print("the peers are left out: pip install flask", file=sys.stderr)
        else:
            servers |= {kind: stack.enter_context(usual_server(kind, folder, root)) for kind in ("torch", "onnx")}
        print("clients ...", file=sys.stderr)
        clients = {count: _compared(servers, engine, addresses, count, seconds, rounds) for count in _CLIENTS}
        print("one large request ...", file=sys.stderr)
        large = _large_request(servers["winnow"], addresses, 32 if quick else _LARGE, seconds)
        print("beside a training ...", file=sys.stderr)
        training = _beside_training(servers["winnow"], addresses, seconds)
        memory = {name: server.peak_megabytes() for name, server in servers.items()}
    print("remembering ...", file=sys.stderr)
    remembering = _remembering(folder, root, addresses, seconds, rounds)
    print("faults ...", file=sys.stderr)
    faults = _faults(home, folder, root, addresses, seconds)
    details = {
        "clients": clients,
        "large_request": large,
        "beside_training": training,
        "peak_megabytes": memory,
        "remembering": remembering,
        "faults": faults,
    }
    return _targets(details), details


def _targets(details: dict[str, Any]) -> list[Target]:
    faults, most = details["faults"], details["clients"][_CLIENTS[-1]]
    targets = [
        Target("32 clients: share of the pure forward rate", most["engine"]["share_of_forward"], at_least=0.75),
        Target("one request of 1,200 tasks, seconds", details["large_request"]["seconds"], at_most=100),
        Target("remembering: share of the rate without", details["remembering"]["rate_ratio"], at_least=0.9),
        Target("faults: failed requests", sum(fault["failed"] for fault in faults.values()), at_most=0),
        Target("faults: predictions lost", sum(fault["lost"] for fault in faults.values()), at_most=0),
        Target("swaps: answers of two versions", sum(fault["mixed"] for fault in faults.values()), at_most=0),
    ]
    if "torch" in most:
        targets += [
            Target("32 clients: throughput over Flask with torch", most["torch"]["throughput_ratio"], at_least=1.8),
            Target("32 clients: p99 over Flask's with torch", most["torch"]["p99_ratio"], at_most=0.6),
            Target("32 clients: throughput over Flask with ONNX", most["onnx"]["throughput_ratio"], at_least=0.95),
        ]
    return targets


class _Engine:
    """The classifier without a server."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        from winnow import load_classifier
        from winnow.plugin.machine import available_cores
        from winnow.plugin.vision.engines import engine_for
        from winnow.plugin.vision.pipeline import CPU_BATCH

        self._paths = paths
        self._classifier = load_classifier(folder)
        self._engine = engine_for(self._classifier.network, self._classifier.preprocessing.input, "benchmark")
        self._classifier.use_engine(self._engine)
        self._threads = available_cores() if self._engine.concurrent else 1
        pixels = np.stack([self._classifier.preprocessing(path) for path in paths[:CPU_BATCH]])
        self._batches = [pixels] * max(len(paths) // CPU_BATCH, self._threads)
        self.images = CPU_BATCH * len(self._batches)

    def forward_rate(self) -> float:
        """Return images a second of the network alone, `images` of them, whose pixels lie ready, on all cores."""
        with ThreadPoolExecutor(self._threads) as pool:
            return rate(lambda: list(pool.map(self._engine, self._batches)), self.images)

    def predict_rate(self) -> float:
        """Return images a second from files to probabilities."""
        return rate(lambda: self._classifier.predict(self._paths), len(self._paths))


def _compared(
    servers: dict[str, Server], engine: _Engine, addresses: Sequence[str], clients: int, seconds: float, rounds: int
) -> dict[str, Any]:
    """Ask each server in turn, and the engine; ratios are Winnow's figure over the other's, medians of the rounds."""
    seen: dict[str, list[Seen]] = {name: [] for name in servers}
    costs: dict[str, list[float]] = {name: [] for name in (*servers, "forward")}
    forward, predict = [], []
    for number in range(rounds + 1):
        if number:
            used = time.process_time()
            forward.append(engine.forward_rate())
            costs["forward"].append((time.process_time() - used) / engine.images)
            predict.append(engine.predict_rate())
        for name, server in servers.items():
            load = Load(server.port, addresses, _CONFIG, clients, seconds if number else min(seconds, 2))
            used = server.processor_seconds()
            result = run_elsewhere(load)
            if number:  # the first round warms up
                seen[name].append(result)
                costs[name].append((server.processor_seconds() - used) / max(result.images, 1))
    ours = seen["winnow"]
    alone = {
        "forward_per_second": median(forward),
        "predict_per_second": median(predict),
        "share_of_forward": median(own.rate / alone for own, alone in zip(ours, forward, strict=True)),
        "share_of_predict": median(own.rate / alone for own, alone in zip(ours, predict, strict=True)),
        "forward_processor_seconds_an_image": median(costs["forward"]),
    }
    return {"engine": alone} | {
        name: {
            "images_per_second": median(each.rate for each in results),
            "p50": median(each.quantile(0.5) for each in results),
            "p99": median(each.quantile(0.99) for each in results),
            "failed": sum(each.failed for each in results),
            "processor_seconds_an_image": median(costs[name]),
            "load_generator_share_of_a_core": median(each.processor for each in results),
            "throughput_ratio": median(own.rate / other.rate for own, other in zip(ours, results, strict=True)),
            "p99_ratio": median(
                own.quantile(0.99) / other.quantile(0.99) for own, other in zip(ours, results, strict=True)
            ),
        }
        for name, results in seen.items()
    }


def _large_request(server: Server, addresses: Sequence[str], tasks: int, seconds: float) -> dict[str, float]:
    """Ask for many tasks at once, alone and while another client asks for single ones."""
    large = Load(server.port, addresses, _CONFIG, tasks=tasks, requests=1)
    alone = run_elsewhere(large)
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(run_elsewhere, large)
        time.sleep(seconds / 10)
        single = run_elsewhere(Load(server.port, addresses, _CONFIG, clients=1, seconds=seconds / 2))
        shared = beside.result()
    return {
        "tasks": tasks,
        "seconds": alone.seconds,
        "failed": alone.failed + shared.failed,
        "seconds_beside_a_client": shared.seconds,
        "p99_of_the_client": single.quantile(0.99),
    }


def _beside_training(server: Server, addresses: Sequence[str], seconds: float) -> dict[str, Any]:
    """Return latencies of 8 clients without and with a process that computes at low priority on one thread."""
    load = Load(server.port, addresses, _CONFIG, clients=8, seconds=seconds)
    alone = run_elsewhere(load)
    training = subprocess.Popen([sys.executable, "-c", _TRAINING])
    try:
        time.sleep(seconds / 5)
        beside = run_elsewhere(load)
    finally:
        training.kill()
        training.wait()
    return {
        name: {"images_per_second": each.rate, "p50": each.quantile(0.5), "p99": each.quantile(0.99)}
        for name, each in (("alone", alone), ("beside", beside))
    }


def _remembering(folder: Path, root: Path, addresses: Sequence[str], seconds: float, rounds: int) -> dict[str, float]:
    """Ask a server that remembers its predictions with their vectors, and one that does not, in turns."""
    rates: dict[str, list[float]] = {"off": [], "on": []}
    costs: dict[str, list[float]] = {"off": [], "on": []}
    with winnow_server(folder, root) as off, winnow_server(folder, root, WINNOW_REMEMBER_DAYS="30") as on:
        for number in range(rounds + 1):
            for name, server in (("off", off), ("on", on)):
                used = server.processor_seconds()
                seen = run_elsewhere(Load(server.port, addresses, _CONFIG, clients=_CLIENTS[-1], seconds=seconds))
                if number:  # the first round warms up
                    rates[name].append(seen.rate)
                    costs[name].append((server.processor_seconds() - used) / max(seen.images, 1))
        with urllib.request.urlopen(f"http://127.0.0.1:{on.port}/status", timeout=30) as answer:
            quality = json.load(answer)["quality"]
    return {
        "off_per_second": median(rates["off"]),
        "on_per_second": median(rates["on"]),
        "rate_ratio": median(on / off for on, off in zip(rates["on"], rates["off"], strict=True)),
        "off_processor_seconds_an_image": median(costs["off"]),
        "on_processor_seconds_an_image": median(costs["on"]),
        "remembered": quality["held"]["predictions"],
        "dropped": quality["dropped"],
        "bytes_a_prediction": quality["held"]["bytes"] / max(quality["held"]["predictions"], 1),
    }


def _faults(home: Path, folder: Path, root: Path, addresses: Sequence[str], seconds: float) -> dict[str, Any]:
    """Return what requests of four tasks saw while something was wrong."""
    (root / "broken.jpg").write_bytes(Path(root, "000000.jpg").read_bytes()[:200])
    fourths = {
        "corrupt image in each request": local_file("broken.jpg"),
        "Label Studio gone": "/data/upload/1/gone.jpg",
        "swaps under load": addresses[0],
    }
    found = {}
    for name, fourth in fourths.items():
        asked = [address for each in addresses[:48] for address in (each, each, each, fourth)]
        with swapping_server(folder, root) if "swaps" in name else winnow_server(folder, root) as server:
            seen = run_elsewhere(Load(server.port, asked, _CONFIG, clients=8, seconds=seconds, tasks=4))
        found[name] = {
            "requests": len(seen.latencies),
            "failed": seen.failed,
            "mixed": seen.mixed,
            "lost": abs(seen.empty - round(_EMPTY_SHARE[name] * seen.images)),
            "p99": seen.quantile(0.99),
        }
    return found


if __name__ == "__main__":
    main()
