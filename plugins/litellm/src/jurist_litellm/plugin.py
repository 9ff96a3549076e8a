"""Hooks of jurist-litellm."""

from __future__ import annotations

from collections.abc import Iterable

from jurist import Component, hookimpl


@hookimpl
def jurist_chat_models() -> Iterable[Component]:
    """The chat model ``litellm``."""
    summary = "Chat models of 100+ providers, through LiteLLM."
    yield Component("litellm", "jurist_litellm.model:LiteLLMChatModel", summary)
