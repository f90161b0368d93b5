"""One throw-away world for the whole test session: its own home, its own database, its own plugins folder.

Everything is decided before fiftyone is imported, since FiftyOne reads its settings and connects at import. Importing
fiftyone stays lazy here, so that the tests of the pure parts don't wait for it.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from benchmarks.isolation import isolate

if TYPE_CHECKING:
    import fiftyone as fo

REAL_HOME = Path.home()


def pytest_configure(config: pytest.Config) -> None:
    """Point every setting into a session folder and start a database; nobody waits for it here.

    Where several processes share the tests, each has a world of its own, and the one that hands them out none.
    """
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        isolate()


@pytest.fixture(scope="session", autouse=True)
def real_home_untouched() -> Iterator[None]:
    """Fail the session when a test has left something of Winnow's or FiftyOne's in the user's home."""
    before = _traces(REAL_HOME)
    yield
    assert _traces(REAL_HOME) == before, f"a test wrote into {REAL_HOME}"


@pytest.fixture(scope="module", autouse=True)
def no_dataset_left() -> Iterator[None]:
    """Delete what a module's tests made by way of commands: names of datasets depend on those that are taken."""
    yield
    if "fiftyone" in sys.modules:
        import fiftyone as fo

        for name in fo.list_datasets():
            fo.delete_dataset(name)


def _traces(home: Path) -> set[str]:
    """Return what Winnow and FiftyOne keep in a home: their folders, and Winnow's and the plugins' content."""
    own = [path for path in home.iterdir() if "winnow" in path.name or "fiftyone" in path.name]
    inside = [*home.glob(".winnow/*"), *home.glob("fiftyone/__plugins__/*")]
    return {str(path) for path in own + inside}


@pytest.fixture
def dataset() -> Iterator[Callable[..., fo.Dataset]]:
    """Return a factory of datasets, `dataset(name=None)`; datasets made during the test are deleted after it."""
    import fiftyone as fo

    before = set(fo.list_datasets())

    def make(name: str | None = None) -> fo.Dataset:
        return fo.Dataset(name or f"test-{uuid.uuid4().hex[:12]}")

    yield make
    for name in set(fo.list_datasets()) - before:
        fo.delete_dataset(name)


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a factory of image folders, `image_folder(*names, root="images")`: one small real image a name.

    The content depends on the name alone; the extension decides the format.
    """

    def make(*names: str, root: str = "images") -> Path:
        folder = tmp_path / root
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            write_image(folder / name)
        return folder

    return make


def write_image(path: Path, size: int = 16) -> Path:
    """Write a small colour image of `size` pixels a side, drawn from the file's name, and return its path."""
    rng = np.random.default_rng(list(path.name.encode()))
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((size, size), Image.Resampling.BILINEAR).save(path)
    return path


def save_label_issues(
    made: fo.Dataset, ids: list[str], quality: list[float], suggested: list[str], confidences: list[float]
) -> None:
    """Write what `find_label_issues` leaves of judged labels; the first ones, with a suggestion, are flagged."""
    from winnow.plugin.datasets import runs
    from winnow.plugin.datasets.fields import write_labels, write_values
    from winnow.plugin.workflows.findings import LABEL_ISSUES_RUN

    flagged = ids[: len(suggested)]
    given = made.select(flagged, ordered=True).values("ground_truth.label")
    as_stored = [float(np.float32(confidence)) for confidence in confidences]
    write_values(made, "label_quality", ids, quality, kind="float")
    write_values(made, "label_issue", ids, [key in flagged for key in ids], kind="bool")
    write_labels(made, "suggested_label", flagged, suggested, as_stored, given=given)
    fields = {"quality_field": "label_quality", "issue_field": "label_issue", "suggestion_field": "suggested_label"}
    runs.save_run(
        made,
        LABEL_ISSUES_RUN,
        method="find_label_issues",
        params=fields,
        fields=list(fields.values()),
        summary={"label_field": "ground_truth"},
    )
