"""A dataset whose every kind of finding is known, without an image on disk: for the tests of how a dataset stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from winnow.plugin.datasets import runs
from winnow.plugin.datasets.fields import write_values

if TYPE_CHECKING:
    import fiftyone as fo

PRICE = {
    "evaluated_on": "test",
    "accuracy_given": 0.9,
    "accuracy_clean": 0.85,
    "gain": 0.05,
    "gain_interval": [0.01, 0.09],
}


def fill(made: fo.Dataset, *, cats: int = 40, dogs: int = 24, several: bool = False) -> list[str]:
    """Add cats and dogs, every fourth one a test image in the field `split`; return the ids, cats first."""
    import fiftyone as fo

    samples = []
    for number in range(cats + dogs):
        name = "cat" if number < cats else "dog"
        label = fo.Classification(label=name)
        split = "train" if number % 4 else "test"
        labels = fo.Classifications(classifications=[label]) if several else label
        samples.append(
            fo.Sample(filepath=f"/nowhere/{number}.png", media_type="image", ground_truth=labels, split=split)
        )
    return made.add_samples(samples)


def save_vectors(made: fo.Dataset, unreadable: list[str]) -> None:
    """Leave what computing embeddings leaves."""
    write_values(made, "winnow_failure", unreadable, ["truncated"] * len(unreadable), kind="str")
    summary = {"images": made.count() - len(unreadable), "failures": len(unreadable)}
    runs.save_run(
        made,
        "winnow_embeddings",
        method="compute_embeddings",
        params={"backbone": "lite0"},
        fields=["winnow_failure"],
        summary=summary,
    )


def save_duplicates(made: fo.Dataset, pairs: list[tuple[str, str]], conflicts: int = 0) -> None:
    """Leave what finding near-duplicates leaves: of each pair the first is kept; so many of them differ in label."""
    from winnow.plugin.workflows.duplicates import DuplicateParams
    from winnow.plugin.workflows.findings import COPY, DUPLICATES_RUN, KEEPER

    ids = [key for pair in pairs for key in pair]
    groups = [number for number in range(len(pairs)) for _ in range(2)]
    write_values(made, "duplicate_group", ids, groups, kind="int")
    write_values(made, "duplicate_score", ids, [0.99] * len(ids), kind="float")
    write_values(made, "duplicate_role", ids, [KEEPER, COPY] * len(pairs), kind="str")
    write_values(made, "duplicate_conflict", ids, [group < conflicts for group in groups], kind="bool")
    params, summary = asdict(DuplicateParams()), {"same_file": 1, "same_pixels": 0}
    runs.save_run(made, DUPLICATES_RUN, method="find_duplicates", params=params, fields=[], summary=summary)


def save_leaks(made: fo.Dataset, kinds: dict[str, str]) -> None:
    """Leave what finding leaks leaves: sample id -> kind."""
    from winnow.plugin.workflows.findings import LEAKS_RUN
    from winnow.plugin.workflows.leaks import LeakParams

    write_values(made, "leak_score", list(kinds), [0.98] * len(kinds), kind="float")
    write_values(made, "leak_kind", list(kinds), list(kinds.values()), kind="str")
    params = asdict(LeakParams())
    runs.save_run(made, LEAKS_RUN, method="find_leaks", params=params, fields=[], summary={"price": PRICE})
