"""What a person decided about the labels of detections: on each of them, as `label_decisions` says of single labels."""

from __future__ import annotations

from collections.abc import Iterable

import fiftyone as fo
import numpy as np

from .label_decisions import ABOUT, ACCEPTED, DECISION, KEPT, UNSURE, LabelDecisions
from .patches import Patches, label_path
from .views import Collection, dataset_of, every_image


def read_patch_decisions(view: Collection, patches: Patches) -> LabelDecisions:
    """Return what was decided about the labels of these patches, row for row."""
    decided = {key: decision for key, decision, is_valid in _decided(every_image(view), patches.field) if is_valid}

    def among(*decisions: str) -> np.ndarray:
        return np.fromiter((decided.get(key) in decisions for key in patches.ids), dtype=bool, count=len(patches))

    return LabelDecisions(confirmed=among(ACCEPTED, KEPT), unsure=among(UNSURE))


def decided_patches(view: Collection, field: str, among: Iterable[str]) -> list[str]:
    """Return those label ids of a field about whose label anything was decided, void or not, in ascending order."""
    return sorted({key for key, _, _ in _decided(every_image(view), field)}.intersection(among))


def unsure_patches(view: Collection, field: str) -> list[str]:
    """Return the label ids that a view shows and about which a person is unsure, in ascending order."""
    return sorted(key for key, decision, is_valid in _decided(view, field) if is_valid and decision == UNSURE)


def _decided(view: Collection, field: str) -> list[tuple[str, str, bool]]:
    """Return label id, decision and whether that is about the label as it is, wherever a view has a decision."""
    path = label_path(view, field)
    if not all(dataset_of(view).has_field(f"{path}.{name}") for name in (DECISION, ABOUT)):
        return []
    found = view.filter_labels(field, fo.ViewField(DECISION).exists())
    columns = found.values([f"{path}.{name}" for name in ("id", DECISION, "label", ABOUT)], unwind=True)
    return [(key, decision, label == about) for key, decision, label, about in zip(*columns, strict=True)]
