"""FiftyOne loads the package under a name of its own; still each module exists once in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo

# A second plugin whose operator looks at the modules of the process that it runs in.
COUNTER = """
import collections, os, sys

import fiftyone.operators as foo


class CountCopies(foo.Operator):
    @property
    def config(self):
        return foo.OperatorConfig(name="count_copies", allow_delegated_execution=True)

    def execute(self, ctx):
        import winnow.plugin.errors, winnow.operators.find_duplicates

        root = os.path.realpath(os.path.dirname(winnow.__file__))
        files = collections.Counter()
        for module in {id(module): module for module in sys.modules.values()}.values():
            file = getattr(module, "__file__", None)
            if file and os.path.realpath(file).startswith(root + os.sep) and "site-packages" not in file:
                files[os.path.relpath(os.path.realpath(file), root)] += 1
        del files["__init__.py"]  # FiftyOne runs the root again on every call; it holds no state
        return {"pid": os.getpid(), "modules": len(files), "repeated": [file for file, n in files.items() if n > 1]}


def register(plugin):
    plugin.register(CountCopies)
"""


@pytest.fixture
def counter_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URI of the counting operator; it lies beside Winnow in a plugins folder of the test's own."""
    import fiftyone as fo

    from winnow.plugin.workflows.install import install

    folder = tmp_path / "plugins"
    (folder / "counter").mkdir(parents=True)
    (folder / "counter" / "fiftyone.yml").write_text("name: '@test/counter'\noperators: [count_copies]\n")
    (folder / "counter" / "__init__.py").write_text(COUNTER)
    install(folder)
    monkeypatch.setattr(fo.config, "plugins_dir", str(folder))
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(folder))
    return "@test/counter/count_copies"


def test_each_module_exists_once_where_package_and_plugin_meet(
    counter_plugin: str, dataset: Callable[..., fo.Dataset]
) -> None:
    import fiftyone.operators as foo

    import winnow.operators  # the package, before FiftyOne loads the plugin

    counted = foo.execute_operator(counter_plugin, dataset=dataset()).result

    assert counted["repeated"] == []
    assert counted["modules"] > 5
    assert winnow.operators.OPERATORS


def test_each_module_exists_once_in_a_delegated_child(counter_plugin: str, dataset: Callable[..., fo.Dataset]) -> None:
    import fiftyone.operators as foo
    from fiftyone.operators.delegated import DelegatedOperationService

    queued = foo.execute_operator(counter_plugin, dataset=dataset(), request_delegation=True)

    service = DelegatedOperationService()
    service.execute_operation(service.get(queued.result["id"]), monitor=True, check_interval_seconds=1)

    counted = service.get(queued.result["id"]).result.result
    assert counted["pid"] != os.getpid()
    assert counted["repeated"] == []


ALONE = """
import sys, importlib.abc

class Hide(importlib.abc.MetaPathFinder):  # as if the package were not installed
    def find_spec(self, name, path, target=None):
        if name == "winnow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hide())
from fiftyone.operators.registry import OperatorRegistry
print(OperatorRegistry().list_errors())
from winnow.plugin.errors import WinnowError
print(sys.modules["winnow"].__name__, WinnowError.__module__)
"""


@pytest.mark.parametrize("way", ["linked", "copied"])
def test_plugin_works_without_the_package(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from winnow.plugin.workflows.install import install

    def refuse(*args: object, **options: object) -> None:
        raise OSError("no right to make links")

    if way == "copied":
        monkeypatch.setattr(os, "symlink", refuse)
    install(tmp_path)
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(tmp_path))

    printed = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-2:] == ["[]", "fiftyone.plugins.orgs.winnow.curation winnow.plugin.errors"]
