"""How the images of a batch get to annotators, by the settings of sending."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path, PurePosixPath

from ..datasets.outgoing import read_task_values
from ..datasets.views import Collection
from ..errors import UnreadableImageError
from ..home import winnow_home
from ..labeling.client import LabelStudioClient
from ..labeling.display_tasks import decode_settings_of
from ..labeling.image_delivery import CopySettings, ImageDelivery
from ..labeling.labeling_project import TargetProject
from ..labeling.local_files import DocumentRoot
from ..labeling.outgoing_images import OutgoingImage
from ..labeling.url_images import UrlDelivery
from ..vision.decoder import Decode
from ..vision.value_range import detect_value_range
from .send_params import SendParams


def delivery_of(
    params: SendParams, client: LabelStudioClient, project: TargetProject, view: Collection, paths: dict[str, str]
) -> ImageDelivery | UrlDelivery:
    """Return what brings images to a project.

    Args:
        params: The settings.
        client: Of the Label Studio.
        project: The project.
        view: The collection.
        paths: Sample id -> file, of all samples of the batch.

    Raises:
        FieldError: The field of addresses holds something else.
    """
    if params.is_url:
        addresses = read_task_values(view, list(paths), [str(params.url_field)])
        named = {path: row.get(str(params.url_field)) for path, row in zip(paths.values(), addresses, strict=True)}
        return UrlDelivery(client, project.id, project.key, named)
    root = None
    if params.document_root is not None:
        here = Path(params.document_root)
        root = DocumentRoot(here, PurePosixPath(params.document_root_there or here.absolute().as_posix()))
    copies = CopySettings(
        _originals_root(params, list(paths.values())),
        winnow_home() / "label-studio" / "copies",
        cache(lambda: _decode(params, list(paths.values()))),
    )
    return ImageDelivery(client, project.id, project.key, params.images, root, copies)


def _decode(params: SendParams, paths: list[str]) -> Decode:
    if params.classifier is not None:
        return decode_settings_of(Path(params.classifier))
    return Decode(detect_value_range(paths))


def _originals_root(params: SendParams, paths: list[str]) -> Path:
    if params.originals_root is not None:
        return Path(params.originals_root)
    common = Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))
    root = None if params.document_root is None else Path(params.document_root).absolute()
    return root if root is not None and common.is_relative_to(root) else common


def looked(delivery: ImageDelivery | UrlDelivery, path: str) -> OutgoingImage | str:
    """Return an image, or why it can't be used."""
    try:
        return delivery.look(path)
    except UnreadableImageError as error:
        return error.reason
