"""Changes labels to what a person decided, or only marks the decision, and takes both back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..errors import FieldError
from .action_log import Done, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, plain
from .label_decisions import Decision, decide
from .label_kinds import ONE_AN_IMAGE, Held, LabelChange, bring_back
from .runs import SavedRun
from .views import Collection, dataset_of

METHOD = "decide_labels"


def decide_labels(
    view: Collection,
    label_field: str,
    ids: Sequence[str],
    decision: str | None,
    *,
    by: str,
    labels: Mapping[str, str] | None = None,
    findings: Mapping[str, Any] | None = None,
) -> Done:
    """Mark the labels of samples with a decision; samples that are gone or have no label are passed over.

    Args:
        view: Any collection of the dataset.
        label_field: Field of `fo.Classification`.
        ids: Sample ids.
        decision: One of those of `label_decisions`; None = forget what was decided.
        by: Name of the person.
        labels: Sample id -> new label; the others keep theirs.
        findings: Field of Winnow's -> what it holds of each of the samples from now on.

    Raises:
        FieldError: The field is read-only, or the labels have attributes of the same names that are not Winnow's.
    """
    check_editable(view, label_field)
    new, after = labels or {}, dict(findings or {})
    found = [str(key) for key, _ in ONE_AN_IMAGE.read(view, label_field, sorted(set(ids)))]
    if not found:
        return Done(None, 0)

    ONE_AN_IMAGE.declare(view, label_field)
    at = datetime.now(UTC).replace(microsecond=0)
    params = {"decision": decision, "label_field": label_field, "by": by, "at": at.isoformat()}
    records = (
        {
            "_id": key,
            "was": held.label,
            "label": new.get(str(key), held.label["label"]),
            "findings": held.findings,
        }
        for key, held in ONE_AN_IMAGE.read(view, label_field, found, after)
    )
    run = record_action(view, METHOD, params, len(found), records)
    decided, written = decision_of(params, run), 0
    for chunk in chunks(read_records(view, run), CHUNK):
        labelled = {each["_id"]: Held(decide(each["was"], each["label"], decided), after) for each in chunk}
        written += ONE_AN_IMAGE.write(view, label_field, labelled, {each["_id"]: each["was"] for each in chunk})
    return Done(run, written, changed_meanwhile(len(found) - written))


def undo_decision(view: Collection, run: SavedRun) -> Done:
    """Bring back labels, attributes and findings of the samples whose label nobody has changed or judged since."""
    decided = decision_of(run.params, run.key)
    back, missing = 0, 0
    for chunk in chunks(read_records(view, run.key), CHUNK):
        changes = {
            record["_id"]: LabelChange(
                record["was"], plain(decide(record["was"], record["label"], decided)), record["findings"]
            )
            for record in chunk
        }
        returned, changed = bring_back(view, run.params["label_field"], changes)
        back, missing = back + returned, missing + changed
    mark_undone(view, run.key)
    return Done(run.key, back, notes_on_missing(missing))


def notes_on_missing(missing: int, what: str = "samples") -> tuple[str, ...]:
    """Return a note on the labels that stay as they are, where there are any."""
    return (f"{what} that are gone, or whose label was changed or judged again since: {missing:,}",) * (missing > 0)


def check_editable(view: Collection, label_field: str) -> None:
    """Make sure that labels can be changed.

    Raises:
        FieldError: The field is read-only.
    """
    if dataset_of(view).get_field(label_field).read_only:
        raise FieldError(f"field '{label_field}' is read-only, so nothing is decided about it. Make it editable first.")


def changed_meanwhile(count: int) -> tuple[str, ...]:
    """Return a note about samples that were passed over, as another process changed their label at the same moment."""
    return (f"{count} labels were changed by somebody else meanwhile, and are left as they are now",) * (count > 0)


def decision_of(params: Mapping[str, Any], run: str) -> Decision:
    """Return the decision that a run's parameters tell of."""
    return Decision(params["decision"], params["by"], datetime.fromisoformat(params["at"]), run)
