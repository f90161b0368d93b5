"""The classifiers of a dataset: which there are, which one is in use, and how to be rid of one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..datasets import runs
from ..datasets.views import Collection, dataset_of
from ..errors import ClassifierError
from ..home import winnow_home
from ..training.classifier_files import DESCRIPTION, LOGS
from ..training.curves import CURVES, read_curves

PROMOTED = "winnow_classifier"  # key in the dataset's `info`
_TRAINING = "winnow_training"


@dataclass(frozen=True)
class ClassifierEntry:
    """One classifier, or a training that has not ended.

    Attributes:
        folder: Of the classifier.
        version: Its hash; "" while it is being trained, or was broken off.
        trained_at: ISO 8601 in UTC, "" where it is not known.
        classes: How many.
        metric: What it was chosen by on the validation images.
        validation: That metric.
        kept: "probe" or "fine-tuned".
        training_images: How many.
        training_fingerprint: Hash of the training images and their labels; equal = trained on the same.
        promoted: It is the one in use.
    """

    folder: Path
    version: str
    trained_at: str
    classes: int
    metric: str
    validation: float | None
    kept: str
    training_images: int
    training_fingerprint: str
    promoted: bool

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def score(self) -> str:
        """The metric on the validation images for a person, "" where it is not known."""
        return "" if self.validation is None else f"{self.validation:.1%} {self.metric.replace('_', ' ')}"

    def curves(self) -> list[dict[str, float]]:
        """Return the points of its fine-tuning so far; see `training.curves`."""
        return read_curves(self.folder / LOGS / CURVES)


@dataclass(frozen=True)
class ClassifiersReport:
    """The classifiers of a dataset, the newest first."""

    dataset_name: str
    entries: tuple[ClassifierEntry, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "dataset": self.dataset_name,
            "classifiers": [{**asdict(entry), "folder": str(entry.folder)} for entry in self.entries],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        if not self.entries:
            return f"**No classifier of '{self.dataset_name}'.** `winnow train` makes one."
        lines = [
            "| | classifier | version | trained | on | classes | kept | validation |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for entry in self.entries:
            version = f"`{entry.version}`" if entry.version else "not finished"
            lines.append(
                f"| {'in use' if entry.promoted else ''} | {entry.name} | {version} | {entry.trained_at[:16]} | "
                f"{entry.training_images:,} | {entry.classes} | {entry.kept} | {entry.score} |"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class Promoted:
    """Which classifier is in use now, and which one was before."""

    entry: ClassifierEntry
    before: str

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"classifier": str(self.entry.folder), "version": self.entry.version, "before": self.before}

    def text(self) -> str:
        """Return markdown for a person."""
        before = f", instead of `{self.before}`" if self.before else ""
        return f"**Classifier `{self.entry.version}`** ({self.entry.name}) is the one in use{before}."


@dataclass(frozen=True)
class Deleted:
    """Which classifier was put away, and where to."""

    name: str
    moved_to: Path

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"classifier": self.name, "moved_to": str(self.moved_to)}

    def text(self) -> str:
        """Return markdown for a person."""
        return f"**{self.name}** lies in `{self.moved_to}` now; delete that folder to be rid of it."


def list_classifiers(view: Collection) -> ClassifiersReport:
    """Return the classifiers that were trained on a dataset: those below Winnow's home, and the last one elsewhere."""
    dataset = dataset_of(view)
    promoted = (dataset.info or {}).get(PROMOTED, {})
    folders = {path.parent for path in (winnow_home() / "classifiers").glob(f"*/{DESCRIPTION}")}
    folders |= {path.parents[1] for path in (winnow_home() / "classifiers").glob(f"*/{LOGS}/{CURVES}")}
    folders |= {Path(run.summary["classifier"]) for run in runs.list_runs(view) if run.key == _TRAINING}
    if promoted:
        folders.add(Path(promoted["folder"]))
    entries = [entry for folder in folders for entry in _read(folder, dataset.name, promoted)]
    entries.sort(key=lambda entry: (entry.trained_at or "9", entry.name), reverse=True)
    return ClassifiersReport(dataset.name, tuple(entries))


def find_classifier(view: Collection, name: str | None) -> ClassifierEntry:
    """Return a finished classifier of a dataset by name, version or folder; None = the one in use, else the newest.

    Raises:
        ClassifierError: There is no such one.
    """
    finished = [entry for entry in list_classifiers(view).entries if entry.version]
    if name is None:
        chosen = [entry for entry in finished if entry.promoted] or finished[:1]
    else:
        wanted = Path(name).expanduser()
        chosen = [entry for entry in finished if name in (entry.name, entry.version) or wanted == entry.folder]
        if not chosen and (wanted / DESCRIPTION).is_file():
            chosen = list(_read(wanted, None, {}))
    if not chosen:
        known = ", ".join(entry.name for entry in finished) or "none"
        asked = "no classifier" if name is None else f"no classifier '{name}'"
        raise ClassifierError(f"{asked} of '{dataset_of(view).name}'; there are: {known}. `winnow train` makes one.")
    return chosen[0]


def classifier_folder(view: Collection, asked: Path | str | None) -> Path:
    """Return the folder of a classifier that is asked for by folder, name or version; see `find_classifier`.

    Raises:
        ClassifierError: There is no such one.
    """
    if asked is not None:
        folder = Path(asked).expanduser()
        if folder.exists() or len(folder.parts) > 1:
            return folder  # what is wrong with it is said where it is loaded
    return find_classifier(view, None if asked is None else str(asked)).folder


def promote_classifier(view: Collection, name: str) -> Promoted:
    """Make a classifier the one in use: predictions take it where no other is named.

    Raises:
        ClassifierError: There is no such one.
    """
    entry, dataset = find_classifier(view, name), dataset_of(view)
    before = (dataset.info or {}).get(PROMOTED, {}).get("version", "")
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    dataset.info[PROMOTED] = {"folder": str(entry.folder), "version": entry.version, "promoted_at": now}
    dataset.save()
    return Promoted(entry, before if before != entry.version else "")


def delete_classifier(view: Collection, name: str) -> Deleted:
    """Move a classifier's folder below Winnow's trash.

    Raises:
        ClassifierError: There is no such one, it is in use, or its folder cannot be moved.
    """
    entry = find_classifier(view, name)
    if entry.promoted:
        raise ClassifierError(f"'{entry.name}' is in use. Promote another classifier first.")
    now = datetime.now().strftime("%Y%m%d-%H%M%S-%f")  # the same classifier may have been put away before
    target = winnow_home() / "trash" / "classifiers" / f"{entry.name}-{now}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(entry.folder, target)
    except OSError as cause:
        raise ClassifierError(f"cannot move '{entry.folder}' to '{target}': {cause}") from cause
    return Deleted(entry.name, target)


def _read(folder: Path, dataset_name: str | None, promoted: dict[str, str]) -> Iterator[ClassifierEntry]:
    """Yield the classifier of a folder, nothing where it is of another dataset or damaged."""
    try:
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if (folder / LOGS / CURVES).is_file() and folder.name.startswith(str(dataset_name)):
            yield ClassifierEntry(folder, "", "", 0, "", None, "", 0, "", False)
        return
    if dataset_name is not None and about.get("dataset", dataset_name) != dataset_name:
        return
    validation = about.get("validation", {}).get(about.get("kept", ""))
    yield ClassifierEntry(
        folder=folder,
        version=about["version"],
        trained_at=about.get("trained_at", ""),
        classes=len(about["classes"]),
        metric=about.get("metric", ""),
        validation=validation,
        kept=about.get("kept", ""),
        training_images=about.get("training_images", 0),
        training_fingerprint=about.get("training_fingerprint", ""),
        promoted=bool(promoted) and promoted.get("folder") == str(folder) and promoted["version"] == about["version"],
    )
