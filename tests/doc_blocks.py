"""The code blocks of README.md and docs/, as the tests read them.

A block is python, yaml, json, text (what a command prints; not checked) or, without a language, a shell. A python block
that cannot be executed here stands below a comment that says why, `<!-- not run: REASON -->`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winnow.plugin.datasets.group_views import DUPLICATES_VIEW, LABEL_ISSUES_VIEW, LEAKS_VIEW, PATCH_ISSUES_VIEW

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = ("", "python", "yaml", "json", "text")

_SAVED_VIEWS = (DUPLICATES_VIEW, LEAKS_VIEW, LABEL_ISSUES_VIEW, PATCH_ISSUES_VIEW)
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_EXEMPT = re.compile(r"<!-- not run: .+ -->\n*\Z")
_INLINE = re.compile(r"`(winnow [a-z][^`\n]*(?:\n[^`\n]*)?)`")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: File that it stands in, relative to the repository.
        line: Number of its first line of code.
        language: As written after the fence; empty = a shell.
        code: Its text.
        runs: Whether it is to be executed: no comment above it says otherwise.
    """

    page: str
    line: int
    language: str
    code: str
    runs: bool

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
            runs=not _EXEMPT.search(text[: match.start()]),
        )
        for match in _FENCE.finditer(text)
    ]


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in these languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


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
