"""The prices that jurist-openai and jurist-anthropic ship are what the script makes of LiteLLM's table."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.prices import Price, read_prices
from jurist_anthropic.listing import Listing

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "contrib" / "refresh_prices.py"
REFRESH = "refresh the tables: python contrib/refresh_prices.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh_prices", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()


@pytest.mark.parametrize("path", list(script.SHIPPED), ids=lambda path: str(path.parent.name))
def test_shipped_tables_are_what_the_script_makes(path: Path) -> None:
    shipped = path.read_text(encoding="utf-8")
    if f"LiteLLM {version('litellm')}," not in shipped:
        pytest.skip(f"they are of another LiteLLM than the {version('litellm')} installed; {REFRESH}")
    assert shipped == script.text_of(script.SHIPPED[path](script.litellm_table())), REFRESH


@pytest.mark.parametrize("package", ["jurist_openai", "jurist_anthropic"])
def test_every_price_can_be_read(package: str) -> None:
    prices = read_prices(package)
    assert len(prices) > 10
    assert list(prices) == sorted(prices)


@pytest.mark.parametrize(
    ("package", "model", "price"),
    [
        (
            "jurist_anthropic",
            "claude-haiku-4-5",
            Price(input=1, output=5, cached_input=0.1, cache_write=1.25, batch=0.5),
        ),
        (
            "jurist_anthropic",
            "claude-sonnet-5",
            Price(input=2, output=10, cached_input=0.2, cache_write=2.5, batch=0.5),
        ),
        ("jurist_openai", "gpt-4o-mini", Price(input=0.15, output=0.6, cached_input=0.075, batch=0.5)),
        ("jurist_openai", "gpt-4.1", Price(input=2, output=8, cached_input=0.5, batch=0.5)),
    ],
)
def test_some_prices(package: str, model: str, price: Price) -> None:
    assert read_prices(package)[model] == price


@pytest.mark.parametrize(
    ("model", "cache_from", "sampling"),
    [
        ("claude-haiku-4-5", 4096, True),
        ("claude-sonnet-4-6", 1024, True),
        ("claude-opus-4-7", 2048, False),
        ("claude-sonnet-5-5", 512, False),
        ("not-known", 1024, False),
    ],
)
def test_what_else_is_known_of_anthropics_models(model: str, cache_from: int, sampling: bool) -> None:
    listing = Listing.of(model)
    assert (listing.cache_from, listing.sampling) == (cache_from, sampling)


def test_only_chat_models_with_prices_are_kept() -> None:
    table: dict[str, dict[str, Any]] = {
        "b": entry(cache_read_input_token_cost=3e-07),
        "a": entry(mode="responses", supported_endpoints=["/v1/chat/completions"]),
        "free": entry(input_cost_per_token=0, output_cost_per_token=0),
        "other provider": entry(litellm_provider="azure"),
        "no chat": entry(mode="embedding"),
        "no price": entry(output_cost_per_token=None),
    }
    assert script.openai_table(table)["models"] == {
        "a": {"input": 0.1, "output": 0.7, "batch": 0.5},
        "b": {"input": 0.1, "output": 0.7, "cached_input": 0.3, "batch": 0.5},
        "free": {"input": 0, "output": 0},
    }


def test_a_table_has_one_model_on_a_line() -> None:
    table = {"source": "x", "models": {"a": {"input": 1}, "b": {"input": 2}}, "sampling": ["a"]}
    text = script.text_of(table)
    assert json.loads(text) == table
    assert '    "b": {"input": 2}\n' in text


def entry(**changes: Any) -> dict[str, Any]:
    """What LiteLLM says of a model; as binary fractions, its prices times a million are not round."""
    return {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-07,
        "output_cost_per_token": 7e-07,
        "output_cost_per_token_batches": 3.5e-07,
        **changes,
    }
