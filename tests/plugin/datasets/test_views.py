from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo

from winnow.plugin.datasets.views import view_key

MakeDataset = Callable[..., fo.Dataset]


def test_a_view_has_the_same_key_each_time_it_is_made_and_others_have_another(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{number}.png") for number in range(3)])

    keys = [view_key(view) for view in (made, made.view(), made.limit(2), made.limit(2), made.limit(1))]

    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert len(set(keys)) == 3
