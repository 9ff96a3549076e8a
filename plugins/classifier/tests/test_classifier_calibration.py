"""Probabilities: what the temperature recovers, and what the calibration error is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.files.training_data import PreferenceRow
from jurist_classifier.agreement import accuracy, longer
from jurist_classifier.calibration import calibration_error, fit_temperature, loss, sigmoid


def sampled(count: int, scale: float) -> tuple[list[float], list[float]]:
    """Margins ``scale`` times too large for the labels that were drawn by them."""
    chance = random.Random(0)
    true = [chance.gauss(0, 2) for _ in range(count)]
    labels = [float(chance.random() < sigmoid(margin)) for margin in true]
    return [scale * margin for margin in true], labels


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_the_temperature_recovers_the_scale_of_the_margins(scale: float) -> None:
    margins, labels = sampled(20_000, scale)
    assert fit_temperature(margins, labels) == pytest.approx(scale, rel=0.05)
    soft = [sigmoid(margin / scale) for margin in margins]
    assert fit_temperature(margins, soft) == pytest.approx(scale, rel=0.002)


def test_the_temperature_is_that_of_the_least_loss() -> None:
    margins, labels = sampled(200, 3.0)
    targets = [0.5 + (p - 0.5) * 200 / 202 for p in labels]

    def at(temperature: float) -> float:
        return loss([margin / temperature for margin in margins], targets)

    grid = [math.exp(k / 500) for k in range(-1500, 1500)]
    assert fit_temperature(margins, labels) == pytest.approx(min(grid, key=at), rel=0.003)


def test_margins_that_are_all_right_do_not_make_it_certain() -> None:
    temperature = fit_temperature([2.0] * 18, [1.0] * 18)
    assert sigmoid(2.0 / temperature) == pytest.approx(19 / 20)  # Platt's (n + 1) / (n + 2)


def test_margins_that_say_nothing_become_one_half() -> None:
    assert sigmoid(1.0 / fit_temperature([1.0, 1.0, 1.0], [0.0, 0.0, 1.0])) == pytest.approx(0.5, abs=1e-3)


def test_the_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    sure, unsure = math.log(0.98 / 0.02), math.log(0.58 / 0.42)
    margins = [sure, -sure, sure, unsure]
    labels = [1.0, 0.0, 0.0, 1.0]  # two of three right at .98, one of one at .58
    assert calibration_error(margins, labels) == pytest.approx(0.75 * (0.98 - 2 / 3) + 0.25 * 0.42)


def test_scaling_lowers_the_calibration_error_of_margins_that_are_too_large() -> None:
    margins, labels = sampled(4_000, 5.0)
    temperature = fit_temperature(margins, labels)
    scaled = [margin / temperature for margin in margins]
    assert calibration_error(margins, labels) > 0.1
    assert calibration_error(scaled, labels) < 0.03


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_probabilities_of_opposite_margins_add_up_to_one_exactly(margin: float) -> None:
    assert sigmoid(margin) + sigmoid(-margin) == 1
    assert sigmoid(-margin) == 1 - sigmoid(margin)
    assert (sigmoid(margin) > 0.5) <= (margin > 0)


def test_accuracy_leaves_ties_of_labels_out_and_counts_those_of_margins_half() -> None:
    found = accuracy([1.0, -1.0, 0.0, 3.0], [0.9, 0.9, 0.2, 0.5])
    assert (found.mean, found.n) == (0.5, 3)


def test_the_longest_response_is_measured_in_characters() -> None:
    rows = [
        PreferenceRow.model_validate({"prompt": "p", "chosen": chosen, "rejected": rejected})
        for chosen, rejected in (("longer", "x"), ("x", "longer"), ("even", "odd!"))
    ]
    assert longer(rows) == [5.0, -5.0, 0.0]
