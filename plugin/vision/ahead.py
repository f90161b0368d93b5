"""Work done ahead of its consumer, by threads, in order, in bounded memory.

Threads rather than processes: Pillow and hashlib release the GIL, forking a process that holds a MongoDB client is
unsafe, and a spawned process cannot import a FiftyOne plugin's modules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .machine import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 8  # items a task: handing over single ones costs more than a small image's decoding


def work_ahead(
    function: Callable[[Item], Result], items: Sequence[Item], *, window: int = 128, threads: int | None = None
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order.

    Args:
        function: Called in threads.
        items: What to call it on.
        window: Most results that exist before they are consumed.
        threads: None = one a core.

    Raises:
        Exception: Whatever `function` raises; items after it may or may not have been worked on.
    """
    with ThreadPoolExecutor(threads or available_cores(), thread_name_prefix="winnow-ahead") as pool:
        pending: deque[Future[list[Result]]] = deque()
        try:
            for start in range(0, len(items), _CHUNK):
                chunk = items[start : start + _CHUNK]
                pending.append(pool.submit(lambda chunk: [function(item) for item in chunk], chunk))
                if len(pending) * _CHUNK >= window:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
