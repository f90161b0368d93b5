"""What may be set about a drift check."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .vectors import VectorParams


@dataclass(frozen=True)
class DriftParams:
    """Settings of `check_drift_of`.

    What is checked is the view, or a part of it; what it is held against is one of the `reference...`, or else what was
    stored with the classifier.

    Attributes:
        classifier: Folder, name or version of a classifier, through whose eyes images are compared; None = through the
            backbone's.
        reference_split: Split of the same dataset.
        reference_view: Saved view of the same dataset.
        reference_tag: Tag of samples of the same dataset.
        reference: Another dataset's name, or a folder or table of images.
        current_split: Only this split of the view is checked.
        current_tag: Only samples of the view with this tag are checked.
        split_field: Field of the splits, "tags", "folders" or "saved views"; None = detected.
        label_field: Field of the labels, `fo.Classification`; None = detected. They tell whether the mix of classes
            changed, and of which class the images that drift are.
        predictions_field: Field of a model's predictions with logits, where no classifier is named.
        slice_by: Fields by whose values to tell which images drift most.
        vectors: How images become vectors, where no classifier is named.
        alpha: False alarms that are accepted, as a share.
        seed: Of everything random.
        score_field: Field for how unlike the reference each image is, 0..1.
        novel_field: Field that marks images which are unlike anything trained on: they may show an unknown class.
    """

    classifier: Path | str | None = None
    reference_split: str | None = None
    reference_view: str | None = None
    reference_tag: str | None = None
    reference: str | None = None
    current_split: str | None = None
    current_tag: str | None = None
    split_field: str | None = None
    label_field: str | None = None
    predictions_field: str | None = None
    slice_by: tuple[str, ...] = ()
    vectors: VectorParams = field(default_factory=VectorParams)
    alpha: float = 0.05
    seed: int = 0
    score_field: str = "drift_score"
    novel_field: str = "drift_novel"
