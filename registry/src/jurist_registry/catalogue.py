"""Which distribution offers which component, for those of Jurist that are not installed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CATALOGUE: Mapping[str, str] = MappingProxyType(
    {
        "litellm": "jurist-litellm",
        "hf": "jurist-hf",
        "sft": "jurist-trl",
        "reward_model": "jurist-trl",
        "ppo": "jurist-trl",
    }
)
"""Name of a component → the distribution of ours that offers it."""
