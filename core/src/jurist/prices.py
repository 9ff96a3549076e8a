"""Prices: what the tokens of a model cost."""

from __future__ import annotations

import json
from importlib import resources

from pydantic import Field

from jurist.options import Options

_MILLION = 1_000_000


class Price(Options):
    """US dollars per million tokens; ``batch`` is null where batches are not offered."""

    input: float = Field(ge=0, description="Prompt tokens.")
    output: float = Field(ge=0, description="Tokens that the model writes.")
    cached_input: float | None = Field(
        default=None,
        ge=0,
        description="Prompt tokens that the provider had in its cache; by default as `input`.",
    )
    cache_write: float | None = Field(
        default=None, ge=0, description="Prompt tokens that it put there; by default as `input`."
    )
    batch: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The share of all prices that a call in a batch costs: 0.5 is half price.",
    )

    def usd(
        self, prompt: float, completion: float, *, cached: float = 0, written: float = 0, batch: bool = False
    ) -> float:
        """What a call costs; ``prompt`` counts all prompt tokens, ``cached`` and ``written`` ones too."""
        cached = min(max(0, cached), prompt)  # a provider may say anything
        written = min(max(0, written), prompt - cached)
        cached_input = self.input if self.cached_input is None else self.cached_input
        cache_write = self.input if self.cache_write is None else self.cache_write
        plain = prompt - cached - written
        cost = plain * self.input + cached * cached_input + written * cache_write + completion * self.output
        share = self.batch if batch and self.batch is not None else 1.0
        return share * cost / _MILLION


FREE = Price(input=0, output=0)
"""The price of a model that runs on one's own machine."""


def read_prices(package: str) -> dict[str, Price]:
    """The table ``prices.json`` that ``package`` ships: name of a model → its price."""
    table = json.loads(resources.files(package).joinpath("prices.json").read_bytes())
    return {name: Price.model_validate(price) for name, price in table["models"].items()}
