"""Options of the pairwise judge of any chat model, and the examples it is shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from jurist.errors import UsageError
from jurist.files.prompts import read_messages
from jurist.files.record_file import RecordFile
from jurist.options import Faults
from jurist.parsing.confidence import CERTAIN
from jurist.records import Message, Record, content_id
from jurist.roles.options import RoleOptions


class Example(Record):
    """A comparison with its verdict, for a judge to go by.

    ``rationale`` is what a chain of thought would say, ``confidence`` the probability that the verdict is
    right, where one is to be stated, ``principle`` what it was judged by, where that is not what the
    comparison at hand is.
    """

    prompt: tuple[Message, ...]
    response_a: str
    response_b: str
    verdict: Literal["A", "B", "tie"]
    rationale: str = ""
    confidence: float | None = Field(default=None, ge=0.5, le=1)
    principle: str = ""

    @cached_property
    def id(self) -> str:
        """Derived from all of it."""
        return content_id("example", self)

    @field_validator("prompt", mode="before")
    @classmethod
    def _messages(cls, prompt: Any) -> tuple[Message, ...]:
        return read_messages(list(prompt) if isinstance(prompt, tuple) else prompt)


class JudgeOptions(RoleOptions):
    """Where the soft label comes from, and what the judge is shown and asked for.

    ``clamp`` is there since a chain of thought makes models overconfident; its default is the Constitutional
    AI paper's. A written verdict counts only in a reply that is whole; reasons that are cut off at
    ``max_tokens`` still lead to a choice, which comes from log-probabilities of its own. ``examples`` are
    shown before the comparison, in the same form.
    """

    placeholders: ClassVar[frozenset[str]] = frozenset(
        {"conversation", "prompt", "response_a", "response_b", "principles"}
    )
    required: ClassVar[frozenset[str]] = frozenset({"response_a", "response_b"})

    labels: Literal["auto", "logprobs", "verdict", "stated"] = Field(
        default="auto",
        description="Where the soft label comes from: the log-probabilities of `A` and `B`, the verdict as "
        "written, the confidence that the model states, or (`auto`) log-probabilities where the model gives "
        "them and no chain of thought is asked for, else the verdict.",
    )
    confidence: Literal["number", "words"] = Field(
        default="number",
        description="With `labels: stated`, what is asked for: percent, or Low, Medium or High. Both are "
        "read.",
    )
    word_probabilities: tuple[float, float, float] = Field(
        default=(0.6, 0.75, 0.9), description="What low, medium and high mean."
    )
    chain_of_thought: bool = Field(default=False, description="Reason first, then decide.")
    clamp: tuple[float, float] | None = Field(
        default=(0.4, 0.6),
        description="Bounds for a soft label taken from log-probabilities after a chain of thought; `null` "
        "for none. What is written is never clamped.",
    )
    examples: tuple[Example, ...] = Field(
        default=(),
        description="Comparisons with their verdicts, as under Examples, or the path of a JSONL file of "
        "them.",
    )

    def labels_by(self, capabilities: Collection[str]) -> Literal["logprobs", "verdict", "stated"]:
        """Where the soft label of a model with these capabilities comes from."""
        if self.labels != "auto":
            return self.labels
        return "logprobs" if "logprobs" in capabilities and not self.chain_of_thought else "verdict"

    def extremes(self, capabilities: Collection[str]) -> tuple[float, float]:
        """The lowest and the highest preference that a model with these capabilities can give."""
        labels = self.labels_by(capabilities)
        if labels == "stated":
            in_words = self.confidence == "words"
            most = min(self.word_probabilities[-1], CERTAIN) if in_words else CERTAIN
            return 1 - most, most
        bounded = labels == "logprobs" and self.chain_of_thought and self.clamp is not None
        return self.clamp if bounded and self.clamp is not None else (0.0, 1.0)

    @field_validator("clamp")
    @classmethod
    def _bounds(cls, clamp: tuple[float, float] | None) -> tuple[float, float] | None:
        if clamp is not None and not 0 <= clamp[0] <= 0.5 <= clamp[1] <= 1:
            raise ValueError("expected two numbers from 0 to 1 with 0.5 between them")
        return clamp

    @field_validator("word_probabilities")
    @classmethod
    def _rising(cls, words: tuple[float, float, float]) -> tuple[float, float, float]:
        if not 0.5 <= words[0] <= words[1] <= words[2] <= 1:
            raise ValueError("expected three numbers from 0.5 to 1 that do not fall: low, medium, high")
        return words

    @field_validator("examples", mode="before")
    @classmethod
    def _loaded(cls, examples: Any) -> Any:
        if not isinstance(examples, str):
            return examples
        try:
            return tuple(RecordFile(Path(examples), _example, "examples"))
        except UsageError as error:
            cause = f" ({error.cause})" if error.cause else ""
            raise Faults(error.faults or [f"{error.what}{cause}"]) from error

    @model_validator(mode="after")
    def _fitting(self) -> JudgeOptions:
        faults = [
            f"examples.{number}: {fault}"
            for number, example in enumerate(self.examples)
            for fault in self._lacks(example)
        ]
        if faults:
            raise Faults(faults)
        return self

    def _lacks(self, example: Example) -> list[str]:
        """Why an example cannot be shown in the form that the judge answers in."""
        faults = []
        in_letters = self.labels == "logprobs" or (self.labels == "auto" and not self.chain_of_thought)
        if example.verdict == "tie" and in_letters:
            faults.append("only A or B may be answered here; a tie needs 'labels: verdict' or 'stated'")
        if self.chain_of_thought and not example.rationale.strip():
            faults.append("with 'chain_of_thought' it needs a 'rationale'")
        if self.labels == "stated" and example.verdict != "tie" and example.confidence is None:
            faults.append("with 'labels: stated' it needs a 'confidence'")
        return faults


def _example(row: Any) -> Example:
    if not isinstance(row, Mapping):
        raise ValueError("a row is an object with prompt, response_a, response_b and verdict")
    return Example.model_validate(dict(row))
