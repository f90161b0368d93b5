"""Images that Label Studio serves from a folder of its own machine, its document root.

It serves a file where the project has a storage for a folder strictly below the document root that the file lies in,
at whatever depth; the storage needs no sync.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from .client import LabelStudioClient
from .connection_findings import Finding, Level

_TITLE = "Winnow"


@dataclass(frozen=True)
class DocumentRoot:
    """The folder that Label Studio serves files from.

    Attributes:
        here: As this machine sees it.
        there: As Label Studio's machine, or container, sees it.
    """

    here: Path
    there: PurePosixPath

    def inner(self, path: str) -> str | None:
        """Return a file's path below the root, with slashes; None where it lies elsewhere, or in the root itself.

        The path as it is given is preferred, as Label Studio follows links too; then where links lead.
        """
        found = _below(os.path.abspath(path), os.path.abspath(self.here))
        if found is None:
            found = _below(os.path.realpath(path), os.path.realpath(self.here))
        return found if found is not None and "/" in found else None


def local_address(inner: str) -> str:
    """Return where Label Studio serves a file, by its path below the document root."""
    return "/data/local-files/?d=" + quote(inner)


def folders_to_serve(inner: Iterable[str]) -> list[str]:
    """Return folders below the document root that hold these files: one for all where that is not the root itself.

    Args:
        inner: Paths below the document root, each in a folder.
    """
    parents = {os.path.dirname(path) for path in inner}
    if not parents:
        return []
    common = os.path.commonpath(sorted(parents))
    return [common] if common else sorted({parent.split("/", 1)[0] for parent in parents})


def serve_folders(
    client: LabelStudioClient, project_id: int, root: DocumentRoot, folders: Iterable[str]
) -> list[dict[str, Any]]:
    """Give a project a storage for each folder that none of its storages covers yet.

    Args:
        client: Of the Label Studio.
        project_id: The project.
        root: The document root.
        folders: Paths below it.

    Returns:
        The new storages; `path` is as Label Studio sees the folder.

    Raises:
        LabelStudioError: Label Studio does not take a storage; `detail` says why.
    """
    stores = [store for store in client.storages(project_id) if store.get("type") == "localfiles"]
    known = [str(store.get("path") or "").rstrip("/") for store in stores]
    new: list[dict[str, Any]] = []
    for folder in folders:
        path = str(root.there / folder)
        if not any(path == each or path.startswith(f"{each}/") for each in known if each):
            new.append(client.create_local_storage(project_id, path, _TITLE))
            known.append(path)
    return new


def why_not_served(client: LabelStudioClient, project_id: int, address: str, status: int) -> Finding:
    """Return what keeps Label Studio from serving a local file, for which it answered with this status."""
    what = f"Label Studio answers {status} for {address}"
    storages = [store for store in client.storages(project_id) if store.get("type") == "localfiles"]
    if not storages:
        return Finding(
            Level.PROBLEM,
            what,
            "the project has no storage of local files, without which Label Studio serves none",
            "Add one under Settings > Cloud Storage (no sync is needed), for a folder strictly below the document root",
        )
    paths = ", ".join(f"'{store.get('path')}'" for store in storages)
    return Finding(
        Level.PROBLEM,
        what,
        f"its storages of local files are {paths}, and d= counts from LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT",
        "See that the file is below a storage's path, and that LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true",
    )


def _below(file: str, root: str) -> str | None:
    """Return a file's path below a folder, with slashes; None where it is not below it. Both are absolute."""
    start = root.rstrip(os.sep) + os.sep
    return file[len(start) :].replace(os.sep, "/") if file.startswith(start) else None
