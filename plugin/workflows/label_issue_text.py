"""How many labels are probably wrong, in numbers and in words: what the reports on label issues share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..curation.class_names import NameClash
from ..curation.label_issues import LabelIssues
from ..curation.outliers import Outliers
from .wording import counted


def issue_numbers(issues: LabelIssues) -> dict[str, Any]:
    """Return plain JSON: what is flagged and expected, and what each of the three cuts would flag."""
    precision = issues.expected_precision
    return {
        "flagged": int(issues.is_issue.sum()),
        "estimated": round(issues.estimated, 1),
        "interval": [round(bound, 1) for bound in issues.interval],
        "noise": issues.noise,
        "expected_precision": None if np.isnan(precision) else round(precision, 3),
        "cuts": {
            cut.sensitivity: {
                "flagged": cut.flagged,
                "expected_precision": round(cut.expected_precision, 3) if cut.flagged else None,
            }
            for cut in issues.cuts
        },
    }


def headline(found: dict[str, Any], certain: str, uncertain: str) -> list[str]:
    """Say how many labels are wrong, and how certain that is.

    Args:
        found: What `issue_numbers` returned.
        certain: What is flagged, where the labels show noise.
        uncertain: The same, where the evidence's own errors would explain it as well.
    """
    low, high = found["interval"]
    if found["noise"] == "none":
        return [
            uncertain,
            "",
            f"The errors of the evidence itself would explain all of these, so that anything from 0 to {high:,.0f} "
            "labels may be wrong. Look at the worst first, and stop where they are right.",
        ]
    return [
        f"{certain} Expected: {found['estimated']:,.0f} wrong in all "
        f"({low:,.0f} to {high:,.0f}), and {found['expected_precision']:.0%} of the flagged.",
    ]


def other_cuts(found: dict[str, Any]) -> str:
    """Tell what the other settings would flag."""
    told = [
        f"{name} would flag {cut['flagged']:,}"
        + (f", {cut['expected_precision']:.0%} of them wrong" if cut["flagged"] else "")
        for name, cut in found["cuts"].items()
        if cut["flagged"] != found["flagged"]
    ]
    return f"Other settings: {'; '.join(told)}." if told else ""


def outlier_lines(outliers: Outliers, flagged: int, unit: str = "image") -> list[str]:
    """Tell how many images, or patches, are odd, and how many of these are flagged."""
    odd = int(outliers.is_outlier.sum())
    if not odd:
        return []
    told = counted(odd, f"odd {unit}", "odd patches" if unit == "patch" else None)
    besides = f" {flagged:,} of them also have a flagged label." if flagged else ""
    return ["", f"**{told}**, far from all others: `outlier` is true.{besides}"]


def clash_lines(clashes: tuple[NameClash, ...]) -> list[str]:
    """Tell which classes were judged as one."""
    return ["", *(f"- {clash.text()}; judged as one" for clash in clashes)]
