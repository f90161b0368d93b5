"""Suggested changes to the labels of images that may have several: which to add, and which to remove.

They are a field of `fo.Classifications` beside the labels, one element a change: `label` names the class, `change` is
"add" or "remove", and `confidence` is the probability that the labels as they are are wrong there. The App draws and
filters them like labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from .action_log import chunks
from .fields import write_label_lists
from .views import Collection, every_image

ADD, REMOVE = "add", "remove"

_CHANGE, _REST = "change", "other_quality"
_CHUNK = 20_000


@dataclass(frozen=True)
class LabelChange:
    """One label that an image should get, or lose.

    Attributes:
        label: Name of the class.
        change: "add" or "remove".
        confidence: Probability that the image's labels are wrong about this class.
    """

    label: str
    change: str
    confidence: float


@dataclass(frozen=True)
class SampleChanges:
    """What is suggested for one image.

    Attributes:
        changes: The changes, the surest first.
        rest: Lowest quality of the image's labels that no change is suggested for: what is left when all are decided.
    """

    changes: tuple[LabelChange, ...]
    rest: float = 1.0

    def document(self) -> dict[str, Any] | None:
        """Return how the database keeps it; None where no change is left."""
        return dict(self.labels().to_dict()) if self.changes else None

    def labels(self) -> fo.Classifications:
        """Return it as FiftyOne's labels."""
        labels = [
            fo.Classification(label=each.label, confidence=each.confidence, **{_CHANGE: each.change})
            for each in self.changes
        ]
        return fo.Classifications(classifications=labels, **{_REST: self.rest})


def write_changes(
    view: Collection,
    field: str,
    ids: Sequence[str] | np.ndarray,
    suggested: Sequence[SampleChanges],
    *,
    label_field: str | None = None,
) -> None:
    """Make `field` hold these suggestions, and nothing of an earlier run.

    Args:
        view: The collection that the job ran on.
        field: Name of the field.
        ids: n sample ids.
        suggested: What is suggested for each.
        label_field: Field that the job read its labels from; it can't be written to.

    Raises:
        FieldError: As for `fields.write_values`.
    """
    write_label_lists(
        view,
        field,
        ids,
        [each.labels() for each in suggested],
        attributes={_CHANGE: fo.StringField},
        of_lists={_REST: fo.FloatField},
        label_field=label_field,
    )


def read_changes(view: Collection, field: str, ids: Sequence[str]) -> Mapping[str, SampleChanges]:
    """Return sample id -> what is suggested for it, of those samples that have a suggestion."""
    paths = [f"{field}.classifications.{name}" for name in ("label", _CHANGE, "confidence")]
    found: dict[str, SampleChanges] = {}
    for chunk in chunks(ids, _CHUNK):
        view_of_chunk = every_image(view).select(chunk)
        columns = view_of_chunk.values(["id", *paths, f"{field}.{_REST}"])
        for key, labels, kinds, confidences, rest in zip(*columns, strict=True):
            if labels:
                # Rounded, since a confidence of 0.95 comes back as 0.94999.
                each = zip(labels, kinds, (round(value, 4) for value in confidences), strict=True)
                found[key] = SampleChanges(tuple(LabelChange(*values) for values in each), rest)
    return found
