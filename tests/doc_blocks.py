"""The code blocks of README.md and docs/, as the tests read them.

A block is python, yaml, json, text (what a command prints; not checked) or, without a language, a shell. A python block
that does not run with the others of its page stands below a comment that says which test runs it, and why:
`<!-- run by tests/FILE: REASON -->`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winnow.plugin.datasets.group_views import DUPLICATES_VIEW, LABEL_ISSUES_VIEW, LEAKS_VIEW, PATCH_ISSUES_VIEW

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = ("", "python", "yaml", "json", "text")

_SAVED_VIEWS = (DUPLICATES_VIEW, LEAKS_VIEW, LABEL_ISSUES_VIEW, PATCH_ISSUES_VIEW)
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_RUN_BY = re.compile(r"<!-- run by (\S+): .+ -->\n*\Z")
_INLINE = re.compile(r"`(winnow [a-z][^`\n]*(?:\n[^`\n]*)?)`")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: File that it stands in, relative to the repository.
        line: Number of its first line of code.
        language: As written after the fence; empty = a shell.
        code: Its text.
        run_by: The test that executes it; empty = with the other blocks of its page.
    """

    page: str
    line: int
    language: str
    code: str
    run_by: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(
            page=page.relative_to(ROOT).as_posix(),
            line=text[: match.start()].count("\n") + 2,
            language=match[2],
            code=match[3],
            run_by=found[1] if (found := _RUN_BY.search(text[: match.start()])) else "",
        )
        for match in _FENCE.finditer(text)
    ]


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in these languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def run_by(test: Path) -> list[Block]:
    """Return the blocks that a test is to execute."""
    return [block for block in all_blocks("python") if block.run_by == test.relative_to(ROOT).as_posix()]


def execute(block: Block, names: dict[str, Any]) -> None:
    """Execute a block of Python; an error's traceback shows its place on the page."""
    exec(compile("\n" * (block.line - 1) + block.code, ROOT / block.page, "exec"), names)


def shell_commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command of a shell block, without comments and settings such as NAME=value."""
    for line in block.code.replace("\\\n", " ").splitlines():
        for part in re.split(r"; | && ", re.sub(r"(^|\s)#.*", "", line)):
            words = shlex.split(part)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if words:
                yield words


def inline_commands(page: Path) -> list[str]:
    """Return what stands in backticks within the text and begins with `winnow`, but for names of saved views."""
    found = [" ".join(each.split()) for each in _INLINE.findall(_FENCE.sub("", page.read_text("utf-8")))]
    return [line for line in found if line not in _SAVED_VIEWS]
