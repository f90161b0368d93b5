"""The session of a review: one action of the log, as long as one person goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..datasets.action_log import list_logged, undone_at
from ..datasets.label_reviews import METHOD, Step, begin_label_review, decide_each, take_back
from ..datasets.views import Collection
from ..errors import DataError
from .review_queue import Saved


def open_session(
    view: Collection, session: str | None, method: str, reviewer: str, params: Mapping[str, str]
) -> str | None:
    """Return the session where it can go on; None where another one has to begin.

    One that was undone, or is another person's or about another field, does not go on.

    Args:
        view: Any collection of the dataset.
        session: Its key in the log, None = there is none yet.
        method: What kind of review it is.
        reviewer: Who decides.
        params: Settings of the session that have to be the same.
    """
    run = next((run for run in list_logged(view) if run.key == session), None) if session else None
    if run is None or run.method != method or undone_at(run):
        return None
    wanted = {**params, "by": reviewer}
    return run.key if all(run.params.get(name) == value for name, value in wanted.items()) else None


def check_session(view: Collection, session: str, method: str) -> None:
    """Make sure that decisions can be taken back that were made in a session.

    Raises:
        DataError: There is no such session, or it was undone as a whole.
    """
    run = next((run for run in list_logged(view) if run.key == session and run.method == method), None)
    if run is None:
        raise DataError(f"there is no review '{session}' whose decisions could be taken back.")
    if when := undone_at(run):
        raise DataError(f"review '{session}' was undone already, at {when}.")


def save_labels(
    view: Collection,
    label_field: str,
    outcomes: Mapping[str, Step | str],
    session: str | None,
    reviewer: str,
) -> Saved:
    """Put decisions about labels into effect, in a session that goes on or begins.

    Args:
        view: Any collection of the dataset.
        label_field: The field.
        outcomes: Sample id, of detections label id -> what was decided, or the reason why that can't be.
        session: Key of the session in the log, None = there is none yet.
        reviewer: Who decides.

    Raises:
        FieldError: The labels can't be changed, see `begin_label_review`.
    """
    decided = {key: outcome for key, outcome in outcomes.items() if not isinstance(outcome, str)}
    skipped = tuple((key, outcome) for key, outcome in outcomes.items() if isinstance(outcome, str))
    if not decided:
        return Saved(session, 0, skipped)
    begun = open_session(view, session, METHOD, reviewer, {"label_field": label_field})
    key = begun or begin_label_review(view, label_field, reviewer)
    return Saved(key, decide_each(view, key, decided), skipped)


def take_labels_back(view: Collection, session: str, keys: Sequence[str]) -> None:
    """Take back what a session decided about labels.

    Raises:
        DataError: As for `check_session`.
    """
    check_session(view, session, METHOD)
    take_back(view, session, keys)
