"""What is known of Anthropic's models without asking: prices, the prompt cache, which take a temperature."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

from jurist.prices import Price

_PACKAGE = "jurist_anthropic"
_CACHE_FROM = 1024


@dataclass(frozen=True)
class Listing:
    """What the table that comes with this package says of one model.

    ``price`` is None where it says nothing. ``cache_from`` is how many tokens a prompt must begin with to be
    kept in the cache. ``sampling``: the model takes temperature and top_p, which newer ones refuse.
    """

    price: Price | None
    cache_from: int
    sampling: bool

    @classmethod
    def of(cls, model: str) -> Listing:
        """What is known of ``model``."""
        table = json.loads(resources.files(_PACKAGE).joinpath("prices.json").read_bytes())
        price = table["models"].get(model)
        return cls(
            price=None if price is None else Price.model_validate(price),
            cache_from=table["cache_min_tokens"].get(model, _CACHE_FROM),
            sampling=model in table["sampling"],
        )
