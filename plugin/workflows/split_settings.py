"""What the settings of `split_dataset` mean for a collection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..curation.splits import standard_split
from ..curation.splitting import check_fractions
from ..datasets.fields import check_value_field, is_own
from ..datasets.views import Collection, dataset_of
from ..errors import DataError

OUTPUT_FIELDS = ("split", "split_clean")


def parse_fractions(text: str, frozen: Sequence[str] = ()) -> dict[str, float]:
    """Return split -> share, as in "train=0.8, test=0.2"; without the frozen ones, the others' shares sum to 1.

    Raises:
        DataError: The text is something else, or nothing is left to deal to.
    """
    fractions: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        split = standard_split(name) or name
        try:
            fractions[split], again = float(share), split in fractions
        except ValueError:
            again = True
        if again:
            raise DataError(
                f"fractions '{text}' can't be read at '{part.strip()}': each split once, as in "
                "train=0.8,validation=0.1,test=0.1."
            )
    left = {split: share for split, share in fractions.items() if split not in frozen}
    if not left:
        raise DataError(f"every split of '{text}' is frozen, so there is nothing to deal. Freeze fewer splits.")
    try:
        check_fractions(fractions)
    except ValueError as error:
        raise DataError(str(error)) from error
    total = sum(left.values())
    return {split: share / total for split, share in left.items()}


def check_existing(splits: np.ndarray, frozen: Sequence[str]) -> None:
    """Make sure that there are splits to start from.

    Args:
        splits: (n,) object, "" = none.
        frozen: Splits that must be among them.

    Raises:
        DataError: There are none, or a split to freeze is not among them.
    """
    names = sorted(set(splits) - {""})
    if not names:
        raise DataError(
            "there are no splits to repair or to freeze. Put the split's name (train, validation, test) into a text "
            "field `split` or into the tags, or make new splits: without repair and freeze."
        )
    if unknown := sorted(set(frozen).difference(names)):
        raise DataError(f"there is no split {', '.join(unknown)} to freeze; there are: {', '.join(names)}.")


def output_field(view: Collection, asked: str | None) -> str:
    """Return the field that the result goes to: the one that was asked for, `split`, or `split_clean`.

    Raises:
        FieldError: It is not Winnow's, or not for text.
    """
    field, other = OUTPUT_FIELDS
    dataset = dataset_of(view)
    default = other if dataset.has_field(field) and not is_own(dataset, field) else field
    chosen = asked or default
    check_value_field(view, chosen, kind="str")
    return chosen
