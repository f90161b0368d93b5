"""What the machine offers this process."""

from __future__ import annotations

import math
import os
from pathlib import Path

CORES_VARIABLE = "WINNOW_CORES"


def available_cores() -> int:
    """Return how many cores this process may keep busy: affinity and the container's quota (cgroup v2) count.

    `WINNOW_CORES` lowers it: for processes that share a machine, such as the workers of a cluster.
    """
    cores = _granted_cores()
    asked = os.environ.get(CORES_VARIABLE, "")
    return max(1, min(cores, int(asked))) if asked.isdecimal() else cores


def _granted_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))
