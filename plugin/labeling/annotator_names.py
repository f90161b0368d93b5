"""What annotators are called in a dataset, which is shown to more people than Label Studio's list of users is."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Hashable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..errors import DataError

_KEY_BYTES = 32


class Naming(StrEnum):
    """How annotators are called.

    NUMBER: by their number in Label Studio. NAME: by first and last name, else user name, else e-mail address.
    PSEUDONYM: by a keyed hash of their number, of which nobody finds the number without the key.
    """

    NUMBER = "number"
    NAME = "name"
    PSEUDONYM = "pseudonym"


class AnnotatorNames:
    """Gives each annotator a name, the same one every time.

    Args:
        naming: How they are called; names from a table are kept, unless pseudonyms are asked for.
        users: As Label Studio lists them; needed for `Naming.NAME`.
        key: Secret of the pseudonyms; see `pseudonym_key`.
    """

    def __init__(self, naming: Naming, *, users: Iterable[Mapping[str, Any]] = (), key: bytes = b"") -> None:
        if naming is Naming.PSEUDONYM and len(key) < _KEY_BYTES:
            raise ValueError(f"pseudonyms need a key of {_KEY_BYTES} bytes, got {len(key)}")
        self._naming, self._key = naming, key
        self._names = {user.get("id"): _full_name(user) for user in users if naming is Naming.NAME}

    def __call__(self, annotator: Hashable) -> str:
        """Return the name; None, where nobody is named, is "unknown"."""
        if annotator is None:
            return "unknown"
        if self._naming is Naming.PSEUDONYM:
            digest = hmac.new(self._key, str(annotator).encode(), hashlib.sha256)
            return f"annotator {digest.hexdigest()[:10]}"
        known = self._names.get(annotator)
        return known or (annotator if isinstance(annotator, str) else f"annotator {annotator}")


def pseudonym_key(path: Path) -> bytes:
    """Return the secret kept in a file, which is made for its owner alone where there is none.

    Raises:
        DataError: It can't be made or read, or holds something else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
        except FileExistsError:
            pass
        key = path.read_bytes()
    except OSError as cause:
        raise DataError(f"the key of the annotators' pseudonyms, '{path}', can't be used: {cause.strerror}.") from cause
    if len(key) != _KEY_BYTES:
        raise DataError(
            f"'{path}' should hold the {_KEY_BYTES} bytes of the annotators' pseudonyms, but has {len(key)}. Bring the "
            "file back, or delete it: annotators then get new pseudonyms."
        )
    return key


def _full_name(user: Mapping[str, Any]) -> str:
    names = " ".join(str(user.get(part) or "").strip() for part in ("first_name", "last_name")).strip()
    return names or str(user.get("username") or "") or str(user.get("email") or "")
