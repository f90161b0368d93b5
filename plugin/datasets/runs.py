"""Keeps what a job did with a dataset: its parameters, its fields and its summary, as FiftyOne's own custom runs.

Nothing of ours is named in the database, so that runs can be listed and deleted where Winnow is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import ObjectId, json_util

from ... import __version__
from ..errors import DataError
from .fields import clear_field, is_own
from .views import Collection, dataset_of, every_image

# Present in the configuration of our runs only.
_OURS = "winnow"


@dataclass(frozen=True)
class SavedRun:
    """A job that was run on a dataset.

    Attributes:
        key: Name of the run, such as `duplicates`.
        method: The job, such as `find_duplicates`.
        params: The job's settings, plain JSON.
        fields: Fields that the job wrote.
        summary: What the job found, plain JSON.
        time: When it was saved (UTC).
        samples: Number of samples that the job looked at.
        dataset_samples: Number of images that the whole dataset had.
        newest_sample: Largest sample id in the dataset, or None in an empty one; ids ascend with time.
        version: Winnow's version.
    """

    key: str
    method: str
    params: dict[str, Any]
    fields: tuple[str, ...]
    summary: dict[str, Any]
    time: datetime
    samples: int
    dataset_samples: int
    newest_sample: str | None
    version: str

    @property
    def made(self) -> str:
        """Its time as text, as exact as the database keeps it: by this it is told from the next run of its key."""
        return self.time.isoformat(timespec="milliseconds")


def save_run(
    view: Collection,
    key: str,
    *,
    method: str,
    params: Mapping[str, Any],
    fields: Sequence[str],
    summary: Mapping[str, Any],
    results: Mapping[str, Any] | None = None,
) -> None:
    """Save a run under `key`, in place of an earlier one: a crash leaves the old or the new, never half of it.

    Args:
        view: The collection that the job ran on.
        key: An identifier.
        method: Name of the job.
        params: The job's settings, plain JSON.
        fields: Fields that the job wrote. Those of the earlier run that still exist stay among the run's fields, after
            these, so that they are deleted with it.
        summary: What the job found, plain JSON.
        results: More of what it found, plain JSON of any size; read only on demand.
    """
    dataset, images = _fresh(view), every_image(view)
    config = dataset.init_run(
        method=method,
        params=dict(params),
        fields=[*fields, *_left_over(dataset, key, fields)],
        summary=dict(summary),
        samples=view.count(),
        dataset_samples=images.count(),
        newest_sample=_newest(images),
    )
    setattr(config, _OURS, __version__)
    if not dataset.has_run(key):
        # Without our mark yet: what is cut off here is no run of ours, and the next one takes its place.
        dataset.register_run(key, dataset.init_run(method=method))
    _replace(dataset, key, config, results)


def add_fields(view: Collection, key: str, fields: Sequence[str]) -> None:
    """Note that a saved run of Winnow wrote these fields too."""
    dataset = _fresh(view)
    config = dataset.get_run_info(key).config
    config.fields = [*config.fields, *(field for field in fields if field not in config.fields)]
    dataset.update_run_config(key, config)


def update_run(
    view: Collection,
    key: str,
    *,
    params: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
) -> None:
    """Change what a saved run of Winnow says, in one write: a crash leaves the old or the new, never neither.

    Args:
        view: Any collection of the dataset.
        key: The run.
        params: Its settings from now on; None = as they are.
        summary: Likewise.
        results: Likewise.

    Raises:
        DataError: Winnow has no such run on the dataset.
    """
    dataset = _fresh(view)
    load_run(dataset, key)
    config = dataset.get_run_info(key).config
    if params is not None:
        config.params = dict(params)
    if summary is not None:
        config.summary = dict(summary)
    if results is None:
        dataset.update_run_config(key, config)
    else:
        _replace(dataset, key, config, results)


def list_runs(view: Collection) -> list[SavedRun]:
    """Return Winnow's runs on the dataset, the oldest first."""
    dataset = _fresh(view)
    runs = [_saved_run(dataset, key) for key in dataset.list_runs() if _is_ours(dataset, key)]
    return sorted(runs, key=lambda run: run.time)


def load_run(view: Collection, key: str) -> SavedRun:
    """Return a run.

    Raises:
        DataError: Winnow has no such run on the dataset.
    """
    dataset = _fresh(view)
    if not dataset.has_run(key) or not _is_ours(dataset, key):
        known = ", ".join(run.key for run in list_runs(dataset)) or "none"
        raise DataError(f"dataset '{dataset.name}' has no run '{key}' of Winnow; its runs are: {known}.")
    return _saved_run(dataset, key)


def load_results(view: Collection, key: str) -> dict[str, Any] | None:
    """Return what was saved as `results` with a run, None where nothing was.

    Raises:
        DataError: Winnow has no such run on the dataset.
    """
    dataset = _fresh(view)
    load_run(dataset, key)
    results = dataset.load_run_results(key, cache=False)
    return None if results is None else results.results


def delete_run(view: Collection, key: str) -> None:
    """Delete a run together with its fields; a field that another run wrote too stays.

    Raises:
        DataError: Winnow has no such run on the dataset.
    """
    dataset = _fresh(view)
    fields = set(load_run(dataset, key).fields)
    for run in list_runs(dataset):
        if run.key != key:
            fields.difference_update(run.fields)
    for field in sorted(fields):
        if is_own(dataset, field):
            clear_field(dataset, field)
    dataset.delete_run(key)


def is_stale(view: Collection, key: str) -> str | None:
    """Return why a run no longer tells about the whole dataset, None while it does.

    Raises:
        DataError: Winnow has no such run on the dataset.
    """
    dataset = _fresh(view)
    run = load_run(dataset, key)
    images = every_image(dataset)
    newer = images.match(fo.ViewField("_id") > ObjectId(run.newest_sample)) if run.newest_sample else images
    added = newer.count()
    removed = run.dataset_samples + added - images.count()
    if removed < 0:  # samples that came with ids of their own, as from another dataset
        added, removed = added - removed, 0
    changes = [f"{added} samples were added"] * (added > 0) + [f"{removed} samples were removed"] * (removed > 0)
    return f"{' and '.join(changes)} since {run.time:%Y-%m-%d %H:%M} UTC" if changes else None


def claim_key(view: Collection, prefix: str) -> str:
    """Take the next free key PREFIX + NUMBER, numbers from 1; no other process gets the same one.

    What stands under it is no run of Winnow's until `save_run` has saved one; a number that is not used stays so.
    """
    dataset = _fresh(view)
    numbers = [key.removeprefix(prefix) for key in dataset.list_runs() if key.startswith(prefix)]
    number = max((int(each) for each in numbers if each.isdecimal()), default=0)
    place = foo.RunDocument(dataset_id=dataset._doc.id, version=fo.__version__, timestamp=datetime.now(UTC))
    place.config = dataset.init_run(method="place of a run").serialize()
    place.save()
    while True:
        number += 1
        key = f"{prefix}{number}"
        free = {"_id": dataset._doc.id, f"runs.{key}": {"$exists": False}}
        if foo.get_db_conn().datasets.update_one(free, {"$set": {f"runs.{key}": place.id}}).modified_count:
            break
    place.key = key
    place.save()
    dataset._doc.reload("runs")
    return key


def _fresh(view: Collection) -> fo.Dataset:
    """Return the dataset of a view with the runs as they are now: other processes may have saved some since."""
    dataset = dataset_of(view)
    dataset._doc.reload("runs")
    return dataset


def _replace(dataset: fo.Dataset, key: str, config: Any, results: Mapping[str, Any] | None) -> None:
    """Change all of a run in one write: FiftyOne's own calls delete first, and write settings and results apart."""
    document = dataset._doc.runs[key]
    former = document.results
    document.results = None
    if results is not None:
        found = dataset.init_run_results(key, results=dict(results))
        document.results.put(json_util.dumps(found.serialize()).encode(), content_type="application/json")
    document.config = config.serialize()
    document.timestamp = datetime.now(UTC).replace(tzinfo=None)
    document.save()
    if former:
        former.delete()


def _left_over(dataset: fo.Dataset, key: str, fields: Sequence[str]) -> list[str]:
    """Return the fields of the run that is to be replaced which the new one does not write."""
    if not dataset.has_run(key) or not _is_ours(dataset, key):
        return []
    earlier = _saved_run(dataset, key).fields
    return [field for field in earlier if field not in fields and is_own(dataset, field)]


def _is_ours(dataset: fo.Dataset, key: str) -> bool:
    return hasattr(dataset.get_run_info(key).config, _OURS)


def _saved_run(dataset: fo.Dataset, key: str) -> SavedRun:
    info = dataset.get_run_info(key)
    config = info.config
    return SavedRun(
        key=key,
        method=config.method,
        params=config.params,
        fields=tuple(config.fields),
        summary=config.summary,
        time=info.timestamp.replace(tzinfo=UTC),
        samples=config.samples,
        dataset_samples=config.dataset_samples,
        newest_sample=config.newest_sample,
        version=getattr(config, _OURS),
    )


def _newest(images: Collection) -> str | None:
    ids = images.sort_by("id", reverse=True).limit(1).values("id")
    return ids[0] if ids else None
