"""The choices of a Choices or Taxonomy control: what the annotator reads, and what Label Studio writes for it.

What is written was read in Label Studio's editor (1.23, `Choice.jsx`, `Choices.jsx`, `Taxonomy.jsx`) and is told there
for each rule below; the server knows nothing of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# One name, or the path of names from the topmost choice down to the chosen one.
Written = str | tuple[str, ...]

# The editor puts the task's data in place of these, in the values of Choices (not of a Taxonomy).
_VARIABLE = re.compile(r"\$[\w[\].{}]")


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a control; both are paths (of as many names) in a Taxonomy and in nested Choices, else names.

    Attributes:
        shown: What the annotator reads (`value`).
        written: What Label Studio stores in results: the alias where there is one, else the value.
    """

    shown: Written
    written: Written


def in_words(name: Written) -> str:
    """Return a choice as it is named in messages: `Animal / Cat`."""
    return name if isinstance(name, str) else " / ".join(name)


def read_choices(
    control: Any, *, taxonomy: bool, paths: bool, leaves_only: bool
) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    """Return the choices that can be filled in, in the order of the config, and why others can't be.

    Args:
        control: The control's XML element (lxml).
        taxonomy: Whether it is a Taxonomy.
        paths: Whether a result holds paths; without, nested choices are neither shown nor written.
        leaves_only: Whether choices that have choices below them can't be picked.

    Returns:
        Choices, no two of them written alike; sentences that name the control's other choices.
    """
    found: list[Choice] = []
    remarks: list[str] = []
    for node in _nodes(control, (), taxonomy):
        choice = Choice(node.shown, node.written) if paths else Choice(node.shown[-1], node.written[-1])
        if reason := _reason_to_leave_out(node, taxonomy, paths):
            remarks.append(f"'{in_words(choice.shown)}' {reason}")
        elif node.is_leaf or not (paths and leaves_only):
            found.append(choice)
    times = Counter(choice.written for choice in found)
    remarks += [f"'{in_words(name)}' is there {count} times" for name, count in times.items() if count > 1]
    return tuple(choice for choice in found if times[choice.written] == 1), tuple(remarks)


@dataclass(frozen=True, slots=True)
class _Node:
    """A Choice element; paths and the last two fields tell of the choices above it, too."""

    shown: tuple[str, ...]
    written: tuple[str, ...]
    is_leaf: bool
    empty_alias: bool
    from_data: bool


def _nodes(element: Any, above: tuple[_Node, ...], taxonomy: bool) -> Iterator[_Node]:
    """Yield the choices below an element, parents first; other tags (View, Header) may stand between."""
    parent = above[-1] if above else None
    values: set[str] = set()
    for child in _choice_elements(element):
        value, alias = child.get("value"), child.get("alias")
        if not (value or alias) or (taxonomy and value in values):
            continue  # a Taxonomy shows the first of several alike below one parent; the SDK skips the nameless too
        values.add(value)
        node = _Node(
            shown=(*(parent.shown if parent else ()), value or alias),
            written=(*(parent.written if parent else ()), alias or value),
            is_leaf=next(_choice_elements(child), None) is None,
            empty_alias=alias == "" or (parent is not None and parent.empty_alias),
            from_data=bool(not alias and _VARIABLE.search(value)) or (parent is not None and parent.from_data),
        )
        yield node
        yield from _nodes(child, (*above, node), taxonomy)


def _choice_elements(element: Any) -> Iterator[Any]:
    for child in element:
        if child.tag == "Choice":
            yield child
        elif isinstance(child.tag, str) and not child.get("toName"):  # a comment has no name; toName: another control
            yield from _choice_elements(child)


def _reason_to_leave_out(node: _Node, taxonomy: bool, paths: bool) -> str:
    if len(node.written) > 1 and not paths:
        return "is nested, which Label Studio neither shows nor writes without allowNested"
    if node.empty_alias:
        return "has an empty alias, which Label Studio would write"
    if node.from_data and not taxonomy:
        return "takes its text from the task's data, so it differs by task"
    return ""
