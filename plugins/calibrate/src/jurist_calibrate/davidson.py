"""The model of the calibrated jury: whether A is better, B, or neither, from what speaks for A.

Davidson (1970), "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments",
JASA 65, eq. 2.2, with the log-odds f of A against B a weighted sum of what the judges say:

    P(A) : P(tie) : P(B)  =  exp(f/2) : exp(s) : exp(-f/2),    s = base + declared · share of declared ties

Whatever speaks for A speaks against B by as much and there is no intercept, so swapping A and B swaps P(A)
and P(B). Without ties this is logistic regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Matrix = NDArray[np.float64]

_DEGREES = 3.0
_SCALE = 0.5
"""The prior of a weight: Student's t. Most judges add little to what the others say; a few are far better."""
_TIE_DEVIATION = 2.0
"""The prior of ``base`` and ``declared``: normal, with this standard deviation."""


@dataclass(frozen=True)
class Davidson:
    """``weights``: log-odds by which each column of the evidence speaks for A. ``tie``: base and declared.

    ``tie`` is None where no item was labelled a tie; then nothing is found to be one.
    """

    weights: Matrix
    tie: Matrix | None

    def probabilities(self, evidence: Matrix, declared: Matrix) -> Matrix:
        """P(A), P(tie) and P(B), n × 3, of evidence (n × k) and shares of declared ties (n)."""
        tie = None if self.tie is None else self.tie[0] + self.tie[1] * declared
        probabilities: Matrix = softmax(_scores(evidence @ self.weights, tie), axis=1)
        return probabilities


def fit(evidence: Matrix, declared: Matrix, labels: Matrix) -> Davidson:
    """Fit to evidence (n × k), shares of declared ties (n) and labels (n: 1 for A, 0 for a tie, -1 for B).

    First the direction: the most probable weights, under a prior of heavy tails that holds back what
    little data cannot tell from chance. That makes them too small, so their size comes second: one factor
    for all of them, as Platt (1999) scales a classifier's output. It is fitted with as many items added as
    the direction has effective parameters, labelled as the others are on average; so Clogg et al. (1991,
    "Multiple imputation of industry and occupation codes", JASA 86) keep a logistic regression from being
    surer than its data.
    """
    targets = np.stack([labels > 0, labels == 0, labels < 0], axis=1).astype(float)
    columns = np.stack([np.ones(len(labels)), declared], axis=1)
    for_tie = columns if (labels == 0).any() else columns[:, :0]
    direction = Objective(evidence, for_tie, targets, heavy_tails=True).minimum()
    added = _effective_parameters(direction, evidence, declared)
    share = added / (len(labels) + added)
    average = (targets + targets[:, ::-1]).mean(axis=0) / 2
    smoothed = (1 - share) * targets + share * average
    along = (evidence @ direction.weights)[:, None]
    size = Objective(along, for_tie, smoothed, heavy_tails=False).minimum()
    return Davidson(direction.weights * size.weights[0], size.tie)


@dataclass(frozen=True)
class Objective:
    """Minus the log-likelihood of ``targets`` (n × 3) and the log-prior; constants are left out.

    The parameters are k weights and, where ``for_tie`` (n × 2: ones, shares of declared ties) has columns,
    base and declared. ``heavy_tails``: the weights have a prior.
    """

    evidence: Matrix
    for_tie: Matrix
    targets: Matrix
    heavy_tails: bool

    def value_and_gradient(self, parameters: Matrix) -> tuple[float, Matrix]:
        """The value and its gradient at ``parameters``."""
        weights, tie = np.split(parameters, [self.evidence.shape[1]])
        logarithms = log_softmax(self._scores(weights, tie), axis=1)
        # Without ties their logarithm is minus infinity, and their targets are 0.
        value = -np.sum(self.targets * np.where(self.targets > 0, logarithms, 0))
        wrong = np.exp(logarithms) - self.targets
        of_weights = self.evidence.T @ (wrong[:, 0] - wrong[:, 2]) / 2
        of_tie = self.for_tie.T @ wrong[:, 1] + tie / _TIE_DEVIATION**2
        value += np.sum(tie**2) / (2 * _TIE_DEVIATION**2)
        if self.heavy_tails:
            value += (_DEGREES + 1) / 2 * np.sum(np.log1p(weights**2 / (_DEGREES * _SCALE**2)))
            of_weights += weights * _pull(weights)
        return float(value), np.concatenate([of_weights, of_tie])

    def hessian(self, parameters: Matrix) -> Matrix:
        """The second derivatives at ``parameters``."""
        weights, tie = np.split(parameters, [self.evidence.shape[1]])
        p = softmax(self._scores(weights, tie), axis=1)
        x, t = self.evidence, self.for_tie
        lead = p[:, 0] - p[:, 2]
        of_weights = x.T @ (x * _curvature(p)[:, None])
        mixed = x.T @ (t * (-lead * p[:, 1] / 2)[:, None])
        of_tie = t.T @ (t * (p[:, 1] * (1 - p[:, 1]))[:, None]) + np.eye(len(tie)) / _TIE_DEVIATION**2
        if self.heavy_tails:
            pull = _pull(weights)
            of_weights += np.diag(pull - 2 * (weights * pull) ** 2 / (_DEGREES + 1))
        return np.block([[of_weights, mixed], [mixed.T, of_tie]])

    def minimum(self) -> Davidson:
        """The most probable model, sought from where no judge counts."""
        k = self.evidence.shape[1]
        found = minimize(
            self.value_and_gradient,
            np.zeros(k + self.for_tie.shape[1]),
            jac=True,
            hess=self.hessian,
            method="trust-exact",
            options={
                "gtol": 1e-8 * len(self.targets),
                "initial_trust_radius": 1.0,
                "max_trust_radius": 100.0,
            },
        ).x
        return Davidson(found[:k], found[k:] if self.for_tie.shape[1] else None)

    def _scores(self, weights: Matrix, tie: Matrix) -> Matrix:
        return _scores(self.evidence @ weights, self.for_tie @ tie if len(tie) else None)


def _effective_parameters(model: Davidson, evidence: Matrix, declared: Matrix) -> float:
    """How many weights the data decide and not the prior: the trace of H (H + prior's pull)⁻¹."""
    p = model.probabilities(evidence, declared)
    information = evidence.T @ (evidence * _curvature(p)[:, None])
    return float(np.trace(np.linalg.solve(information + np.diag(_pull(model.weights)), information)))


def _curvature(p: Matrix) -> Matrix:
    """Minus the second derivative of each item's log-likelihood by the log-odds of A."""
    curvature: Matrix = (p[:, 0] + p[:, 2] - (p[:, 0] - p[:, 2]) ** 2) / 4
    return curvature


def _pull(weights: Matrix) -> Matrix:
    """The prior's pull on each weight, per unit of it."""
    pull: Matrix = (_DEGREES + 1) / (_DEGREES * _SCALE**2 + weights**2)
    return pull


def _scores(log_odds: Matrix, tie: Matrix | None) -> Matrix:
    """Of A, tie and B (n × 3)."""
    never = np.full(len(log_odds), -np.inf)
    return np.stack([log_odds / 2, never if tie is None else tie, -log_odds / 2], axis=1)
