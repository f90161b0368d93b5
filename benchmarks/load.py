"""Clients of an ML backend, in a process of their own: each asks for its next prediction once it has the last one.

    python -m benchmarks.load < request.json

The request is a JSON object (see `Load`); what was seen is written to stdout as another (see `Seen`).
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Load:
    """What to ask for.

    Attributes:
        port: Of the backend, on loopback.
        addresses: Of images; clients go around them, each from a place of its own.
        label_config: Sent with each request.
        clients: That ask at the same time.
        seconds: For how long; a request that was begun is waited for.
        tasks: In each request.
        requests: A client stops after so many, whatever the time.
    """

    port: int
    addresses: Sequence[str]
    label_config: str
    clients: int = 1
    seconds: float = 10.0
    tasks: int = 1
    requests: int = 1_000_000


@dataclass
class Seen:
    """What came back.

    Attributes:
        images: Predictions that were asked for and answered.
        seconds: From the first request to the last answer.
        latencies: Of each request, in seconds.
        failed: Requests that were answered with anything but 200 and one entry a task.
        empty: Entries without a prediction.
        mixed: Requests whose entries name more than one model version.
        processor: This process's share of one core.
    """

    images: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    empty: int = 0
    mixed: int = 0
    processor: float = 0.0

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds

    def quantile(self, share: float) -> float:
        """Return the latency that this share of the requests did not exceed, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run_elsewhere(load: Load) -> Seen:
    """Ask from a process of its own, whose work does not hold up this one's."""
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=True)
    return Seen(**json.loads(done.stdout))


def run(load: Load) -> Seen:
    """Ask until the time is over."""
    seen, lock = Seen(), threading.Lock()
    began, used = time.monotonic(), time.process_time()

    def client(number: int) -> None:
        order = cycle(load.addresses)
        start = number * len(load.addresses) // load.clients
        addresses = islice(order, start, None)
        for request in range(load.requests):
            if time.monotonic() - began > load.seconds:
                return
            # no task is asked for twice, by no other process either, as by annotators who go through a project
            first = (os.getpid() << 20) + (request * load.clients + number) * load.tasks
            body = _body(load, list(islice(addresses, load.tasks)), first)
            asked = time.monotonic()
            entries = _ask(load.port, body)
            took = time.monotonic() - asked
            with lock:
                seen.latencies.append(took)
                if entries is None or len(entries) != load.tasks:
                    seen.failed += 1
                    continue
                seen.images += len(entries)
                seen.empty += sum(not entry for entry in entries)
                seen.mixed += len({entry["model_version"] for entry in entries if entry}) > 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(load.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.seconds = time.monotonic() - began
    seen.processor = (time.process_time() - used) / seen.seconds
    return seen


def local_file(name: str) -> str:
    """Return the address that Label Studio gives a file below its document root."""
    return f"/data/local-files/?d={quote(name)}"


def _body(load: Load, addresses: Sequence[str], first: int) -> bytes:
    tasks = [{"id": number, "data": {"image": address}} for number, address in enumerate(addresses, first)]
    return json.dumps({"tasks": tasks, "label_config": load.label_config, "project": "1.1"}).encode()


def _ask(port: int, body: bytes) -> list[Any] | None:
    """Return the entries of an answer; a new connection each time, as Label Studio makes it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        return list(json.loads(content)["results"]) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return None
    finally:
        connection.close()


def main() -> None:
    """Run the load that stdin asks for."""
    print(json.dumps(asdict(run(Load(**json.load(sys.stdin))))))


if __name__ == "__main__":
    main()
