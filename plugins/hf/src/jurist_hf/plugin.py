"""Hooks of jurist-hf."""

from __future__ import annotations

from collections.abc import Iterable

from jurist import Component, hookimpl


@hookimpl
def jurist_chat_models() -> Iterable[Component]:
    """The chat model ``hf``."""
    yield Component("hf", "jurist_hf.model:TransformersChatModel", "A local transformers model, batched.")
