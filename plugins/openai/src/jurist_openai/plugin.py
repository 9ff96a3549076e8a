"""Hooks of jurist-openai."""

from __future__ import annotations

from collections.abc import Iterable

from jurist import Component, hookimpl


@hookimpl
def jurist_chat_models() -> Iterable[Component]:
    """The chat model ``openai``."""
    summary = "OpenAI and OpenAI-compatible servers (vLLM, SGLang, Ollama, TGI), fast; batches."
    yield Component("openai", "jurist_openai.model:OpenAIChatModel", summary)
