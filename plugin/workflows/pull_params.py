"""The settings of bringing labels back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..labeling.annotator_names import Naming
from ..labeling.reconciling import Conflicts
from ..labeling.ties import Ties

GONE = ("keep", "remove")


@dataclass(frozen=True)
class PullParams:
    """Settings of `pull_from_label_studio`.

    Attributes:
        project: Number of the project in Label Studio; 0 = those that the dataset's batches were sent to.
        batch: Name of the one batch to bring back; None = all.
        file: An export of Label Studio (JSON, JSON-MIN, CSV) or a table of labels, in place of a server.
        labeling_config: The project's labeling config (XML), beside an export: says what aliases stand for.
        fields: Where answers go, each as "CONTROL=FIELD", or "FIELD" where there is one control; () = as the batch
            says.
        conflicts: What becomes of labels that were changed here meanwhile: "show" (they stay, and are told), "keep"
            (they stay for good), "theirs" (annotators are right).
        gone: What becomes of what was deleted in Label Studio: "keep" (labels stay), "remove" (labels go back to what
            they were, and the images can be sent again).
        ties: Without a majority, an image stays "open" (for one more person), or the "latest" answer holds.
        partial: Take the answers of images that wait for further annotators.
        annotators: How they are called: by "number", "name" or "pseudonym".
        adjudicate: Name of a saved view for the images on which annotators disagree.
        label_delimiter: What separates several labels in a cell of a table.
    """

    project: int = 0
    batch: str | None = None
    file: Path | str | None = None
    labeling_config: Path | str | None = None
    fields: tuple[str, ...] = ()
    conflicts: str = Conflicts.SHOW
    gone: str = "keep"
    ties: str = Ties.OPEN
    partial: bool = False
    annotators: str = Naming.NUMBER
    adjudicate: str | None = None
    label_delimiter: str | None = None

    def __post_init__(self) -> None:
        choices = {"conflicts": tuple(Conflicts), "gone": GONE, "ties": tuple(Ties), "annotators": tuple(Naming)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                words = ", ".join(map(str, allowed))
                raise DataError(f"{name} must be one of {words}, got '{getattr(self, name)}'")
