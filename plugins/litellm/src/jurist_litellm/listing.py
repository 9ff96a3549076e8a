"""What LiteLLM's tables say of a model: its provider, features and price, and how its tokens are counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from jurist.errors import ProviderError
from jurist.prices import Price
from jurist.records import Message
from jurist_litellm.failures import PROVIDED_BY
from jurist_litellm.library import litellm

_PER_TOKEN = 1_000_000
_TOKENIZED = frozenset({"openai", "azure"})
"""The providers whose vocabularies are in LiteLLM's package."""
_ASKED = frozenset({"huggingface", "lemonade", "ollama"})
"""The providers that LiteLLM would ask over the network about a model that its table lacks."""


class Listing:
    """One model as LiteLLM lists it.

    ``provider`` and ``name`` are the two halves of its name; ``parameters`` are those that it takes.
    """

    def __init__(self, model: str, api_base: str | None) -> None:
        self.model = model
        try:
            self.name, self.provider, _, _ = litellm.get_llm_provider(model, api_base=api_base)
        except litellm.exceptions.BadRequestError as error:
            raise ProviderError(
                f"LiteLLM knows no provider of the model '{model}'.",
                fatal=True,
                provided_by=PROVIDED_BY,
                cause=error,
                hint="put the provider first, as in openai/gpt-5-mini or hosted_vllm/my-model",
            ) from error
        self.parameters = frozenset(litellm.get_supported_openai_params(model=model) or ())

    @cached_property
    def price(self) -> Price | None:
        """What its tokens cost, or None where the table does not say."""
        entry = self._entry
        asked, written = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        if asked is None or written is None or asked < 0 or written < 0:
            return None
        return Price(
            input=_per_million(asked),
            output=_per_million(written),
            # The table has 0 where a provider names no price of its own for these.
            cached_input=_per_million(entry.get("cache_read_input_token_cost")) or None,
            cache_write=_per_million(entry.get("cache_creation_input_token_cost")) or None,
        )

    def says(self, feature: str) -> bool:
        """Whether the table, which has some models by their bare name, lists the feature."""
        return any(litellm.model_cost.get(name, {}).get(feature) for name in (self.model, self.name))

    def count(self, messages: Sequence[Message]) -> int | None:
        """How many tokens ``messages`` have, or None where LiteLLM would count with another vocabulary."""
        if self.provider not in _TOKENIZED or self.name not in litellm.open_ai_chat_completion_models:
            return None
        counted = litellm.token_counter(model=self.name, messages=[each.model_dump() for each in messages])
        return int(counted) or None  # 0 where a program has switched LiteLLM's counter off

    @property
    def _entry(self) -> dict[str, Any]:
        """The table's entry; empty if there is none, also where LiteLLM would put zeros in its place."""
        table: dict[str, dict[str, Any]] = litellm.model_cost
        if self.provider in _ASKED:
            return table.get(self.model, {})
        try:
            return table.get(litellm.get_model_info(self.model)["key"], {})
        except Exception:  # of no class of its own: the model is not listed
            return {}


def _per_million(usd: float | None) -> float:
    """The price of a million tokens, without the dust of the multiplication."""
    return round((usd or 0.0) * _PER_TOKEN, 9)
