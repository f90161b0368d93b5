"""`winnow labelstudio copies`: tasks for images that browsers can't show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import run_job

if TYPE_CHECKING:
    from ..plugin.labeling.display_tasks import DisplayTasks


def copies(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False, help="Folder of the originals.")],
    document_root: Annotated[
        Path,
        typer.Option(
            envvar="LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT",
            show_default=False,
            help="What Label Studio serves local files from; copies go into its 'winnow-copies'.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="The file of tasks, to be imported.")] = Path("tasks.json"),
    classifier: Annotated[
        Path | None,
        typer.Option(help="Classifier folder whose value range to show; default: the one that the images use."),
    ] = None,
    key: Annotated[str, typer.Option(help="Key of the image in the labeling config's '$image'.")] = "image",
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Make tasks of a folder, with 8-bit copies of 16-bit, TIFF and DICOM images; predictions use the originals."""

    def job(progress: Progress) -> DisplayTasks:
        from ..plugin.labeling.display_tasks import make_display_tasks

        return make_display_tasks(folder, document_root, output, classifier=classifier, key=key, progress=progress)

    run_job(job, as_json=json, debug=debug)
