"""Saves what a job found as a view that the App offers by name: one tile a group, best score first.

A saved view holds its conditions, never a list of ids, so that no number of findings is too large for it (a document of
MongoDB ends at 16 MB), and it shows the fields as they are when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fiftyone.core.utils import to_slug

from .views import Collection, dataset_of, every_image

DUPLICATES_VIEW = "winnow duplicates"
LEAKS_VIEW = "winnow leaks"

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
    dataset = dataset_of(view)
    described = {info["name"]: info["description"] or "" for info in dataset.list_saved_views(info=True)}
    same = next((taken for taken in described if to_slug(taken) == to_slug(name)), None)
    if same is not None and not described[same].startswith(_OURS):
        return f"the view '{same}' is your own and stays as it is; rename it, and Winnow saves its findings under that"

    conditions: dict[str, Any] = {score_field: {"$ne": None}}
    if role_field is not None:
        conditions[role_field] = {"$in": list(roles)}
    if group_field is not None:
        conditions[group_field] = {"$ne": None}
    found = every_image(view).match(conditions)
    shown = found.group_by(group_field, order_by=score_field, reverse=True) if group_field else found
    if same is not None:
        dataset.delete_saved_view(same)
    if found.limit(1).count():
        what = "one tile a group" if group_field else "image by image"
        description = f"{_OURS}: {what}, best score first"
        dataset.save_view(name, shown.sort_by(score_field, reverse=True), description=description)
    return None
