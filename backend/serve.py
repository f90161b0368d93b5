"""Starts the backend: `winnow serve DIR` ends here."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from ..plugin.errors import ClassifierError
from ..plugin.training.versions import default_state, folder_of_version, stored_versions
from .app import create_app
from .guards import check_address
from .hosting import ModelHost
from .label_studio import Announcer
from .learning import Learning
from .loading import load_warm
from .promotion import promoted_folder
from .remembering import Memory
from .request_log import configure_logging
from .settings import Settings, SettingsError
from .store_address import store_address

# A thread that prepares images gives way to others that wait after so long, instead of 5 ms: requests are read and
# answered in between, and the network gets its next images sooner (3 % more images a second with 32 clients).
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class ServeOptions:
    """How to serve, as far as it is said on the command line; None = as the environment says, or the default.

    Attributes:
        host: Address to listen on; any but a loopback address needs basic auth (see `Settings`).
        port: Port to listen on.
        state: Folder of the versions that were trained from annotations.
        version: The version to serve, instead of the one promoted last or the folder's own.
        root_path: See `Settings`.
        log_format: See `Settings`.
        tls_cert: Certificate chain (PEM): the backend speaks HTTPS.
        tls_key: Its private key (PEM).
        group_key: Key in the tasks' data whose value says what belongs together when images are held out.
        store: Address of the database that replicas share, without a password (see `Settings`).
    """

    host: str = "127.0.0.1"
    port: int = 9090
    state: Path | None = None
    version: str | None = None
    root_path: str | None = None
    log_format: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    group_key: str | None = None
    store: str | None = None


def serve(directory: Path, options: ServeOptions | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Serve the classifier in a folder to Label Studio until the process is told to stop.

    Args:
        directory: A Classifier folder.
        options: Of the command line.
        environment: Where settings are read from; the process's own by default.

    Raises:
        SettingsError: A malformed setting, a certificate that can't be used, or an address that would be open to
            everyone.
        ClassifierError: There is no such folder, or no such version.
        DataError: The version that was promoted last is gone.
        StoreError: The state folder, or the database, can't be used, or another server learns in the folder.
    """
    options = options or ServeOptions()
    settings = _settings(options, os.environ if environment is None else environment)
    check_address(options.host, settings)
    _check_certificate(options)
    if not directory.is_dir():
        raise ClassifierError(f"there is no classifier folder '{directory}'. Make one with 'winnow train'.")
    state = options.state or default_state(directory)
    pinned = folder_of_version(directory, state, options.version) if options.version else None
    configure_logging(settings.log_format)
    is_alone = settings.store is None
    memory = Memory(state, settings.remember) if is_alone and (settings.learns or settings.remember.days) else None
    load = partial(load_warm, vectors=settings.remember.days > 0)
    model = ModelHost(lambda: load(folder))
    learning = None
    if settings.learns:
        announcer = Announcer(settings)
        learning = Learning(directory, state, model, load, settings.learning, announcer, memory, settings.store)
    # last, since what is promoted from now on is followed
    folder = pinned or promoted_folder(state, settings.store) or directory
    model.start()
    sys.setswitchinterval(_SWITCH_SECONDS)
    uvicorn.run(
        create_app(settings, model, learning, stored_versions=lambda: stored_versions(state), memory=memory),
        host=options.host,
        port=options.port,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        log_config=None,
        access_log=False,  # RequestLog writes it
        server_header=False,
    )


def _settings(options: ServeOptions, environment: Mapping[str, str]) -> Settings:
    said: dict[str, Any] = {"root_path": options.root_path, "log_format": options.log_format}
    settings = Settings.from_environment(environment)
    if options.group_key is not None:
        said["learning"] = replace(settings.learning, group_key=options.group_key)
    if options.store is not None:
        said["store"] = store_address(environment, options.store)
    settings = replace(settings, **{name: value for name, value in said.items() if value is not None})
    if settings.store is not None and not settings.learns:
        raise SettingsError(
            "a store that replicas share is named, but LABEL_STUDIO_URL or LABEL_STUDIO_API_KEY is not set, without "
            "which nothing is learnt and no promotion followed. Set both, or name no store."
        )
    return settings


def _check_certificate(options: ServeOptions) -> None:
    """Refuse what uvicorn would fail on with a traceback."""
    cert, key = options.tls_cert, options.tls_key
    if cert is None and key is None:
        return
    if cert is None or key is None:
        raise SettingsError("only one of --tls-cert and --tls-key is given. Give both, or neither.")
    try:
        # a password would be asked for on the terminal, where nobody sits
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SettingsError(
            f"certificate '{cert}' and key '{key}' can't be used ({error}). Both must be PEM files that belong to each "
            "other, the key without a password."
        ) from None
