"""The whole main job on the embedded images, in a process that has no network at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# A network of its own, with nothing in it but the loopback interface that MongoDB listens on; and processes of its own,
# as FiftyOne joins whichever MongoDB it finds running, which would be out of reach here.
UNSHARE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid() != 0:
    UNSHARE.append("--map-root-user")

IN_CI = os.environ.get("CI") == "true"


def without_network(*command: str) -> list[str]:
    return [*UNSHARE, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]


def is_permitted() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run(without_network("true"), capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(
    not IN_CI and not is_permitted(),
    reason="unshare or ip is absent or not permitted (apt-get install util-linux iproute2; needs user namespaces)",
)


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Run `winnow demo --json` without a network, in a home and with a database of its own; return its last line."""
    folder = tmp_path_factory.mktemp("offline")
    own = {
        "HOME": str(folder),
        "WINNOW_HOME": str(folder / "winnow"),
        "FIFTYONE_DATABASE_DIR": str(folder / "database"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "HF_HUB_OFFLINE": "1",
    }
    environment = {name: value for name, value in os.environ.items() if name != "FIFTYONE_PRIVATE_DATABASE_PORT"} | own
    command = without_network(sys.executable, "-m", "winnow", "demo", "--json")
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_no_address_outside_can_be_reached(tmp_path: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"

    run = subprocess.run(without_network(sys.executable, "-c", code), cwd=tmp_path, capture_output=True, text=True)

    assert "Network is unreachable" in run.stderr


def test_demo_does_the_whole_job(summary: dict) -> None:
    keys = {"images", "failures", "duplicates", "leaks", "label_issues", "classifier", "seconds", "planted"}

    assert keys <= summary.keys()
    assert 0.7 < summary["classifier"]["accuracy_clean_test"] <= 1


def test_demo_reports_every_planted_unreadable_file(summary: dict) -> None:
    unreadable = summary["planted"]["unreadable"]

    assert unreadable["planted"] > 0
    assert (unreadable["precision"], unreadable["recall"]) == (1, 1)


@pytest.mark.parametrize("fault", ["duplicates", "label_issues"])
def test_demo_finds_most_planted_faults(summary: dict, fault: str) -> None:
    planted = summary["planted"][fault]

    assert planted["recall"] > 0.5
    assert planted["precision"] > 0.5
