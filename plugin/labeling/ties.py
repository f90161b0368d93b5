"""What happens when annotators are split."""

from __future__ import annotations

from enum import StrEnum


class Ties(StrEnum):
    """What becomes of an image about which no answer has more than half of its annotators."""

    OPEN = "open"
    LATEST = "latest"
