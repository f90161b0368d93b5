"""Work done ahead of its consumer, by threads, in order, in bounded memory.

Threads are at hand at once and share what they know. Decoders, ONNX Runtime and hashlib release the interpreter's lock,
so that they keep the cores busy where a network runs on them too; for a GPU, processes read (`readers.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from ..machine import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def work_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    window: int = 128,
    threads: int | None = None,
    chunk: int = 8,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order.

    Args:
        function: Called in threads.
        items: What to call it on; taken by the consumer's thread, at most `window` ahead.
        window: Most results that exist before they are consumed.
        threads: None = one a core.
        chunk: Items a task: handing over single ones costs more than a small image's decoding.

    Raises:
        Exception: Whatever `function` raises; items after it may or may not have been worked on.
    """
    chunk = min(chunk, window)
    with ThreadPoolExecutor(threads or available_cores(), thread_name_prefix="winnow-ahead") as pool:
        pending: deque[Future[list[Result]]] = deque()
        try:
            for task in chunks(items, chunk):
                pending.append(pool.submit(lambda task: [function(item) for item in task], task))
                if (len(pending) + 1) * chunk > window:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items, the last one shorter."""
    rest = iter(items)
    while task := list(islice(rest, size)):
        yield task
