"""What every benchmark shares: targets, the machine, peak memory, one JSON object as the last line."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Target:
    """A figure that an issue asks for, and what was measured."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        """Whether the figure lies on the right side of its bound; NaN never does."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most) and self.value == self.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON without the bound that is not set."""
        bounds = {name: bound for name, bound in asdict(self).items() if bound is not None}
        return {**bounds, "value": round(self.value, 4), "met": self.met}


def finish(targets: list[Target], details: dict[str, Any], *, as_json: bool) -> None:
    """Print the targets for a person (on stderr with `as_json`) and, with `as_json`, everything as the last line."""
    out = sys.stderr if as_json else sys.stdout
    for target in targets:
        bound = f">= {target.at_least}" if target.at_least is not None else f"<= {target.at_most}"
        print(f"{'met   ' if target.met else 'MISSED'} {target.name}: {target.value:.3f} (wanted {bound})", file=out)
    if as_json:
        everything = {"targets": [target.to_dict() for target in targets], **details, "machine": machine()}
        print(json.dumps(everything, ensure_ascii=False))


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    packages = ("fiftyone", "torch", "timm", "onnxruntime", "faiss-cpu", "numpy", "pillow")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: installed for name in packages if (installed := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # what needs no FiftyOne can be measured where there is none
        return None


def peak_memory() -> float:
    """Return the largest resident size of this process so far, in GB."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e9 if sys.platform == "darwin" else 1e6)
