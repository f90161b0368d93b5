"""The folder that several replicas share: how a replica knows that it sees the same one as the others."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from .adopting import adopt
from .database import Database, StoreError
from .store_address import StoreAddress

MARK = "registry.id"


def join_registry(database: Database, state: Path, single: Path, address: StoreAddress) -> None:
    """Check that a folder and a database belong together; the first replica marks both.

    What a single server remembered in the folder before goes into the database then.

    Args:
        database: That the replicas share.
        state: The folder that they share.
        single: The file in it that a single server would keep.
        address: Of the database, for messages.

    Raises:
        StoreError: They don't, or the folder cannot be written.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        with database.writing() as transaction:
            known = transaction.execute("SELECT id FROM registry").fetchone()
            mark = _mark_of(state)
            if known is None:
                if mark is None:
                    mark = uuid.uuid4().hex
                    _write(state / MARK, mark)
                if single.exists():
                    adopt(single, transaction)
                transaction.execute("INSERT INTO registry VALUES (?)", (mark,))
            elif mark != known[0]:
                raise StoreError(
                    f"'{state}' is not the folder that the other replicas of '{address}' share: it lacks their mark, "
                    f"{MARK}. Mount that folder here and name it with --state, or name another database."
                )
    except OSError as cause:
        raise StoreError(f"cannot use '{state}': {cause.strerror or cause}. Choose another --state.") from None


def put_into_registry(folder: Path, target: Path) -> None:
    """Copy a classifier folder to where all replicas see it: whole, or not at all, whoever else does so meanwhile."""
    if target.exists():
        return
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        shutil.copytree(folder, unfinished)
        try:
            os.replace(unfinished, target)
        except OSError:  # another replica was quicker
            if not target.exists():
                raise
    except OSError as cause:
        raise StoreError(f"cannot copy '{folder}' to '{target}': {cause.strerror or cause}.") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _mark_of(state: Path) -> str | None:
    try:
        return (state / MARK).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _write(file: Path, content: str) -> None:
    unfinished = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    unfinished.write_text(content + "\n", encoding="utf-8")
    os.replace(unfinished, file)
