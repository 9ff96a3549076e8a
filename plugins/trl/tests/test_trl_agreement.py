"""Soft labels: the loss, and how well differences of scores agree with them."""

from __future__ import annotations

import math
from typing import Any

import pytest


@pytest.mark.parametrize("probability", [0.5, 0.7, 1.0])
@pytest.mark.parametrize("margin", [-3.0, 0.0, 0.4, 20.0])
def test_soft_loss_is_the_formula_and_its_gradient_is_sigmoid_minus_p(
    margin: float, probability: float
) -> None:
    import torch

    from jurist_trl.supervised.agreement import soft_preference_loss

    d = torch.tensor([margin], dtype=torch.float64, requires_grad=True)
    loss = soft_preference_loss(d, torch.tensor([probability], dtype=torch.float64))
    loss.backward()
    sigmoid = 1 / (1 + math.exp(-margin))
    formula = -probability * math.log(sigmoid)
    if probability < 1:
        formula -= (1 - probability) * math.log(1 - sigmoid)
    assert loss.item() == pytest.approx(formula, abs=1e-6)
    assert d.grad is not None
    assert d.grad.item() == pytest.approx(sigmoid - probability, abs=1e-9)


@pytest.mark.parametrize("probability", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("margin", [0.0, 0.5, 3.0])
def test_a_margin_shifts_both_sides_and_swapping_the_responses_changes_nothing(
    margin: float, probability: float
) -> None:
    import torch

    from jurist_trl.supervised.agreement import soft_preference_loss

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    def loss(difference: Any, p: float) -> Any:
        p_and_m = (torch.tensor([x], dtype=torch.float64) for x in (p, margin))
        return soft_preference_loss(difference, *p_and_m)

    d = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    value = loss(d, probability)
    value.backward()
    chosen, rejected = sigmoid(0.7 - margin), sigmoid(-0.7 - margin)
    assert value.item() == pytest.approx(
        -probability * math.log(chosen) - (1 - probability) * math.log(rejected), abs=1e-12
    )
    assert d.grad is not None
    slope = (1 - probability) * sigmoid(0.7 + margin) - probability * sigmoid(margin - 0.7)
    assert d.grad.item() == pytest.approx(slope, abs=1e-12)
    assert loss(-d, 1 - probability).item() == pytest.approx(value.item(), abs=1e-12)


def test_agreement_and_calibration_against_arithmetic() -> None:
    import torch

    from jurist_trl.supervised.agreement import agreement, calibration

    def logit(p: float) -> float:
        return math.log(p / (1 - p))

    # confidences .62 and .64 share a bin; the second pair's response is called the rejected one
    differences = torch.tensor([logit(0.62), -logit(0.64), logit(0.97), 0.0], dtype=torch.float64)
    labels = torch.tensor([0.7, 0.1, 1.0, 0.5], dtype=torch.float64)
    table = calibration(differences, labels)
    assert [(row.above, row.pairs) for row in table] == [(0.5, 1), (pytest.approx(0.6), 2), (0.95, 1)]
    assert table[1].confidence == pytest.approx(0.63)
    assert table[1].label == pytest.approx((0.7 + 0.9) / 2)
    metrics = agreement(differences, labels)
    assert metrics["eval_calibration_error"] == pytest.approx((0 * 1 + 0.17 * 2 + 0.03 * 1) / 4, abs=1e-9)
    assert metrics["eval_brier"] == pytest.approx((0.08**2 + 0.26**2 + 0.03**2 + 0) / 4, abs=1e-9)
    assert metrics["eval_accuracy"] == 1.0
    loss = -(0.7 * math.log(0.62) + 0.3 * math.log(0.38) + 0.1 * math.log(0.36) + 0.9 * math.log(0.64))
    assert metrics["eval_loss"] == pytest.approx((loss - math.log(0.97) + math.log(2)) / 4, abs=1e-9)
    swapped = agreement(-differences, 1 - labels)
    assert swapped == {name: pytest.approx(value) for name, value in metrics.items()}
    assert "eval_accuracy" not in agreement(differences, torch.full((4,), 0.5, dtype=torch.float64))


def test_labels_drawn_as_predicted_are_calibrated_and_twice_as_sure_ones_are_not() -> None:
    import torch

    from jurist_trl.supervised.agreement import agreement

    generator = torch.Generator().manual_seed(0)
    differences = 2 * torch.randn(20_000, generator=generator)
    labels = (torch.rand(20_000, generator=generator) < torch.sigmoid(differences)).float()
    assert agreement(differences, labels)["eval_calibration_error"] < 0.015
    assert agreement(2 * differences, labels)["eval_calibration_error"] > 0.05
