"""What a node of a cluster is asked before work begins. Sent there as it stands: Winnow may be missing on the node.

Only the standard library is imported before it is known that the node has the same versions.
"""

from __future__ import annotations

from typing import Any


def versions_here() -> dict[str, str]:
    """Return the versions that results depend on; "none" for what is missing."""
    import platform
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    try:
        found["Winnow"] = str(import_module("winnow").__version__)
    except Exception:  # whatever keeps it from being imported
        found["Winnow"] = "none"
    for package in ("torch", "timm", "Pillow", "numpy"):
        try:
            found[package] = version(package).partition("+")[0]  # "+cpu", "+cu130": the same torch
        except PackageNotFoundError:
            found[package] = "none"
    return found


def look_around(expected: dict[str, str], paths: list[str], store: str, space: str, name: str) -> dict[str, Any]:
    """Tell of a node: its versions, which files it can't read, and whether it can write to the store.

    Args:
        expected: The driver's versions; where they differ, nothing else is tried.
        paths: Files that the driver can read.
        store: Address of the store.
        space: Folder in it.
        name: Of the file to leave there for the driver to see.
    """
    found: dict[str, Any] = {"versions": versions_here(), "unreadable": [], "store": ""}
    if found["versions"] != expected:
        return found
    import tempfile
    from importlib import import_module
    from pathlib import Path

    for path in paths:
        try:
            with open(path, "rb") as file:
                file.read(1)
        except OSError as cause:
            found["unreadable"].append(f"'{path}' ({cause.strerror or type(cause).__name__})")
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(b"")
            import_module("winnow.plugin.cluster.store").Store(store).write(space, Path(folder) / name)
    except Exception as cause:
        found["store"] = str(cause)
    return found
