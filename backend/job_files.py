"""What the server and a training job tell each other: files in the job's folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

JOB, PROGRESS, OUTCOME, LOG = "job.json", "progress.json", "outcome.json", "log.txt"


@dataclass(frozen=True)
class JobSpec:
    """What a training job is to do.

    Attributes:
        project: Number of the Label Studio project.
        classifier: Folder of the classifier that is served.
        state: The state folder.
        preset: Of the recipe, see `training.recipe`.
        group_key: Key in the tasks' data whose value says what belongs together, e.g. `patient_id`; None = each task
            stands alone.
        held_out_share: Of the units, in 0..1.
        held_out_least: Images that are held out at least.
        threads: That training may keep busy.
        niceness: Added to the process's, where the system has that: 0..19.
        job: Its number in the store; None = it is no job of a server.
    """

    project: int
    classifier: Path
    state: Path
    preset: str = "quick"
    group_key: str | None = None
    held_out_share: float = 0.2
    held_out_least: int = 100
    threads: int = 1
    niceness: int = 10
    job: int | None = None

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        values = asdict(self) | {"classifier": str(self.classifier), "state": str(self.state)}
        file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> JobSpec:
        """Read what `write` wrote."""
        values = json.loads(file.read_text(encoding="utf-8"))
        return cls(**values | {"classifier": Path(values["classifier"]), "state": Path(values["state"])})
