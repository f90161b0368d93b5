"""How the classes of a dataset stand: near-empty ones, their balance, and images without a label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

from ..curation.class_names import audit_class_names
from ..curation.splits import STANDARD_SPLITS
from ..datasets.class_counts import ClassCounts
from ..training.exclusion import SMALLEST_CLASS
from .dataset_health_figures import Behind, Figure, Level, Remedy, percent
from .dataset_health_sources import Sources
from .wording import counted, listed

_MOST_NAMED = 5
_MOST_SHOWN = 200  # classes in the condition of a view
_CHANCE = 0.001  # that any cell of a table of classes and splits is called uneven which is not
_UNEVEN = 1.5  # factor from which on it matters
_LARGE_RATIO = 10

_SELECT = Remedy("select_for_labeling", "Select images to label", "winnow select")
_SPLIT = Remedy("split_dataset", "Split the dataset", "winnow split")


def unlabelled(sources: Sources) -> Figure:
    """Return how many images have no label."""
    key, title = "unlabelled", "Images without a label"
    if sources.labels is None:
        return Figure(key, title, Level.UNKNOWN, "There is no field of labels.", remedies=(_SELECT,))
    count, field = int(sources.counts.unlabelled.sum()), sources.labels.field
    what = "not annotated" if sources.labels.several else "without a label"
    if not count:
        return Figure(key, title, Level.GOOD, f"Every image has its labels in `{field}`.", numbers={"images": 0})
    return Figure(
        key,
        title,
        Level.ACT,
        f"{counted(count, 'image is', 'images are')} {what} in `{field}`: {percent(count, sources.total)}.",
        behind=(Behind("unlabelled", f"Show the {count:,}", count, sources.labels.missing()),),
        remedies=(_SELECT, Remedy("send_to_label_studio", "Send to Label Studio", "winnow labelstudio send")),
        numbers={"images": count},
    )


def classes(sources: Sources) -> Figure:
    """Return which classes are near-empty, in all or in a split, and which are probably one."""
    key, title = "classes", "Near-empty classes"
    if sources.labels is None or not sources.counts.classes:
        return Figure(key, title, Level.UNKNOWN, "There are no classes yet.")
    counts = sources.counts
    names, totals = counts.classes, counts.by_class
    few = _smallest_first(names, totals, totals < SMALLEST_CLASS)
    missing = dict(_missing(counts))
    clashes = audit_class_names(names, totals)
    told, behind = [], []
    if few:
        shown = listed([f"{name} ({count:,})" for name, count in few], _MOST_NAMED)
        told.append(
            f"{len(few):,} of {counted(len(names), 'class', 'classes')} have fewer than {SMALLEST_CLASS} images: "
            f"{shown}."
        )
        behind.append(_behind(sources, "few", "Show their images", [name for name, _ in few]))
    for split, absent in missing.items():
        told.append(
            f"{counted(len(absent), 'class has', 'classes have')} no image in {split}: {listed(absent, _MOST_NAMED)}."
        )
        behind.append(_behind(sources, f"missing {split}", f"Show what {split} lacks", absent))
    for number, clash in enumerate(clashes[:_MOST_NAMED]):
        told.append(f"{clash.text()[:1].upper()}{clash.text()[1:]}.")
        behind.append(
            _behind(sources, f"clash {number}", f"Show '{clash.proposed}' in all spellings", list(clash.names))
        )
    sentence, *details = told or [
        f"Each of {counted(len(names), 'class', 'classes')} has {SMALLEST_CLASS} images or more"
        + (", and some in each split." if counts.named.sum() > 1 else ".")
    ]
    remedies = [_SELECT] * bool(few) + [_SPLIT] * bool(missing)
    return Figure(
        key,
        title,
        Level.ACT if told else Level.GOOD,
        sentence,
        tuple(details),
        behind=tuple(each for each in behind if each.count),
        remedies=tuple(remedies),
        numbers={
            "classes": len(names),
            "near_empty": dict(few),
            "missing_in": {split: list(absent) for split, absent in missing.items()},
            "name_clashes": [clash.summary() for clash in clashes],
        },
    )


def balance(sources: Sources) -> Figure | None:
    """Return how uneven the classes are, in all and between the splits; None with fewer than two of them."""
    counts = sources.counts
    totals = counts.by_class
    if sources.labels is None or len(totals) < 2:
        return None
    largest, smallest = (int(row) for row in (np.argmax(totals), np.argmin(totals)))
    ratio = float(totals[largest] / totals[smallest])
    sentence = (
        f"The largest class, '{counts.classes[largest]}', has {ratio:,.1f} times the images of the smallest, "
        f"'{counts.classes[smallest]}' ({totals[largest]:,} and {totals[smallest]:,})."
    )
    off = _most_uneven(counts)
    details, behind, remedies = [], [], []
    if off is not None:
        name, split, share, expected = off
        details.append(
            f"Most uneven between the splits: '{name}' has {percent(share, 1)} of the labels of {split}, and "
            f"{percent(expected, 1)} of those of all splits; chance would not do that."
        )
        if sources.splits is not None:
            match = {**sources.labels.of_class(name), **sources.splits.inside(split)}
            behind.append(Behind("off", f"Show '{name}' in {split}", sources.count(match), match))
        remedies.append(_SPLIT)
    if ratio >= _LARGE_RATIO:
        match = sources.labels.of_class(counts.classes[smallest])
        behind.append(Behind("smallest", f"Show '{counts.classes[smallest]}'", int(totals[smallest]), match))
        remedies.append(_SELECT)
    return Figure(
        "balance",
        "Class balance",
        Level.ACT if off is not None or ratio >= _LARGE_RATIO else Level.GOOD,
        sentence,
        tuple(details),
        behind=tuple(behind),
        remedies=tuple(remedies),
        numbers={
            "ratio": round(ratio, 2),
            "largest": counts.classes[largest],
            "smallest": counts.classes[smallest],
            "most_uneven": None if off is None else {"class": off[0], "split": off[1]},
        },
    )


def _smallest_first(names: tuple[str, ...], totals: np.ndarray, chosen: np.ndarray) -> list[tuple[str, int]]:
    return sorted(
        ((names[row], int(totals[row])) for row in np.flatnonzero(chosen)), key=lambda item: (item[1], item[0])
    )


def _missing(counts: ClassCounts) -> Iterator[tuple[str, list[str]]]:
    """Yield the splits that lack classes which other splits have, and these."""
    named = np.flatnonzero(counts.named)
    if len(named) < 2:
        return
    there = counts.images[:, named].sum(axis=1) > 0
    for column in named:
        if counts.splits[column] in STANDARD_SPLITS and (counts.images[:, column] > 0).any():
            absent = [counts.classes[row] for row in np.flatnonzero(there & (counts.images[:, column] == 0))]
            if absent:
                yield counts.splits[column], absent


def _most_uneven(counts: ClassCounts) -> tuple[str, str, float, float] | None:
    """Return the class and split that deviate most from an even split, beyond chance: by the adjusted residual.

    The residual of a cell of a table (Haberman 1973) is standard normal where class and split have nothing to do with
    each other; with Bonferroni's correction, a thousandth of such tables have a cell that is called uneven.

    Returns:
        Class, split, its share of the split and its share of all splits.
    """
    columns = np.flatnonzero(counts.named)
    table = counts.images[:, columns].astype(float)
    total, rows, cols = table.sum(), table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    if len(columns) < 2 or not total:
        return None
    expected = rows * cols / total
    spread = np.sqrt(expected * (1 - rows / total) * (1 - cols / total))
    residual = np.abs(np.divide(table - expected, spread, out=np.zeros_like(table), where=spread > 0)).round(4)
    factor = np.divide(table, expected, out=np.ones_like(table), where=expected > 0)
    residual[(factor < _UNEVEN) & (factor > 1 / _UNEVEN)] = 0
    row, column = np.unravel_index(int(np.argmax(residual)), residual.shape)
    if residual[row, column] < norm.isf(_CHANCE / 2 / table.size):
        return None
    share = table[row, column] / cols[0, column]
    return counts.classes[row], counts.splits[columns[column]], float(share), float(rows[row, 0] / total)


def _behind(sources: Sources, key: str, label: str, names: list[str]) -> Behind:
    """Return the images of classes, of which a view names so many only."""
    if sources.labels is None:
        raise ValueError("there are no labels")
    row = {name: at for at, name in enumerate(sources.counts.classes)}
    shown = names[:_MOST_SHOWN]
    count = int(sum(sources.counts.by_class[row[name]] for name in shown))
    return Behind(key, label, count, sources.labels.of_class(*shown))
