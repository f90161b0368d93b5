"""The report on a model's health as one HTML file that loads nothing: no script, no font, no picture from elsewhere.

Its content security policy forbids what it does not need, so that a browser vouches for that. Every plot has its
numbers in a table or in words beside it, and every text that is not ours is escaped.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from ..errors import DataError
from .health_figures import DriftCheck, Health, Moved, Share, VersionHealth
from .health_leads import Lead, Level, headline, leads, next_steps, p_words
from .health_style import STYLE
from .health_svg import Dots, Line, line_chart, scatter, share_bar

MARK = "<!-- winnow report -->"  # by which a report is known again, so that it may be replaced
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_CODE = re.compile(r"`([^`]+)`")
_PERCENT = re.compile(r"(?<=\d) %")
_SIGNS = {Level.GOOD: "As expected", Level.LOOK: "Look", Level.UNKNOWN: "Not known"}
_MOST_VERSIONS = 5
_LEAST_CEILING = 0.3
_LEAST_FLOOR = 0.5  # the axis of accuracies begins here, unless one is lower


def health_page(health: Health) -> str:
    """Return the page."""
    name = Path(health.about.folder).name
    level, sentence = headline(health)
    body = [
        _head(health, name),
        f'<p class="verdict {level}"><strong>{_SIGNS[level]}.</strong> {_text(sentence)}</p>',
        f'<section class="leads" aria-label="The three signals">{"".join(map(_lead, leads(health)))}</section>',
        _steps(next_steps(health)),
        _accuracy(health),
        _classes(health),
        _drift(health),
        _decisions(health),
        _missing(health),
        _notes(health),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            MARK,
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Model health: {escape(name)}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{STYLE}</style>",
            "</head>",
            f"<body><main>{''.join(filter(None, body))}</main></body>",
            "</html>",
            "",
        ]
    )


def write_page(health: Health, path: Path) -> Path:
    """Write the page, whole or not at all; an earlier report is replaced, no other file is.

    Raises:
        DataError: The file holds something else, or cannot be written.
    """
    try:
        if path.exists() and not _is_report(path):
            raise DataError(f"'{path}' exists and is no report of Winnow's, so it is kept. Name another file.")
        whole = path.with_name(f".{path.name}.{os.getpid()}")  # beside it, so that it can take its place at once
        try:
            whole.write_text(health_page(health), encoding="utf-8", errors="replace")
            os.replace(whole, path)
        finally:
            whole.unlink(missing_ok=True)
    except OSError as cause:
        raise DataError(f"cannot write the report to '{path}': {cause}") from cause
    return path


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(200)


def _head(health: Health, name: str) -> str:
    about = health.about
    facts = [("Version", f"<code>{escape(about.version)}</code>"), ("Classes", f"{len(about.classes):,}")]
    if about.multilabel:
        facts.append(("Labels", "several an image"))
    if about.trained_at:
        facts.append(("Trained", escape(about.trained_at[:16].replace("T", " "))))
    if about.training_images:
        facts.append(("On", f"{about.training_images:,} images"))
    if about.validation is not None:
        facts.append(("Validation", f"{100 * about.validation:.1f} % {escape(about.metric.replace('_', ' '))}"))
    if about.training_fingerprint:
        facts.append(("Training data", f"<code>{escape(about.training_fingerprint[:12])}</code>"))
    listed = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in facts)
    span = "all that is remembered" if health.days is None else f"the last {health.days} days"
    made = (
        f"<p class='quiet'>Made {health.made_at:%Y-%m-%d %H:%M} UTC of {span}. <code>{escape(about.folder)}</code></p>"
    )
    return f"<header><h1>Model health: <bdi>{escape(name)}</bdi></h1><dl class='facts'>{listed}</dl>{made}</header>"


def _lead(lead: Lead) -> str:
    words = f"<p class='interval'>{_text(lead.words())}</p>" if lead.words() else ""
    bar = share_bar(lead.share.value, lead.share.low, lead.share.high) if lead.share.known else ""
    return (
        f'<article class="lead {lead.level}"><h2>{escape(lead.title)}</h2>'
        f'<p class="sign">{_SIGNS[lead.level]}</p><p class="figure">{_text(lead.figure)}</p>'
        f"{bar}{words}<p>{_text(lead.sentence)}</p></article>"
    )


def _steps(steps: Sequence[str]) -> str:
    return _section("What to do", _list(steps)) if steps else ""


def _accuracy(health: Health) -> str:
    drawn = [each for each in health.versions if len(each.times)][:_MOST_VERSIONS]
    if not health.versions:
        return ""
    parts = [f"<p>Of the predictions that annotators answered, from {escape(health.answers_from)}.</p>"]
    if health.blind.known:
        parts.append(
            f"<p>Annotators who saw no prediction agree with it on {health.blind.words()} of "
            f"{health.blind.of:,} images. That is the fairer figure: who sees a prediction leans towards it.</p>"
        )
    if drawn:
        lines = [Line(each.version, each.times, each.rolling, each.low, each.high) for each in drawn]
        last = "; ".join(f"version {each.version} ends at {100 * each.rolling[-1]:.1f} %" for each in drawn)
        parts.append(line_chart(lines, title="Rolling accuracy by version", description=f"{last}.", floor=_LEAST_FLOOR))
    parts.append(_table(("Version", "Answers", "Accuracy", "Overridden", "Without seeing it", "Calibration error"),
                        [_version_row(each) for each in health.versions]))  # fmt: skip
    return _section("Accuracy over time", "".join(parts))


def _version_row(each: VersionHealth) -> list[str]:
    error = f"{each.calibration_error:.3f}" if math.isfinite(each.calibration_error) else ""
    shares = [_words(share) for share in (each.accuracy, each.overrides, each.blind)]
    return [f"<code>{escape(each.version)}</code>", f"{each.answers:,}", *shares, error]


def _classes(health: Health) -> str:
    if not health.classes:
        return ""
    expected = any(math.isfinite(each.expected) for each in health.classes)
    rows = [
        [
            f"<bdi>{escape(each.name)}</bdi>",
            share_bar(each.recall.value, each.recall.low, each.recall.high) + _words(each.recall),
            f"{each.recall.of:,}",
            *([f"{100 * each.expected:.1f} %" if math.isfinite(each.expected) else ""] if expected else []),
        ]
        for each in health.classes
    ]
    columns = ("Class", "Recognised", "Answers", *(["When trained"] if expected else []))
    intro = "<p>Of the answers that name a class, how many were predicted so; the worst first.</p>"
    return _section("Recall by class", intro + _table(columns, rows))


def _drift(health: Health) -> str:
    if not health.checks:
        return ""
    parts = []
    if len(health.checks) > 1:
        times = np.array([each.time.timestamp() for each in health.checks])
        lines = [
            Line("effect of the drift", times, np.array([each.effect for each in health.checks])),
            Line("unlike anything trained on", times, np.array([each.novel.value for each in health.checks])),
        ]
        said = f"the last of {len(health.checks)} checks has an effect of {health.checks[-1].effect:.2f}"
        parts.append(line_chart(lines, title="Drift over time", description=f"{said}.", ceiling=_LEAST_CEILING))
    parts.append(
        _table(("Time", "Compared", "Drift", "Chance", "Effect", "Unlike"), map(_check_row, health.checks[::-1]))
    )
    if health.moved:
        rows = [_moved_row(each, f"{100 * each.before:.1f} %", f"{100 * each.now:.1f} %") for each in health.moved]
        parts.append("<h3>Classes that are predicted otherwise than before</h3>")
        parts.append(_table(("Class", "Mean probability before", "Now", "Chance"), rows))
    if health.statistics:
        rows = [_moved_row(each, f"{each.before:.3g}", f"{each.now:.3g}") for each in health.statistics]
        parts.append("<h3>What has changed in the images (medians)</h3>")
        parts.append(_table(("Measured", "Before", "Now", "Chance"), rows))
    if health.scatter is not None:
        cloud = health.scatter
        kinds = [
            Dots("when it was trained", cloud.reference),
            Dots("now", cloud.current[~cloud.novel]),
            Dots("now, unlike anything trained on", cloud.current[cloud.novel]),
        ]
        said = f"{len(cloud.current):,} images of now, {int(cloud.novel.sum()):,} of them unlike anything trained on"
        parts.append("<h3>The images, similar ones close to each other</h3>")
        parts.append(scatter(kinds, title="Images in the plane", description=f"{said}."))
    return _section("Have the images changed?", "".join(parts))


def _moved_row(each: Moved, before: str, now: str) -> list[str]:
    return [f"<bdi>{escape(each.name)}</bdi>", before, now, f"p {escape(p_words(each.p_value))}"]


def _check_row(each: DriftCheck) -> list[str]:
    answer = "<strong>yes</strong>" if each.is_drift else "no"
    figures = [f"p {escape(p_words(each.p_value))}", f"{each.effect:.2f}", _words(each.novel)]
    return [f"{each.time:%Y-%m-%d %H:%M}", escape(each.what), answer, *figures]


def _decisions(health: Health) -> str:
    if not health.decisions:
        return ""
    rows = [
        [f"{each.time:%Y-%m-%d %H:%M}", escape(each.decision), "yes" if each.dry_run else "", escape(each.reason)]
        for each in health.decisions
    ]
    return _section("Training again", _table(("Time", "Decision", "Dry run", "Reason"), rows))


def _missing(health: Health) -> str:
    entries = (f"<li><strong>{_prose(each.what)}.</strong> {_prose(each.how)}</li>" for each in health.missing)
    return _section("What is not known", f"<ul>{''.join(entries)}</ul>") if health.missing else ""


def _notes(health: Health) -> str:
    return _section("Notes", _list([f"{note}." for note in health.notes])) if health.notes else ""


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _list(entries: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_prose(entry)}</li>' for entry in entries)}</ul>"


def _prose(text: str) -> str:
    """Return a sentence of ours, what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", _text(text))


def _text(text: str) -> str:
    """Return text as HTML, in which no number is parted from its percent sign."""
    return _PERCENT.sub("\u00a0%", escape(text))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already, the first one of each row its name."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _words(share: Share) -> str:
    return _text(share.words()) if share.known else ""
