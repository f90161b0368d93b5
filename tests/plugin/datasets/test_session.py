"""The promise that the tests never meet the user's own database, home or plugins."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm as foo
import pytest

from benchmarks.isolation import URI_VARIABLE


@pytest.mark.skipif(URI_VARIABLE in os.environ, reason="a server was named, as by `make compat`")
def test_the_database_is_the_sessions_own() -> None:
    options = foo.get_db_client().admin.command("getCmdLineOpts")["parsed"]

    assert options["storage"]["dbPath"] == os.environ["FIFTYONE_DATABASE_DIR"]


def test_every_folder_that_could_be_the_users_is_a_temporary_one() -> None:
    folders = [Path.home(), fo.config.database_dir, fo.config.plugins_dir, fo.config.default_dataset_dir]

    assert all(Path(folder).is_relative_to(tempfile.gettempdir()) for folder in folders)
