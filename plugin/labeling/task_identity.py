"""How a task says which sample it was made of.

Label Studio numbers tasks as it likes, and deletes, copies and exports them, so nothing is ever matched by position or
task id alone. A task's data holds, beside its image:

- `winnow_sample`: the sample's id, which no two samples of a database share;
- `winnow_dataset`: the name that the dataset had, for people: datasets are renamed;
- `winnow_sha256`: the SHA-256 of the image file that was sent, 64 hexadecimal digits;
- `winnow_batch`: what it was sent with;
- `winnow_blind`: true where annotators are not to see a prediction; absent elsewhere.

Of a display copy's original, `originals.py` tells the keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SAMPLE, DATASET, SHA256, BATCH, BLIND = (
    "winnow_sample",
    "winnow_dataset",
    "winnow_sha256",
    "winnow_batch",
    "winnow_blind",
)
_SAMPLE_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class TaskIdentity:
    """Which sample a task shows.

    Attributes:
        sample_id: 24 hexadecimal digits.
        dataset: Name of the dataset when it was sent; may be empty.
        sha256: Of the file that was sent; whatever the task holds, so it may be no hash at all.
        batch: Name of the batch; may be empty.
        blind: Whether annotators are not to see a prediction.
    """

    sample_id: str
    dataset: str
    sha256: str
    batch: str
    blind: bool = False

    def data(self) -> dict[str, str | bool]:
        """Return what the task's data holds beside the image."""
        marks: dict[str, str | bool] = {
            SAMPLE: self.sample_id,
            DATASET: self.dataset,
            SHA256: self.sha256,
            BATCH: self.batch,
        }
        return marks | {BLIND: True} if self.blind else marks


def identity(data: Mapping[str, Any]) -> TaskIdentity | None:
    """Return which sample a task's data names; None where Winnow did not send the task, or the name is damaged."""
    sample_id = data.get(SAMPLE)
    if not isinstance(sample_id, str) or not _SAMPLE_ID.fullmatch(sample_id):
        return None
    dataset, sha256, batch = (str(data.get(key) or "") for key in (DATASET, SHA256, BATCH))
    return TaskIdentity(sample_id, dataset, sha256, batch, is_marked_blind(data))


def is_marked_blind(data: Mapping[str, Any]) -> bool:
    """Tell whether a task's data says that annotators are not to see a prediction.

    CSV exports that are imported again hold texts in place of truth values.
    """
    return str(data.get(BLIND, "")).lower() == "true"
