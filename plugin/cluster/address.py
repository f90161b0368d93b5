"""What `--cluster` may be, and whether somebody answers there."""

from __future__ import annotations

import importlib.util
import os
import re
import socket

from ..errors import DataError, MissingPartError

THIS_MACHINE = ""
LOCAL, AUTO = "local", "auto"
ADDRESS_VARIABLE = "WINNOW_CLUSTER"
_HOST_AND_PORT = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")
_PATIENCE = 5.0  # seconds until an address that does not answer counts as out of reach


def check_address(address: str) -> str:
    """Return what a cluster may be called by: "local", "auto", "host:port", or "" for this machine without one.

    Raises:
        DataError: It is something else.
    """
    if address in (THIS_MACHINE, LOCAL, AUTO) or _HOST_AND_PORT.fullmatch(address):
        return address
    if address.startswith("ray://"):
        raise DataError(
            "a cluster can't be used as ray://, since Ray Data does not run through Ray's client. Join the cluster "
            "with this machine (`ray start --address=HOST:6379 --num-cpus=0`) and use --cluster auto."
        )
    raise DataError("the cluster must be 'local', 'auto', or HOST:PORT as `ray start --head` tells it. Correct it.")


def offered_clusters() -> list[str]:
    """Return the clusters that the App may use where Ray is installed: a local one, and that of `WINNOW_CLUSTER`."""
    if importlib.util.find_spec("ray") is None:
        return []
    named = os.environ.get(ADDRESS_VARIABLE, THIS_MACHINE)
    return [LOCAL, *([named] if named not in (THIS_MACHINE, LOCAL) else [])]


def check_allowed(address: str, store: str) -> None:
    """Make sure that the App may use a cluster and a store.

    Whoever opens the App must not choose what this machine connects to, and where it writes.

    Raises:
        DataError: The cluster is neither a local one nor the one that `WINNOW_CLUSTER` names; or a store is named.
    """
    if store:
        raise DataError(
            "the App takes its store from WINNOW_VECTOR_STORE alone. Set that variable for the App and its worker."
        )
    if address not in (THIS_MACHINE, LOCAL, os.environ.get(ADDRESS_VARIABLE, THIS_MACHINE)):
        raise DataError(
            f"the App may use the cluster 'local' and the one that {ADDRESS_VARIABLE} names. Set that variable for the "
            "App (and its worker), or use `winnow ... --cluster` on the command line."
        )


def check_answers(address: str) -> None:
    """Make sure that something listens at "host:port".

    Raises:
        DataError: Nothing does.
    """
    match = _HOST_AND_PORT.fullmatch(address)
    if match is None:
        return
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), _PATIENCE).close()
    except (OSError, OverflowError) as cause:
        raise DataError(
            f"no cluster answers at {address}: {cause}. Start one (`ray start --head`), correct the address, or leave "
            "--cluster."
        ) from cause


def check_installed() -> None:
    """Make sure that Ray is there.

    Raises:
        MissingPartError: It is not.
    """
    try:
        import fsspec  # noqa: F401
        import ray.data  # noqa: F401
    except ImportError as cause:
        raise MissingPartError(
            f"a cluster needs Ray and fsspec ({cause}): pip install 'fiftyone-winnow[cluster]', or leave --cluster."
        ) from cause
