"""What the prompts of one batch all began with, kept for the next."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Beginning:
    """Token ids with their keys and values: a cache of one row."""

    ids: tuple[int, ...]
    cache: Any

    def first(self, tokens: int) -> Any:
        """A cache of the first so many tokens, to go on from; this one stays as it is."""
        # Layers replace their tensors and never write into them, so these need no copy.
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        cache.crop(tokens - len(self.ids))
        return cache
