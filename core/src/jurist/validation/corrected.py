"""The share of right labels, from a few that people checked and what all of them claim of themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from jurist.intervals import Estimate, Z


@dataclass(frozen=True)
class Stratum:
    """A part of the labels, of which some were drawn at random and checked.

    ``size``: how many labels are in it. ``claimed``: the mean probability of being right that all of them
    claim. ``checked``: of those that were checked whether each is right (1, 0, or 0.5 for half right), and
    what it claims.
    """

    size: int
    claimed: float
    checked: Sequence[tuple[float, float]]

    @property
    def unchecked(self) -> float:
        """The share that was not checked: what a census leaves of the variance is nothing."""
        return 1 - len(self.checked) / self.size

    def errors(self, trust: float) -> list[float]:
        """How much more right each checked label is than the trusted part of its claim."""
        return [right - trust * claim for right, claim in self.checked]

    def variance(self, trust: float) -> float:
        """The variance of the errors, with one right and one wrong label of average claim put in.

        Those two keep a stratum in which all labels were right from claiming certainty (as Agresti & Coull
        1998 and Agresti & Caffo 2000 do for a share and for a difference of shares).
        """
        average = trust * fmean(claim for _, claim in self.checked)
        return variance([*self.errors(trust), 1 - average, -average])


def corrected_share(strata: Sequence[Stratum]) -> Estimate:
    """The share of right labels in all strata together, with its 95% interval.

    Prediction-powered inference (Angelopoulos et al. 2023, arXiv 2301.09633) over strata (Fisch et al. 2024,
    arXiv 2406.04291): the mean claim of all labels, corrected in each stratum by how far the claims of the
    checked ones were off. Since every label's claim is known, it is the difference estimator of survey
    sampling (Särndal, Swensson & Wretman 1992, section 6.3). Claims are trusted as far as they help: by the
    factor from 0 to 1 that makes the variance least (Angelopoulos, Duchi & Zrnic 2023, arXiv 2311.01453); at
    0 it is the stratified mean.

    Raises:
        ValueError: a stratum has no checked label.
    """
    if not strata or not all(stratum.checked for stratum in strata):
        raise ValueError("every stratum needs a checked label")
    trust = _trust(strata)
    mean = spread = 0.0
    for stratum, share in _shares(strata):
        mean += share * (trust * stratum.claimed + fmean(stratum.errors(trust)))
        spread += share**2 * stratum.unchecked * stratum.variance(trust) / len(stratum.checked)
    mean = min(1.0, max(0.0, mean))
    half = Z * math.sqrt(spread)
    n = sum(len(stratum.checked) for stratum in strata)
    return Estimate(mean=mean, low=max(0.0, mean - half), high=min(1.0, mean + half), n=n)


def _shares(strata: Sequence[Stratum]) -> list[tuple[Stratum, float]]:
    """Each stratum with its share of all labels."""
    size = sum(stratum.size for stratum in strata)
    return [(stratum, stratum.size / size) for stratum in strata]


def _trust(strata: Sequence[Stratum]) -> float:
    """The factor of the claims that makes the variance of the estimate least."""
    shared = own = 0.0
    for stratum, share in _shares(strata):
        weight = share**2 * stratum.unchecked / len(stratum.checked)
        right, claims = zip(*stratum.checked, strict=True)
        shared += weight * _covariance(right, claims)
        own += weight * _covariance(claims, claims)
    return min(1.0, max(0.0, shared / own)) if own > 0 else 0.0


def _covariance(first: Sequence[float], second: Sequence[float]) -> float:
    if len(first) < 2:
        return 0.0
    means = fmean(first), fmean(second)
    products = [(a - means[0]) * (b - means[1]) for a, b in zip(first, second, strict=True)]
    return math.fsum(products) / (len(first) - 1)
