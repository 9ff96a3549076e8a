"""How long the simulated provider thinks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal


@dataclass(frozen=True)
class Latency:
    """The seconds from the arrival of a generation to its answer; make one with the class methods."""

    shape: Literal["constant", "uniform", "lognormal"]
    first: float
    second: float = 0.0

    def __post_init__(self) -> None:
        if self.first < 0 or self.second < 0:
            raise ValueError(f"a latency cannot be negative: {self}")

    @classmethod
    def constant(cls, seconds: float) -> Latency:
        """Always the same."""
        return cls("constant", seconds)

    @classmethod
    def uniform(cls, low: float, high: float) -> Latency:
        """Anything from ``low`` to ``high``, all equally likely."""
        return cls("uniform", low, high)

    @classmethod
    def lognormal(cls, median: float, sigma: float) -> Latency:
        """Half below ``median``, with a long tail; ``sigma`` is the standard deviation of the logarithm."""
        if median == 0:
            raise ValueError("the median of a lognormal latency must be more than 0")
        return cls("lognormal", median, sigma)

    def draw(self, random: Random) -> float:
        """The seconds of one generation."""
        if self.shape == "constant":
            return self.first
        if self.shape == "uniform":
            return random.uniform(self.first, self.second)
        return random.lognormvariate(math.log(self.first), self.second)
