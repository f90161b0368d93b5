"""A folder of images -> tasks for Label Studio, with display copies of the images that browsers can't show."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ClassifierError, TargetError, UnreadableImageError
from ..failures import Failure
from ..progress import Progress, silent
from ..vision.decoder import IMAGE_EXTENSIONS, Decode
from ..vision.preprocessing import Preprocessing
from ..vision.value_range import detect_value_range
from .display_copies import make_display_copy, needs_display_copy
from .local_files import local_address

COPIES = "winnow-copies"
_MOST_SHOWN = 20


@dataclass(frozen=True)
class DisplayTasks:
    """What came of a folder.

    Attributes:
        file: The tasks, as JSON that Label Studio imports.
        copies: Tasks that show a display copy.
        plain: Tasks that show the image itself.
        exposed: Whether the originals lie where Label Studio serves files from, so that annotators could open them.
        failures: The images without a task.
    """

    file: Path
    copies: int
    plain: int
    exposed: bool
    failures: tuple[Failure, ...]

    def summary(self) -> dict[str, Any]:
        """Return the outcome as plain JSON."""
        failures = [{"path": failure.path, "reason": failure.reason} for failure in self.failures]
        counts = {"copies": self.copies, "plain": self.plain, "exposed": self.exposed}
        return {"tasks": str(self.file)} | counts | {"failures": failures}

    def text(self) -> str:
        """Return the outcome as a few lines of markdown."""
        parts = [f"**{self.copies + self.plain:,} tasks** in `{self.file}`: {self.copies:,} show a display copy."]
        if self.copies and self.exposed:
            parts.append(
                "The originals lie below Label Studio's document root, where annotators could open them. Keep them "
                "elsewhere, and name that folder in WINNOW_ORIGINALS_ROOT."
            )
        if self.failures:
            shown = [f"- `{failure.path}`: {failure.reason}" for failure in self.failures[:_MOST_SHOWN]]
            parts.append("\n".join([f"{len(self.failures):,} image(s) have no task:", *shown]))
        return "\n\n".join(parts)


def make_display_tasks(
    root: Path,
    document_root: Path,
    file: Path,
    *,
    classifier: Path | None = None,
    key: str = "image",
    progress: Progress = silent,
) -> DisplayTasks:
    """Write a file of tasks for all images below a folder; running it again adds copies of new images only.

    Args:
        root: The folder of originals.
        document_root: What Label Studio serves local files from; copies are written into its `winnow-copies`. Images
            that browsers can show must lie below it themselves.
        file: For the tasks.
        classifier: A Classifier folder whose value range makes 8 bits of more; None = the range that the images use.
        key: Under which a task's data holds the image, as in the labeling config.
        progress: Told after each image.

    Raises:
        TargetError: There is no such folder, or it holds no images.
        ClassifierError: The classifier's description cannot be read.
    """
    for folder in (root, document_root):
        if not folder.is_dir():
            raise TargetError(f"there is no folder '{folder}'. Name one that exists.")
    root, document_root = root.resolve(), document_root.resolve()
    paths = sorted(_images(root, document_root / COPIES))
    if not paths:
        raise TargetError(f"'{root}' holds no images. Name the folder that they lie in.")
    settings = (
        Decode(detect_value_range([str(path) for path in paths]))
        if classifier is None
        else decode_settings_of(classifier)
    )
    tasks: list[dict[str, Any]] = []
    failures: list[Failure] = []
    copies = 0
    for number, path in enumerate(paths, 1):
        try:
            if needs_display_copy(path):
                copy = make_display_copy(path, root, document_root / COPIES, settings)
                tasks.append({"data": copy.task_data(key, _address(copy.path, document_root))})
                copies += 1
            else:
                tasks.append({"data": {key: _address(path, document_root)}})
        except UnreadableImageError as error:
            failures.append(Failure(str(path), str(path), error.reason))
        except TargetError as error:
            failures.append(Failure(str(path), str(path), str(error)))
        progress("display copies", number, len(paths))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(tasks, ensure_ascii=False, indent=1), encoding="utf-8")
    return DisplayTasks(file, copies, len(tasks) - copies, root.is_relative_to(document_root), tuple(failures))


def _images(root: Path, copies: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(parent, name) != copies]
        yield from (
            Path(parent, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS
        )


def _address(path: Path, document_root: Path) -> str:
    """Return where Label Studio serves a file."""
    if not path.is_relative_to(document_root):
        raise TargetError("browsers can show it, but it is not below the document root, so Label Studio can't serve it")
    return local_address(path.relative_to(document_root).as_posix())


def decode_settings_of(classifier: Path) -> Decode:
    """Return how a classifier turns files into pixels, without loading it.

    Raises:
        ClassifierError: Its description cannot be read.
    """
    description = classifier / "classifier.json"
    try:
        return Preprocessing.from_dict(json.loads(description.read_text(encoding="utf-8"))["preprocessing"]).decode
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClassifierError(
            f"cannot read '{description}' ({type(error).__name__}). Name a folder that 'winnow train' made."
        ) from None
