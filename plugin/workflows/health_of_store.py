"""What the backend's memory of served predictions tells of a classifier's health."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..curation.outcomes import Outcomes
from ..labeling.served_store import FILE, ServedStore
from ..progress import Progress
from ..training.reference import Reference
from ..training.versions import folder_of_version, stored_versions, version_in
from .health_figures import Decision, Health, Missing
from .health_tracking import with_drift
from .wording import counted

_LEAST_IMAGES = 50  # of fewer, nothing is said about drift
_MOST_IMAGES = 2_000
_MOST_DECISIONS = 50


@dataclass(frozen=True, eq=False)
class RememberedHealth:
    """What is remembered in a state folder.

    Attributes:
        state: The folder.
        outcomes: Predictions that annotators answered; None = nothing is remembered.
        version: The one that was answered last; "" = none was.
        decisions: About training again, the newest first.
        predictions: How many are remembered.
        missing: What cannot be told, and what brings it.
    """

    state: Path
    outcomes: Outcomes | None = None
    version: str = ""
    decisions: tuple[Decision, ...] = ()
    predictions: int = 0
    missing: tuple[Missing, ...] = ()

    @classmethod
    def read(cls, state: Path, since: datetime | None) -> RememberedHealth:
        """Read it while a server may be writing; nothing where nothing is remembered.

        Raises:
            ServedStoreError: It cannot be read.
        """
        if not (state / FILE).exists():
            return cls(state)
        store = ServedStore(state, read_only=True)
        try:
            outcomes = store.outcomes(since=None if since is None else since.timestamp())
            decided = store.decisions(_MOST_DECISIONS)
            held = store.held()
        finally:
            store.close()
        newest = str(outcomes.versions[outcomes.times.argmax()]) if len(outcomes) else ""
        decisions = tuple(
            Decision(datetime.fromtimestamp(each.at, UTC), each.decision, f"{each.cause}: {each.reason}", each.dry_run)
            for each in decided
        )
        missing: tuple[Missing, ...] = ()
        if held.predictions and not len(outcomes):
            unanswered = f"{counted(held.predictions, 'prediction')} are remembered and none is answered yet"
            missing = (Missing(unanswered, "annotators' answers come by webhook, or with `winnow labelstudio sync`."),)
        return cls(state, outcomes, newest, decisions, held.predictions, missing)

    def folder_at_work(self, directory: Path) -> Path:
        """Return the folder of the version that was answered last; the classifier's own where none is kept of it."""
        if self.version in stored_versions(self.state) and self.version != version_in(directory):
            return folder_of_version(directory, self.state, self.version)
        return directory

    def with_drift(self, health: Health, reference: Reference, progress: Progress) -> Health:
        """Return the health with the newest images of the version at work held against its reference."""
        if not self.predictions or len(reference) < _LEAST_IMAGES:
            return health
        store = ServedStore(self.state, read_only=True)
        try:
            vectors, probabilities, _ = store.vectors(health.about.version, _MOST_IMAGES)
        finally:
            store.close()
        if len(vectors) < _LEAST_IMAGES:
            return health
        drift = reference.check(vectors, probabilities, progress=progress)
        return with_drift(health, drift, reference, vectors, f"the last {counted(len(vectors), 'image')} served")
