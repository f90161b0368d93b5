"""The two ways to install Winnow: the wheel that pip takes, and the repository that FiftyOne downloads as a plugin."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What the package is made of; the rest of the repository builds, tests and explains it.
PACKAGE_FOLDERS = {"backend", "commands", "examples", "operators", "plugin"}
PACKAGE_FILES = {"fiftyone.yml", "requirements.txt"}
BUNDLE = "app/dist/index.umd.js"  # what is built in app/, and all of it that the App needs

LIST_OPERATORS = """
import json
from fiftyone.operators.registry import OperatorRegistry
registry = OperatorRegistry()
names = [operator.uri for operator in registry.list_operators(builtin=False)]
print(json.dumps({"errors": registry.list_errors(), "operators": sorted(names)}))
"""

OPERATORS = [
    "@winnow/curation/apply_classifier",
    "@winnow/curation/cancel_job",
    "@winnow/curation/check_drift",
    "@winnow/curation/classifiers",
    "@winnow/curation/compare_predictions",
    "@winnow/curation/compute_embeddings",
    "@winnow/curation/dataset_health",
    "@winnow/curation/decide_duplicates",
    "@winnow/curation/delete_samples",
    "@winnow/curation/evaluate_predictions",
    "@winnow/curation/export_classifier",
    "@winnow/curation/export_dataset",
    "@winnow/curation/find_duplicates",
    "@winnow/curation/find_label_issues",
    "@winnow/curation/find_leaks",
    "@winnow/curation/label_report",
    "@winnow/curation/loop",
    "@winnow/curation/loop_status",
    "@winnow/curation/menu",
    "@winnow/curation/model_health",
    "@winnow/curation/move_to_split",
    "@winnow/curation/open_menu",
    "@winnow/curation/preview_augmentation",
    "@winnow/curation/pull_from_label_studio",
    "@winnow/curation/review",
    "@winnow/curation/review_label_issues",
    "@winnow/curation/select_for_labeling",
    "@winnow/curation/send_to_label_studio",
    "@winnow/curation/set_thresholds",
    "@winnow/curation/split_dataset",
    "@winnow/curation/tag_findings",
    "@winnow/curation/train_classifier",
    "@winnow/curation/undo_action",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what git knows or would add to an empty folder, where a build can leave what it likes."""
    folder = tmp_path_factory.mktemp("source")
    for name in git_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    return next(folder.glob("*.whl"))


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Make an empty environment."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    return tmp_path / "venv" / "bin" / "python"


@pytest.fixture
def archive_url(source: Path, tmp_path: Path) -> Iterator[str]:
    """Serve the repository as an archive, as GitHub does: one folder that holds it."""
    with zipfile.ZipFile(tmp_path / "winnow.zip", "w") as archive:
        for path in source.rglob("*"):
            archive.write(path, Path("winnow-main") / path.relative_to(source))
    handler = functools.partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/winnow.zip"
        server.shutdown()


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps quiet about it."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    names = git_files()
    expected = {name for name in names if Path(name).parts[0] in PACKAGE_FOLDERS | PACKAGE_FILES}
    expected |= {name for name in names if "/" not in name and name.endswith(".py")} | {BUNDLE}

    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert held == {f"winnow/{name}" for name in expected}


def test_wheel_requires_what_requirements_txt_lists(wheel: Path) -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    listed = {line for line in lines if not line.startswith("#")}

    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode("utf-8").splitlines()

    required = [line.removeprefix("Requires-Dist: ") for line in metadata if line.startswith("Requires-Dist: ")]
    assert {line for line in required if "extra ==" not in line} == listed


def test_plugin_and_package_state_the_same_version(wheel: Path) -> None:
    plugin = (ROOT / "fiftyone.yml").read_text("utf-8")

    version = wheel.name.split("-")[1]

    assert f"\nversion: {version}\n" in plugin


def test_installed_wheel_offers_the_command(wheel: Path, python: Path, tmp_path: Path) -> None:
    install(wheel, python)

    run = subprocess.run([python.parent / "winnow", "--help"], cwd=tmp_path, capture_output=True, text=True)

    assert run.returncode == 0
    assert "curate" in run.stdout


def test_installed_wheel_is_imported_from_its_own_files(wheel: Path, python: Path, tmp_path: Path) -> None:
    install(wheel, python)
    code = "import winnow; print(winnow.__file__)"

    run = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert Path(run.stdout.strip()).is_relative_to(tmp_path)


def test_installed_wheel_is_linked_by_winnow_install_and_its_operators_load(
    wheel: Path, python: Path, tmp_path: Path
) -> None:
    install(wheel, python)
    environment = own_plugins_folder(tmp_path)

    subprocess.run([python.parent / "winnow", "install"], cwd=tmp_path, env=environment, check=True)

    assert registry(python, environment, tmp_path) == {"errors": [], "operators": OPERATORS}


def test_downloaded_plugin_loads_where_winnow_is_not_installed(archive_url: str, python: Path, tmp_path: Path) -> None:
    lend_dependencies(python)
    environment = own_plugins_folder(tmp_path)
    code = f"import fiftyone.plugins as fop; fop.download_plugin('{archive_url}')"
    ensure = "import fiftyone.plugins as fop; fop.ensure_plugin_requirements('@winnow/curation')"

    subprocess.run([python, "-c", code], cwd=tmp_path, env=environment, check=True)
    subprocess.run([python, "-c", ensure], cwd=tmp_path, env=environment, check=True)

    assert registry(python, environment, tmp_path) == {"errors": [], "operators": OPERATORS}


def git_files() -> list[str]:
    """Return the files that are committed or would be, relative to the repository."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode("utf-8")
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)


def install(wheel: Path, python: Path) -> None:
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    lend_dependencies(python)


def lend_dependencies(python: Path) -> None:
    """Let an environment see what is installed in this one, but for Winnow itself.

    A .pth file adds the folder alone: the .pth files in it, among them that of an editable install, are not read. To be
    called after pip, which would otherwise take this environment's packages for its own.
    """
    folder = next((python.parents[1] / "lib").glob("python*/site-packages"))
    (folder / "dependencies.pth").write_text(sysconfig.get_path("purelib"))


def own_plugins_folder(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "plugins").mkdir()
    return {**os.environ, "FIFTYONE_PLUGINS_DIR": str(tmp_path / "plugins")}


def registry(python: Path, environment: dict[str, str], tmp_path: Path) -> dict[str, list[str]]:
    """Return the errors and the operators of FiftyOne's registry in a fresh process."""
    run = subprocess.run(
        [python, "-c", LIST_OPERATORS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])
