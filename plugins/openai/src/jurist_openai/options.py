"""The options of ``openai``, and what follows from them: where the server is and what it is told."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import Field, JsonValue, SecretStr, field_validator

from jurist.options import Operational, Options, checked_address
from jurist.prices import Price

OFFICIAL = "https://api.openai.com/v1"

_SET_HERE = frozenset(
    {
        *("model", "messages", "stream", "n", "stop", "seed", "temperature", "top_p"),
        *("max_tokens", "max_completion_tokens", "logprobs", "top_logprobs"),
    }
)
_REASONS = re.compile(r"^(o\d|gpt-[5-9](?!.*chat))")
"""Names of OpenAI's models that think before they answer; such models take no sampling parameters."""


class OpenAIOptions(Options):
    """Options of ``openai``.

    Without ``base_url`` and ``api_key`` the environment is read as OpenAI's own client does
    (``OPENAI_BASE_URL``, ``OPENAI_API_KEY``, also ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID``). A model that
    thinks before it answers gets no sampling parameters. ``structured`` is for such as give no
    log-probabilities. Keep secrets out of ``extra``.
    """

    model: str = Field(description="As the server calls it; with `api_version`, the deployment.")
    base_url: str | None = Field(
        default=None, description="The address of the server; by default `OPENAI_BASE_URL`, else OpenAI."
    )
    api_key: SecretStr | None = Field(
        default=None, description="By default `OPENAI_API_KEY`. Write `${NAME}`, never the key."
    )
    api_version: str | None = Field(
        default=None, description="Says that the server is Azure's, and `base_url` its endpoint."
    )
    reasoning: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Whether the model thinks before it answers; `auto` goes by OpenAI's names.",
    )
    thinking_tokens: int = Field(
        default=4096, ge=0, description="What such a model may think, on top of `max_tokens`."
    )
    structured: bool = Field(default=False, description="Ask such a model for choices as JSON by a schema.")
    top_logprobs: int = Field(default=20, ge=2, le=20, description="Alternatives to ask for per token.")
    extra: dict[str, JsonValue] = Field(
        default_factory=dict, description="Put into every request: `reasoning_effort`, `service_tier` …"
    )
    price: Annotated[Price | None, Operational] = Field(
        default=None, description="As under Prices; by default OpenAI's, for OpenAI's server."
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
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL).rstrip("/")

    @property
    def official(self) -> bool:
        """Whether it is OpenAI's own server."""
        return self.address == OFFICIAL

    @property
    def secret(self) -> str | None:
        """The key, or None where there is none; servers of one's own often want none."""
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        return os.environ.get("AZURE_OPENAI_API_KEY" if self.api_version else "OPENAI_API_KEY")

    @property
    def lacks_key(self) -> bool:
        """Whether it needs a key and has none."""
        return self.secret is None and self.official

    @property
    def reasons(self) -> bool:
        """Whether the model thinks before it answers."""
        if self.reasoning == "auto":
            return _REASONS.match(self.model) is not None
        return self.reasoning == "yes"

    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        headers = {"Content-Type": "application/json"}
        if self.secret is not None:
            name, prefix = ("api-key", "") if self.api_version else ("Authorization", "Bearer ")
            headers[name] = prefix + self.secret
        known = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
        return headers | {name: os.environ[key] for name, key in known.items() if os.environ.get(key)}

    def chat_url(self) -> str:
        """Where chat completions are asked for."""
        if self.api_version is None:
            return f"{self.address}/chat/completions"
        deployment = f"{self.address}/openai/deployments/{self.model}"
        return f"{deployment}/chat/completions?api-version={self.api_version}"
