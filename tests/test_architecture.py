"""The rules of docs/architecture.md: who may import whom. The contracts stand in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print(*sorted(sys.modules))
"""

BROKEN_CONTRACT = """
[importlinter]
root_package = winnow
include_external_packages = True

[importlinter:contract:datasets]
name = Datasets do without FiftyOne, which they do not
type = forbidden
source_modules = winnow.plugin.datasets
forbidden_modules = fiftyone
"""


def lint_imports(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"
    return subprocess.run([sys.executable, "-c", code, str(config)], cwd=folder, capture_output=True, text=True)


def test_every_import_contract_is_kept(tmp_path: Path) -> None:
    run = lint_imports(ROOT / "pyproject.toml", tmp_path)

    assert run.returncode == 0, run.stdout


def test_a_contract_that_the_code_breaks_is_noticed(tmp_path: Path) -> None:
    config = tmp_path / "contracts.ini"
    config.write_text(BROKEN_CONTRACT, encoding="utf-8")

    run = lint_imports(config, tmp_path)

    assert run.returncode == 1
    assert "winnow.plugin.datasets is not allowed to import fiftyone" in run.stdout


WITHOUT_FIFTYONE = [
    "backend",
    "plugin.cluster",
    "plugin.curation",
    "plugin.labeling",
    "plugin.training",
    "plugin.vision",
]


@pytest.mark.parametrize("package", WITHOUT_FIFTYONE)
def test_package_does_not_load_fiftyone(package: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT_ALL, f"winnow.{package}"]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert not {"fiftyone", "mongoengine", "pymongo"} & set(run.stdout.split())


def test_curation_does_not_load_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT_ALL, "winnow.plugin.curation"]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "torch" not in run.stdout.split()


def test_the_settings_of_curation_jobs_do_not_load_torch(tmp_path: Path) -> None:
    names = ("embed", "duplicates", "leaks", "label_issues", "drift")
    code = "; ".join(f"import winnow.plugin.workflows.{name}" for name in names) + "; import sys; print(*sys.modules)"

    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert not {"torch", "timm", "torchvision"} & set(run.stdout.split())


def test_command_line_starts_without_heavy_imports(tmp_path: Path) -> None:
    code = "import sys, winnow, winnow.__main__; print(*sorted(sys.modules))"

    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    heavy = {"fiftyone", "torch", "timm", "faiss", "sklearn", "label_studio_sdk", "fastapi"}
    assert not heavy & set(run.stdout.split())
