from __future__ import annotations

from typing import Any

import pytest

from winnow.plugin.labeling.task_identity import TaskIdentity, identity

SAMPLE = "6564a1b2c3d4e5f601234567"


@pytest.mark.parametrize("blind", [True, False])
def test_what_a_task_holds_is_read_back(blind: bool) -> None:
    sent = TaskIdentity(SAMPLE, "動物", "0" * 64, "round_1", blind=blind)

    assert identity({"image": "/data/upload/1.png", **sent.data()}) == sent


@pytest.mark.parametrize("data", [{}, {"winnow_sample": 7}, {"winnow_sample": "../../etc"}, {"winnow_sample": None}])
def test_tasks_of_others_have_no_identity(data: dict[str, Any]) -> None:
    assert identity(data) is None


def test_a_truth_value_that_went_through_a_table_still_counts() -> None:
    found = identity({"winnow_sample": SAMPLE, "winnow_blind": "True"})

    assert found is not None and found.blind
