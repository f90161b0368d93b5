"""How a dataset stands: what needs attention first, and for each figure the samples behind it and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..datasets.class_counts import ClassCounts
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress, silent
from . import dataset_health_classes as of_classes
from . import dataset_health_findings as of_findings
from . import dataset_health_labels as of_labels
from . import dataset_health_work as of_work
from .dataset_health_figures import Behind, Figure, Level
from .dataset_health_sources import Sources, read_sources
from .wording import counted

# In the order in which figures of one level are told.
_FIGURES: dict[str, Callable[[Sources], Figure | None]] = {
    "leaks": of_findings.leaks,
    "label_issues": of_labels.label_issues,
    "duplicates": of_findings.duplicates,
    "unreadable": of_findings.unreadable,
    "classes": of_classes.classes,
    "balance": of_classes.balance,
    "labeling": of_work.labeling,
    "unlabelled": of_classes.unlabelled,
    "predictions": of_work.predictions,
    "classifiers": of_work.classifiers,
    "decisions": of_work.decisions,
    "embeddings": of_work.embeddings,
}
_LEVELS = {
    Level.ACT: "Needs attention",
    Level.STALE: "Older than the dataset",
    Level.UNKNOWN: "Not known yet",
    Level.GOOD: "In order",
}


@dataclass(frozen=True)
class DatasetHealthParams:
    """Settings of `dataset_health`.

    Attributes:
        label_field: Field of the labels, one an image or several; None = the one that was searched for label issues
            last, else `ground_truth` or the first.
        split_field: Field of the splits, or "tags"; None = the one that was searched for leaks last, else detected.
        prediction_field: Field of the predictions; None = the one that was predicted into last.
    """

    label_field: str | None = None
    split_field: str | None = None
    prediction_field: str | None = None


@dataclass(frozen=True, eq=False)
class DatasetHealth:
    """How a collection stands.

    Attributes:
        dataset: Name of the dataset.
        images: Number of images.
        counts: Images by class and split.
        label_field: Field of the labels, None where there are none.
        split_source: Where the splits are, None where there are none.
        figures: What is known, what needs attention first.
        notes: What a reader should know of all of them.
        made_at: When it was counted (UTC).
    """

    dataset: str
    images: int
    counts: ClassCounts
    label_field: str | None
    split_source: str | None
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    made_at: datetime

    def figure(self, key: str) -> Figure:
        """Return the figure of a name."""
        return next(figure for figure in self.figures if figure.key == key)

    def by_level(self) -> Iterator[tuple[str, list[Figure]]]:
        """Yield a heading and the figures below it."""
        for level, title in _LEVELS.items():
            found = [figure for figure in self.figures if figure.level is level]
            if found:
                yield title, found

    def headline(self) -> str:
        """Return size, classes and splits in a sentence."""
        parts = [counted(self.images, "image")]
        if self.label_field:
            parts.append(f"{counted(len(self.counts.classes), 'class', 'classes')} in `{self.label_field}`")
        splits = [
            f"{split} {total:,}" if split else f"in no split {total:,}"
            for split, total in zip(self.counts.splits, self.counts.totals.tolist(), strict=True)
        ]
        told = f"{', '.join(splits)} (from `{self.split_source}`)" if self.counts.named.any() else "no splits"
        return f"{', '.join(parts)}; {told}."

    def verdict(self) -> str:
        """Return how many things need attention, in a sentence."""
        number = sum(figure.level is Level.ACT for figure in self.figures)
        if not number:
            return "Nothing that is known needs attention."
        return f"{counted(number, 'thing needs', 'things need')} attention."

    def summary(self) -> dict[str, Any]:
        """Return plain JSON; `classes`: class -> split -> images, "" = no split."""
        counts = self.counts
        return {
            "dataset": self.dataset,
            "images": self.images,
            "label_field": self.label_field,
            "split_source": self.split_source,
            "splits": dict(zip(counts.splits, counts.totals.tolist(), strict=True)),
            "classes": {
                name: dict(zip(counts.splits, row, strict=True))
                for name, row in zip(counts.classes, counts.images.tolist(), strict=True)
            },
            "figures": {figure.key: figure.summary() for figure in self.figures},
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        lines = [f"**`{self.dataset}`**: {self.headline()}", "", f"**{self.verdict()}**"]
        for title, figures in self.by_level():
            lines += ["", f"**{title}**", ""]
            lines += [line for figure in figures for line in _lines(figure)]
        return "\n".join([*lines, *([""] if self.notes else []), *(f"- {note}" for note in self.notes)])


def dataset_health(
    view: Collection, params: DatasetHealthParams = DatasetHealthParams(), progress: Progress = silent
) -> DatasetHealth:
    """Count how a collection stands; the database does the counting, and nothing is looked for anew.

    Args:
        view: A dataset or a view; of a grouped one, all its images.
        params: Settings.
        progress: Told after each figure.

    Raises:
        DataError: It holds something else than images.
        FieldError: A field that was asked for does not exist, or holds something else.
    """
    sources = read_sources(view, params)
    figures = []
    for done, figure in enumerate(_FIGURES.values()):
        progress("figures", done, len(_FIGURES))
        figures.append(figure(sources))
    progress("figures", len(_FIGURES), len(_FIGURES))
    levels = list(Level)
    notes = []
    if sources.split_source and sources.splits is None:
        notes.append(f"the splits are {sources.split_source}, which are not counted by class here")
    return DatasetHealth(
        dataset=sources.dataset.name,
        images=sources.total,
        counts=sources.counts,
        label_field=sources.labels.field if sources.labels else None,
        split_source=sources.split_source,
        figures=tuple(sorted(filter(None, figures), key=lambda figure: levels.index(figure.level))),
        notes=tuple(notes),
        made_at=datetime.now(UTC),
    )


def samples_behind(
    view: Collection, figure: str, key: str, params: DatasetHealthParams = DatasetHealthParams()
) -> Collection:
    """Return samples behind a figure, as they are now.

    Args:
        view: As for `dataset_health`.
        figure: Name of the figure.
        key: Which of its samples, see `Behind`.
        params: As for `dataset_health`.

    Raises:
        DataError: The figure has no such samples, or has none any more.
    """
    sources = read_sources(view, params)
    found = _FIGURES[figure](sources) if figure in _FIGURES else None
    behind: Behind | None = next((each for each in found.behind if each.key == key), None) if found else None
    if behind is None:
        raise DataError(f"no samples are behind '{figure}' as '{key}' any more. Count again.")
    return behind.view(sources.images)


def class_samples(
    view: Collection,
    name: str | None,
    split: str | None = None,
    params: DatasetHealthParams = DatasetHealthParams(),
) -> Collection:
    """Return the images of a class, of a split, or of both.

    Args:
        view: As for `dataset_health`.
        name: The class; None = any.
        split: Name of the split, "" = in none; None = any.
        params: As for `dataset_health`.
    """
    sources = read_sources(view, params)
    match: dict[str, Any] = {}
    if name is not None and sources.labels is not None:
        match |= sources.labels.of_class(name)
    if split is not None and sources.splits is not None:
        match |= sources.splits.inside(split)
    return sources.images.match(match)


def _lines(figure: Figure) -> Iterator[str]:
    stale = f" Older than the dataset: {figure.stale}." if figure.stale else ""
    yield f"- **{figure.title}**: {figure.sentence}{stale}"
    yield from (f"    - {detail}" for detail in figure.details)
    if figure.level is not Level.GOOD and (
        commands := [f"`{each.command}`" for each in figure.remedies if each.command]
    ):
        yield f"    - Next: {' or '.join(commands)}"
