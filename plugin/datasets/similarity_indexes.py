"""The similarity indexes of a dataset that lie in a vector database: which there are, opening one, filling ours.

Where a database is, and with which password, FiftyOne reads from its own settings whenever it is needed, and never
stores. What a database says when it fails may hold the address, so that only the kind of error is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.brain.similarity as fobs
import numpy as np

from ... import __version__
from ..curation.neighbors import unit_rows
from ..errors import DataError, MissingPartError, WinnowError
from ..progress import Progress, silent
from .brain import is_ours
from .vector_databases import VectorDatabase, database_of, settings_for
from .views import Collection, dataset_of, every_image

KEY = "winnow_database"
_IN_MEMORY = "sklearn"  # FiftyOne's own, which lies in its MongoDB and is searched in memory
_SPACE = "winnow_space"
_AT_ONCE = 20_000
_PACKAGES = {
    "elasticsearch": "elasticsearch",
    "lancedb": "lancedb",
    "milvus": "pymilvus",
    "mongodb": "pymongo",
    "pgvector": "psycopg2-binary",
    "pinecone": "pinecone-client",
    "qdrant": "qdrant-client",
    "redis": "redis",
}
_ADDRESSES = {"lancedb": "URI", "pgvector": "CONNECTION_STRING", "milvus": "URI", "qdrant": "URL"}


def database_backends() -> list[str]:
    """Return the names of FiftyOne's similarity backends that keep vectors in a database."""
    return sorted(name for name in fob.brain_config.similarity_backends if name != _IN_MEMORY)


def reachable_backends() -> list[str]:
    """Return those of them whose address FiftyOne's settings hold."""
    return [name for name in database_backends() if _has_address(name)]


def database_indexes(view: Collection) -> dict[str, str]:
    """Return key -> backend of the dataset's indexes of whole images in a database."""
    dataset, found = dataset_of(view), {}
    for key in dataset.list_brain_runs():
        config = dataset.get_brain_info(key).config
        method = getattr(config, "method", None)
        if _is_similarity(config) and method != _IN_MEMORY and config.patches_field is None:
            found[key] = str(method)
    return found


def check_index(view: Collection, key: str | None) -> tuple[str, ...]:
    """Make sure that an index can be asked for neighbours of images: to be called before long work.

    Args:
        view: Any collection of the dataset.
        key: Brain key of the index; None = there is nothing to check.

    Returns:
        Sentences for the user: how many samples it holds that are gone.

    Raises:
        DataError, MissingPartError: See `open_index`.
    """
    if key is None:
        return ()
    database = open_index(view, key)
    with answering(key, database.backend):
        held = database.ids()
        database.close()
    gone = 0 if held is None else len(np.setdiff1d(held, _every_id(view)))
    if not gone:
        return ()
    return (
        f"The similarity index '{key}' still holds {gone:,} samples that the dataset no longer has; they are passed "
        f"over. `winnow embed TARGET --index {database.backend}` removes them from '{KEY}'.",
    )


def open_index(view: Collection, key: str) -> VectorDatabase:
    """Open an index, by a connection of its own.

    Raises:
        DataError: There is no such index, it is of another kind, empty, or its database does not answer.
        MissingPartError: The database's client is not installed.
    """
    dataset = dataset_of(view)
    if not dataset.has_brain_run(key):
        known = ", ".join(database_indexes(dataset)) or "none"
        raise DataError(
            f"'{dataset.name}' has no similarity index '{key}'; those in a vector database: {known}. "
            f"`winnow embed TARGET --index lancedb` makes one, '{KEY}'."
        )
    config = dataset.get_brain_info(key).config
    if not _is_similarity(config):
        raise DataError(f"the brain run '{key}' of '{dataset.name}' is no similarity index; {_way_out(dataset)}")
    if config.method == _IN_MEMORY:
        raise DataError(
            f"the similarity index '{key}' of '{dataset.name}' lies in no vector database, and this machine finds "
            f"neighbours faster by itself; {_way_out(dataset)}"
        )
    if config.patches_field is not None:
        raise DataError(
            f"the similarity index '{key}' of '{dataset.name}' holds the patches of '{config.patches_field}', and this "
            f"job asks for whole images; {_way_out(dataset)}"
        )
    database = _connected(dataset, key, config.method)
    with answering(key, config.method):
        size = database.size()
    if size == 0:
        raise DataError(
            f"the similarity index '{key}' of '{dataset.name}' is empty in the {config.method} that FiftyOne's "
            f"settings name ({address_setting(config.method)}). Name the one that it lies in, or fill it: "
            f"`winnow embed TARGET --index {config.method}`."
        )
    return database


def register_in_database(
    view: Collection,
    backend: str,
    ids: np.ndarray,
    vectors: np.ndarray,
    space: str,
    *,
    anew: bool = False,
    progress: Progress = silent,
) -> tuple[int, int]:
    """Put vectors into a vector database, under the key `KEY`; only those that it lacks.

    Args:
        view: The collection that the job ran on; the index belongs to its dataset.
        backend: FiftyOne's name of the database.
        ids: (n,) sample ids, n at least 1.
        vectors: (n, d) float32. They are stored with length 1, so that the metric does not matter.
        space: What the vectors depend on. An index of others is replaced.
        anew: Replace what is there in any case: files may have changed.
        progress: Told after each block.

    Returns:
        How many vectors were added, and how many of samples that are gone were removed.

    Raises:
        DataError: Somebody else's brain run has the key, or the database does not answer.
        MissingPartError: The database's client is not installed.
    """
    check_backend(view, backend)
    dataset = dataset_of(view)
    if dataset.has_brain_run(KEY):
        config = dataset.get_brain_info(KEY).config
        if anew or config.method != backend or getattr(config, _SPACE, None) != space:
            _drop(dataset, config.method)
    if dataset.has_brain_run(KEY):
        database = _connected(dataset, KEY, backend)
    else:
        settings = settings_for(backend, vectors.shape[1])
        with answering(KEY, backend):
            marks = {"winnow": __version__, _SPACE: space}
            made = fob.compute_similarity(
                dataset, embeddings=False, brain_key=KEY, backend=backend, **settings, **marks
            )
        database = database_of(made)
    with answering(KEY, backend):
        try:
            return _fill(dataset, database, np.asarray(ids, "S24"), vectors, progress)
        finally:
            database.close()


def check_backend(view: Collection, backend: str) -> None:
    """Make sure that vectors can be put into a database: to be called before long work.

    Raises:
        DataError: FiftyOne knows no such database, its address is not set, or somebody else's brain run has the key.
        MissingPartError: Its client is not installed.
    """
    if backend not in database_backends():
        raise DataError(f"index must be one of {', '.join(database_backends())}, got '{backend}'")
    dataset = dataset_of(view)
    if dataset.has_brain_run(KEY) and not is_ours(dataset, KEY):
        raise DataError(
            f"the brain run '{KEY}' of '{dataset.name}' was not made by Winnow, so it is not overwritten. "
            f"Rename it first: dataset.rename_brain_run('{KEY}', 'NAME')."
        )
    if backend in _ADDRESSES and not _has_address(backend):
        # Without one, FiftyOne's LanceDB would lie in the folder for temporary files.
        raise DataError(f"where the {backend} lies is not set; set {address_setting(backend)} before the job starts.")
    with answering(KEY, backend):
        fobs._parse_config(backend).build().ensure_requirements()


def address_setting(backend: str) -> str:
    """Return the environment variable that tells FiftyOne where a database lies."""
    return f"FIFTYONE_BRAIN_SIMILARITY_{backend.upper()}_{_ADDRESSES.get(backend, '...')}"


@contextmanager
def answering(key: str, backend: str) -> Iterator[None]:
    """Turn what goes wrong with a database into an error without its address.

    Raises:
        DataError: The database does not answer as it should.
        MissingPartError: Its client is not installed.
    """
    try:
        yield
    except WinnowError:
        raise
    except ImportError:
        package = _PACKAGES.get(backend, backend)
        message = f"the index '{key}' lies in {backend}, whose client is not installed: pip install {package}"
        raise MissingPartError(message) from None
    except Exception as cause:
        raise DataError(
            f"the {backend} of the index '{key}' does not answer as it should ({type(cause).__name__}). See that it "
            f"runs and that {address_setting(backend)} names it; then start the job again: it goes on from there."
        ) from None


def _has_address(backend: str) -> bool:
    settings = fob.brain_config.similarity_backends[backend]
    return _ADDRESSES[backend].lower() in settings if backend in _ADDRESSES else len(settings) > 1


def _connected(dataset: fo.Dataset, key: str, backend: str) -> VectorDatabase:
    with answering(key, backend):
        index = dataset.load_brain_results(key, cache=False)
        if index is None:
            raise DataError(f"the similarity index '{key}' of '{dataset.name}' was never finished; make it again.")
        return database_of(index)


def _drop(dataset: fo.Dataset, backend: str) -> None:
    """Remove our index from where it lies, and then its name."""
    with answering(KEY, backend):
        index = dataset.load_brain_results(KEY, cache=False)
        if index is not None:
            database_of(index).drop()
        dataset.delete_brain_run(KEY)


def _fill(
    dataset: fo.Dataset, database: VectorDatabase, ids: np.ndarray, vectors: np.ndarray, progress: Progress
) -> tuple[int, int]:
    held = database.ids()
    held = np.empty(0, "S24") if held is None else held
    gone = np.setdiff1d(held, _every_id(dataset))
    if len(gone):
        database.remove([each.decode() for each in gone])
    new = np.flatnonzero(~np.isin(ids, held))
    for start in range(0, len(new), _AT_ONCE):
        progress("index", start, len(new))
        rows = new[start : start + _AT_ONCE]
        database.add([each.decode() for each in ids[rows]], unit_rows(vectors[rows], centered=False))
    if len(new):
        database.finish()
        progress("index", len(new), len(new))
    return len(new), len(gone)


def _every_id(view: Collection) -> np.ndarray:
    return np.array(every_image(view).values("id"), "S24")


def _is_similarity(config: object) -> bool:
    return getattr(config, "type", None) == "similarity"


def _way_out(dataset: fo.Dataset) -> str:
    known = ", ".join(database_indexes(dataset))
    return f"name one of {known}." if known else "`winnow embed TARGET --index lancedb` makes one."
