"""How long images take on this machine, as its last runs measured it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from ..machine import available_cores
from .cache_store import embeddings_root

_FILE = "speed.json"
_CORE_SECONDS = 0.03  # an image, where nothing was measured: about three times what lite0 takes on a core of 2024
_ENOUGH = 64  # images, for a measurement that means something


def expected_seconds(backbone: str, images: int, root: Path | None = None) -> float:
    """Return about how many seconds it takes to compute the vectors of so many images, none of which is known yet."""
    measured = _read(root or embeddings_root()).get(backbone, _CORE_SECONDS)
    return images * measured / available_cores()


def is_measured(backbone: str, root: Path | None = None) -> bool:
    """Tell whether a run of this machine measured it; else `expected_seconds` is a guess."""
    return backbone in _read(root or embeddings_root())


def remember_speed(backbone: str, images: int, seconds: float, root: Path) -> None:
    """Keep how long a run took; one of few images, or a folder that cannot be written, is passed over."""
    if images < _ENOUGH:
        return
    known = _read(root) | {backbone: seconds * available_cores() / images}
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile("w", dir=root, delete=False) as file:
        file.write(json.dumps(known))
        file.close()
        os.replace(file.name, root / _FILE)


def _read(root: Path) -> dict[str, float]:
    try:
        known = json.loads((root / _FILE).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: float(value) for name, value in known.items() if isinstance(value, (int, float)) and value > 0}
