"""What is wrong with the images of a dataset, as far as it was looked for: unreadable files, copies, leaks."""

from __future__ import annotations

from typing import Any

from ..datasets.class_counts import Condition
from .dataset_health_figures import Behind, Figure, Level, Remedy, again, level_of, percent
from .dataset_health_sources import Sources
from .evaluation_parts import RUN as EVALUATION_RUN
from .findings import COPY, DUPLICATES_RUN, KEEPER, LEAKS_RUN
from .vectors import FAILURE_FIELD
from .vectors import RUN as VECTORS_RUN
from .wording import counted

_THERE = {"$ne": None}

_EMBED = Remedy("compute_embeddings", "Read the images", "winnow embed")
_FIND_COPIES = Remedy("find_duplicates", "Find near-duplicates", "winnow duplicates")
_FIND_LEAKS = Remedy("find_leaks", "Find leaks", "winnow leaks")
_SPLIT = Remedy("split_dataset", "Split the dataset", "winnow split")


def unreadable(sources: Sources) -> Figure:
    """Return which files could not be read."""
    key, title = "unreadable", "Unreadable files"
    if not sources.dataset.has_field(FAILURE_FIELD):
        return Figure(key, title, Level.UNKNOWN, "No file was read yet.", remedies=(_EMBED,))
    match = {FAILURE_FIELD: _THERE}
    count, stale = sources.count(match), sources.stale(VECTORS_RUN)
    sentence = "Every image that was looked at could be read."
    if count:
        sentence = f"{counted(count, 'image')} can't be read: {percent(count, sources.total)}."
    return Figure(
        key,
        title,
        level_of(count > 0, stale),
        sentence,
        stale=stale,
        behind=(Behind("unreadable", f"Show the {count:,}", count, match, FAILURE_FIELD),) if count else (),
        remedies=(Remedy(_EMBED.operator, "Read them again", _EMBED.command),) if count or stale else (),
        numbers={"images": count},
    )


def duplicates(sources: Sources) -> Figure:
    """Return how many images repeat others."""
    key, title = "duplicates", "Near-duplicates"
    group, role, conflict, score = (
        sources.field(DUPLICATES_RUN, f"{name}_field") for name in ("group", "role", "conflict", "score")
    )
    if group is None or role is None:
        return Figure(key, title, Level.UNKNOWN, "Near-duplicates were not looked for.", remedies=(_FIND_COPIES,))
    stale = sources.stale(DUPLICATES_RUN)
    among: Condition = {role: {"$in": [KEEPER, COPY]}}
    roles = sources.values(among, f"${role}")
    copies, groups = roles.get(COPY, 0), roles.get(KEEPER, 0)
    clashing: Condition = {conflict: True, **among} if conflict else {}
    conflicts = len(sources.values(clashing, f"${group}")) if conflict else 0
    members = copies + groups
    order = score or ""
    behind = [
        Behind("groups", f"Show the {counted(groups, 'group')}", members, among, order, True, group),
        Behind("copies", f"Show the {counted(copies, 'copy', 'copies')}", copies, {role: COPY}, order, True),
        Behind("conflicts", f"Show the {conflicts:,} with different labels", conflicts, clashing, order, True, group),
    ]
    details = [f"They lie in {counted(groups, 'group')}."] if copies else []
    summary = sources.runs[DUPLICATES_RUN].summary
    exact = summary["same_file"] + summary["same_pixels"]
    if exact and copies:
        details.append(
            f"{counted(exact, 'image repeats', 'images repeat')} another byte for byte or pixel by pixel, as the "
            "search found."
        )
    if conflicts:
        details.append(
            f"{counted(conflicts, 'group has', 'groups have')} different labels on copies of one image: at least one "
            "of them is wrong."
        )
    sentence = "No image is a copy of another."
    if copies:
        told = "1 image is a copy of another" if copies == 1 else f"{copies:,} images are copies of others"
        sentence = f"{told}: {percent(copies, sources.total)}."
    remedies = [Remedy("delete_samples", "Delete copies", params={"what": "copies"})] * (copies > 0)
    return Figure(
        key,
        title,
        level_of(copies > 0, stale),
        sentence,
        tuple(details),
        stale,
        tuple(each for each in behind if each.count),
        (*remedies, *[again(_FIND_COPIES)] * bool(stale)),
        {"copies": copies, "groups": groups, "exact_copies": exact, "label_conflicts": conflicts},
    )


def leaks(sources: Sources) -> Figure:
    """Return how many images of a split repeat in another, and what that adds to an accuracy."""
    key, title = "leaks", "Leaks between splits"
    score, kind = (sources.field(LEAKS_RUN, name) for name in ("score_field", "kind_field"))
    if score is None or kind is None:
        if sources.split_source is None or (sources.splits and sources.counts.named.sum() < 2):
            why = "There are no two splits that images could leak between."
            return Figure(key, title, Level.UNKNOWN, why, remedies=(_SPLIT,))
        return Figure(key, title, Level.UNKNOWN, "Leaks were not looked for.", remedies=(_FIND_LEAKS,))
    stale, leaked = sources.stale(LEAKS_RUN), {score: _THERE}
    by_split = _by_split(sources, leaked)
    judged = {split: count for split, count in by_split.items() if split in ("test", "validation")}
    told = judged or by_split
    count = sum(told.values())
    sentence = "No image of one split is repeated in another."
    if count:
        totals = dict(zip(sources.counts.splits, sources.counts.totals.tolist(), strict=True))
        parts = [
            f"{number:,} of {split} ({percent(number, totals[split])} of it)" if split else counted(number, "image")
            for split, number in told.items()
        ]
        sentence = f"Repeated in another split: {' and '.join(parts)}."
    kinds = sources.values(leaked, f"${kind}")
    behind = [
        Behind(split or "all", f"Show the {number:,} of {split}" if split else f"Show the {number:,}", number,
               {**leaked, **(sources.splits.inside(split) if sources.splits and split else {})}, score, True)
        for split, number in told.items()
    ]  # fmt: skip
    behind += [
        Behind(f"kind {name}", f"Show the {number:,}: {name}", number, {kind: name}, score, True)
        for name, number in _largest_first(kinds)
        if len(kinds) > 1
    ]
    details = []
    if count:
        listed_kinds = ", ".join(f"{name} {number:,}" for name, number in _largest_first(kinds))
        details = [f"Images on either side, by the surest kind: {listed_kinds}.", *_price(sources)]
    remedies = [Remedy("move_to_split", "Move the training side", params={"what": "leaked training images"})] * bool(
        by_split.get("train")
    )
    return Figure(
        key,
        title,
        level_of(count > 0, stale),
        sentence,
        tuple(details),
        stale,
        tuple(behind),
        (*remedies, *[again(_FIND_LEAKS)] * bool(stale)),
        {"by_split": by_split, "by_kind": kinds, "price": sources.runs[LEAKS_RUN].summary.get("price")},
    )


def _by_split(sources: Sources, match: Condition) -> dict[str, int]:
    """Return split -> number of the images that meet a condition; "" = all of them, where splits can't be counted."""
    if sources.splits is None:
        count = sources.count(match)
        return {"": count} if count else {}
    found: dict[str, int] = {}
    for value, count in sources.values(match, sources.splits.expression()).items():
        split = sources.splits.standard(value)
        found[split] = found.get(split, 0) + count
    return {split: found[split] for split in sources.counts.splits if split in found}


def _largest_first(counts: dict[Any, int]) -> list[tuple[str, int]]:
    return sorted(((str(name), count) for name, count in counts.items()), key=lambda item: (-item[1], item[0]))


def _price(sources: Sources) -> list[str]:
    """Tell what leakage adds to an accuracy: of a linear probe, and of the predictions that were evaluated last."""
    told = []
    if price := sources.runs[LEAKS_RUN].summary.get("price"):
        low, high = (f"{100 * end:+.1f}" for end in price["gain_interval"])
        told.append(
            f"What they are worth: a linear probe reaches {percent(price['accuracy_given'], 1)} on "
            f"{price['evaluated_on']} as given and {percent(price['accuracy_clean'], 1)} without the leaked images, "
            f"{100 * price['gain']:+.1f} points ({low} to {high})."
        )
    evaluated = sources.run(EVALUATION_RUN)
    found = evaluated.summary if evaluated else {}
    given, clean = found.get("accuracy_given_test"), found.get("accuracy_clean_test")
    if given is not None and clean is not None and found.get("leaked_images_left_out"):
        told.append(
            f"The last evaluation: {percent(given, 1)} on {found['evaluated_on']} as given, {percent(clean, 1)} "
            f"without its {counted(found['leaked_images_left_out'], 'leaked image')}."
        )
    return told
