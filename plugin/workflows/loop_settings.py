"""The settings of an active-learning loop: those it begins with, and what may be changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, make_dataclass, replace
from typing import Any

from ..errors import DataError
from ..training.recipe import PRESETS

ACTIONS = ("status", "start", "next", "stop")
METRICS = ("accuracy", "macro_f1")
# What the frozen evaluation set and the labels hang on.
_FIXED = ("label_field", "several", "split_field", "group_by", "evaluation_images", "evaluation_split")


@dataclass(frozen=True)
class LoopSettings:
    """How a loop goes.

    Attributes:
        label_field: Field of the labels; None = the only one, or `ground_truth`, which is made where there is none.
        several: An image may have several labels; only asked where the field is to be made.
        classes: Names of the classes, where no label tells them yet.
        split_field: Field with splits of the user's, or "tags"; None = detected. Images of a test or validation split
            are neither picked nor trained on.
        group_by: What tells which images belong together, as for splits.
        duplicates: Look for near-duplicates where that was not done since images were added.
        evaluation_images: How many images are set aside to measure on; at most a fifth of all.
        evaluation_split: A split to measure on instead of a random part.
        batch: Images a round.
        strategy: How they are picked, see `curation.selection`.
        target_classes: Rare or weak classes of which more are wanted.
        share: Share of a batch, in 0..1, that must be labelled or skipped before the loop goes on.
        preset: How a round's classifier is trained: "probe" (seconds), "quick" or "strong".
        budget_minutes: Processor minutes that a round's training may take.
        metric: What counts: "accuracy" (micro F1 where an image may have several labels), or "macro_f1", in which rare
            classes count as much as frequent ones.
        patience: Rounds without a gain after which to stop.
        least_gain: Percentage points that 100 more labels must be expected to bring.
        label_studio: Batches go out to Label Studio, and come back from there.
        project: Of Label Studio; None = a new one.
        annotators: How many are to label each image in Label Studio.
        pre_annotate: What the last round's classifier says of a batch goes with it, into the field NAME_prediction and
            to Label Studio; never with the evaluation set.
        blind_share: Share of such a batch, in 0..1, that annotators in Label Studio get without.
        images: How images reach annotators there, as for sending: "auto", "local-files", "upload" or "url".
        document_root: The folder that it serves local files from; None = not known.
        backbone: See `VectorParams`.
        seed: Of everything random.
    """

    label_field: str | None = None
    several: bool = False
    classes: tuple[str, ...] = ()
    split_field: str | None = None
    group_by: tuple[str, ...] = ()
    duplicates: bool = True
    evaluation_images: int = 200
    evaluation_split: str | None = None
    batch: int = 50
    strategy: str = "auto"
    target_classes: tuple[str, ...] = ()
    share: float = 0.9
    preset: str = "probe"
    budget_minutes: float = 10.0
    metric: str = "accuracy"
    patience: int = 3
    least_gain: float = 0.1
    label_studio: bool = False
    project: int | None = None
    annotators: int = 1
    pre_annotate: bool = False
    blind_share: float = 0.0
    images: str = "auto"
    document_root: str | None = None
    backbone: str = "lite0"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("evaluation_images", 1), ("batch", 1), ("patience", 1), ("annotators", 1)):
            if getattr(self, name) < least:
                raise DataError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        if not 0 <= self.share <= 1:
            raise DataError(f"share must be between 0 and 1, as in 0.9 for nine in ten, got {self.share:g}.")
        if not self.budget_minutes > 0:
            raise DataError(f"budget_minutes must be above 0, got {self.budget_minutes:g}.")
        for name, known in (("metric", METRICS), ("preset", tuple(PRESETS))):
            if getattr(self, name) not in known:
                raise DataError(f"{name} must be one of {', '.join(known)}, got '{getattr(self, name)}'.")

    @staticmethod
    def of(saved: Mapping[str, Any]) -> LoopSettings:
        """Return what was saved as plain JSON."""
        known = {each.name for each in fields(LoopSettings)}
        return LoopSettings(**{name: _typed(name, value) for name, value in saved.items() if name in known})

    def changed(self, changes: Any) -> LoopSettings:
        """Return other settings; None leaves a setting as it is.

        Args:
            changes: `LoopChanges`.
        """
        given = {name: value for name, value in asdict(changes).items() if value is not None}
        return replace(self, **{name: _typed(name, value) for name, value in given.items()})


_CHANGES = "Settings of a loop that are to be others: None = as it was, or the default."

# All of them open.
LoopChanges = make_dataclass(
    "LoopChanges",
    [(each.name, Any, field(default=None)) for each in fields(LoopSettings)],
    frozen=True,
    namespace={
        "__module__": __name__,
        "__doc__": str(LoopSettings.__doc__).replace("How a loop goes.", _CHANGES, 1),
    },
)

AS_IT_WAS = LoopChanges()


@dataclass(frozen=True)
class LabelFile:
    """A file with labels: an export of Label Studio, or a table with the columns path (or sample) and label.

    Attributes:
        path: Of the file.
        label_delimiter: What separates several labels in a cell of a table.
    """

    path: str
    label_delimiter: str | None = None


@dataclass(frozen=True)
class LoopParams:
    """What to do with a loop.

    Attributes:
        action: "status" (tell where it stands), "start", "next" (go one step on) or "stop".
        name: Name of the loop; a dataset may have several.
        labels: File with labels that came back, see `LabelFile`.
        label_delimiter: What separates several labels in a cell of it.
        go_on: Pick another batch although the curve says to stop, or the loop was stopped.
        changes: Settings that are to be other than they were, or than the defaults.
    """

    action: str = "status"
    name: str = "loop"
    labels: str | None = None
    label_delimiter: str | None = None
    go_on: bool = False
    changes: Any = AS_IT_WAS  # mypy does not know classes that are made of others

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise DataError(f"action must be one of {', '.join(ACTIONS)}, got '{self.action}'.")

    @property
    def label_file(self) -> LabelFile | None:
        """The file with labels, None where there is none."""
        return LabelFile(self.labels, self.label_delimiter) if self.labels else None


def _typed(name: str, value: Any) -> Any:
    """Return a value as the setting has it: JSON knows no tuples, and a form makes every number a fraction."""
    if isinstance(value, list):
        return tuple(value)
    default = next(each.default for each in fields(LoopSettings) if each.name == name)
    whole = name == "project" or (isinstance(default, int) and not isinstance(default, bool))
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


WHERE_IT_STANDS = LoopParams()


def check_changes(settings: LoopSettings, changed: LoopSettings, name: str) -> None:
    """Make sure that a loop that has begun can go on with other settings.

    Raises:
        DataError: They touch what its evaluation set and its labels hang on.
    """
    for each in _FIXED:
        if getattr(settings, each) != getattr(changed, each):
            raise DataError(
                f"{each} of loop '{name}' is {getattr(settings, each)!r} since it began and can't be changed to "
                f"{getattr(changed, each)!r}. Leave it out, or begin another loop: --name."
            )
