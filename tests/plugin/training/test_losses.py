from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from winnow.plugin.training.losses import Objective, log_prior
from winnow.plugin.training.recipe import Recipe

EVEN = torch.tensor([10.0, 10.0, 10.0])
ONES = torch.ones(4)


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def one_hot(*labels: int) -> torch.Tensor:
    return torch.eye(3)[list(labels)]


def test_without_anything_special_it_is_cross_entropy(logits: torch.Tensor) -> None:
    found = Objective(Recipe(), EVEN, multilabel=False)(logits, one_hot(0, 1, 2, 1), ONES)

    assert float(found) == pytest.approx(float(functional.cross_entropy(logits, torch.tensor([0, 1, 2, 1]))), rel=1e-6)


def test_label_smoothing_is_torchs(logits: torch.Tensor) -> None:
    found = Objective(Recipe(label_smoothing=0.2), EVEN, multilabel=False)(logits, one_hot(0, 1, 2, 1), ONES)

    wanted = functional.cross_entropy(logits, torch.tensor([0, 1, 2, 1]), label_smoothing=0.2)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_focal_loss_looks_less_at_what_is_easy() -> None:
    logits = torch.tensor([[4.0, 0, 0], [0.0, 0, 0]])
    plain, focal = (
        [
            float(Objective(Recipe(loss=loss), EVEN, multilabel=False)(row[None], one_hot(0), torch.ones(1)))
            for row in logits
        ]
        for loss in ("cross_entropy", "focal")
    )

    missed = [1 - float(torch.softmax(row, 0)[0]) for row in logits]
    assert focal == pytest.approx([p * m**2 for p, m in zip(plain, missed, strict=True)], rel=1e-4)


def test_an_image_of_half_the_weight_counts_for_half(logits: torch.Tensor) -> None:
    objective = Objective(Recipe(), EVEN, multilabel=False)
    each = [float(objective(logits[[row]], one_hot(1), torch.ones(1))) for row in range(2)]

    found = objective(logits[:2], one_hot(1, 1), torch.tensor([1.0, 0.5]))

    assert float(found) == pytest.approx((each[0] + 0.5 * each[1]) / 1.5, rel=1e-5)


def test_an_image_without_weight_gives_no_gradient(logits: torch.Tensor) -> None:
    logits.requires_grad_()

    Objective(Recipe(), EVEN, multilabel=False)(logits, one_hot(0, 1, 2, 1), torch.zeros(4)).backward()

    assert torch.equal(logits.grad, torch.zeros(4, 3))


def test_effective_numbers_weigh_rare_classes_up_and_keep_the_mean(logits: torch.Tensor) -> None:
    counts = torch.tensor([900.0, 90.0, 10.0])

    weights = Objective(Recipe(class_weights="effective"), counts, multilabel=False).class_weights

    assert weights[2] > weights[1] > weights[0]
    assert float((weights * counts).sum() / counts.sum()) == pytest.approx(1)
    assert float(weights[2] / weights[0]) == pytest.approx((1 - 0.999**900) / (1 - 0.999**10), rel=1e-4)


def test_logit_adjustment_asks_more_of_frequent_classes() -> None:
    counts = torch.tensor([98.0, 1.0, 1.0])
    logits = torch.zeros(1, 3)

    plain, adjusted = (
        float(Objective(Recipe(logit_adjustment=tau), counts, multilabel=False)(logits, one_hot(1), torch.ones(1)))
        for tau in (0.0, 1.0)
    )

    assert plain == pytest.approx(math.log(3))
    assert adjusted == pytest.approx(-float(log_prior(counts, multilabel=False)[1]), rel=1e-5)


def test_several_labels_are_judged_each_by_itself() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])

    found = Objective(Recipe(), torch.ones(2, 3), multilabel=True)(logits, targets, ONES)

    assert float(found) == pytest.approx(float(functional.binary_cross_entropy_with_logits(logits, targets)), rel=1e-6)


def test_what_nobody_annotated_costs_nothing() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    targets = torch.tensor([[1.0, math.nan, 0.0]])

    Objective(Recipe(), torch.ones(2, 3), multilabel=True)(logits, targets, torch.ones(1)).backward()

    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0] < 0 < logits.grad[0, 2]
