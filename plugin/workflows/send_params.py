"""The settings of sending."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ..datasets.outgoing import returning_field
from ..datasets.views import Collection
from ..errors import DataError
from ..labeling.image_delivery import Way

# Tasks of one import; what a sender that was killed looks at again is no more than that.
CHUNK = 500
PURPOSES = ("training", "evaluation")


@dataclass(frozen=True)
class SendParams:
    """Settings of `send_to_label_studio`.

    Attributes:
        project: Number of the project to send to; None = that of the last batch, or a new one.
        new_project: Make a new one in any case.
        title: Of a new project; None = the dataset's name.
        label_field: Where labels come back to, of Classification or Classifications; None = detected, `ground_truth`
            where there is none yet.
        fields: In place of `label_field`, CONTROL=FIELD for each control of a labeling config.
        classes: What annotators choose from; empty = those of the label field, and those that are predicted.
        multiple: Whether several classes may apply, where the label field does not say so yet.
        config: File with a labeling config of one's own for a new project; None = made from the classes.
        prediction_field: Field of the predictions that annotators get to see; None = they see none.
        model_version: Of predictions that do not say it themselves.
        images: How images reach annotators: "auto", "local-files", "upload" or "url".
        document_root: The folder that Label Studio serves local files from, as it is seen here; None = not known.
        document_root_there: The same folder as Label Studio sees it, as in a container; None = as it is seen here.
        url_field: Field with the addresses of the images, for "url".
        originals_root: Folder that the originals of display copies are named from; None = the document root, or the
            folder that all images lie in.
        classifier: Folder of a classifier whose value range display copies show; None = the one that the images use.
        data_fields: Fields whose values go into the tasks, for annotators to see or to group by.
        annotators: How many are to label each image.
        blind_share: Share of the tasks that get no prediction, in 0..1.
        group_field: Field whose value names what an image belongs to, such as a patient; all of it is blind, or none.
        purpose: "training", or "evaluation": all tasks are blind.
        batch: Name of the batch; None = the next number.
        limit: Send at most so many, the best ones.
        everything: Of a whole dataset, also what was not selected, and what is labelled.
        unsure: Only what somebody is unsure about, who reviewed the label.
        again: Also what is out in another batch, as when its project was deleted.
        force_sampling: Make the project's order sequential even where it has annotations.
        dry_run: Change nothing; tell what would be done.
    """

    project: int | None = None
    new_project: bool = False
    title: str | None = None
    label_field: str | None = None
    fields: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    multiple: bool = False
    config: Path | str | None = None
    prediction_field: str | None = None
    model_version: str | None = None
    images: Way = "auto"
    document_root: Path | str | None = None
    document_root_there: str | None = None
    url_field: str | None = None
    originals_root: Path | str | None = None
    classifier: Path | str | None = None
    data_fields: tuple[str, ...] = ()
    annotators: int = 1
    blind_share: float = 0.0
    group_field: str | None = None
    purpose: str = "training"
    batch: str | None = None
    limit: int | None = None
    everything: bool = False
    unsure: bool = False
    again: bool = False
    force_sampling: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.images not in get_args(Way):
            raise DataError(f"images can't be sent by '{self.images}'. Choose from {', '.join(get_args(Way))}.")
        if self.images == "url" and not self.url_field:
            raise DataError("name the field that holds the addresses of the images (url_field).")
        if self.purpose not in PURPOSES:
            raise DataError(f"a batch can't be for '{self.purpose}'. Choose from {', '.join(PURPOSES)}.")
        if not 0 <= self.blind_share <= 1:
            raise DataError(f"the blind share must be from 0 to 1, got {self.blind_share}.")
        if self.annotators < 1 or (self.limit is not None and self.limit < 1):
            raise DataError("the number of annotators and the limit must be 1 or more.")
        if self.project is not None and self.new_project:
            raise DataError("name a project or ask for a new one, not both.")
        if self.fields and self.label_field:
            raise DataError("name the label field, or CONTROL=FIELD for each control, not both.")
        for pair in self.fields:
            if not all(part.strip() for part in pair.split("=", 1)) or "=" not in pair:
                raise DataError(f"'{pair}' does not say which field a control's labels go to. Write CONTROL=FIELD.")

    @property
    def pairs(self) -> dict[str, str]:
        """Control -> field, as they were given."""
        pairs = (pair.split("=", 1) for pair in self.fields)
        return {control.strip(): field.strip() for control, field in pairs}

    @property
    def is_url(self) -> bool:
        """Whether images are shown from where they lie."""
        return self.images == "url" or (self.images == "auto" and self.url_field is not None)


def field_of(view: Collection, params: SendParams) -> str:
    """Return the field that the labels of the first control come back to.

    Raises:
        FieldError: See `returning_field`.
    """
    named = next(iter(params.pairs.values()), None)
    return named or returning_field(view, params.label_field, params.prediction_field)[0]
