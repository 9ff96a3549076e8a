"""The model of the calibrated jury, against sums done by hand and against other programs."""

from __future__ import annotations

from itertools import product
from math import exp, log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize
from sklearn.linear_model import LogisticRegression

from jurist_calibrate.davidson import Davidson, Objective, fit
from jurist_calibrate.evidence import Evidence
from jurist_calibrate.fitted_jury import FittedJury, Ties, Weight

Matrix = NDArray[np.float64]

WEIGHTS = np.array([1.5, -0.5, 0.0])
TIE = np.array([-0.7, 2.0])


def drawn(n: int, tie: Matrix | None, seed: int = 0) -> tuple[Matrix, Matrix, Matrix]:
    """Evidence, shares of declared ties, and labels that the model itself draws."""
    rng = np.random.default_rng(seed)
    evidence = rng.choice([-1.0, 0.0, 1.0], size=(n, len(WEIGHTS)), p=[0.4, 0.2, 0.4])
    declared = rng.choice([0.0, 0.5, 1.0], size=n)
    probabilities = Davidson(WEIGHTS, tie).probabilities(evidence, declared)
    draws = (rng.random(n)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    return evidence, declared, 1.0 - draws


def one_by_one(parameters: Matrix, evidence: Matrix, declared: Matrix, labels: Matrix) -> float:
    """Minus the log-likelihood, as the paper's formula is written."""
    total = 0.0
    weights, (base, more) = parameters[:-2], parameters[-2:]
    for row, share, label in zip(evidence, declared, labels, strict=True):
        log_odds = float(sum(w * x for w, x in zip(weights, row, strict=True)))
        shares = {1: exp(log_odds / 2), 0: exp(base + more * share), -1: exp(-log_odds / 2)}
        total -= log(shares[int(label)] / sum(shares.values()))
    return total


def test_probabilities_by_hand() -> None:
    """f = 2 log 3, s = log 2: the three are as 3 to 2 to 1/3."""
    model = Davidson(np.array([2 * log(3)]), np.array([log(2), 0.0]))
    found = model.probabilities(np.array([[1.0]]), np.array([0.0]))
    assert found[0] == pytest.approx([9 / 16, 6 / 16, 1 / 16])
    assert Davidson(np.array([log(3)]), None).probabilities(np.array([[1.0]]), np.array([1.0]))[
        0
    ] == pytest.approx([3 / 4, 0, 1 / 4])


def objective_of(
    evidence: Matrix, declared: Matrix, labels: Matrix, ties: bool, heavy_tails: bool
) -> Objective:
    targets = np.stack([labels > 0, labels == 0, labels < 0], axis=1) * 0.9
    targets[:, [0, 2]] += 0.05
    columns = np.stack([np.ones(len(labels)), declared], axis=1)
    return Objective(evidence, columns if ties else columns[:, :0], targets, heavy_tails)


@pytest.mark.parametrize(("ties", "heavy_tails"), list(product([True, False], repeat=2)))
def test_derivatives_are_those_of_the_objective(ties: bool, heavy_tails: bool) -> None:
    found = objective_of(*drawn(50, TIE if ties else None), ties, heavy_tails)
    place = np.array([0.4, -1.2, 0.1, *([-0.3, 0.8] if ties else [])])
    gradient = approx_fprime(place, lambda at: found.value_and_gradient(at)[0], 1e-7)
    assert found.value_and_gradient(place)[1] == pytest.approx(gradient, abs=1e-4)
    rows = [
        approx_fprime(place, lambda at, n=n: found.value_and_gradient(at)[1][n], 1e-7)
        for n in range(len(place))
    ]
    assert found.hessian(place) == pytest.approx(np.array(rows), abs=1e-4)


def test_the_objective_is_the_likelihood_of_the_paper_with_the_prior() -> None:
    evidence, declared, labels = drawn(50, TIE)
    targets = np.stack([labels > 0, labels == 0, labels < 0], axis=1).astype(float)
    for_tie = np.stack([np.ones(50), declared], axis=1)
    place, zero = np.array([0.4, -1.2, 0.1, -0.3, 0.8]), np.zeros(5)
    plain, heavy = (Objective(evidence, for_tie, targets, tails) for tails in (False, True))
    prior = (0.3**2 + 0.8**2) / (2 * 2**2)
    expected = one_by_one(place, evidence, declared, labels) + prior
    assert plain.value_and_gradient(place)[0] == pytest.approx(expected)
    density = [(1 + w**2 / (3 * 0.25)) ** -2 for w in place[:3]]  # Student's t with 3 degrees of freedom
    assert heavy.value_and_gradient(place)[0] == pytest.approx(expected - sum(log(d) for d in density))
    assert heavy.value_and_gradient(zero)[0] == pytest.approx(plain.value_and_gradient(zero)[0])


def test_the_minimum_is_one() -> None:
    found = objective_of(*drawn(80, TIE), ties=True, heavy_tails=True)
    model = found.minimum()
    assert model.tie is not None
    place = np.concatenate([model.weights, model.tie])
    assert found.value_and_gradient(place)[1] == pytest.approx(np.zeros(5), abs=1e-5)
    assert np.linalg.eigvalsh(found.hessian(place)).min() > 0


def test_without_ties_it_is_logistic_regression() -> None:
    """With many items the prior does not matter, and scikit-learn finds the same weights."""
    evidence, declared, labels = drawn(30_000, None)
    ours = fit(evidence, declared, labels)
    theirs = LogisticRegression(C=np.inf, fit_intercept=False).fit(evidence, labels > 0)
    assert ours.tie is None
    assert ours.weights == pytest.approx(theirs.coef_[0], abs=0.01)
    assert ours.weights == pytest.approx(WEIGHTS, abs=0.05)


def test_with_ties_it_finds_what_the_likelihood_of_the_paper_has_its_maximum_at() -> None:
    evidence, declared, labels = drawn(4_000, TIE)
    ours = fit(evidence, declared, labels)
    theirs = minimize(one_by_one, np.zeros(5), args=(evidence[:1000], declared[:1000], labels[:1000])).x
    assert ours.tie is not None
    found = fit(evidence[:1000], declared[:1000], labels[:1000])
    assert found.tie is not None
    assert [*found.weights, *found.tie] == pytest.approx(theirs, abs=0.06)
    assert [*ours.weights, *ours.tie] == pytest.approx([*WEIGHTS, *TIE], abs=0.2)


def test_items_turned_round_teach_the_same() -> None:
    evidence, declared, labels = drawn(60, TIE)
    turn = np.where(np.arange(60) % 3 == 0, -1.0, 1.0)
    here, there = fit(evidence, declared, labels), fit(evidence * turn[:, None], declared, labels * turn)
    assert there.weights == pytest.approx(here.weights, abs=1e-4)


def test_a_jury_that_was_always_right_is_not_certain() -> None:
    """The items added keep the weights finite: 20 items leave room for error, 2,000 for little."""
    chances = []
    for n in (20, 2_000):
        labels = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
        model = fit(labels[:, None], np.zeros(n), labels)
        chances.append(float(model.probabilities(np.array([[1.0]]), np.array([0.0]))[0, 0]))
    assert 0.9 < chances[0] < 0.99 < chances[1] < 1


def test_a_judge_that_says_nothing_has_no_weight() -> None:
    evidence, declared, labels = drawn(100, None)
    evidence[:, 1] = 0
    assert fit(evidence, declared, labels).weights[1] == 0
    assert fit(np.zeros((20, 2)), np.zeros(20), np.array([1.0, -1.0] * 10)).weights.tolist() == [0, 0]


def test_what_is_saved_says_the_same_as_the_model() -> None:
    rng = np.random.default_rng(3)
    for tie in (None, TIE):
        jury = FittedJury(
            items=50,
            versions={"one": "", "two": ""},
            accuracy=0.8,
            calibration_error=0.1,
            weights={"one": Weight(verdict=1.5, preference=-0.3), "two": Weight(verdict=0.2, preference=0)},
            ties=None if tie is None else Ties(base=tie[0], declared=tie[1]),
        )
        model = Davidson(np.array([1.5, 0.2, -0.3, 0.0]), tie)
        for row in rng.uniform(-1, 1, size=(20, 5)):
            evidence = Evidence(tuple(row[:2]), tuple(row[2:4]), abs(row[4]), 2)
            expected = model.probabilities(row[None, :4], np.abs(row[4:]))[0]
            assert list(jury.probabilities(evidence)) == pytest.approx(expected.tolist(), abs=1e-12)
