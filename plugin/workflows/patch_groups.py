"""Which patches must not vouch for each other, and may not be on both sides of a held-out fold."""

from __future__ import annotations

import numpy as np

from ..curation.probe import FOLDS
from ..datasets import runs
from ..datasets.patches import Patches, label_path
from ..datasets.samples import Samples
from ..datasets.views import Collection, every_image
from .findings import PATCH_ISSUES_RUN, Findings, read_findings
from .wording import listed


def patch_groups(view: Collection, patches: Patches, samples: Samples) -> tuple[np.ndarray, list[str]]:
    """Return (m,) int, the patches that must not vouch for each other, -1 = none; and sentences for the user.

    Patches of one image share light, background and the hand that labelled them, and often overlap: what was learned
    from one of them would know the others better than it will ever know a new image, so that they share a fold and do
    not vote on each other, and neither do those of near-duplicate images. A class that hardly any image has could not
    be judged like that at all: with the image held out, nothing would be left of the class, and all its labels would
    look wrong. Its patches stand alone.
    """
    sample_ids, of_patch = np.unique(patches.sample_ids.astype(str), return_inverse=True)
    duplicates = read_findings(every_image(view), sample_ids).groups
    image = np.where(duplicates >= 0, duplicates, duplicates.max(initial=-1) + 1 + np.arange(len(sample_ids)))
    groups, rare = image[of_patch].astype(np.int64), []
    for number, name in enumerate(samples.classes):
        own = samples.labels == number
        if 0 < len(np.unique(groups[own & (groups >= 0)])) < FOLDS:
            groups[own] = -1
            rare.append(name)
    if not rare:
        return groups, []
    return groups, [
        f"fewer than {FOLDS} images show {listed(rare)}: these labels were judged by patches of the same image too, "
        "so that an error which an image repeats may have been missed"
    ]


def read_patch_findings(view: Collection, patches: Patches, samples: Samples) -> Findings:
    """Return what is known of m patches: their groups, leaks of their images, and flagged labels.

    Args:
        view: The collection.
        patches: The patches.
        samples: The same as samples; see `datasets.patch_samples`.
    """
    groups, notes = patch_groups(view, patches, samples)
    of_images = read_findings(every_image(view), patches.sample_ids)
    is_issue, quality = np.zeros(len(patches), bool), np.full(len(patches), np.nan, np.float32)
    run = next((each for each in runs.list_runs(view) if each.key == PATCH_ISSUES_RUN), None)
    path = label_path(view, patches.field)
    if run is not None and run.params["patches_field"] == patches.field and view.has_field(run.fields[1]):
        images = every_image(view)
        ids, flagged, qualities = (
            images.values(column, unwind=True) for column in (f"{path}.id", run.fields[1], run.fields[0])
        )
        known = {key: (flag, value) for key, flag, value in zip(ids, flagged, qualities, strict=True)}
        for row, key in enumerate(patches.ids):
            flag, value = known.get(key, (None, None))
            is_issue[row], quality[row] = flag is True, np.nan if value is None else value
    else:
        notes.append(f"label issues have not been looked for in the patches of '{patches.field}'")
    return Findings(groups, of_images.leaked, is_issue, quality, tuple(notes))
