"""Writes the tables of prices that jurist-openai and jurist-anthropic ship.

    python contrib/refresh_prices.py

They are taken from the table of the LiteLLM that is installed, which is read as a file: LiteLLM itself is
not imported.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

Provider = Literal["openai", "anthropic"]
Models = Mapping[str, Mapping[str, Any]]

PLUGINS = Path(__file__).resolve().parent.parent / "plugins"
TABLE = "model_prices_and_context_window_backup.json"
CHAT = "/v1/chat/completions"
INPUT, OUTPUT = "input_cost_per_token", "output_cost_per_token"
BATCHED_OUTPUT = "output_cost_per_token_batches"
PRICES: Mapping[str, str] = {
    "input": INPUT,
    "output": OUTPUT,
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
}
"""Field of ``jurist.prices.Price`` → what LiteLLM calls it."""


def litellm_table() -> dict[str, dict[str, Any]]:
    """LiteLLM's table: name of a model → what is known of it."""
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        raise SystemExit("LiteLLM is not installed; try: pip install -c constraints.txt litellm")
    table: dict[str, dict[str, Any]] = json.loads(Path(found.origin).with_name(TABLE).read_bytes())
    return table


def source() -> str:
    """Where the numbers come from."""
    return f"LiteLLM {importlib.metadata.version('litellm')}, model_prices_and_context_window (MIT)"


def priced_models(table: Models, provider: Provider) -> dict[str, Mapping[str, Any]]:
    """The chat models of a provider that have a price, by their names."""
    return {
        name: facts
        for name, facts in sorted(table.items())
        if facts.get("litellm_provider") == provider
        and (facts.get("mode") == "chat" or CHAT in facts.get("supported_endpoints", ()))
        and facts.get(INPUT) is not None
        and facts.get(OUTPUT) is not None
    }


def price(facts: Mapping[str, Any]) -> dict[str, float]:
    """What a million tokens of a model cost, and the share of it that a call in a batch costs."""
    found = {
        ours: _rounded(facts[theirs] * 1e6)
        for ours, theirs in PRICES.items()
        if facts.get(theirs) is not None
    }
    if facts.get(BATCHED_OUTPUT) and facts[OUTPUT]:
        found["batch"] = _rounded(facts[BATCHED_OUTPUT] / facts[OUTPUT], digits=4)
    return found


def openai_table(table: Models) -> dict[str, Any]:
    """The table that jurist-openai ships."""
    models = {name: price(facts) for name, facts in priced_models(table, "openai").items()}
    return {"source": source(), "models": models}


def anthropic_table(table: Models) -> dict[str, Any]:
    """The table that jurist-anthropic ships: also from how many tokens on a prompt is cached, and which
    models take temperature and top_p.
    """
    models = priced_models(table, "anthropic")
    return {
        "source": source(),
        "models": {name: price(facts) for name, facts in models.items()},
        "cache_min_tokens": {
            name: facts["prompt_cache_min_tokens"]
            for name, facts in models.items()
            if facts.get("prompt_cache_min_tokens") is not None
        },
        "sampling": [name for name, facts in models.items() if facts.get("supports_sampling_params", True)],
    }


Make = Callable[[Models], dict[str, Any]]
SHIPPED: Mapping[Path, Make] = {
    PLUGINS / "openai" / "src" / "jurist_openai" / "prices.json": openai_table,
    PLUGINS / "anthropic" / "src" / "jurist_anthropic" / "prices.json": anthropic_table,
}
"""Every file that is shipped, and what makes it."""


def text_of(table: Mapping[str, Any]) -> str:
    """The table as JSON with one model on a line, so that a change of prices reads well as a diff."""
    parts = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            lines = [f"    {json.dumps(key)}: {json.dumps(inner)}" for key, inner in value.items()]
            parts.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
        else:
            parts.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write every table anew."""
    table = litellm_table()
    for path, make in SHIPPED.items():
        made = make(table)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(made), encoding="utf-8")
        sys.stdout.write(f"{path}: {len(made['models'])} models, from {made['source']}\n")


def _rounded(value: float, *, digits: int = 6) -> float:
    """The number without the noise of binary fractions, and whole where it is."""
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


if __name__ == "__main__":
    main()
