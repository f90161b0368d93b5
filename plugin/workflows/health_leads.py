"""What a reader of a model's health should see first: three signals, each with a sentence, and what they come to.

How often annotators override the model, how much of each class it recognises, and how many images are unlike anything
it was trained on. Statistics stand behind them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .health_figures import ClassHealth, Health, Share
from .wording import counted, listed

_WORST = 3
_LEAST_OF_A_CLASS = 5  # answers that name it; of fewer nothing is told first
_SMALLEST_P = 0.001  # smaller ones are not told apart
_USUAL = 0.01  # of the images of its own kind, one in a hundred counts as unlike (`curation.novelty`)
_FALLEN = 0.1  # a class is told where its recall is surely below what was expected, and by that much


class Level(StrEnum):
    """What a signal asks of a reader."""

    GOOD = "good"
    LOOK = "look"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Lead:
    """One of the three signals.

    Attributes:
        key: "overrides", "recall" or "novel".
        title: What is measured.
        figure: The number, for a reader; "not known".
        share: The same with its interval.
        level: What it asks of the reader.
        sentence: What it means.
        finding: The same in a few words for the headline, "" where it asks nothing.
    """

    key: str
    title: str
    figure: str
    share: Share
    level: Level
    sentence: str
    finding: str = ""

    def words(self) -> str:
        """Return the interval of the figure, "" where there is none."""
        if not self.share.known or not math.isfinite(self.share.low):
            return ""
        return f"95 % interval {100 * self.share.low:.1f} to {100 * self.share.high:.1f} %"


def leads(health: Health) -> tuple[Lead, Lead, Lead]:
    """Return the three signals, in the order in which they are read."""
    return _overrides(health), _recall(health), _novel(health)


def headline(health: Health) -> tuple[Level, str]:
    """Return what the signals come to, in one sentence."""
    found = leads(health)
    findings = [lead.finding for lead in found if lead.level is Level.LOOK]
    if findings:
        found_out = "; ".join(findings)
        return Level.LOOK, f"{found_out[0].upper()}{found_out[1:]}."
    unknown = [lead.title.lower() for lead in found if lead.level is Level.UNKNOWN]
    if len(unknown) == len(found):
        return Level.UNKNOWN, "Nothing is known yet of how it does at work."
    if unknown:
        return Level.GOOD, f"Nothing speaks against it; not known: {', '.join(unknown)}."
    return Level.GOOD, "Nothing speaks against it."


def next_steps(health: Health) -> tuple[str, ...]:
    """Return what a reader may do about what was found."""
    steps = []
    levels = {lead.key: lead.level for lead in leads(health)}
    if levels["novel"] is Level.LOOK and not health.novel.low > _USUAL:
        steps.append(
            "Look at the images that drift most (`winnow drift` writes a score for each): the light, the camera or the "
            "mix of classes may have changed."
        )
    elif levels["novel"] is Level.LOOK:
        steps.append(
            "Look at the images that are unlike anything trained on: a class that the classifier does not know, a new "
            "camera, or a fault in how images are made. Label some of them; `winnow select` picks which."
        )
    if levels["recall"] is Level.LOOK:
        names = ", ".join(_quoted(each) for each in fallen_classes(health)[:_WORST])
        steps.append(f"Look at how {names} is labelled now and in the training images, and label more of it.")
    if levels["overrides"] is Level.LOOK:
        steps.append(
            "Train again with the new annotations (`winnow train --backbone` with this classifier, or the backend's "
            "own training), and compare before it is taken into use."
        )
    return tuple(steps)


def fallen_classes(health: Health) -> Sequence[ClassHealth]:
    """Return the classes of which surely less is recognised than was to be expected, the worst first."""
    usual = health.accuracy.value
    fallen = []
    for each in health.classes:
        expected = each.expected if math.isfinite(each.expected) else usual
        if each.recall.of >= _LEAST_OF_A_CLASS and each.recall.high < expected - _FALLEN:
            fallen.append(each)
    return fallen


def _overrides(health: Health) -> Lead:
    share, title = health.overrides, "Overridden by annotators"
    if not share.known:
        return Lead(
            "overrides", title, "not known", share, Level.UNKNOWN, "No annotator has answered a prediction yet."
        )
    times = f"{counted(round(share.value * share.of), 'prediction')} of {share.of:,} that annotators had in sight"
    expected = health.about.expected_error
    if expected is None:
        level, against = Level.GOOD, "How many were to be expected is not known."
    else:
        against = f"When it was trained, it had {100 * expected:.1f} % of unseen images wrong."
        level = Level.LOOK if share.low > expected else Level.GOOD
    finding = f"annotators override {100 * share.value:.0f} % of its predictions" if level is Level.LOOK else ""
    return Lead("overrides", title, _percent(share), share, level, f"{times} were changed. {against}", finding)


def _recall(health: Health) -> Lead:
    told = [each for each in health.classes if each.recall.of >= _LEAST_OF_A_CLASS]
    title = "Recall of the worst class"
    if not told:
        few = f"No class has {_LEAST_OF_A_CLASS} answers yet."
        return Lead("recall", title, "not known", Share(math.nan, math.nan, math.nan, 0), Level.UNKNOWN, few)
    worst, fallen = told[0], fallen_classes(health)
    others = "; ".join(f"{_quoted(each)} {_percent(each.recall)}" for each in told[1:_WORST])
    sentence = (
        f"{_quoted(worst)}: {round(worst.recall.value * worst.recall.of):,} of {worst.recall.of:,} are recognised"
    )
    if math.isfinite(worst.expected):
        sentence += f", {100 * worst.expected:.0f} % when it was trained"
    sentence += f". Next: {others}." if others else "."
    finding = f"less is recognised of {listed([_quoted(each) for each in fallen], _WORST)}" if fallen else ""
    return Lead("recall", title, _percent(worst.recall), worst.recall, _level(bool(fallen)), sentence, finding)


def _novel(health: Health) -> Lead:
    title, share = "Unlike anything trained on", health.novel
    if not health.checks:
        return Lead("novel", title, "not known", share, Level.UNKNOWN, "No images were compared with those trained on.")
    last = health.checks[-1]
    how = f"effect {last.effect:.2f} of 1, p {p_words(last.p_value)}"
    drift = (
        f"The images as a whole have drifted ({how})."
        if last.is_drift
        else f"As a whole they have not drifted ({how})."
    )
    findings = ["the images have drifted"] * last.is_drift
    if share.low > _USUAL:
        findings.append(f"{_percent(share)} of the images look unlike anything it was trained on")
    what = f"{last.what[:1].upper()}{last.what[1:]}"
    sentence = (
        f"{what}: {round(share.value * share.of):,} of {share.of:,}, where {100 * _USUAL:.0f} % is usual. {drift}"
    )
    return Lead("novel", title, _percent(share), share, _level(bool(findings)), sentence, "; ".join(findings))


def p_words(p_value: float) -> str:
    """Return a p-value behind its sign, such as "= 0.012"."""
    return f"= {p_value:.2g}" if p_value >= _SMALLEST_P else f"< {_SMALLEST_P}"


def _level(look: bool) -> Level:
    return Level.LOOK if look else Level.GOOD


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} %"


def _quoted(each: ClassHealth) -> str:
    return f"'{each.name}'"
