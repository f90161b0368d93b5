"""The images of a dataset as a table from another copy names them: by path below the folder, or by content."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets.sample_history import split_in
from ..datasets.targets import source_folder
from ..datasets.views import Collection, dataset_of, every_image
from ..labeling.reconciling import PlainLabel
from ..progress import Progress, silent
from ..vision.file_hashes import file_hashes
from .change_rows import ChangeRow
from .changes import relative_path


@dataclass(frozen=True, slots=True)
class KnownImage:
    """A sample as it is now.

    Attributes:
        id: Sample id.
        path: Absolute path.
        label: Its label: text, a sorted list where an image may have several, or None.
        split: Its split, "" = none.
        tags: Its tags.
    """

    id: str
    path: str
    label: PlainLabel
    split: str
    tags: tuple[str, ...]


class KnownImages:
    """The images of a dataset, found by what a row of a table says."""

    def __init__(self, view: Collection, label_field: str | None, *, several: bool, split_source: str | None) -> None:
        """Read the images.

        Args:
            view: Any collection of the dataset.
            label_field: Field of the labels; None = there are none.
            several: Whether an image may have several.
            split_source: "tags", or the field that holds the splits; None = there are none.
        """
        label_path = f"{label_field}.classifications.label" if several else f"{label_field}.label"
        wanted = [
            "id",
            "filepath",
            "tags",
            *([label_path] if label_field else []),
            *([split_source] if split_source else []),
        ]
        columns = dict(zip(wanted, every_image(view).values(wanted), strict=True))
        paths = columns["filepath"]
        none: list[Any] = [None] * len(paths)
        labels, splits = columns.get(label_path, none), columns.get(split_source or "", none)
        found = zip(columns["id"], paths, labels, splits, columns["tags"], strict=True)
        self._images = [
            KnownImage(key, path, _plain(label), split_in(split), tuple(tags or ()))
            for key, path, label, split, tags in sorted(found, key=lambda image: image[0])
        ]
        folder = source_folder(dataset_of(view)) or _common_folder(paths)
        self._by_path = {image.path: image for image in self._images}
        self._by_path |= {relative_path(image.path, folder): image for image in self._images}
        self._by_content: dict[str, list[KnownImage]] = defaultdict(list)

    def read_contents(self, rows: Sequence[ChangeRow], progress: Progress = silent) -> None:
        """Read the files, where a row names an image by its content that is not known by its path."""
        if any(row.sha256 and row.path not in self._by_path for row in rows):
            hashes = file_hashes([image.path for image in self._images], progress=progress)
            for image, digest in zip(self._images, hashes, strict=True):
                if digest is not None:
                    self._by_content[digest].append(image)

    def find(self, row: ChangeRow) -> list[KnownImage]:
        """Return the images that a row can mean: the one of its path, else those of its content."""
        if image := self._by_path.get(row.path):
            return [image]
        return self._by_content.get(row.sha256, []) if row.sha256 else []


def _plain(label: Any) -> PlainLabel:
    return sorted(name for name in label if name) if isinstance(label, list) else label


def _common_folder(paths: Sequence[str]) -> Path | None:
    return Path(os.path.commonpath([os.path.dirname(path) for path in paths])) if paths else None
