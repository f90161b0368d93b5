"""The Label Studio project that a batch goes into: made, or taken as it is and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import WinnowError
from .attachment import has_annotations, set_fields, wanted_sampling
from .attachment_report import ChangeLog
from .class_mapping import ClassMapping, map_classes
from .client import LabelStudioClient
from .config_writing import Question, write_labeling_config, written_classes
from .labeling_config import LabelingConfigError, parse_labeling_config

SEQUENTIAL_SAMPLING = "Sequential sampling"
_SHORTEST_TITLE, _LONGEST_TITLE = 3, 50
_MOST_SHOWN = 20


class ProjectError(WinnowError):
    """A project that the batch can't go into."""


@dataclass(frozen=True)
class TargetProject:
    """Where tasks go.

    Attributes:
        id: The project's number; 0 where it has yet to be made.
        title: As Label Studio shows it.
        config: Its labeling config.
        questions: What is asked.
        mappings: How the classes of each question are written.
        is_new: Whether it was made now.
        notes: What to know of it, one sentence each.
    """

    id: int
    title: str
    config: str
    questions: tuple[Question, ...]
    mappings: tuple[ClassMapping, ...]
    is_new: bool
    notes: tuple[str, ...]

    @property
    def key(self) -> str:
        """Key of the image in a task's data."""
        return self.mappings[0].control.data_key


def new_project(
    client: LabelStudioClient, title: str, config: str, questions: Sequence[Question], annotators: int, *, dry_run: bool
) -> TargetProject:
    """Make a project.

    Args:
        client: Of the Label Studio.
        title: Cut, or filled up, to what Label Studio takes.
        config: The labeling config.
        questions: What is asked, by the names of the config's controls.
        annotators: How many are to label each image.
        dry_run: Make none, but check what can be checked.

    Raises:
        LabelingConfigError: The config does not ask the questions, or about different images.
        LabelStudioError: Label Studio does not take it.
    """
    mappings, notes = _mappings(config, questions)
    title = fitting_title(title)
    if dry_run:
        return TargetProject(0, title, config, tuple(questions), mappings, True, notes)
    made = client.create_project(
        title=title,
        description="Sent by Winnow, best first: keep the order of tasks sequential.",
        label_config=config,
        sampling=SEQUENTIAL_SAMPLING,
        maximum_annotations=annotators,
        show_collab_predictions=True,
    )
    return TargetProject(int(made["id"]), title, config, tuple(questions), mappings, True, notes)


def known_project(
    client: LabelStudioClient, project: Mapping[str, Any], questions: Sequence[Question], *, dry_run: bool
) -> TargetProject:
    """Take a project as it is. Where its config is one that Winnow wrote, and nobody changed, it gets new classes.

    Args:
        client: Of the Label Studio.
        project: As Label Studio describes it.
        questions: What is asked, by the names of the config's controls.
        dry_run: Change nothing.

    Raises:
        LabelingConfigError: Its config does not ask the questions, or about different images.
        LabelStudioError: Label Studio does not take the new classes.
    """
    config = str(project["label_config"])
    wider = _wider_config(config, questions)
    if wider is not None and not dry_run:
        client.update_project(int(project["id"]), label_config=wider)
    mappings, notes = _mappings(wider or config, questions)
    if wider is not None:
        notes = (*notes, "classes that were new were added to the project's labeling config")
    title = str(project["title"])
    return TargetProject(int(project["id"]), title, wider or config, tuple(questions), mappings, False, notes)


def settle_project(
    client: LabelStudioClient,
    project_id: int,
    *,
    annotators: int,
    model_version: str,
    force_sampling: bool,
    dry_run: bool = False,
) -> ChangeLog:
    """Set what labelling by rank and with predictions depends on, and return what was changed and what was not.

    Args:
        client: Of the Label Studio.
        project_id: The project.
        annotators: How many are to label each image.
        model_version: The version of predictions that the project is to go by; "" = leave it.
        force_sampling: Make the order of tasks sequential even where annotations exist already.
        dry_run: Only tell.

    Raises:
        LabelStudioError: Label Studio refuses something.
    """
    log = ChangeLog(dry_run)
    project = client.project(project_id)
    wanted: dict[str, Any] = dict(wanted_sampling(project, force_sampling, log, SEQUENTIAL_SAMPLING))
    if int(project.get("maximum_annotations") or 1) != annotators:
        wanted["maximum_annotations"] = annotators
        if has_annotations(project):
            log.notes.append(f"from now on each task of the project, older ones too, is labelled {annotators} time(s)")
    if model_version:
        wanted |= {"show_collab_predictions": True, "model_version": model_version}
    set_fields(client, project, wanted, log, None)
    return log


def asked_by(config: str, classes: Sequence[str]) -> str:
    """Return the control of a config that asks for these classes.

    Raises:
        LabelingConfigError: It is not clear which one does.
    """
    controls = parse_labeling_config(config).controls
    if len(controls) == 1:
        return controls[0].name
    fitting = map_classes(classes, parse_labeling_config(config)) if classes else ()
    if len(fitting) == 1:
        return fitting[0].control.name
    names = ", ".join(control.name for control in controls)
    raise LabelingConfigError(
        f"the labeling config has several controls ({names}), and it is not clear which one asks for the labels. Name "
        "the field for each as CONTROL=FIELD."
    )


def fitting_title(title: str) -> str:
    """Return a title of 3 to 50 characters, which Label Studio asks for."""
    title = " ".join(title.split())
    if len(title) > _LONGEST_TITLE:
        return title[: _LONGEST_TITLE - 1].rstrip() + "…"
    return title if len(title) >= _SHORTEST_TITLE else f"{title} (Winnow)".strip()


def _mappings(config: str, questions: Sequence[Question]) -> tuple[tuple[ClassMapping, ...], tuple[str, ...]]:
    mappings = tuple(written_classes(config, questions))
    keys = {mapping.control.data_key for mapping in mappings}
    if len(keys) > 1:
        raise LabelingConfigError(
            f"the controls of the labeling config are about different images (${', $'.join(sorted(keys))}), but a "
            "sample is one. Send to one of them."
        )
    notes = []
    for mapping in mappings:
        name, missing = mapping.control.name, mapping.unmapped_classes
        if missing and not mapping.mapped:
            raise LabelingConfigError(
                f"no choice of '{name}' matches a class; the classes are {_listed(missing)}. Add a <Choice> for each "
                "under Settings > Labeling Interface, or name another project or control."
            )
        if missing:
            notes.append(f"annotators can't choose {_listed(missing)}: no choice of '{name}' matches")
    return mappings, tuple(notes)


def _wider_config(config: str, questions: Sequence[Question]) -> str | None:
    """Return a config with the classes that this one lacks; None where it lacks none, or is not Winnow's own."""
    try:
        mappings = written_classes(config, questions)
        held = [
            Question(
                mapping.control.name,
                tuple(str(choice.written) for choice in mapping.control.choices),
                mapping.control.multiple,
            )
            for mapping in mappings
        ]
        if not any(mapping.unmapped_classes for mapping in mappings) or write_labeling_config(held) != config:
            return None
    except LabelingConfigError:
        return None
    wider = [
        Question(each.name, (*each.classes, *mapping.unmapped_classes), each.multiple)
        for each, mapping in zip(held, mappings, strict=True)
    ]
    return write_labeling_config(wider)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_MOST_SHOWN]) + more
