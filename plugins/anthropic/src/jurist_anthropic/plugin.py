"""Hooks of jurist-anthropic."""

from __future__ import annotations

from collections.abc import Iterable

from jurist import Component, hookimpl


@hookimpl
def jurist_chat_models() -> Iterable[Component]:
    """The chat model ``anthropic``."""
    summary = "Anthropic's models, with prompt caching; batches."
    yield Component("anthropic", "jurist_anthropic.model:AnthropicChatModel", summary)
