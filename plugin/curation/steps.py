"""Steps of long work whose results may be kept, so that a job that was killed goes on behind the last of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Arrays = tuple[np.ndarray, ...]
# The name of a step and what does it -> its result, whether it was done now or before.
Steps = Callable[[str, Callable[[], Arrays]], Arrays]


def not_kept(name: str, work: Callable[[], Arrays]) -> Arrays:
    """Do the step."""
    return work()
