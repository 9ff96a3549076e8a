"""Options that roles share."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from jurist.chat import Sampling
from jurist.options import Options
from jurist.templates import template_faults


class SamplingOptions(Options):
    """How a role samples; what is not given is left as the call or the role has it."""

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: tuple[str, ...] | None = None
    system: str | None = None

    def sampling(self, base: Sampling) -> Sampling:
        """``base`` with the options that were given in its place."""
        names = ("temperature", "top_p", "max_tokens", "stop")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return base.model_copy(update=given)


class RoleOptions(SamplingOptions):
    """Options of every role that speaks by a template.

    ``template`` replaces core's own text and is sent as the single user message; ``language`` picks core's
    text, and ``auto`` goes by the principles, or the prompt where there are none. ``reasks``: how many times
    more to ask when an answer cannot be read.
    """

    placeholders: ClassVar[frozenset[str]] = frozenset()
    required: ClassVar[frozenset[str]] = frozenset()

    language: Literal["auto", "en", "zh"] = "auto"
    template: str | None = None
    reasks: int = Field(default=2, ge=0, le=100)

    @field_validator("template")
    @classmethod
    def _fillable(cls, template: str | None) -> str | None:
        faults = template_faults(template, cls.placeholders, cls.required) if template is not None else []
        if faults:
            raise ValueError("; ".join(faults))
        return template
