"""How many labels of a dataset are wrong, as the last search for them found."""

from __future__ import annotations

from typing import Any

from ..curation.label_report import ConfusedPair
from ..datasets.runs import SavedRun
from .dataset_health_figures import Behind, Figure, Level, Remedy, again, interval_words, level_of, percent
from .dataset_health_sources import Sources
from .findings import LABEL_ISSUES_RUN
from .label_report import SavedLabelReport, read_label_report, read_label_set_report
from .wording import counted, listed

_PAIRS_TOLD = 3
_FIND_ISSUES = Remedy("find_label_issues", "Find label issues", "winnow label-issues")


def label_issues(sources: Sources) -> Figure:
    """Return how many labels are wrong, by the last search."""
    key, title = "label_issues", "Label issues"
    run, issue = sources.run(LABEL_ISSUES_RUN), sources.field(LABEL_ISSUES_RUN, "issue_field")
    quality = sources.field(LABEL_ISSUES_RUN, "quality_field")
    if sources.labels is None:
        return Figure(key, title, Level.UNKNOWN, "There are no labels to judge.")
    if run is None or issue is None:
        return Figure(key, title, Level.UNKNOWN, "Wrong labels were not looked for.", remedies=(_FIND_ISSUES,))
    if run.summary["label_field"] != sources.labels.field:
        sentence = f"Wrong labels were looked for in `{run.summary['label_field']}`, not in `{sources.labels.field}`."
        return Figure(key, title, Level.UNKNOWN, sentence, remedies=(_FIND_ISSUES,))
    stale, flagged = sources.stale(LABEL_ISSUES_RUN), {issue: True}
    count = sources.count(flagged)
    details, behind = _worst(sources, issue)
    if count:
        shown = Behind("flagged", f"Show the {count:,}, the worst first", count, flagged, quality or "")
        behind = [shown, *behind]
    remedies = [Remedy("review_label_issues", "Review them")] * (count > 0) + [again(_FIND_ISSUES)] * bool(stale)
    return Figure(
        key,
        title,
        level_of(count > 0, stale),
        _wrong_labels(run, count),
        tuple(details),
        stale,
        tuple(behind),
        tuple(remedies),
        {
            "flagged": count,
            **{name: run.summary.get(name) for name in ("estimated", "interval", "noise")},
            **_rate(run),
        },
    )


def _rate(run: SavedRun) -> dict[str, Any]:
    """Return the estimated share of wrong labels and its interval, where an image has one label."""
    labelled = run.summary.get("labelled")
    if not labelled or "interval" not in run.summary:
        return {"rate": None, "rate_interval": None}
    low, high = run.summary["interval"]
    return {
        "rate": round(run.summary["estimated"] / labelled, 4),
        "rate_interval": [round(low / labelled, 4), round(high / labelled, 4)],
    }


def _wrong_labels(run: SavedRun, count: int) -> str:
    found, rate = run.summary, _rate(run)
    flagged = f"{counted(count, 'label is', 'labels are')} flagged" if count else "none is flagged"
    if found.get("labelled") is None:
        flagged = f"{counted(count, 'image is', 'images are')} flagged" if count else "none is flagged"
    if "interval" not in found:  # the search of an earlier version
        return f"{flagged[:1].upper()}{flagged[1:]}."
    low, high = found["interval"]
    if found["noise"] == "none":
        upper = percent(high, found["labelled"]) if rate["rate"] is not None else f"{high:,.0f}"
        return f"No label is certainly wrong (at most {upper}); {flagged}, as the images around disagree."
    if rate["rate"] is None:
        estimated = f"{found['estimated']:,.0f} labels are missing or extra ({low:,.0f} to {high:,.0f})"
        return f"An estimated {estimated}; {flagged}."
    return (
        f"An estimated {percent(found['estimated'], found['labelled'])} of the labels are wrong "
        f"({interval_words(*rate['rate_interval'])}); {flagged}."
    )


def _worst(sources: Sources, issue: str) -> tuple[list[str], list[Behind]]:
    """Return the pairs of classes that are confused most, or the classes with the most changes, and their samples."""
    report = read_label_report(sources.dataset)
    if report is not None:
        pairs = report.report.worst_pairs(_PAIRS_TOLD)
        told = [f"'{pair.given}' that shows '{pair.true}' ({pair.expected:,.0f} expected)" for pair in pairs]
        shown = [_pair_behind(sources, report, issue, pair) for pair in pairs if pair.flagged]
        return ([f"Worst pairs: {listed(told)}."] if told else []), [each for each in shown if each.count]
    sets = read_label_set_report(sources.dataset)
    if sets is None:
        return [], []
    path, shown = f"{sets.params['suggestion_field']}.classifications.label", []
    for name, missing, extra in sets.by_class[:_PAIRS_TOLD]:
        match = {path: name}
        label = f"Show '{name}': {missing:,} missing, {extra:,} extra"
        shown.append(Behind(f"class {name}", label, sources.count(match), match, sets.params["quality_field"]))
    told = [f"'{name}' ({missing:,} missing, {extra:,} extra)" for name, missing, extra in sets.by_class[:_PAIRS_TOLD]]
    return ([f"Most in: {listed(told)}."] if told else []), [each for each in shown if each.count]


def _pair_behind(sources: Sources, report: SavedLabelReport, issue: str, pair: ConfusedPair) -> Behind:
    names = [report.spellings.get(name, [name]) for name in (pair.given, pair.true)]
    match = {
        issue: True,
        f"{report.label_field}.label": {"$in": names[0]},
        f"{report.params['suggestion_field']}.label": {"$in": names[1]},
    }
    count = sources.count(match)
    label = f"Show {count:,} '{pair.given}' that look like '{pair.true}'"
    return Behind(f"pair {pair.given} {pair.true}", label, count, match, report.params["quality_field"])
