"""What the cache holds, and how to make it smaller."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ..vision.cache_store import (
    CachePart,
    cache_limit,
    cache_parts,
    clear_cache,
    embeddings_root,
    prune_cache,
)


@dataclass(frozen=True)
class CacheReport:
    """What the cache holds after the command.

    Attributes:
        folder: Where it lies.
        parts: Its spaces and networks, the last used first.
        limit: Most bytes that it may take.
        freed: Bytes that the command removed.
    """

    folder: str
    parts: tuple[CachePart, ...]
    limit: int
    freed: int = 0

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        total = sum(part.bytes for part in self.parts)
        parts = [asdict(part) for part in self.parts]
        return {"folder": self.folder, "bytes": total, "limit": self.limit, "freed": self.freed, "parts": parts}

    def text(self) -> str:
        """Return markdown for a person."""
        total = sum(part.bytes for part in self.parts)
        most = f"{readable_size(self.limit)} (WINNOW_CACHE_LIMIT_GB)"
        lines = [f"**{readable_size(total)}** of at most {most} in {self.folder}"]
        if self.freed:
            lines.append(f"{readable_size(self.freed)} were freed.")
        if self.parts:
            lines += ["", "| last used | size | files | what |", "|---|---|---|---|"]
        for part in self.parts:
            used = datetime.fromtimestamp(part.used, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
            lines.append(f"| {used} | {readable_size(part.bytes)} | {part.files:,} | {part.kind}: {part.name} |")
        return "\n".join(lines)


def describe_cache() -> CacheReport:
    """Look at the cache."""
    return _report(freed=0)


def shrink_cache(limit_gb: float | None = None) -> CacheReport:
    """Remove what was used least recently until the rest is below the limit (None = the usual one)."""
    return _report(freed=prune_cache(cache_limit() if limit_gb is None else int(limit_gb * 1e9)))


def empty_cache() -> CacheReport:
    """Remove everything; the next job computes its embeddings again."""
    return _report(freed=clear_cache())


def _report(*, freed: int) -> CacheReport:
    return CacheReport(str(embeddings_root().parent), tuple(cache_parts()), cache_limit(), freed)


def readable_size(count: int) -> str:
    """Return bytes as a person reads them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"
