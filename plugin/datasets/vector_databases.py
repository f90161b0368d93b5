"""Vector databases behind FiftyOne's similarity indexes: what is asked of them, and what they do differently.

Read and tried with fiftyone-brain 0.25, LanceDB 0.40 and pgvector 0.8: FiftyOne's LanceDB index answers one query at a
time by comparing all vectors, reads its whole table to add a few, and adds twice what is there already; so its table is
used directly. Its PostgreSQL index finds no more than `hnsw.ef_search` neighbours, which is 40 unless it is set.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

_ADDED_AT_ONCE = 5_000
_SCANNED_UP_TO = 20_000  # LanceDB compares so few vectors sooner than it builds lists
_LISTS_LOOKED_INTO = 40
_LARGEST_EF_SEARCH = 1_000  # of pgvector
_SMALLEST_EF_SEARCH = 200
_LARGEST_VECTOR = 2_000  # numbers that pgvector's index takes in single precision


class VectorDatabase:
    """An index of any backend, by what each of them offers.

    Args:
        index: FiftyOne's index, for the use of one thread at a time.

    Attributes:
        connections: How many indexes it is worth asking at the same time.
        backend: FiftyOne's name of the database.
        most: Neighbours that it can be asked for at once.
    """

    connections = 4

    def __init__(self, index: Any) -> None:
        self._index = index
        self.backend = str(index.config.method)
        self.most = int(index.config.max_k or 10_000)

    def size(self) -> int:
        """Return how many vectors there are."""
        return int(self._index.total_index_size)

    def ids(self) -> np.ndarray | None:
        """Return the (m,) ids of the samples that have a vector, None where only their number can be told."""
        return None

    def vectors_of(self, ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """Return those of some samples that have a vector, and their (m, d) vectors."""
        vectors, found, _ = self._index.get_embeddings(sample_ids=list(ids))
        return [str(each) for each in found], _matrix(vectors)

    def nearest(self, queries: np.ndarray, k: int) -> list[list[str]]:
        """Return the samples nearest to each of (q, d) vectors, best first."""
        return list(self._index._kneighbors(query=queries, k=min(k, self.most))[0])

    def add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add vectors of samples that have none."""
        for start in range(0, len(ids), _ADDED_AT_ONCE):
            part = slice(start, start + _ADDED_AT_ONCE)
            self._index.add_to_index(np.asarray(vectors[part]), list(ids[part]), reload=False)

    def remove(self, ids: Sequence[str]) -> None:
        """Take out the vectors of samples."""
        self._index.remove_from_index(sample_ids=list(ids), reload=False)

    def finish(self) -> None:
        """Do what is to be done once all vectors are added."""

    def drop(self) -> None:
        """Remove everything."""
        self._index.cleanup()

    def close(self) -> None:
        """Give back what the connection holds."""


class LanceDatabase(VectorDatabase):
    """LanceDB: a folder, or an object store."""

    connections = 1  # it keeps all cores busy itself

    def ids(self) -> np.ndarray | None:
        """See `VectorDatabase`."""
        if self._index.table is None:
            return np.empty(0, "S24")
        batches = self._index.table.search().select(["id"]).to_batches()
        return np.concatenate([np.empty(0, "S24"), *(_as_bytes(batch["id"].to_pylist()) for batch in batches)])

    def vectors_of(self, ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """See `VectorDatabase`."""
        found = self._index.table.search().where(_one_of(ids)).select(["id", "vector"]).limit(len(ids)).to_arrow()
        return found["id"].to_pylist(), _matrix(found["vector"].to_pylist())

    def nearest(self, queries: np.ndarray, k: int) -> list[list[str]]:
        """See `VectorDatabase`."""
        metric = {"euclidean": "l2"}.get(self._index.config.metric, self._index.config.metric)
        asked = self._index.table.search(list(np.asarray(queries, np.float32))).distance_type(metric)
        found = asked.nprobes(_LISTS_LOOKED_INTO).select(["id", "_distance"]).limit(min(k, self.most)).to_arrow()
        if "query_index" not in found.column_names:
            return [found["id"].to_pylist()]
        answers: list[list[str]] = [[] for _ in queries]
        for query, each in zip(found["query_index"].to_pylist(), found["id"].to_pylist(), strict=True):
            answers[query].append(each)
        return answers

    def add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        """See `VectorDatabase`."""
        import pyarrow as pa

        for start in range(0, len(ids), _ADDED_AT_ONCE):
            names, rows = list(ids[start : start + _ADDED_AT_ONCE]), np.asarray(vectors[start : start + _ADDED_AT_ONCE])
            if self._index.table is None:
                self._index.add_to_index(rows, names, reload=False)
                continue
            lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1), pa.float32()), rows.shape[1])
            self._index.table.add(pa.Table.from_arrays([names, names, lists], names=["id", "sample_id", "vector"]))

    def remove(self, ids: Sequence[str]) -> None:
        """See `VectorDatabase`."""
        for start in range(0, len(ids), _ADDED_AT_ONCE):
            self._index.table.delete(_one_of(ids[start : start + _ADDED_AT_ONCE]))

    def finish(self) -> None:
        """Build lists to look into, or put what was added since into those there are."""
        from lancedb.index import IvfFlat

        table = self._index.table
        if list(table.list_indices()):
            table.optimize()
        elif (count := table.count_rows()) > _SCANNED_UP_TO:
            lists = IvfFlat(distance_type="cosine", num_partitions=round(count**0.5))
            table.create_index("vector", config=lists)


class PostgresDatabase(VectorDatabase):
    """PostgreSQL with pgvector."""

    def __init__(self, index: Any) -> None:
        super().__init__(index)
        # It tells of each connection that it opens, and of an empty index as an error; real ones are raised.
        logging.getLogger(type(index).__module__).setLevel(logging.CRITICAL)
        if index.config.index_type == "hnsw":
            self.most = _LARGEST_EF_SEARCH

    def size(self) -> int:
        """See `VectorDatabase`."""
        count = super().size()
        if count == 0:  # where there is no table yet, this connection refuses all that follows
            self._index.close_connections()
        return count

    def ids(self) -> np.ndarray | None:
        """See `VectorDatabase`."""
        if self.size() == 0:  # asked for, since it opens the connection again
            return np.empty(0, "S24")
        return _as_bytes(self._index._get_index_ids(batch_size=_ADDED_AT_ONCE))

    def nearest(self, queries: np.ndarray, k: int) -> list[list[str]]:
        """See `VectorDatabase`."""
        config = self._index.config
        if config.index_type == "hnsw":
            config.hnsw_ef_search = min(max(_SMALLEST_EF_SEARCH, 2 * k), _LARGEST_EF_SEARCH)
        return super().nearest(queries, k)

    def drop(self) -> None:
        """See `VectorDatabase`."""
        self._index.cleanup(drop_table=True)

    def close(self) -> None:
        """See `VectorDatabase`."""
        self._index.close_connections()


_KINDS: dict[str, type[VectorDatabase]] = {"lancedb": LanceDatabase, "pgvector": PostgresDatabase}


def database_of(index: Any) -> VectorDatabase:
    """Return what asks FiftyOne's index of some backend."""
    return _KINDS.get(index.config.method, VectorDatabase)(index)


def settings_for(backend: str, width: int) -> dict[str, Any]:
    """Return how an index for vectors of length 1, of so many numbers, is best made in a backend."""
    if backend == "pgvector":
        kind = "vector" if width <= _LARGEST_VECTOR else "halfvec"
        return {"metric": "cosine", "vector_type": kind, "hnsw_ef_search": _SMALLEST_EF_SEARCH}
    return {}  # of vectors of length 1 every metric finds the same ones


def _as_bytes(ids: list[str]) -> np.ndarray:
    return np.array(ids, "S24")


def _matrix(vectors: Any) -> np.ndarray:
    return np.asarray(vectors, np.float32) if len(vectors) else np.empty((0, 0), np.float32)


def _one_of(ids: Sequence[str]) -> str:
    """Return a condition for LanceDB; ids of samples are hexadecimal digits."""
    return "id IN (" + ", ".join(f"'{int(each, 16):024x}'" for each in ids) + ")"
