"""Tags samples, and takes the tag away again from those that did not have it before."""

from __future__ import annotations

from collections.abc import Sequence

from bson import ObjectId

from ..errors import DataError
from .action_log import Done, chunks, mark_undone, read_records, record_action
from .runs import SavedRun
from .views import Collection, every_image

METHOD = "tag_samples"
_CHUNK = 20_000


def add_tag(view: Collection, ids: Sequence[str], tag: str, *, by: str = "", what: str = "") -> Done:
    """Tag those of the samples that do not have the tag; those that are gone are passed over.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids.
        tag: The tag.
        by: Name of the person, for the log.
        what: What kind of images they are, such as "near-duplicate", for the log.

    Raises:
        DataError: The tag is empty.
    """
    if not tag or tag != tag.strip():
        raise DataError(f"'{tag}' can't be a tag. Give it a name without blanks at its ends.")
    images = every_image(view)
    lacking: list[str] = []
    for chunk in chunks(sorted(set(ids)), _CHUNK):
        found, tags = images.select(chunk).values(["id", "tags"])
        lacking += [key for key, held in zip(found, tags, strict=True) if tag not in held]
    if not lacking:
        return Done(None, 0)

    records = ({"_id": ObjectId(key)} for key in lacking)
    key = record_action(view, METHOD, {"tag": tag, "by": by, "what": what}, len(lacking), records)
    for chunk in chunks(lacking, _CHUNK):
        images.select(chunk).tag_samples(tag)
    return Done(key, len(lacking))


def undo_tag(view: Collection, run: SavedRun) -> Done:
    """Take the tag from the samples that got it by the action and still have it."""
    images, tag, back, missing = every_image(view), run.params["tag"], 0, 0
    for chunk in chunks(read_records(view, run.key), _CHUNK):
        tagged = images.select([str(record["_id"]) for record in chunk]).match_tags(tag)
        count = tagged.count()
        back += count
        missing += len(chunk) - count
        tagged.untag_samples(tag)
    mark_undone(view, run.key)
    return Done(run.key, back, (f"{missing} samples are gone or had lost the tag meanwhile",) * (missing > 0))
