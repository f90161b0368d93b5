"""The reference pages, written from the code: operators, commands, fields and Python functions.

`mkdocs build` gets them through reference_hook.py, so that they are never older than the code; they are not committed.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer

import winnow
from winnow.__main__ import app
from winnow.operators import OPERATORS, PANELS
from winnow.operators.workflow_operator import WorkflowOperator
from winnow.plugin.datasets.bringing_back import ANSWERS_FIELD, NOTE_FIELD
from winnow.plugin.datasets.labeling_batches import BATCH_FIELD, STATE_FIELD
from winnow.plugin.datasets.prediction_fields import UNCERTAINTY
from winnow.plugin.workflows.predict import PredictParams
from winnow.plugin.workflows.vectors import FAILURE_FIELD

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")

# Fields that no setting names.
_FIXED = {
    FAILURE_FIELD: "Why the image could not be read; empty where it could.",
    STATE_FIELD: 'Where the image is: "out", "back", "skipped", "disagreement" or "conflict".',
    BATCH_FIELD: "The batch that it was last sent to Label Studio with.",
    NOTE_FIELD: "Why its labels are not simply back.",
    ANSWERS_FIELD: "What was brought back, as Winnow remembers it.",
}
_UNCERTAINTY_TEXT = {
    "entropy": "How unsure the classifier is: 0 = certain, 1 = all classes alike.",
    "margin": "Probability of the best class less that of the second; 0 = they are alike.",
    "model_version": "Version of the classifier that predicted.",
}


def pages() -> dict[str, str]:
    """Return the markdown of each page by its path below docs/; the same code gives the same text."""
    return {
        "reference/operators.md": "\n".join(_operators()),
        "reference/commands.md": "\n".join(_commands()),
        "reference/fields.md": "\n".join(_fields()),
        "reference/python.md": "\n".join(_python()),
    }


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command of the command line with its whole name, such as `winnow cache info`."""
    yield from _below("winnow", typer.main.get_command(app))


def default_fields() -> dict[str, tuple[str, str]]:
    """Return what each field holds, and the setting that names it, by its default name."""
    found: dict[str, tuple[str, str]] = {}
    for params in _public_dataclasses():
        texts = dict(_entries(_sections(inspect.getdoc(params) or "").get("Attributes", "")))
        for each in dataclasses.fields(params):
            if each.name.endswith("_field") and isinstance(each.default, str) and " " not in each.default:
                found.setdefault(each.default, (texts[each.name], f"{params.__name__}.{each.name}"))
    prediction = PredictParams.prediction_field
    for name in UNCERTAINTY:
        found[f"{prediction}.{name}"] = (_UNCERTAINTY_TEXT[name], "PredictParams.prediction_field")
    return found | {name: (text, "") for name, text in _FIXED.items()}


def _operators() -> Iterator[str]:
    yield from _head("Operators and panels", "Of the FiftyOne App: press the backquote key and type *Winnow*.")
    yield "From Python: `fiftyone.operators.execute_operator(name, ctx={...}, params={...})`."
    for made in (each() for each in OPERATORS):
        config = made.config
        yield f"\n## {config.label}\n\n`@winnow/curation/{config.name}`. {_sentence(config.description)}"
        if isinstance(made, WorkflowOperator):
            params, workflow = made.workflow()
            called = getattr(workflow, "__name__", "")
            if called in winnow.__all__:
                yield f"From Python: [`winnow.{called}`](python.md#winnow{called.lower()})."
            yield from _settings(params)
    for panel in (each() for each in PANELS):
        config = panel.config
        about = _sentence(config.help_markdown or "")
        yield f"\n## {config.label} (panel)\n\n`@winnow/curation/{config.name}`. {about}"


def _commands() -> Iterator[str]:
    yield from _head("Commands", "What `winnow COMMAND --help` shows. TARGET is the name of a FiftyOne dataset,")
    yield "a folder laid out `SPLIT/CLASS/file` or `CLASS/file`, or a CSV or JSONL table with the columns `path`,"
    yield "`label` and optionally `split`. With `--json` the last line of stdout is one JSON object. Exit status:"
    yield "0 = done, 1 = failed, 2 = wrong usage."
    for name, command in commands():
        arguments = [_metavar(each) for each in command.params if not _options(each)]
        yield f"\n## {name}\n\n{_plain(command.help or '')}\n"
        yield f"    {' '.join([name, *arguments, '[OPTIONS]'])}\n"
        rows = [each for each in command.params if not getattr(each, "hidden", False)]
        if rows:
            yield "| | default | |\n|---|---|---|"
        for each in rows:
            shown = ", ".join(f"`{option}`" for option in _options(each)) or f"`{_metavar(each)}`"
            yield f"| {shown} | {_default_of(each)} | {_cell(getattr(each, 'help', '') or '')} |"


def _fields() -> Iterator[str]:
    yield from _head("Fields", "What Winnow writes into a dataset, by the default names. Where a setting is named, it")
    yield "chooses another one. A field of the same name that Winnow did not make is never written to.\n"
    yield "| field | what it holds | setting |\n|---|---|---|"
    for name, (text, setting) in default_fields().items():
        holds = _cell(text.removeprefix("Field for ").rstrip(".") + ".")
        yield f"| `{name}` | {holds[0].upper()}{holds[1:]} | {f'`{setting}`' if setting else ''} |"


def _python() -> Iterator[str]:
    yield from _head("Python", "`import winnow`; each name is imported when it is first used. Jobs take a FiftyOne")
    yield "dataset or view and return a report: `report.text()` is markdown for a person, `report.summary()` plain"
    yield "JSON."
    for name in winnow.__all__:
        offered = getattr(winnow, name)
        if name.startswith("_") or name == "register":
            continue
        yield f"\n## winnow.{name}\n"
        if dataclasses.is_dataclass(offered):
            yield _prose(_sections(inspect.getdoc(offered) or "").get("", ""))
            yield from _settings(offered)
        else:
            yield f"```python\n{name}{_signature(offered)}\n```\n"
            yield from _docstring(inspect.getdoc(offered) or "")


def _settings(params: type) -> Iterator[str]:
    """Yield a list of a dataclass's attributes: name, default and meaning."""
    texts: dict[str, str] = {}
    for base in reversed(params.__mro__):
        texts |= dict(_entries(_sections(inspect.getdoc(base) or "").get("Attributes", "")))
    yield ""
    for each in dataclasses.fields(params):
        yield f"- `{each.name}`{_default(each)}: {_prose(texts.get(each.name, ''))}"


def _default(each: dataclasses.Field) -> str:
    if each.default is not dataclasses.MISSING:
        return f" = `{each.default!r}`"
    made = each.default_factory
    return "" if made is dataclasses.MISSING else f" = `{getattr(made, '__name__', 'made')}()`"


def _docstring(text: str) -> Iterator[str]:
    for title, body in _sections(text).items():
        if not title:
            yield _prose(body)
            continue
        yield f"\n**{title}**\n"
        listed = list(_entries(body))
        if not listed:
            yield _prose(body)
        for name, meaning in listed:
            yield f"- `{name}`: {_prose(meaning)}"


def _sections(text: str) -> dict[str, str]:
    """Split a docstring into its sections; "" is what comes before the first one."""
    found: dict[str, list[str]] = {"": []}
    title = ""
    for line in inspect.cleandoc(text).splitlines():
        if line.endswith(":") and line[:-1] in SECTIONS:
            title = line[:-1]
            found[title] = []
        else:
            found[title].append(line)
    return {title: inspect.cleandoc("\n".join(["", *lines])).strip() for title, lines in found.items()}


def _entries(body: str) -> Iterator[tuple[str, str]]:
    """Yield names and meanings of a section's `name: meaning` lines, which go on where the next lines are indented."""
    for entry in re.split(r"\n(?=\S)", body):
        name, colon, meaning = entry.partition(": ")
        if colon and re.fullmatch(r"\*{0,2}[\w.]+(, [\w.]+)*", name):
            yield name, " ".join(meaning.split())


def _signature(function: Any) -> str:
    """Return a signature, one parameter a line; annotations without quotes, default settings as `Params()`."""
    signature = inspect.signature(function)
    parts = []
    for name, each in signature.parameters.items():
        mark = {each.KEYWORD_ONLY: "", each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        if each.kind == each.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if each.default is each.empty else f" = {_shown(each.default)}"
        parts.append(f"{mark}{name}: {each.annotation}{default}")
    lines = "".join(f"    {part},\n" for part in parts)
    return f"(\n{lines}) -> {signature.return_annotation}"


def _shown(default: Any) -> str:
    if dataclasses.is_dataclass(default):
        return f"{type(default).__name__}()"
    return str(getattr(default, "__name__", repr(default)))


def _public_dataclasses() -> Iterable[type]:
    named = (getattr(winnow, name) for name in winnow.__all__ if not name.startswith("_"))
    return [each for each in named if isinstance(each, type) and dataclasses.is_dataclass(each)]


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    for part, each in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {part}", each)
    if not hasattr(command, "commands") or getattr(command, "invoke_without_command", False):
        yield name, command


def _options(parameter: Any) -> list[str]:
    return [option for option in [*parameter.opts, *parameter.secondary_opts] if option.startswith("-")]


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _default_of(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "(needed)"
    return "" if value is None or value is False or callable(value) or value == () else f"`{value}`"


def _head(title: str, text: str) -> Iterator[str]:
    yield f"# {title}\n\n{text}"


def _sentence(text: str) -> str:
    return _prose(text).rstrip(".") + "."


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def _plain(text: str) -> str:
    return _prose(" ".join(text.split()))


def _prose(text: str) -> str:
    """Escape what markdown or HTML would take for its own, but for code in backticks and emphasis in asterisks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;").replace("_", r"\_") for part in parts)
