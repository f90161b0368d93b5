"""How the images of a batch reach the annotators' browsers: from Label Studio's own disk, or uploaded to it.

Local files cost nothing but need a folder that Label Studio sees; uploads work everywhere. Left to choose, each image
goes the first way that is open to it. What browsers can't show travels as a display copy.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import TargetError, UnreadableImageError, WinnowError
from ..vision.decoder import Decode
from .client import LabelStudioClient, LabelStudioError
from .display_copies import make_display_copy
from .display_tasks import COPIES
from .local_files import DocumentRoot, folders_to_serve, local_address, serve_folders, why_not_served
from .originals import original_data
from .outgoing_images import OutgoingImage, look_at

Way = Literal["auto", "local-files", "upload", "url"]
LOCAL, UPLOADED, COPIED = "served from local files", "uploaded", "of them shown as a display copy"

# Of one upload: Label Studio takes 100 files and 250 MB a call, and holds them in memory meanwhile.
_FILES_AT_ONCE = 20
_BYTES_AT_ONCE = 16 * 1024 * 1024
_UPLOAD_NAME = re.compile(r"-([0-9a-f]{32})\.[a-z]+$")
_FILES_TRIED = 5


class DeliveryError(WinnowError):
    """No image can reach the annotators in the way that was asked for."""


@dataclass(frozen=True)
class CopySettings:
    """How display copies are made.

    Attributes:
        originals: The folder that originals are named from in tasks (WINNOW_ORIGINALS_ROOT of a backend).
        folder: For copies that are uploaded.
        decode: Finds the value range that becomes 0..255; called when the first copy is made.
    """

    originals: Path
    folder: Path
    decode: Callable[[], Decode]


@dataclass
class ImageDelivery:
    """Brings the images of one batch to Label Studio, some at a time.

    Attributes:
        client: Of the Label Studio.
        project_id: The project.
        key: Under which a task's data holds the image.
        way: As it was asked for.
        root: Label Studio's document root; None = not known here.
        copies: How display copies are made.
        ways: How many images went which way, for the report.
        notes: What was found out, one sentence each.
        uploads: Whether images may have to be uploaded.
    """

    client: LabelStudioClient
    project_id: int
    key: str
    way: Way
    root: DocumentRoot | None
    copies: CopySettings
    ways: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    uploads: bool = True
    _local: bool = False
    _uploads: dict[str, str] = field(default_factory=dict)

    def look(self, path: str) -> OutgoingImage:
        """Read an image file; see `outgoing_images.look_at`."""
        return look_at(path)

    def prepare(self, paths: Sequence[str]) -> None:
        """Make Label Studio serve the folders of these files, and find out whether it really does.

        Raises:
            DeliveryError: Local files were asked for, and are not served; it names the setting at fault.
            LabelStudioError: Label Studio refuses something else.
        """
        if self.way in ("auto", "local-files"):
            reason = self._try_local_files(paths)
            self._local = not reason
            if reason and self.way == "local-files":
                raise DeliveryError(f"Label Studio can't show these images as local files: {reason}")
            if reason and self.root is not None:
                self.notes.append(f"images are uploaded, since local files are not served: {reason}")
        self.uploads = not all(self._inner(path) for path in paths)
        # Those of a sender that was killed are taken up again.
        self._uploads = {
            found[1]: upload["file"]
            for upload in self.client.uploads(self.project_id)
            if (found := _UPLOAD_NAME.search(upload["file"]))
        }

    def deliver(self, images: Sequence[OutgoingImage]) -> list[dict[str, str] | str]:
        """Bring images there.

        Returns:
            For each image what its task's data holds to show it, or why it can't be shown.
        """
        found: list[dict[str, str] | str] = [""] * len(images)
        waiting: list[tuple[int, _Upload]] = []
        for row, image in enumerate(images):
            try:
                placed = (
                    self._copied(image) if image.needs_copy or self._needs_conversion(image) else self._plain(image)
                )
            except (UnreadableImageError, TargetError) as error:
                found[row] = error.reason if isinstance(error, UnreadableImageError) else str(error)
                continue
            if isinstance(placed, _Upload):
                waiting.append((row, placed))
            else:
                found[row] = placed
        self._upload([upload for _, upload in waiting])
        for row, upload in waiting:
            found[row] = {self.key: f"/data/{self._uploads[upload.name]}", **upload.data}
            self.ways[UPLOADED] += 1
        return found

    def checked(self, first: tuple[int, Mapping[str, object]] | None) -> list[str]:
        """Try one uploaded image, and return what is wrong; local files were tried before.

        Args:
            first: A task and its data; None = there is none.
        """
        address = "" if first is None else str(first[1].get(self.key) or "")
        notes = []
        if address.startswith("/data/upload/") and (status := self.client.file_status(address)) not in (200, 206):
            notes.append(
                f"Label Studio answers {status} for {address}, which was uploaded: see that it keeps "
                "its files (LABEL_STUDIO_BASE_DATA_DIR, or its cloud storage), and that the token's user may read them"
            )
        if self.ways[COPIED]:
            notes.append(
                f"display copies name their originals below '{self.copies.originals}': a backend that is to predict "
                "them is started with that folder as WINNOW_ORIGINALS_ROOT"
            )
        return notes

    def _try_local_files(self, paths: Sequence[str]) -> str:
        """Return why files are not served, "" where they are."""
        if self.root is None:
            return "its document root is not known here; name the folder as document root"
        inner = [found for path in paths if (found := self.root.inner(path)) and os.path.isfile(path)]
        if not inner:
            return f"none of them lies in a folder below the document root '{self.root.here}'"
        try:
            new = serve_folders(self.client, self.project_id, self.root, folders_to_serve(inner))
        except LabelStudioError as error:
            return error.detail or str(error)
        self.notes += [f"storage of local files for '{store['path']}' was added to the project" for store in new]
        for found in inner[:: max(1, len(inner) // _FILES_TRIED)][:_FILES_TRIED]:
            address = local_address(found)
            status = self.client.file_status(address)
            if status not in (200, 206):
                finding = why_not_served(self.client, self.project_id, address, status)
                return f"{finding.what}: {finding.why}. {finding.next_step}"
        return ""

    def _needs_conversion(self, image: OutgoingImage) -> bool:
        """Tell whether an image that browsers show can go no way but as a PNG."""
        return not image.extension and self._inner(image.path) is None

    def _inner(self, path: str) -> str | None:
        return self.root.inner(path) if self._local and self.root is not None else None

    def _plain(self, image: OutgoingImage) -> dict[str, str] | _Upload:
        inner = self._inner(image.path)
        if inner is not None:
            self.ways[LOCAL] += 1
            return {self.key: local_address(inner)}
        self._check_may_upload(image.path)
        return _Upload(image.sha256[:32], image.path, image.extension, image.size, {})

    def _copied(self, image: OutgoingImage) -> dict[str, str] | _Upload:
        local = self._local and self.root is not None
        if not local:
            self._check_may_upload(image.path)
        folder = self.root.here / COPIES if local and self.root is not None else self.copies.folder
        try:
            copy = make_display_copy(Path(image.path), self.copies.originals, folder, self.copies.decode())
        except OSError as error:
            raise TargetError(f"no display copy can be written into '{folder}' ({error.strerror})") from None
        data = original_data(copy.original, self.key)
        self.ways[COPIED] += 1
        if local and self.root is not None:
            serve_folders(self.client, self.project_id, self.root, [COPIES] if self.ways[COPIED] == 1 else [])
            self.ways[LOCAL] += 1
            return {self.key: local_address(f"{COPIES}/{copy.path.name}"), **data}
        return _Upload(copy.path.stem, str(copy.path), ".png", copy.path.stat().st_size, data)

    def _check_may_upload(self, path: str) -> None:
        if self.way == "local-files":
            root = self.root.here if self.root is not None else ""
            raise TargetError(f"it lies in no folder below the document root '{root}', so Label Studio can't serve it")

    def _upload(self, uploads: Sequence[_Upload]) -> None:
        new = {upload.name: upload for upload in uploads if upload.name not in self._uploads}
        for part in _parts(list(new.values())):
            with ExitStack() as stack:
                files = [(each.name + each.extension, stack.enter_context(open(each.path, "rb"))) for each in part]
                numbers = self.client.upload_files(self.project_id, files)
            stored = {int(each["id"]): str(each["file"]) for each in self.client.uploads(self.project_id, numbers)}
            self._uploads |= {each.name: stored[number] for each, number in zip(part, numbers, strict=True)}


@dataclass(frozen=True, slots=True)
class _Upload:
    """A file to upload.

    Attributes:
        name: 32 hexadecimal digits that stand for its content; what the file is called stays here.
        path: The file.
        extension: With its dot.
        size: In bytes.
        data: What the task's data holds beside the address.
    """

    name: str
    path: str
    extension: str
    size: int
    data: dict[str, str]


def _parts(uploads: Sequence[_Upload]) -> Iterator[list[_Upload]]:
    """Yield the uploads in requests of bounded size."""
    part: list[_Upload] = []
    for upload in uploads:
        if part and (len(part) == _FILES_AT_ONCE or sum(each.size for each in part) + upload.size > _BYTES_AT_ONCE):
            yield part
            part = []
        part.append(upload)
    if part:
        yield part
