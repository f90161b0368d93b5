"""The documents: they build without a warning and load nothing, and cover what the code offers and what doctors say."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

import winnow
from tests.doc_blocks import ROOT
from winnow.plugin.labeling import backend_refusals, connection_check, local_files
from winnow.plugin.workflows import doctor

DOCTORS = {
    "winnow doctor": (doctor, sys.modules[doctor.database_problem.__module__]),
    "winnow labelstudio doctor": (connection_check, local_files),
    "What Label Studio says of the backend": (backend_refusals,),
}
# Where the sentence stands in the call that makes a finding of it.
SENTENCES = {"Check": 1, "Problem": 0, "Finding": 1, "Refusal": 0, "_mongod_problem": 0}


class Resources(HTMLParser):
    """Collects what a page has the browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        loads = tag in ("script", "img", "iframe", "source") or (tag == "link" and found.get("rel") != "canonical")
        self.addresses += [found[name] or "" for name in ("src", "href") if loads and name in found]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does; a link or an anchor that leads nowhere fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    run = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@cache
def reference() -> dict[str, str]:
    from docs.generate_reference import pages

    return pages()


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))

    for page in pages:
        resources = Resources()
        resources.feed(page.read_text("utf-8"))
        elsewhere = [address for address in resources.addresses if re.match(r"(https?:)?//", address)]
        assert elsewhere == [], page.name
    sheets = [(sheet.name, sheet.read_text("utf-8")) for sheet in site.rglob("*.css")]
    assert [name for name, text in sheets if re.search(r"(@import|url\()\s*['\"]?(https?:)?//", text)] == []
    assert len(pages) > 15


def test_generated_reference_is_part_of_the_site(site: Path) -> None:
    assert "Winnow: find near-duplicates" in (site / "reference" / "operators.html").read_text("utf-8")


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")

    for target in re.findall(r"\]\(([^)#]+)(#[^)]*)?\)", text):
        path, anchor = target
        if not path.startswith("http"):
            assert (ROOT / path).exists(), path
            assert not anchor or anchor[1:] in anchors(ROOT / path), path + anchor


def test_reference_is_the_same_when_it_is_made_again() -> None:
    from docs.generate_reference import pages

    assert pages() == reference()


def test_reference_covers_every_operator_and_panel() -> None:
    from winnow.operators import OPERATORS, PANELS

    page = reference()["reference/operators.md"]

    assert [name for each in (*OPERATORS, *PANELS) if f"/{(name := each().config.name)}`" not in page] == []


def test_reference_covers_every_command_and_option() -> None:
    from docs.generate_reference import commands

    page = reference()["reference/commands.md"]
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")}

    for name, command in commands():
        options = [option for each in command.params for option in each.opts if option.startswith("--")]
        assert [option for option in options if f"`{option}`" not in sections[name]] == [], name


def test_reference_covers_every_public_name_and_setting() -> None:
    page = reference()["reference/python.md"]
    names = set(winnow.__all__) - {"register", "__version__"}

    assert [name for name in sorted(names) if f"\n## winnow.{name}\n" not in page] == []
    assert "\n- `threshold` = `None`: Score in 0..1 from which a pair counts" in page


def test_reference_says_of_every_setting_what_it_is() -> None:
    page = reference()["reference/python.md"]

    assert re.findall(r"^- `\w+`[^:\n]*: $", page, re.MULTILINE) == []


def test_reference_covers_the_default_fields() -> None:
    page = reference()["reference/fields.md"]
    fields = ("duplicate_group", "leak_score", "label_quality", "suggested_label", "prediction", "prediction.margin")
    fields += ("selection_rank", "drift_novel", "winnow_failure", "labeling_state")

    assert [name for name in fields if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("part", DOCTORS)
def test_every_message_of_a_doctor_has_an_entry(part: str) -> None:
    entries = troubleshooting()[part]
    messages = [message for module in DOCTORS[part] for message in sentences(Path(str(module.__file__)))]

    assert len(messages) > 3
    assert [" ... ".join(pieces) for pieces in messages if not any(holds(entry, pieces) for entry in entries)] == []


@pytest.mark.parametrize("part", DOCTORS)
def test_every_entry_is_a_message_of_a_doctor(part: str) -> None:
    messages = [message for module in DOCTORS[part] for message in sentences(Path(str(module.__file__)))]

    assert [entry for entry in troubleshooting()[part] if not any(holds(entry, pieces) for pieces in messages)] == []


def troubleshooting() -> dict[str, list[str]]:
    """Return the messages that each part of the page has an entry for."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    parts = (part.partition("\n") for part in text.split("\n## ")[1:])
    return {title.strip("`"): re.findall(r"^### `(.+)`$", body, re.MULTILINE) for title, _, body in parts}


def holds(entry: str, pieces: tuple[str, ...]) -> bool:
    """Tell whether an entry is a message, words in capitals standing for what differs."""
    return re.fullmatch(r"(?:.*)".join(map(re.escape, pieces)), entry) is not None


def sentences(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a module's doctor may say: the fixed pieces of each sentence, between which something differs."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    for function in (node for node in nodes if isinstance(node, ast.FunctionDef)):
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            is_probe = name == "_probe" and path.stem == "connection_check"
            if (name not in SENTENCES and not is_probe) or is_fine(name, call):
                continue
            for told in values_of(call.args[SENTENCES.get(name, 0)], function):
                pieces = fixed_pieces(told)
                if any(len(piece.strip()) > 3 for piece in pieces):
                    yield pieces


def is_fine(name: str, call: ast.Call) -> bool:
    """Tell whether a finding says that all is well."""
    level = call.args[0] if name == "Finding" else None
    return (isinstance(level, ast.Attribute) and level.attr == "OK") or (
        name == "Check" and len(call.args) < 3 and not isinstance(call.args[1], ast.Name)
    )


def values_of(told: ast.expr, function: ast.FunctionDef) -> list[ast.expr]:
    """Return the texts that an argument may be: itself, or what is assigned to its name in the function."""
    if not isinstance(told, ast.Name):
        return [told]
    kinds = (ast.Assign, ast.AugAssign)
    assigned = [node for node in ast.walk(function) if isinstance(node, kinds)]
    return [node.value for node in assigned if told.id in (getattr(each, "id", "") for each in targets(node))]


def targets(node: ast.Assign | ast.AugAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def fixed_pieces(told: ast.expr) -> tuple[str, ...]:
    if isinstance(told, ast.Constant):
        return (str(told.value),)
    if not isinstance(told, ast.JoinedStr):
        return ("",)
    pieces = [""]
    for part in told.values:
        if isinstance(part, ast.Constant):
            pieces[-1] += str(part.value)
        else:
            pieces.append("")
    return tuple(pieces)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as MkDocs and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
