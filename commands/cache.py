"""`winnow cache`: look at the cache of embeddings, or make it smaller."""

from __future__ import annotations

import typer

from .. import options as opt
from ..terminal import run_job

app = typer.Typer(no_args_is_help=True, help="Look at the cache of embeddings, or make it smaller.")


@app.command()
def info(json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Show what the cache holds, where, and when it was last used."""
    from ..plugin.workflows.cache import describe_cache

    run_job(lambda progress: describe_cache(), as_json=json, debug=debug)


@app.command()
def prune(limit: opt.CacheLimit = None, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Remove what was used least recently, until the rest is below the limit."""
    from ..plugin.workflows.cache import shrink_cache

    run_job(lambda progress: shrink_cache(limit), as_json=json, debug=debug)


@app.command()
def clear(json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Remove everything; the next job computes its embeddings again."""
    from ..plugin.workflows.cache import empty_cache

    run_job(lambda progress: empty_cache(), as_json=json, debug=debug)
