"""Whether a cluster can do the work, found out before it begins: versions, files and the store, on each node."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import DataError
from . import probe
from .store import Store

_PATIENCE = 12.0  # seconds for all nodes together
_LOOKED_AT = 8  # files
_SPACE = "preflight"


def check_nodes(ray: Any, store: Store, paths: Sequence[str]) -> None:
    """Ask each node that may work for what the work needs.

    Args:
        ray: The module, connected.
        store: Where results are to go.
        paths: The files; some of them are tried.

    Raises:
        DataError: Some node has other versions, can't read files that this machine can read, or can't write to the
            store; the driver can't see what a node wrote; or a node does not answer in time.
    """
    readable = [path for path in _evenly(paths) if os.access(path, os.R_OK)]
    expected = probe.versions_here()
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not nodes:
        raise DataError("the cluster has no CPU to work with. Start workers: `ray start --address=HOST:6379`.")
    names = {node["NodeID"]: f"{uuid.uuid4().hex}.probe" for node in nodes}
    try:
        with _by_value(ray):
            task = ray.remote(num_cpus=0, max_retries=0)(probe.look_around)
            asked = {
                task.options(scheduling_strategy=_on(ray, node["NodeID"])).remote(
                    expected, readable, store.address, _SPACE, names[node["NodeID"]]
                ): node
                for node in nodes
            }
        answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_PATIENCE)
        if silent:
            raise DataError(
                f"{_named(asked[silent[0]])} did not answer within {_PATIENCE:.0f} seconds: it is too busy, or can't "
                "start workers. Free or restart it (`ray status` shows what runs)."
            )
        seen = _names_in(store)
        for answer in answered:
            _judge(_answer(ray, answer, asked[answer]), asked[answer], expected, store)
            if names[asked[answer]["NodeID"]] not in seen:
                raise DataError(
                    f"this machine does not see what {_named(asked[answer])} wrote to the store '{store.address}'. Use "
                    "a folder that all of them share, or an object store such as s3://bucket/folder (--vector-store)."
                )
    finally:
        for name in names.values():
            store.remove(_SPACE, name)


def _judge(found: dict[str, Any], node: dict[str, Any], expected: dict[str, str], store: Store) -> None:
    for package, version in expected.items():
        theirs = found["versions"][package]
        if theirs != version:
            raise DataError(
                f"{_named(node)} has {package} {theirs}, this machine {version}; results would differ. Install the "
                "same versions on all machines."
            )
    if unreadable := found["unreadable"]:
        raise DataError(
            f"{_named(node)} can't read {len(unreadable)} of the images that were tried, such as {unreadable[0]}. Put "
            "the images where all machines see them under the same path."
        )
    if found["store"]:
        raise DataError(
            f"{_named(node)} can't write to the store '{store.address}': {found['store']}. Mend its rights, or name "
            "another one (--vector-store)."
        )


def _answer(ray: Any, answer: Any, node: dict[str, Any]) -> dict[str, Any]:
    try:
        return ray.get(answer)
    except ray.exceptions.RayError as cause:
        first = next(iter(str(cause).splitlines()), type(cause).__name__)
        raise DataError(f"{_named(node)} can't run a task: {first}. Look into its logs (`ray logs`).") from cause


def _names_in(store: Store) -> set[str]:
    try:
        return set(store.names(_SPACE))
    except OSError as cause:
        raise DataError(
            f"this machine can't read the store '{store.address}': {cause}. Mend its rights, or name "
            "another one (--vector-store)."
        ) from cause


@contextlib.contextmanager
def _by_value(ray: Any) -> Iterator[None]:
    """Send the probe's code along instead of its name: a node without Winnow could not find it."""
    ray.cloudpickle.register_pickle_by_value(probe)
    try:
        yield
    finally:
        ray.cloudpickle.unregister_pickle_by_value(probe)


def _on(ray: Any, node: str) -> Any:
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)


def _named(node: dict[str, Any]) -> str:
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _evenly(paths: Sequence[str]) -> list[str]:
    return [str(path) for path in paths[:: max(1, len(paths) // _LOOKED_AT)]][:_LOOKED_AT]
