"""Which project a batch goes into, and what annotators are asked there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datasets.labeling_batches import Batch, BatchEntry, delete_batch, list_batches, load_batch, save_batch
from ..datasets.outgoing import known_classes, returning_field
from ..datasets.outgoing_predictions import check_prediction_field
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..labeling.client import LabelStudioClient, LabelStudioError
from ..labeling.config_writing import Question, write_labeling_config
from ..labeling.labeling_project import ProjectError, TargetProject, asked_by, known_project, new_project
from .send_params import SendParams

_CONTROL = "label"


def unfinished_batch(view: Collection, params: SendParams, url: str) -> Batch | None:
    """Return the batch that an earlier run did not finish, None where there is none to go on with.

    Raises:
        DataError: The name that is asked for belongs to another batch.
    """
    entries = list_batches(view)
    for entry in entries:
        if entry.url == url and not entry.is_complete and _is_asked_for(entry, params):
            return load_batch(view, entry.name)
    if params.batch is not None and params.batch in {entry.name for entry in entries}:
        raise DataError(
            f"dataset '{dataset_of(view).name}' has a batch '{params.batch}' already. Choose another name, or leave it "
            "out to get the next number."
        )
    return None


def give_up_unfinished(view: Collection, url: str) -> None:
    """Leave nothing to go on with of batches that were not finished; what is known to have arrived stays in them."""
    for entry in list_batches(view):
        if entry.url == url and not entry.is_complete:
            batch = load_batch(view, entry.name)
            arrived = [row for row, task_id in enumerate(batch.task_ids) if task_id]
            if arrived:
                save_batch(view, batch.only(arrived))
            else:
                delete_batch(view, batch.name)


def choose_project(
    view: Collection, params: SendParams, client: LabelStudioClient, resumed: Batch | None
) -> tuple[TargetProject, dict[str, str], list[str]]:
    """Find or make the project.

    Args:
        view: The collection.
        params: The settings.
        client: Of the Label Studio.
        resumed: The batch that is to be finished, whose project it has to be.

    Returns:
        The project; control -> field for the labels that come back; sentences for the user.

    Raises:
        ProjectError: The project of the batch to be finished is gone.
        LabelingConfigError: The config does not ask for the classes.
        FieldError: A field holds something else than labels.
        LabelStudioError: Label Studio refuses something.
    """
    known, notes = _known(view, params, client, resumed)
    own = None if params.config is None else Path(params.config).read_text(encoding="utf-8")
    config = str(known["label_config"]) if known is not None else own
    pairs = dict(resumed.fields) if resumed is not None else params.pairs
    if not pairs:
        field = returning_field(view, params.label_field, params.prediction_field)[0]
        pairs = {_CONTROL if config is None else asked_by(config, _classes(view, params, field, True)): field}
    questions = _questions(view, params, pairs)
    if known is not None:
        project = known_project(client, known, questions, dry_run=params.dry_run)
    else:
        name = dataset_of(view).name
        title = params.title or (f"evaluation: {name}" if params.purpose == "evaluation" else name)
        config = config or write_labeling_config(questions)
        project = new_project(client, title, config, questions, params.annotators, dry_run=params.dry_run)
    for mapping, question in zip(project.mappings, questions, strict=True):
        if mapping.control.multiple and not question.multiple:
            notes.append(
                f"annotators may choose several of '{question.name}', but '{pairs[question.name]}' holds one label an "
                "image"
            )
    return project, pairs, [*notes, *project.notes]


def _is_asked_for(entry: BatchEntry, params: SendParams) -> bool:
    same_project = params.project in (None, entry.project_id) and not params.new_project
    return same_project and params.batch in (None, entry.name) and not params.again


def _known(
    view: Collection, params: SendParams, client: LabelStudioClient, resumed: Batch | None
) -> tuple[Mapping[str, Any] | None, list[str]]:
    """Return the project that is there already, as Label Studio describes it."""
    if resumed is not None:
        found = _project(client, resumed.project_id)
        if found is None:
            raise ProjectError(
                f"batch '{resumed.name}' was not finished, and its project {resumed.project_id} is gone from Label "
                "Studio, or not there for the user of this token. Send its samples again into another project: ask for "
                "a new project, and for what is out already, too (--new-project --again)."
            )
        return found, []
    if params.project is not None:
        return client.project(params.project), []
    if params.new_project or params.config is not None:
        return None, []
    asked = returning_field(view, params.label_field, params.prediction_field)[0] if not params.pairs else None
    for entry in reversed(list_batches(view)):
        fits = dict(entry.fields) == params.pairs if asked is None else list(entry.fields.values()) == [asked]
        if entry.url == client.base_url and entry.purpose == params.purpose and fits:
            found = _project(client, entry.project_id)
            if found is not None:
                return found, [f"the project of batch '{entry.name}' is used again"]
            return None, [f"the project of batch '{entry.name}' is gone, so there is a new one"]
    return None, []


def _project(client: LabelStudioClient, project_id: int) -> Mapping[str, Any] | None:
    try:
        return client.project(project_id)
    except LabelStudioError as error:
        if error.status in (403, 404):
            return None
        raise


def _questions(view: Collection, params: SendParams, pairs: Mapping[str, str]) -> list[Question]:
    if params.classes and len(pairs) > 1:
        raise DataError("classes can be named for one field only. Put those of each field into dataset.classes.")
    questions = []
    for number, (control, field) in enumerate(pairs.items()):
        several = returning_field(view, field)[1]
        classes = _classes(view, params, field, with_predicted=number == 0)
        questions.append(Question(control, tuple(classes), params.multiple if several is None else several))
    return questions


def _classes(view: Collection, params: SendParams, field: str, with_predicted: bool) -> Sequence[str]:
    if params.classes:
        return tuple(dict.fromkeys(params.classes))
    predicted: tuple[str, ...] = ()
    if with_predicted and params.prediction_field is not None:
        check_prediction_field(view, params.prediction_field)
        predicted = known_classes(view, params.prediction_field)
    return tuple(dict.fromkeys((*known_classes(view, field), *predicted)))
