"""What is known of the batches of a dataset while labels come back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..datasets.labeling_batches import Batch, BatchEntry, load_batch
from ..datasets.views import Collection
from ..labeling.reconciling import PlainLabel


class SentBatches:
    """The batches of a dataset, each read when it is first asked for.

    Args:
        view: Any collection of the dataset.
        entries: The batches.
    """

    def __init__(self, view: Collection, entries: Sequence[BatchEntry]) -> None:
        self._view = view
        self._entries = {entry.name: entry for entry in entries}
        self._loaded: dict[str, tuple[Batch, dict[str, int]]] = {}

    def __contains__(self, name: str | None) -> bool:
        return name in self._entries

    def annotators(self, name: str | None) -> int:
        """Return how many are to label each sample of a batch."""
        return self._entries[name].annotators if name is not None and name in self._entries else 1

    def before(self, name: str | None, sample_id: str) -> Mapping[str, PlainLabel]:
        """Return a sample's labels when it was sent; nothing where that is not known."""
        batch, row = self._find(name, sample_id)
        return {} if batch is None or row is None else batch.labels_before[row]

    def imported(self, project: int, url: str) -> Iterator[tuple[str, str]]:
        """Yield batch and sample of each task that was imported into a project."""
        for entry in self._entries.values():
            if entry.project_id == project and entry.url.rstrip("/") == url:
                batch, _ = self._load(entry.name)
                yield from (
                    (entry.name, key) for key, task in zip(batch.sample_ids, batch.task_ids, strict=True) if task
                )

    def holds(self, sample_id: str) -> bool:
        """Tell whether a sample was sent with any batch."""
        return any(sample_id in self._load(name)[1] for name in self._entries)

    def _find(self, name: str | None, sample_id: str) -> tuple[Batch | None, int | None]:
        if name is None or name not in self._entries:
            return None, None
        batch, rows = self._load(name)
        return batch, rows.get(sample_id)

    def _load(self, name: str) -> tuple[Batch, dict[str, int]]:
        if name not in self._loaded:
            batch = load_batch(self._view, name)
            self._loaded[name] = batch, {key: row for row, key in enumerate(batch.sample_ids)}
        return self._loaded[name]
