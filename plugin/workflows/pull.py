"""Bring labels back from Label Studio, from a file that it exported, or from a table of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..datasets.action_log import Done
from ..datasets.bringing_back import bring_back
from ..datasets.label_kinds import known_classes
from ..datasets.labeling_batches import BATCH_FIELD, STATE_FIELD, BatchEntry, LabelingState, list_batches
from ..datasets.views import Collection, dataset_of, every_image
from ..errors import DataError
from ..home import winnow_home
from ..labeling.agreement import agreement_by_annotator, agreement_of
from ..labeling.annotator_names import AnnotatorNames, Naming, pseudonym_key
from ..labeling.asked import Asked
from ..labeling.client import LabelStudioClient
from ..labeling.reconciling import Conflicts
from ..labeling.ties import Ties
from ..progress import Progress, silent
from .job_rates import timed
from .pull_batches import SentBatches
from .pull_fields import AskedControls, parse_fields
from .pull_gathering import Gathering
from .pull_params import PullParams
from .pull_plan import Plan, Rules
from .pull_report import AskedAgreement, PullReport, new_classes_note
from .pull_sources import Source, from_file, from_projects
from .reviewer import user_name

_DEFAULTS = PullParams()
_VIEW_MARK = "Made by Winnow: images on which annotators disagree"


@timed("pull_from_label_studio")
def pull_from_label_studio(
    view: Collection,
    params: PullParams = _DEFAULTS,
    client: LabelStudioClient | None = None,
    progress: Progress = silent,
) -> PullReport:
    """Bring labels back; only submitted annotations, each to the sample that its task names, and nothing twice.

    Args:
        view: A dataset, or a view: samples outside of it are left alone.
        params: Settings.
        client: Of Label Studio; not needed for a file.
        progress: Told of each hundred tasks.

    Raises:
        DataError: Nothing was sent there, there is no such batch, or the file is no export and no table of labels.
        FieldError: A field can't hold the labels.
        LabelStudioError, LabelingConfigError: See `labeling`.
    """
    entries = _entries(view, params)
    job = Gathering(view, params, SentBatches(view, entries), AskedControls(view, entries, parse_fields(params.fields)))
    names: list[str] = []
    notes: list[str] = []
    rules = _rules(params, client)
    for source in _sources(view, params, entries, job.asked.names(), client, progress):
        names.append(source.name)
        notes += source.notes
        job.take(source, rules, progress)
        if source.is_whole and client is not None:
            job.take_missing(source, client, rules, progress)
    new_classes = list(_new_classes(view, job.plan))
    where = ", ".join(names)
    done = (
        bring_back(view, job.plan.changes, job.asked.several, by=user_name(), source=where) if names else Done(None, 0)
    )
    return PullReport(
        dataset=dataset_of(view).name,
        source=where,
        action=done.key,
        counts=job.plan.counts,
        by_class=sum(job.plan.by_class.values(), Counter()),
        clashes=tuple(job.plan.clashes),
        agreement=_agreement(job.plan, job.asked.all),
        notes=(*notes, *new_classes, *job.asked.notes, *done.notes),
        adjudication=_save_adjudication(view, params) if job.plan.counts.disagreements else None,
    )


def _entries(view: Collection, params: PullParams) -> list[BatchEntry]:
    """Return the batches that are brought back.

    Raises:
        DataError: There is none of that name.
    """
    entries = list_batches(view)
    if params.batch is None:
        return entries
    if chosen := [entry for entry in entries if entry.name == params.batch]:
        return chosen
    known = ", ".join(entry.name for entry in entries) or "none"
    raise DataError(f"dataset '{dataset_of(view).name}' has no batch '{params.batch}'; its batches are: {known}.")


def _sources(
    view: Collection,
    params: PullParams,
    entries: Sequence[BatchEntry],
    controls: set[str],
    client: LabelStudioClient | None,
    progress: Progress,
) -> Iterator[Source]:
    if params.file is not None:
        config = Path(params.labeling_config) if params.labeling_config else None
        yield from_file(view, Path(params.file), config, controls, params.label_delimiter)
    elif client is None:
        raise DataError("name a file with labels, or set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.")
    else:
        yield from from_projects(client, entries, params.project, progress)


def _rules(params: PullParams, client: LabelStudioClient | None) -> Rules:
    naming = Naming(params.annotators)
    users = client.users() if naming is Naming.NAME and client is not None and params.file is None else ()
    key = pseudonym_key(winnow_home() / "label-studio" / "pseudonyms.key") if naming is Naming.PSEUDONYM else b""
    names = AnnotatorNames(naming, users=users, key=key)
    return Rules(Conflicts(params.conflicts), Ties(params.ties), params.partial, params.gone == "remove", names)


def _new_classes(view: Collection, plan: Plan) -> Iterator[str]:
    """Yield what to know of classes that a field did not have before."""
    for name, counts in plan.by_class.items():
        known = set(known_classes(view, name))
        if known and (new := sorted(set(counts) - known)):
            yield new_classes_note(name, new)


def _agreement(plan: Plan, asked: Mapping[tuple[str, str], Asked]) -> tuple[AskedAgreement, ...]:
    found = []
    for (control, name), votes in plan.votes.items():
        of = asked[(control, name)].control
        overall = agreement_of([list(task.values()) for task in votes], of)
        found.append(AskedAgreement(control, name, overall, agreement_by_annotator(votes, of)))
    return tuple(found)


def _save_adjudication(view: Collection, params: PullParams) -> str | None:
    """Save the images on which annotators disagree as a view, which follows what becomes of them.

    Raises:
        DataError: The user has a saved view of that name.
    """
    name, dataset = params.adjudicate, dataset_of(view)
    if name is None:
        return None
    if dataset.has_saved_view(name) and dataset.get_saved_view_info(name)["description"] != _VIEW_MARK:
        raise DataError(f"dataset '{dataset.name}' has a saved view '{name}' of yours. Name another with --adjudicate.")
    open_ones = every_image(dataset).match({STATE_FIELD: str(LabelingState.DISAGREEMENT)})
    if params.batch is not None:
        open_ones = open_ones.match({BATCH_FIELD: params.batch})
    dataset.save_view(name, open_ones.view(), description=_VIEW_MARK, overwrite=True)
    return name
