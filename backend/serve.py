"""Starts the backend: `winnow serve DIR` ends here."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from ..plugin.errors import ClassifierError
from .app import create_app
from .guards import check_address
from .hosting import ModelHost
from .loading import load_warm
from .settings import Settings


def serve(
    directory: Path, host: str = "127.0.0.1", port: int = 9090, environment: Mapping[str, str] | None = None
) -> None:
    """Serve the classifier in a folder to Label Studio until the process is told to stop.

    Args:
        directory: A Classifier folder.
        host: Address to listen on; any but a loopback address needs basic auth (see `Settings`).
        port: Port to listen on.
        environment: Where settings are read from; the process's own by default.

    Raises:
        SettingsError: A malformed setting, or an address that would be open to everyone.
        ClassifierError: There is no such folder.
    """
    settings = Settings.from_environment(os.environ if environment is None else environment)
    check_address(host, settings)
    if not directory.is_dir():
        raise ClassifierError(f"there is no classifier folder '{directory}'. Make one with 'winnow train'.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # httpx logs whole addresses, signatures included
    logging.getLogger("httpx").setLevel(logging.WARNING)
    model = ModelHost(lambda: load_warm(directory), settings.max_requests)
    model.start()
    uvicorn.run(create_app(settings, model), host=host, port=port, log_config=None, server_header=False)
