"""The container files, as far as they can be checked without a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from winnow.plugin.labeling.reserved_addresses import narrow_exception

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docker"
PINNED = re.compile(r"\S+:\S+@sha256:[0-9a-f]{64}")


@pytest.fixture
def services() -> dict[str, Any]:
    """Return the services of the compose file."""
    return dict(yaml.safe_load((FOLDER / "compose.yml").read_text("utf-8"))["services"])


def run(*command: str) -> str:
    """Run a program of the environment that the tests run in; return what it says, "" where all is well."""
    name, *arguments = command
    done = subprocess.run([str(Path(sys.executable).with_name(name)), *arguments], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    assert run("hadolint", str(FOLDER / "Dockerfile")) == ""


@pytest.mark.parametrize("name", ["compose.yml", "compose.replicas.yml"])
def test_the_compose_file_is_of_the_form_that_compose_reads(name: str) -> None:
    compose = str(FOLDER / name)

    assert run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", compose) == ""


def test_every_image_is_pinned_by_its_digest(services: dict[str, Any]) -> None:
    lines = (FOLDER / "Dockerfile").read_text("utf-8").splitlines()
    images = [line.split()[1] for line in lines if line.startswith("FROM")]
    images += [service["image"] for service in services.values() if "image" in service]

    assert [image for image in images if not PINNED.fullmatch(image)] == []
    assert len(images) == 3


def test_label_studio_may_call_the_backend_and_no_other_private_address(services: dict[str, Any]) -> None:
    backend = services["winnow"]["networks"]["labelling"]["ipv4_address"]

    given = services["label-studio"]["environment"]

    assert {name: given[name] for name in narrow_exception(backend)} == narrow_exception(backend)


def test_the_backend_can_write_nowhere_but_to_its_state_and_has_no_rights(services: dict[str, Any]) -> None:
    backend = services["winnow"]

    assert backend["read_only"]
    assert backend["cap_drop"] == ["ALL"]
    assert [mount.split(":")[-1] for mount in backend["volumes"]] == ["ro", "ro", "/state"]
    assert re.search(r"^USER \d+$", (FOLDER / "Dockerfile").read_text("utf-8"), re.MULTILINE)


def test_replicas_are_alike_and_nginx_knows_each() -> None:
    services = yaml.safe_load((FOLDER / "compose.replicas.yml").read_text("utf-8"))["services"]
    replicas = {name: service for name, service in services.items() if name.startswith("winnow")}
    upstream = re.findall(r"^    server (\S+):9090", (FOLDER / "nginx.conf").read_text("utf-8"), re.MULTILINE)

    first, second = replicas.values()

    assert first == second and first["read_only"] and first["cap_drop"] == ["ALL"]
    assert upstream == list(replicas)
    assert [port for service in services.values() for port in service.get("ports", ())] == ["127.0.0.1:9090:9090"]


def test_the_image_has_the_driver_of_the_replicas_database() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

    assert all(f"'{each}'" in (FOLDER / "Dockerfile").read_text("utf-8") for each in extras["replicas"])


def test_nothing_listens_beyond_loopback(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_gets_every_package_and_nothing_that_is_not_there() -> None:
    lines = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]

    assert {name.split(".")[1] for name in packages if "." in name} <= kept
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.parametrize("command", [["--version"], ["serve", "--help"]])
def test_the_command_that_the_image_runs_needs_no_fiftyone(command: list[str]) -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] == 'fiftyone': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"sys.argv = ['winnow', *{command}]\n"
        "from winnow.__main__ import main\n"
        "main()\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
