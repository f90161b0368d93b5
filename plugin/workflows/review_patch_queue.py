"""Labels of detections that wait for a decision: those that were flagged, the most suspicious first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..datasets import runs
from ..datasets.documents import Document, read_documents
from ..datasets.fields import GIVEN
from ..datasets.label_decisions import DECISION
from ..datasets.label_kinds import detections, known_classes
from ..datasets.patches import label_path, patch_fields
from ..datasets.views import Collection, every_image, has_path, single_images
from .findings import PATCH_ISSUES_RUN
from .patch_review import patch_findings_after, suggestion_attributes
from .review_label_queue import LabelQueue
from .review_neighbours import nearest_good_patches
from .review_plan import IssueFields
from .review_queue import Json, QueueState, after, place_of, splits_of

_SAMPLE, _BOX = "sample", "bounding_box"


@dataclass(frozen=True)
class PatchQueue(LabelQueue):
    """Labels of detections of a collection; an item is one detection, and its key the label's id.

    `suggestion`, `order` and `findings` are attributes of the detections.
    """

    ITEM: ClassVar = "detection"

    def state(self) -> QueueState:
        """Return how far the queue is."""
        classes = tuple(known_classes(self.view, self.label_field))
        stale = runs.is_stale(self.view, PATCH_ISSUES_RUN)
        return QueueState(self._count(self.waits), self._count({DECISION: {"$ne": None}}), stale, classes=classes)

    def page(self, place: str | None, count: int, *, again: bool) -> Json:
        """Return the next items after a place, as `review_desk.page` does."""
        stages: list[Json] = [
            {"$match": {"$and": [self.shown_again if again else self.waits, after(place, self.order)]}},
            {"$sort": {self.order: 1, "_id": 1}},
            {"$limit": count},
        ]
        found = self._labels(stages)
        following = place_of(found[-1].get(self.order), found[-1]["_id"]) if len(found) == count else None
        items = self.items([str(label["_id"]) for label in found])
        return {"items": items, "next": following, "waiting": self._count(self.waits)}

    def items(self, ids: Sequence[str]) -> list[Json]:
        """Return what a reviewer is shown of detections, in the order of their ids; those gone are not."""
        documents = self._read(ids)
        splits = splits_of(self.view, {str(held[_SAMPLE]) for held in documents.values()}, None)
        boxes = {key: (held["filepath"], held[_BOX]) for key, held in documents.items()}
        near = nearest_good_patches(self.view, boxes, self.label_field, self.findings.issue)
        return [
            {
                **self._item(key, documents[key], splits.get(str(documents[key][_SAMPLE])), near.get(key, ())),
                "box": documents[key][_BOX],
            }
            for key in ids
            if key in documents
        ]

    def samples(self, keys: Sequence[str]) -> list[str]:
        """Return the ids of the samples that hold these detections."""
        return sorted({str(held[_SAMPLE]) for held in self._read(keys).values()})

    def _labels(self, stages: Sequence[Json]) -> list[Document]:
        """Return the detections of the view that stages of MongoDB's leave, which see one as a document of its own."""
        path = label_path(self.view, self.label_field)
        pipeline: list[Json] = [{"$unwind": f"${path}"}, {"$replaceRoot": {"newRoot": f"${path}"}}, *stages]
        return list(single_images(self.view)._aggregate(post_pipeline=pipeline))

    def _count(self, condition: Json) -> int:
        found = self._labels([{"$match": condition}, {"$count": "n"}])
        return int(found[0]["n"]) if found else 0

    def _read(self, ids: Sequence[str]) -> dict[str, Document]:
        """Return what is known of detections as it is known of images: by the names of fields."""
        labels = {str(label["_id"]): (key, label) for key, label in detections(self.view, self.label_field, ids)}
        samples = sorted({str(key) for key, _ in labels.values()})
        paths = {key: held["filepath"] for key, held in read_documents(self.view, samples, ["filepath"], {})}
        return {key: self._known(label) | {"filepath": paths[at], _SAMPLE: at} for key, (at, label) in labels.items()}

    def _known(self, label: Document) -> Document:
        suggestion = str(self.suggestion)
        names = zip(("label", "confidence", GIVEN), suggestion_attributes(suggestion), strict=True)
        suggested = {name: label.get(attribute) for name, attribute in names}
        return {self.label_field: label, suggestion: suggested, _BOX: label.get(_BOX)} | {
            name: label.get(name) for name in (self.findings.quality, self.findings.verdict) if name
        }

    def _findings_after(self, decision: str) -> dict[str, Any]:
        return patch_findings_after(self.view, self.label_field, decision)


def flagged_patches(view: Collection) -> PatchQueue | QueueState:
    """Return the queue of the detections whose labels were flagged; a state where there can't be one."""
    run = next((run for run in runs.list_runs(view) if run.key == PATCH_ISSUES_RUN), None)
    if run is None:
        return QueueState(run="find_label_issues", note="label issues of detections were not looked for yet")
    field = run.params["patches_field"]
    if field not in patch_fields(view):
        return QueueState(run="find_label_issues", note=f"there are no detections in '{field}' any more")
    path, images = label_path(view, field), every_image(view)

    def held(name: str) -> str | None:
        attribute = run.params[name]
        return attribute if has_path(images, f"{path}.{attribute}") else None

    findings = IssueFields(
        field, held("quality_field"), held("issue_field"), held("suggestion_field"), held("verdict_field")
    )
    if findings.issue is None or findings.quality is None:
        return QueueState(run="find_label_issues", note="the findings about detections were deleted")
    flagged: Json = {findings.issue: True}
    again: Json = {"$or": [flagged, {DECISION: {"$ne": None}}]}
    return PatchQueue(view, field, findings.suggestion, findings.quality, False, flagged, again, findings)
