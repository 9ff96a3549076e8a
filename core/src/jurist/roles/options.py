"""Options that roles share."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from jurist.chat import Sampling
from jurist.options import Options
from jurist.templates import template_faults

_IN_PLACE = "In place of the role's own."


class SamplingOptions(Options):
    """How a role samples; what is not given is left as the call or the role has it."""

    temperature: float | None = Field(default=None, ge=0, description=_IN_PLACE)
    top_p: float | None = Field(default=None, gt=0, le=1, description=_IN_PLACE)
    max_tokens: int | None = Field(default=None, ge=1, description=_IN_PLACE)
    stop: tuple[str, ...] | None = Field(default=None, description=_IN_PLACE)
    system: str | None = Field(default=None, description="A system message to put first.")

    def sampling(self, base: Sampling) -> Sampling:
        """``base`` with the options that were given in its place."""
        names = ("temperature", "top_p", "max_tokens", "stop")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return base.model_copy(update=given)


class RoleOptions(SamplingOptions):
    """Options of every role that speaks by a template: core's own, or one in its place."""

    placeholders: ClassVar[frozenset[str]] = frozenset()
    required: ClassVar[frozenset[str]] = frozenset()

    language: Literal["auto", "en", "zh"] = Field(
        default="auto",
        description="Which of core's templates to speak: `auto` goes by the language of the principles, or "
        "of the prompt where there are none.",
    )
    template: str | None = Field(
        default=None, description="A text of your own, sent as the one user message."
    )
    reasks: int = Field(
        default=2,
        ge=0,
        le=100,
        description="How many times more to ask when an answer cannot be read; at most 100.",
    )

    @field_validator("template")
    @classmethod
    def _fillable(cls, template: str | None) -> str | None:
        faults = template_faults(template, cls.placeholders, cls.required) if template is not None else []
        if faults:
            raise ValueError("; ".join(faults))
        return template
