"""`winnow app` refuses what it can't open; tests/test_browser.py looks at what it serves."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import pytest

from winnow.plugin.errors import TargetError
from winnow.plugin.workflows.app import run_app


def test_unknown_dataset_is_refused_with_the_nearest_name(dataset: Callable[..., fo.Dataset]) -> None:
    dataset("garments-of-2024")

    with pytest.raises(TargetError, match=r"no dataset 'garment-of-2024'\. Did you mean garments-of-2024"):
        run_app("garment-of-2024")
