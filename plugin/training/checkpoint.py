"""The state of an unfinished run on disk, so that a killed one goes on where it was. Tensors and JSON, never a pickle.

One file holds everything and replaces the one before in a single step: whatever moment the process is killed at, a
whole state is found.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

_FILE = "state.safetensors"
_FORMAT = "1"
_KEPT_DAYS = 30

State = tuple[dict[str, torch.Tensor], dict[str, Any]]  # tensors by name, and plain JSON


class Checkpoint:
    """A folder with the state of one run.

    Args:
        folder: Made when the first state is saved.
        seconds: Least time between two states.
    """

    def __init__(self, folder: Path, seconds: float = 60) -> None:
        self._folder, self._seconds = folder, seconds
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Tell whether the last state is old enough for a new one."""
        return time.monotonic() - self._saved_at >= self._seconds

    def save(self, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        """Write a state: tensors by name, and plain JSON.

        Raises:
            OSError: The disk is full, or the folder cannot be written; the state before stays.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{_FILE}.{os.getpid()}"
        # A copy of each: tensors that share memory, such as tied weights, are refused otherwise.
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        try:
            save_file(plain, temporary, metadata={"format": _FORMAT, "values": json.dumps(values)})
            os.replace(temporary, self._folder / _FILE)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._saved_at = time.monotonic()

    def load(self) -> State | None:
        """Return the last state, None where there is none or a damaged one."""
        try:
            with safe_open(self._folder / _FILE, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("format") != _FORMAT:
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(about["values"])  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def remove(self) -> None:
        """Forget the run, which has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)


def remove_old(folder: Path) -> None:
    """Remove the states of runs, and their locks, that nobody has gone on with for a month."""
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime < _KEPT_DAYS * 86_400:
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> State:
    """Return an optimizer's state as tensors by name, and the plain values in it."""
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            (tensors if isinstance(value, torch.Tensor) else values)[f"{index}.{name}"] = value
    return tensors, values


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    """Take over what `optimizer_tensors` returned."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in (*tensors.items(), *values.items()):
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
