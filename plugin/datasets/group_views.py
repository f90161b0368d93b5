"""Saves what a job found as a view that the App offers by name: one tile a group or image, what matters most first.

A saved view holds its conditions, never a list of ids, so that no number of findings is too large for it (a document of
MongoDB ends at 16 MB), and it shows the fields as they are when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone import Classifications, ViewField
from fiftyone.core.utils import to_slug

from .patches import has_patches, shown_patches
from .views import Collection, dataset_of, every_image

DUPLICATES_VIEW = "winnow duplicates"
LEAKS_VIEW = "winnow leaks"
LABEL_ISSUES_VIEW = "winnow label issues"
PATCH_ISSUES_VIEW = "winnow patch label issues"

# By its beginning a view is known as ours; a person's own view is never replaced.
_OURS = "Made by Winnow"


def save_group_view(
    view: Collection,
    name: str,
    *,
    score_field: str,
    group_field: str | None = None,
    role_field: str | None = None,
    roles: Sequence[str] = (),
) -> str | None:
    """Save a view of the dataset's findings under a name, in place of an earlier one of Winnow's.

    Args:
        view: Any collection of the dataset; the saved view is one of the whole dataset.
        name: Name in the App.
        score_field: Field that findings have a value in; groups are ordered by their best score, and so is each group.
        group_field: Field with the group's number; None = samples one by one.
        role_field: Field with the image's role in its group; None = any.
        roles: Roles that are shown.

    Returns:
        Why the view was not saved, as a sentence for the user; None where it was, or where it would be empty.
    """
    conditions: dict[str, Any] = {score_field: {"$ne": None}}
    if role_field is not None:
        conditions[role_field] = {"$in": list(roles)}
    if group_field is not None:
        conditions[group_field] = {"$ne": None}
    found = every_image(view).match(conditions)
    shown = found.group_by(group_field, order_by=score_field, reverse=True) if group_field else found
    what = "one tile a group" if group_field else "image by image"
    return _save(name, found, shown.sort_by(score_field, reverse=True), f"{what}, best score first")


def save_issue_view(view: Collection, name: str, *, flag_field: str, score_field: str) -> str | None:
    """Save a view of the flagged samples, the lowest score first, as `save_group_view` does.

    Args:
        view: Any collection of the dataset; the saved view is one of the whole dataset.
        name: Name in the App.
        flag_field: Field that is true for the flagged samples.
        score_field: Field that orders them.

    Returns:
        Why the view was not saved, or None, as for `save_group_view`.
    """
    found = every_image(view).match({flag_field: True})
    return _save(name, found, found.sort_by(score_field), "image by image, worst quality first")


def save_open_view(
    view: Collection, name: str, conditions: Mapping[str, Any], label_field: str, order_field: str
) -> str | None:
    """Save a view of the samples that are still to be labelled, best first, as `save_group_view` does.

    Args:
        view: Any collection of the dataset; the saved view is one of the whole dataset.
        name: Name in the App.
        conditions: See `open_samples`.
        label_field: Likewise.
        order_field: Likewise.

    Returns:
        Why the view was not saved, or None, as for `save_group_view`.
    """
    found = open_samples(view, conditions, label_field, order_field)
    return _save(name, found, found, "still to be labelled, best first")


def open_samples(view: Collection, conditions: Mapping[str, Any], label_field: str, order_field: str) -> Collection:
    """Return those of some samples of the dataset that have no label yet, best first.

    Args:
        view: Any collection of the dataset.
        conditions: Which samples are meant, labelled or not: field -> value.
        label_field: Field of Classification or Classifications.
        order_field: Field with their rank; they stay as they are where it does not exist.
    """
    images = every_image(view)
    several = dataset_of(view).get_field(label_field).document_type is Classifications
    found = images.match({**conditions, label_field if several else f"{label_field}.label": None})
    return found.sort_by(order_field) if images.has_field(order_field) else found


def save_patch_view(view: Collection, name: str, field: str, *, flag: str, score: str) -> str | None:
    """Save a view of the flagged patches of a field of detections, the lowest score first.

    Args:
        view: Any collection of the dataset; the saved view is one of the whole dataset.
        name: Name in the App.
        field: The field of detections.
        flag: Attribute that is true for the flagged ones.
        score: Attribute that orders them.

    Returns:
        Why the view was not saved, or None, as for `save_group_view`.
    """
    found, shown = flagged_patches(view, field, flag=flag, score=score)
    return _save(name, found, shown, "patch by patch, worst quality first")


def flagged_patches(view: Collection, field: str, *, flag: str, score: str) -> tuple[Collection, Collection]:
    """Return the dataset's images with the flagged detections alone, and these as patches, the lowest score first.

    FiftyOne shows no patches of a field with one detection an image; there the images themselves are in that order.
    """
    found = every_image(view).filter_labels(field, ViewField(flag) == True)  # noqa: E712 - builds a query
    return found, (found.to_patches(field) if has_patches(view, field) else found).sort_by(f"{field}.{score}")


def renew_patches(view: Collection) -> None:
    """Have a view of patches, and the saved one of Winnow's, show detections as they are now.

    FiftyOne makes a copy of the patches, which it renews only when it is told to.
    """
    if shown_patches(view) is not None:
        view.reload()
    dataset = dataset_of(view)
    described = {info["name"]: info["description"] or "" for info in dataset.list_saved_views(info=True)}
    if described.get(PATCH_ISSUES_VIEW, "").startswith(_OURS):
        dataset.load_saved_view(PATCH_ISSUES_VIEW).reload()


def _save(name: str, found: Collection, shown: Collection, what: str) -> str | None:
    """Save `shown` in place of an earlier view of Winnow's; none where nothing is found."""
    dataset = dataset_of(found)
    described = {info["name"]: info["description"] or "" for info in dataset.list_saved_views(info=True)}
    same = next((taken for taken in described if to_slug(taken) == to_slug(name)), None)
    if same is not None and not described[same].startswith(_OURS):
        return f"the view '{same}' is your own and stays as it is; rename it, and Winnow saves its findings under that"

    if same is not None:
        dataset.delete_saved_view(same)
    if found.limit(1).count():
        dataset.save_view(name, shown, description=f"{_OURS}: {what}")
    return None
