"""Find the images that one split repeats from another."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..curation.duplicates import DuplicatePairs
from ..curation.leaks import cross_split_pairs
from ..datasets import runs
from ..datasets.fields import write_values
from ..datasets.samples import Samples
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..progress import Progress, silent
from .findings import LEAKS_RUN
from .pairs import best_scores, expectation, expectation_line, score_pairs, write_pairs
from .vectors import Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines


@dataclass(frozen=True)
class LeakParams:
    """Settings of `find_leaks`.

    Attributes:
        vectors: How images become vectors.
        split_field: Field that holds the splits, or "tags"; None = detected.
        score_field: Field for the score of an image's best counterpart in another split.
        threshold: Score in 0..1 from which a pair counts; None = automatic.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    split_field: str | None = None
    score_field: str = "leak_score"
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class LeakReport:
    """What `find_leaks` found.

    Attributes:
        samples: The readable samples, which `pairs.rows` numbers.
        pairs: Every candidate pair across two splits; the evaluation side first.
        failures: Images that could not be read.
    """

    samples: Samples
    pairs: DuplicatePairs
    failures: tuple[Failure, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON. `by_splits`: for each pair of splits, images of the first that the second repeats."""
        return {
            "images": len(self.samples),
            "pairs": int(self.pairs.flagged.sum()),
            "by_splits": {f"{first} in {second}": count for (first, second), count in self._leaked_images().items()},
            "split_source": self.samples.split_source,
            **expectation(self.pairs),
            "failures": len(self.failures),
            "notes": list(self.samples.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        leaked = self._leaked_images()
        lines = [
            f"- **{counted(count, 'image')} of {first}** repeated in **{second}**"
            for (first, second), count in leaked.items()
        ] or ["**No leaks** between the splits."]
        notes = [f"- {note}" for note in self.samples.notes]
        after = "Next: train a classifier; the training side of each leak is left out, and the test side told apart."
        return "\n".join([*lines, *expectation_line(self.pairs), *notes, *failure_lines(self.failures), "", after])

    def write_pairs(self, path: Path, root: Path | None = None) -> None:
        """Write every candidate pair as CSV; `a` is the evaluation side; best first."""
        write_pairs(path, root, self.samples, self.pairs)

    def _leaked_images(self) -> dict[tuple[str, str], int]:
        splits = self.samples.splits
        images = {(a, splits[a], splits[b]) for a, b in self.pairs.rows[self.pairs.flagged]}
        counts = Counter((first, second) for _, first, second in images)
        return dict(sorted(counts.items()))


def find_leaks(view: Collection, params: LeakParams = LeakParams(), progress: Progress = silent) -> LeakReport:
    """Find leaks, and write a score to both images of each.

    Raises:
        DataError: The collection has no two splits.
        FieldError: See `embed_collection`.
    """
    embedded = embed_collection(view, params.vectors, split_field=params.split_field, progress=progress)
    check_splits(embedded.samples)
    return report_leaks(view, embedded, score_pairs(view, embedded, params.threshold, progress), params)


def report_leaks(view: Collection, embedded: Embedded, pairs: DuplicatePairs, params: LeakParams) -> LeakReport:
    """Write what scored pairs say about leaks."""
    samples = embedded.samples
    across = cross_split_pairs(pairs, samples.splits)
    report = LeakReport(samples, across, embedded.failures)
    scores = best_scores(across, len(samples))
    leaked = scores == scores  # not NaN
    write_values(view, params.score_field, samples.ids[leaked], scores[leaked], kind="float")
    flagged = across.flagged
    runs.save_run(
        view,
        LEAKS_RUN,
        method="find_leaks",
        params=asdict(params),
        fields=[params.score_field],
        summary=report.summary(),
        results={
            "pairs": samples.ids[across.rows[flagged]].tolist(),
            "scores": across.score[flagged].round(4).tolist(),
        },
    )
    return report


def has_two_splits(samples: Samples) -> bool:
    """Whether there is anything that could leak."""
    return len(set(samples.splits) - {""}) >= 2


def check_splits(samples: Samples) -> None:
    """Raise DataError where the samples do not lie in at least two splits."""
    if not has_two_splits(samples):
        found = sorted(set(samples.splits) - {""})
        raise DataError(
            f"leaks lie between two splits, and this collection has {len(found)}"
            + (f" ({', '.join(found)})" if found else "")
            + ". Put the split's name (train, validation, test) into a string field `split` or into the tags, or pass "
            "split_field."
        )
