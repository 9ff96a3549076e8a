"""Which distribution offers which component, for those of Jurist that are not installed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CATALOGUE: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "jurist-anthropic",
        "classifier": "jurist-classifier",
        "demo-brief": "jurist-demo",
        "demo-friendly": "jurist-demo",
        "demo-oracle": "jurist-demo",
        "demo-rules": "jurist-demo",
        "demo-strict": "jurist-demo",
        "hf": "jurist-hf",
        "litellm": "jurist-litellm",
        "openai": "jurist-openai",
        "trl-dpo": "jurist-trl",
        "trl-grpo": "jurist-trl",
        "trl-ppo": "jurist-trl",
        "trl-reward": "jurist-trl",
        "trl-reward-model": "jurist-trl",
        "trl-rloo": "jurist-trl",
        "trl-sft": "jurist-trl",
    }
)
"""Name of a component → the distribution of ours that offers it."""
