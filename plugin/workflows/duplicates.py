"""Find the near-duplicates of a collection and write their groups."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..curation.duplicates import DuplicatePairs
from ..curation.groups import group_duplicates
from ..datasets import runs
from ..datasets.fields import write_values
from ..datasets.samples import Samples
from ..datasets.views import Collection
from ..failures import Failure
from ..progress import Progress, silent
from .findings import DUPLICATES_RUN
from .pairs import best_scores, expectation, expectation_line, score_pairs, write_pairs
from .vectors import Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines


@dataclass(frozen=True)
class DuplicateParams:
    """Settings of `find_duplicates`.

    Attributes:
        vectors: How images become vectors.
        group_field: Field for the number of an image's group.
        score_field: Field for the score of an image's best near-duplicate.
        threshold: Score in 0..1 from which a pair counts; None = automatic.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    group_field: str = "duplicate_group"
    score_field: str = "duplicate_score"
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class DuplicateReport:
    """What `find_duplicates` found.

    Attributes:
        samples: The readable samples, which `pairs.rows` and `groups` number.
        pairs: Every candidate pair.
        groups: (n,) int64, -1 = in no group.
        failures: Images that could not be read.
    """

    samples: Samples
    pairs: DuplicatePairs
    groups: np.ndarray
    failures: tuple[Failure, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        grouped = self.groups[self.groups >= 0]
        sizes = np.bincount(grouped) if len(grouped) else np.zeros(0, int)
        return {
            "images": len(self.samples),
            "pairs": int(self.pairs.flagged.sum()),
            "groups": len(sizes),
            "images_in_groups": len(grouped),
            "largest_group": int(sizes.max(initial=0)),
            **expectation(self.pairs),
            "failures": len(self.failures),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.summary()
        if not found["groups"]:
            lines = [f"**No near-duplicates** among {found['images']:,} images."]
        else:
            lines = [
                f"**{counted(found['groups'], 'group')} of near-duplicates** with {found['images_in_groups']:,} of "
                f"{counted(found['images'], 'image')}; the largest group has {found['largest_group']:,}."
            ]
        return "\n".join(
            [
                *lines,
                *expectation_line(self.pairs),
                *failure_lines(self.failures),
                "",
                "Next: find leaks, the duplicates across splits.",
            ]
        )

    def write_pairs(self, path: Path, root: Path | None = None) -> None:
        """Write every candidate pair as CSV: path_a, path_b, split_a, split_b, score, flagged; best first."""
        write_pairs(path, root, self.samples, self.pairs)


def find_duplicates(
    view: Collection, params: DuplicateParams = DuplicateParams(), progress: Progress = silent
) -> DuplicateReport:
    """Find near-duplicates, and write group and score of each image that has one.

    Raises:
        DataError, FieldError: See `embed_collection`.
    """
    embedded = embed_collection(view, params.vectors, progress=progress)
    return report_duplicates(view, embedded, score_pairs(embedded, params.threshold, progress), params)


def report_duplicates(
    view: Collection, embedded: Embedded, pairs: DuplicatePairs, params: DuplicateParams
) -> DuplicateReport:
    """Write what scored pairs say about duplicates."""
    samples = embedded.samples
    groups = group_duplicates(pairs, len(samples))
    report = DuplicateReport(samples, pairs, groups, embedded.failures)
    grouped = groups >= 0
    scores = best_scores(pairs, len(samples))
    write_values(view, params.group_field, samples.ids[grouped], groups[grouped], kind="int")
    write_values(view, params.score_field, samples.ids[grouped], scores[grouped], kind="float")
    flagged = pairs.flagged
    runs.save_run(
        view,
        DUPLICATES_RUN,
        method="find_duplicates",
        params=asdict(params),
        fields=[params.group_field, params.score_field],
        summary=report.summary(),
        results={
            "pairs": samples.ids[pairs.rows[flagged]].tolist(),
            "scores": pairs.score[flagged].round(4).tolist(),
        },
    )
    return report
