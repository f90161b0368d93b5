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

from ..errors import DataError

if TYPE_CHECKING:
    from accelerate import Accelerator

_PATIENCE = timedelta(days=7)  # the others wait while the first one embeds


@contextmanager
def leading() -> Iterator[bool]:
    """Yield whether this process leads; another one is done by then, having helped as often as it was asked."""
    if _processes() == 1:
        yield True
        return
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


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))  # torch's launcher says so


def _shared(task: Any) -> Any:
    """Return the first process's task in each of them."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([task])[0]
