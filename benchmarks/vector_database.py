"""Neighbours from a vector database beside those that this machine finds: recall, flagged pairs, seconds.

    python -m benchmarks.vector_database [--quick] [--json] [--postgres URL]

Rows of 384 numbers in clusters (`neighbors.planted_rows`), a tenth of them copies of others: the eight nearest rows of
each by LanceDB in a folder, and by PostgreSQL with pgvector where its address is given. Then the whole search for
near-duplicates on garments of Fashion-MNIST, a tenth of them re-encoded copies, once either way. `--quick`: few rows.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .isolation import isolate
from .neighbors import planted_rows
from .report import Target, finish, peak_memory

_NEIGHBORS = 8
_SIZES, _QUICK_SIZES = (10_000, 50_000), (1_000,)
_GARMENTS, _QUICK_GARMENTS = 2_000, 100
_EVERY = 10
_SHEETS = Path(__file__).parents[1] / "examples" / "fashion_mnist" / "train"
_TILE = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rows: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    parser.add_argument("--postgres", help="address of a PostgreSQL with pgvector, which is measured too")
    arguments = parser.parse_args()
    session = isolate()
    os.environ["FIFTYONE_BRAIN_SIMILARITY_LANCEDB_URI"] = str(session / "lance")
    if arguments.postgres:
        os.environ["FIFTYONE_BRAIN_SIMILARITY_PGVECTOR_CONNECTION_STRING"] = arguments.postgres
    backends = ["lancedb", *(["pgvector"] if arguments.postgres else [])]
    targets, details = measure(session, backends, quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(session: Path, backends: list[str], *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    targets, details = [], {}
    for backend in backends:
        for size in _QUICK_SIZES if quick else _SIZES:
            print(f"{backend}, {size:,} rows ...", file=sys.stderr)
            found = details[f"{backend}, {size:,} rows"] = rows_in(backend, size)
            targets.append(Target(f"{backend}, {size:,}: recall of neighbours", found["recall"], at_least=0.99))
            targets.append(Target(f"{backend}, {size:,}: recall of copies", found["copies"], at_least=0.99))
    garments = _QUICK_GARMENTS if quick else _GARMENTS
    folder = write_garments(session / "garments", garments)
    print(f"{garments:,} garments ...", file=sys.stderr)
    pairs = details["garments"] = pairs_of(folder, backends)
    for backend in backends:
        targets.append(Target(f"{backend}: recall of flagged pairs", pairs[backend]["recall"], at_least=0.99))
        targets.append(Target(f"{backend}: precision of flagged pairs", pairs[backend]["precision"], at_least=0.99))
    return targets, {**details, "memory_gb": peak_memory()}


def rows_in(backend: str, count: int) -> dict[str, float]:
    """Return recall and seconds of the eight nearest rows."""
    import fiftyone as fo

    from winnow.plugin.curation.neighbors import NeighborIndex, unit_rows
    from winnow.plugin.datasets.similarity_indexes import KEY, register_in_database
    from winnow.plugin.datasets.similarity_neighbors import SimilarityNeighbors

    vectors, copies, sources = planted_rows(count)
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"/images/{number}.png", media_type="image") for number in range(count)])
    ids, rows = np.array(dataset.values("id"), object), unit_rows(vectors)
    started = time.perf_counter()
    register_in_database(dataset, backend, ids, vectors, "rows")
    filled = time.perf_counter()
    found = SimilarityNeighbors(dataset, KEY, ids, vectors, rows).of_all(_NEIGHBORS)
    asked = time.perf_counter()
    NeighborIndex(rows).search_itself(_NEIGHBORS)
    compared = time.perf_counter()
    dataset.delete()
    return {
        "recall": _recall(found, NeighborIndex(rows, exact=True).search_itself(_NEIGHBORS)[1]),
        "copies": float((found[copies] == sources[:, None]).any(axis=1).mean()),
        "fill_seconds": filled - started,
        "search_seconds": asked - filled,
        "this_machine_seconds": compared - asked,
    }


def write_garments(folder: Path, count: int) -> Path:
    """Write so many garments, CLASS/NUMBER.png, every tenth of which has a re-encoded copy; return the folder."""
    for path in sorted(_SHEETS.glob("*.png")):
        (folder / path.stem).mkdir(parents=True)
        with Image.open(path) as file:
            sheet = file.copy()
        for number in range(count // 10):
            down, across = divmod(number, sheet.width // _TILE)
            left, top = across * _TILE, down * _TILE
            image = sheet.crop((left, top, left + _TILE, top + _TILE))
            image.save(folder / path.stem / f"{number:04d}.png")
            if number % _EVERY == 0:
                data = BytesIO()
                image.save(data, "JPEG", quality=60)
                (folder / path.stem / f"{number:04d}-copy.jpg").write_bytes(data.getvalue())
    return folder


def pairs_of(folder: Path, backends: list[str]) -> dict[str, Any]:
    """Return how the pairs that are flagged with each database agree with those that this machine flags."""
    from winnow.plugin.datasets.similarity_indexes import KEY
    from winnow.plugin.datasets.targets import open_target
    from winnow.plugin.workflows.duplicates import DuplicateParams, find_duplicates
    from winnow.plugin.workflows.embed import EmbedParams, compute_embeddings

    dataset = open_target(str(folder)).dataset
    compute_embeddings(dataset, EmbedParams(projection="none", similarity=False))

    def flagged(params: DuplicateParams) -> tuple[set[tuple[str, ...]], float]:
        started = time.perf_counter()
        report = find_duplicates(dataset, params)
        seconds = time.perf_counter() - started
        rows = report.pairs.rows[report.pairs.flagged]
        return {tuple(sorted(pair)) for pair in report.samples.ids[rows].tolist()}, seconds

    here, seconds = flagged(DuplicateParams())
    found: dict[str, Any] = {"images": len(dataset), "this machine": {"pairs": len(here), "seconds": seconds}}
    for backend in backends:
        compute_embeddings(dataset, EmbedParams(index=backend, projection="none"))
        there, seconds = flagged(DuplicateParams(neighbors=KEY))
        found[backend] = {
            "pairs": len(there),
            "recall": len(here & there) / max(len(here), 1),
            "precision": len(here & there) / max(len(there), 1),
            "seconds": seconds,
        }
    return found


def _recall(found: np.ndarray, expected: np.ndarray) -> float:
    return float((found[:, :, None] == expected[:, None, :]).any(axis=1).mean())


if __name__ == "__main__":
    main()
