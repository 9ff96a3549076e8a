"""The options of ``anthropic``."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field, JsonValue, SecretStr, field_validator

from jurist.options import Operational, Options, checked_address
from jurist.prices import Price

OFFICIAL = "https://api.anthropic.com"

_SET_HERE = frozenset(
    {
        *("model", "messages", "system", "stream", "cache_control", "timeout"),
        *("max_tokens", "stop_sequences", "temperature", "top_p"),
        *("extra_body", "extra_headers", "extra_query"),
    }
)


class AnthropicOptions(Options):
    """Options of ``anthropic``.

    Without ``api_key`` and ``base_url`` the environment is read as Anthropic's own client does. Keep secrets
    out of ``extra``.
    """

    model: str = Field(description="As Anthropic calls it.")
    api_key: SecretStr | None = Field(
        default=None,
        description="By default `ANTHROPIC_API_KEY`, else `ANTHROPIC_AUTH_TOKEN`. Write `${NAME}`, never "
        "the key.",
    )
    base_url: str | None = Field(
        default=None,
        description="The address of the server; by default `ANTHROPIC_BASE_URL`, else Anthropic.",
    )
    sampling: bool | None = Field(
        default=None,
        description="Whether the model is sent temperature and top_p; by default those are that are known "
        "to take them.",
    )
    extra: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Put into every request: `thinking`, `output_config`, `service_tier` …",
    )
    cache: Annotated[bool, Operational] = Field(
        default=True, description="Have what many requests share kept in the prompt cache."
    )
    price: Annotated[Price | None, Operational] = Field(
        default=None, description="As under Prices; by default Anthropic's."
    )

    _is_an_address = field_validator("base_url")(checked_address)

    @field_validator("extra")
    @classmethod
    def _leaves_the_request_alone(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(_SET_HERE & extra.keys()):
            raise ValueError(f"{', '.join(taken)} cannot be given in extra; the request or an option sets it")
        return extra

    @property
    def address(self) -> str:
        """Where the server is, without a slash at the end."""
        return (self.base_url or os.environ.get("ANTHROPIC_BASE_URL") or OFFICIAL).rstrip("/")

    @property
    def thinks(self) -> bool:
        """Whether the model is told to think before it answers."""
        thinking = self.extra.get("thinking")
        return isinstance(thinking, dict) and thinking.get("type") != "disabled"
