"""Write a classifier as an ONNX file, checked on real images."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from ..datasets.views import Collection, check_images
from ..progress import Progress, silent
from ..training.classifier import load_classifier
from ..training.classifier_files import EXPORTED
from ..training.export import OnnxExport, export_onnx_classifier
from .planting import SHEETS, SIDE
from .wording import counted

_CHECKED = 32


@dataclass(frozen=True)
class ExportParams:
    """Settings of `export_classifier`.

    Attributes:
        classifier: Folder of the classifier.
        output: The file, NAME.onnx; None = `model.onnx` in that folder.
    """

    classifier: Path | str
    output: Path | str | None = None


@dataclass(frozen=True)
class ExportReport:
    """What `export_classifier` wrote.

    Attributes:
        exported: The file, and how it was checked.
        version: Of the classifier.
    """

    exported: OnnxExport
    version: str

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "file": str(self.exported.path),
            "megabytes": round(self.exported.path.stat().st_size / 1e6, 1),
            "classifier_version": self.version,
            "checked_images": self.exported.images,
            "largest_difference": self.exported.largest_difference,
        }

    def text(self) -> str:
        """Return markdown for a person."""
        return (
            f"Classifier `{self.version}` is in **`{self.exported.path}`**. On "
            f"{counted(self.exported.images, 'image')} its probabilities differ from torch's by at most "
            f"{self.exported.largest_difference:.1g}.\n\n"
            "Classes, preprocessing and version are in its metadata; `examples/onnx_classify.py` shows how to use them."
        )


def export_classifier(view: Collection | None, params: ExportParams, progress: Progress = silent) -> ExportReport:
    """Write the ONNX file.

    Args:
        view: Some of its images check the file; None = some of the embedded ones do.
        params: Settings.
        progress: Told before and after.

    Raises:
        ClassifierError: No classifier there, or see `training.export.export_onnx_classifier`.
        DataError: The view holds something else than images.
    """
    progress("export", 0, 1)
    folder = Path(params.classifier).expanduser()
    classifier = load_classifier(folder)
    output = folder / EXPORTED if params.output is None else Path(params.output).expanduser()
    exported = export_onnx_classifier(classifier, output, _embedded_images() if view is None else _images(view))
    progress("export", 1, 1)
    return ExportReport(exported, classifier.version)


def _images(view: Collection) -> list[str]:
    """Return some of a view's files, evenly spaced."""
    check_images(view)
    paths = sorted(view.values("filepath"))
    return paths[:: max(1, len(paths) // _CHECKED)][:_CHECKED]


def _embedded_images() -> list[BinaryIO]:
    """Return the first images of each class of the embedded sample, as files."""
    files: list[BinaryIO] = []
    for path in sorted(SHEETS.glob("test/*.png")):
        with Image.open(path) as sheet:
            for left in range(0, 3 * SIDE, SIDE):
                file = BytesIO()
                sheet.crop((left, 0, left + SIDE, SIDE)).save(file, "PNG")
                files.append(file)
    return files
