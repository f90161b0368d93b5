"""The one place that touches torch's global generator, which dropout, timm and torchvision draw from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Draw from a state that these numbers alone decide, and leave the state as it was before.

    So a step's randomness does not depend on the steps before it, and a training that was killed goes on as if it
    never had been.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed_of(*numbers))
        yield


def seed_of(*numbers: int) -> int:
    """Return a 64-bit seed for these numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
