"""UnmeteredModels: chat models that are asked for prices, tokens, access and fit, and never for an answer."""

from __future__ import annotations

import json

from jurist.contracts import ChatModel
from jurist.selection import Selection


class UnmeteredModels:
    """Chat models outside any engine; what has the same settings is one object, with one tokenizer."""

    def __init__(self) -> None:
        self._built: dict[str, ChatModel] = {}

    def of(self, selection: Selection) -> ChatModel | None:
        """The chat model that was selected; None if it is another component."""
        if not issubclass(selection.implementation, ChatModel):
            return None
        options = selection.implementation.Options.model_fields
        own = {name: value for name, value in selection.settings.items() if name in options}
        key = json.dumps([selection.component.target, own], sort_keys=True)  # secrets too: only in memory
        if key not in self._built:
            self._built[key] = selection.implementation(selection.options)
        return self._built[key]

    async def close(self) -> None:
        """Close them all."""
        while self._built:
            _, model = self._built.popitem()
            await model.close()
