"""Ray, connected for the time of one job: a cluster of its own on this machine, or one that runs already."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..machine import available_cores
from .address import LOCAL, check_answers, check_installed

_ONE_AT_A_TIME = threading.Lock()  # Ray knows one cluster a process
_LOCAL_STORE_BYTES = 128 << 20  # rows are small; Ray asks for 75 MB at least
_PATIENCE = 8.0  # seconds for the head of a cluster to tell that it is one
_LOOPBACK = "127.0.0.1"
# Ends what is left of a cluster when its driver is gone, however it ended: Ray's agents would stay. They are known by
# the logs that they write; their command lines and environments tell nothing.
_KEEPER = """
import contextlib, shutil, sys, time
import psutil

folder, driver = sys.argv[1], int(sys.argv[2])
sys.stdin.read()

def left():
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != driver and any(file.path.startswith(folder) for file in process.open_files()):
                yield process

until = time.monotonic() + 10
while (still := list(left())) and time.monotonic() < until:
    for process in still:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(still, timeout=1)
shutil.rmtree(folder, ignore_errors=True)
"""


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield Ray's module, connected to a cluster; leave it, or stop the one that was started, in any case.

    Args:
        address: "local": a cluster of this process, of one-thread workers, one a core; "auto", or "host:port".

    Raises:
        DataError: There is no cluster, it is of another version of Ray, or this process uses one already.
        MissingPartError: Ray is not installed.
    """
    check_answers(address)
    with _environment(RAY_USAGE_STATS_ENABLED="0", RAY_BACKEND_LOG_LEVEL="fatal", RAY_AUTH_MODE=None):
        check_installed()
        import ray
        from ray._private import auto_init_hook

        auto_init_hook.enable_auto_connect = False  # a call after the end would start a cluster of its own
        if not _ONE_AT_A_TIME.acquire(blocking=False):
            raise DataError("another job of this process uses a cluster. Wait for its end, or run this one elsewhere.")
        try:
            if ray.is_initialized():
                raise DataError("this process is connected to a Ray cluster already: `ray.shutdown()` before this job.")
            with _signals_kept(), _started(ray, address):
                yield ray
        finally:
            _ONE_AT_A_TIME.release()


@contextlib.contextmanager
def _started(ray: Any, address: str) -> Iterator[None]:
    # Off: Ray's lines belong to its own log, and workers' output would be mixed into ours.
    quiet = {"configure_logging": False, "log_to_driver": False, "logging_level": logging.CRITICAL}
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    if address != LOCAL:
        found = _head_of(ray, address)
        try:
            ray.init(address=found, **quiet)
            yield
        except (ConnectionError, RuntimeError) as cause:
            if ray.is_initialized():
                raise
            raise DataError(_no_cluster(address, cause)) from cause
        finally:
            ray.shutdown()
        return
    with _kept_folder() as folder, _importable(folder) as path:
        try:
            with _environment(PYTHONPATH=path), _on_loopback() as host:
                ray.init(
                    address=LOCAL,
                    _node_ip_address=host,
                    num_cpus=available_cores(),
                    object_store_memory=_LOCAL_STORE_BYTES,
                    include_dashboard=False,
                    _temp_dir=str(folder),
                    **quiet,
                )
            yield
        finally:
            ray.shutdown()


def _head_of(ray: Any, address: str) -> str:
    """Return "host:port" of the cluster's head, once it has told that it is one, of this version.

    Raises:
        DataError: It has not.
    """
    from ray._private.services import canonicalize_bootstrap_address

    try:
        found = canonicalize_bootstrap_address(address)
    except (ConnectionError, ValueError) as cause:
        raise DataError(_no_cluster(address, cause)) from cause
    if found is None:
        raise DataError(_no_cluster(address, "none is known on this machine"))
    check_answers(found)
    _use_token()
    answered: list[str] = []

    def ask() -> None:
        try:
            ray._raylet.GcsClient(address=found)
            answered.append("")
        except Exception as cause:  # some 40 seconds later, where nobody answers
            answered.append(str(cause))

    asking = threading.Thread(target=ask, name="winnow-cluster", daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    if not answered:
        raise DataError(_no_cluster(address, "what listens there does not answer as a Ray cluster"))
    if answered[0]:
        raise DataError(_no_cluster(address, answered[0]))
    return found


def _use_token() -> None:
    """Show the cluster the token of this user (~/.ray/auth_token, RAY_AUTH_TOKEN), where there is one."""
    with contextlib.suppress(ImportError):  # an earlier Ray has none
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _no_cluster(address: str, cause: object) -> str:
    first = next(iter(str(cause).splitlines()), type(cause).__name__)
    return (
        f"no cluster can be used at '{address}': {first}. Start one (`ray start --head`), or join it with this machine "
        "(`ray start --address=HOST:6379 --num-cpus=0`); or leave --cluster."
    )


@contextlib.contextmanager
def _kept_folder() -> Iterator[Path]:
    """Yield a folder for a cluster; what still runs there afterwards is ended, also where this process is killed."""
    folder = Path(tempfile.mkdtemp(prefix="winnow-ray-"))  # short: the names of sockets may take 107 bytes
    keeper = subprocess.Popen(
        [sys.executable, "-c", _KEEPER, str(folder), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process
    )
    try:
        yield folder
    finally:
        if keeper.stdin is not None:
            keeper.stdin.close()
        keeper.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _on_loopback() -> Iterator[str]:
    """Yield an address of a new cluster that no other machine reaches.

    Ray takes this machine's own in its place, which would let others knock (its token would keep them out).
    """
    from ray._private import services

    before = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield _LOOPBACK
    finally:
        services.resolve_ip_for_localhost = before


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[str]:
    """Yield a PYTHONPATH on which workers find this very copy of Winnow, however this process came by it."""
    link = folder / "import" / "winnow"
    link.parent.mkdir()
    link.symlink_to(Path(__file__).resolve().parents[2], target_is_directory=True)
    yield os.pathsep.join(filter(None, [str(link.parent), os.environ.get("PYTHONPATH", "")]))


@contextlib.contextmanager
def _environment(**variables: str | None) -> Iterator[None]:
    """Set variables that Ray reads, and hands on to the processes that it starts; None = whatever Ray makes of it."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update({name: value for name, value in variables.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Give SIGTERM back to whom it belonged: Ray takes it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
