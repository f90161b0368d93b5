"""Several processes that train one network together, as `accelerate launch -m winnow train ...` starts them.

The first one leads: it alone reads the dataset, judges, saves and speaks. The others wait for what it wants to have
trained, and share its batches.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..errors import DataError, WinnowError

if TYPE_CHECKING:
    from accelerate import Accelerator

_PATIENCE = timedelta(days=7)  # the others wait while the first one embeds


class LauncherError(WinnowError):
    """The launcher started the processes in a way in which they would not find each other."""


@contextmanager
def leading() -> Iterator[bool]:
    """Yield whether this process leads; another one is done by then, having helped as often as it was asked.

    Raises:
        LauncherError: The launcher would start the processes again where they cannot find each other.
    """
    if _processes() == 1:
        yield True
        return
    _check_restarts()
    if make_accelerator().is_main_process:
        try:
            yield True
        finally:
            _shared(None)
        return
    from .trainer import help_to_fine_tune

    while (task := _shared(None)) is not None:
        try:
            help_to_fine_tune(*task)
        except DataError:
            continue  # the first process has the same and tells it
    yield False


def make_accelerator() -> Accelerator:
    """Return what knows the device and the other processes; it cannot be made with other settings later on."""
    import torch  # late: the command line asks for `leading` before anything is known to need torch
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    on_cpu = not torch.cuda.is_available()
    handlers = []
    if _processes() > 1:
        handlers = [InitProcessGroupKwargs(backend="gloo" if on_cpu else "nccl", timeout=_PATIENCE)]
    return Accelerator(cpu=on_cpu, mixed_precision="no", kwargs_handlers=handlers)


def ask_for_help(*task: Any) -> None:
    """Hand a task to the other processes, where there are any: they call `help_to_fine_tune` with it."""
    if _processes() > 1:
        _shared(task)


def _check_restarts() -> None:
    # Processes that are started again find the addresses of those before them in a store that outlives a restart, and
    # wait for an answer (seen with torch 2.14). torch makes a new store for each start where it may not share its own,
    # which it can with the rendezvous c10d alone.
    if os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") == "0":
        return
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise LauncherError(
            "torch's launcher may restart these processes (--max-restarts), but after a restart they would wait for "
            "each other's old addresses. Start it with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in its environment and "
            "--rdzv-backend c10d, or with --max-restarts 0"
        )


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))  # torch's launcher says so


def _shared(task: Any) -> Any:
    """Return the first process's task in each of them."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([task])[0]
