"""What `attach` changed in a project, kept so that `detach` can put it back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_FORMAT = 1


@dataclass
class AttachmentMemory:
    """What is remembered of one project of one Label Studio.

    Attributes:
        backend_url: Where Label Studio was told that the backend is.
        before: Fields of the project that were changed, with the values that they had.
        after: The same fields, with the values that they were given.
    """

    backend_url: str
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, before: Any, after: Any) -> None:
        """Remember a change. The first value of all is kept, unless somebody else has changed it since."""
        if name not in self.before or self.after.get(name) != before:
            self.before[name] = before
        self.after[name] = after


class AttachmentMemories:
    """The memories of all projects, a small file each.

    Args:
        folder: Made when something is remembered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, label_studio_url: str, project_id: int) -> AttachmentMemory | None:
        """Return what is remembered of a project; None when there is nothing, or nothing legible."""
        try:
            kept = json.loads(self._file(label_studio_url, project_id).read_text(encoding="utf-8"))
            if kept.pop("format") != _FORMAT:
                return None
            return AttachmentMemory(**kept)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, label_studio_url: str, project_id: int, memory: AttachmentMemory) -> None:
        """Remember; a reader sees the old content or the new one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._folder, suffix=".part", delete=False) as file:
            json.dump({"format": _FORMAT, **asdict(memory)}, file, ensure_ascii=False, indent=1)
        os.replace(file.name, self._file(label_studio_url, project_id))

    def forget(self, label_studio_url: str, project_id: int) -> None:
        """Forget a project."""
        self._file(label_studio_url, project_id).unlink(missing_ok=True)

    def _file(self, label_studio_url: str, project_id: int) -> Path:
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", label_studio_url.partition("://")[2])[:60].strip("-")
        digest = hashlib.sha256(label_studio_url.encode()).hexdigest()[:8]
        return self._folder / f"{readable}-{digest}-project-{project_id}.json"
