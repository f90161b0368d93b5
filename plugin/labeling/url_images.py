"""Images that annotators' browsers, or Label Studio, fetch from where they lie: web servers and cloud storages."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import UnreadableImageError
from .client import LabelStudioClient
from .image_access import describe_address
from .outgoing_images import OutgoingImage, look_at

BY_ADDRESS = "shown from their own address"
_WEB = ("http", "https")
# What Label Studio signs addresses of, where the project has a storage for the bucket, and the storage's type there.
_CLOUD = {"s3": "s3", "gs": "gcs", "azure-blob": "azure"}


@dataclass
class UrlDelivery:
    """Names the images of one batch by their addresses; nothing is brought anywhere.

    Attributes:
        client: Of the Label Studio.
        project_id: The project.
        key: Under which a task's data holds the image.
        addresses: Path of an image -> its address.
        ways: How many images went this way.
        notes: What was found out, one sentence each.
        uploads: Nothing is uploaded.
    """

    client: LabelStudioClient
    project_id: int
    key: str
    addresses: Mapping[str, str | None]
    ways: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    uploads: bool = False

    def look(self, path: str) -> OutgoingImage:
        """Read the file for its hash, where it is here, too; whether annotators can see it is not known by that."""
        try:
            return look_at(path)
        except UnreadableImageError:
            return OutgoingImage(path, "", 0, False, "")

    def prepare(self, paths: Sequence[str]) -> None:
        """Find out whether Label Studio has a storage for each bucket."""
        types = {str(store.get("type")) for store in self.client.storages(self.project_id)}
        buckets = {f"{scheme}://{host}" for scheme, host in map(self._origin, paths) if scheme in _CLOUD}
        for bucket in sorted(buckets):
            if _CLOUD[bucket.partition(":")[0]] not in types:
                self.notes.append(
                    f"the project has no storage for {bucket}, without which Label Studio can't show its images. Add "
                    "one under Settings > Cloud Storage, with pre-signed URLs; no sync is needed"
                )

    def deliver(self, images: Sequence[OutgoingImage]) -> list[dict[str, str] | str]:
        """Return what each task's data holds to show an image, or why it can't be shown."""
        found: list[dict[str, str] | str] = []
        for image in images:
            address = self.addresses.get(image.path)
            if not address:
                found.append("it has no address")
            elif self._origin(image.path)[0] not in (*_WEB, *_CLOUD):
                found.append(f"'{describe_address(address)}' is no address that Label Studio can show")
            else:
                self.ways[BY_ADDRESS] += 1
                found.append({self.key: address})
        return found

    def checked(self, first: tuple[int, Mapping[str, object]] | None) -> list[str]:
        """Try one image, and return what is wrong.

        Args:
            first: A task and its data. Only what Label Studio itself has to sign is tried: no other host is asked for
                anything from here.
        """
        address = "" if first is None else str(first[1].get(self.key) or "")
        scheme = urlsplit(address).scheme
        if first is None or scheme in _WEB or not address:
            return ["whether annotators can open the images was not tried: other hosts are not asked from here"]
        uri = base64.urlsafe_b64encode(address.encode()).decode()
        status = self.client.file_status(f"/tasks/{first[0]}/resolve/?fileuri={uri}")
        if status in (200, 206, 302, 303, 307):
            return []
        return [
            f"Label Studio answers {status} for {describe_address(address)}: see that the project's storage for it "
            "exists under Settings > Cloud Storage, and that its keys may read the bucket"
        ]

    def _origin(self, path: str) -> tuple[str, str]:
        try:
            parts = urlsplit(self.addresses.get(path) or "")
            return parts.scheme.lower(), parts.hostname or ""
        except ValueError:
            return "", ""
