"""A hook of MkDocs: adds the reference, which generate_reference.py writes from the code, to the pages of docs/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages; FiftyOne, which the operators are made of, gets a throw-away database for it."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from benchmarks.isolation import isolate

    if "fiftyone" not in sys.modules:
        isolate()
    from docs.generate_reference import pages

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
