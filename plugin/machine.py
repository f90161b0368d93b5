"""What the machine offers this process."""

from __future__ import annotations

import math
import os
from pathlib import Path


def available_cores() -> int:
    """Return how many cores this process may keep busy: affinity and the container's quota (cgroup v2) count."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))
