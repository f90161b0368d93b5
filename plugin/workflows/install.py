"""Put the plugin into FiftyOne's plugins folder, and take it out again."""

from __future__ import annotations

import shutil
from pathlib import Path

import fiftyone as fo
import yaml

from ..datasets.jobs import PLUGIN_NAME
from ..errors import TargetError

# The package root: this file lies in plugin/workflows/.
_ROOT = Path(__file__).resolve().parents[2]
# Marks a copy that `install` made, so that `uninstall` never deletes somebody's checkout.
_COPY_MARK = ".copied-by-winnow-install"
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "node_modules", "build", "tests", "benchmarks")
_BUILT = "dist"  # wheels; app/dist, the panels' bundle, is copied


def install(plugins_dir: Path | None = None) -> str:
    """Link the package into the plugins folder, or copy it where links can't be made. Again: brings it up to date.

    Args:
        plugins_dir: The folder; by default FiftyOne's `plugins_dir`.

    Returns:
        One sentence for the user: what was done, or that nothing was needed.

    Raises:
        TargetError: Something that is not Winnow lies where the plugin belongs.
    """
    folder = plugins_dir or _configured_folder()
    place = folder / PLUGIN_NAME
    other = next((path for path in find_installed(folder) if path != place), None)
    if other is not None:
        return f"The plugin is in FiftyOne's plugins folder already: {other}."

    if place.is_symlink():
        if place.resolve() == _ROOT:
            return f"The plugin is installed already: {place} links to {_ROOT}."
        if place.exists() and not _is_winnow(place):
            raise TargetError(f"'{place}' links to something else than Winnow; move it away, then install again.")
        place.unlink()
    elif place.exists():
        if not _is_winnow(place):
            raise TargetError(f"'{place}' exists and is not Winnow; move it away, then install again.")
        if not (place / _COPY_MARK).exists():
            return f"The plugin is installed already, as a folder of its own: {place}."
        shutil.rmtree(place)

    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(_ROOT, target_is_directory=True)
    except OSError:  # Windows without the right to make links, and some network drives
        shutil.copytree(_ROOT, place, ignore=_not_copied)
        (place / _COPY_MARK).touch()
        return f"The plugin was copied to {place}; run `winnow install` again after an upgrade."
    return f"The plugin was linked: {place} -> {_ROOT}."


def uninstall(plugins_dir: Path | None = None) -> str:
    """Remove what `install` made; no dataset and no classifier is touched.

    Returns:
        One sentence for the user.

    Raises:
        TargetError: The plugin was put there by other means.
    """
    place = (plugins_dir or _configured_folder()) / PLUGIN_NAME
    if place.is_symlink():
        if place.exists() and not _is_winnow(place):
            raise TargetError(f"'{place}' links to something else than Winnow; it was left alone.")
        place.unlink()
    elif (place / _COPY_MARK).exists():
        shutil.rmtree(place)
    elif place.exists():
        raise TargetError(
            f"'{place}' was not made by `winnow install`; remove it with `fiftyone plugins delete {PLUGIN_NAME}`."
        )
    else:
        return f"The plugin is not installed in {place.parent.parent}."
    return f"The plugin was removed from {place}."


def find_installed(plugins_dir: Path | None = None) -> list[Path]:
    """Return the folders or links in the plugins folder that hold Winnow, whoever put them there."""
    folder = plugins_dir or _configured_folder()
    return [
        path.parent
        for depth in ("*", "*/*")
        for path in folder.glob(f"{depth}/fiftyone.yml")
        if _is_winnow(path.parent)
    ]


def _configured_folder() -> Path:
    return Path(fo.config.plugins_dir)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    left_out = _NOT_COPIED(folder, names)
    return left_out | {_BUILT} if Path(folder) == _ROOT else left_out


def _is_winnow(folder: Path) -> bool:
    try:
        described = yaml.safe_load((folder / "fiftyone.yml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return False
    return isinstance(described, dict) and described.get("name") == PLUGIN_NAME
