"""The data that flows through Jurist: frozen records, one JSON line each.

Ids are derived from content, so the same input has the same id in every run.

A failure is never a label. Whatever answers a question about text (a judge, a critic, a scorer, a
generator) gives exactly one of an *answer* (:class:`Judgment`, :class:`Critique`, :class:`Score`,
:class:`Response`), an :class:`Abstention` (it was asked and gave no usable answer) or a
:class:`Failure` (the call did not succeed). Nothing turns the last two into a number or a text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Role = Literal["system", "user", "assistant"]
Order = Literal["ab", "ba", "both", "either", "mixed"]
"""The order that was shown: one; both, one by one; either, since it plays no part; or several in a mixture
that cannot be told apart."""

OnFlip = Literal["average", "abstain"]
"""What to make of a judge's two orders where they contradict each other."""

ROUNDING = 1e-12
"""Probabilities that are nearer to each other differ by rounding alone."""

Reason = Literal[
    "unparsed",  # no explicit answer could be read from the text
    "refused",  # the model declined, or its provider's content filter stopped it
    "truncated",  # the answer was cut off before the verdict
    "inconsistent",  # the two presentation orders contradict each other
    "low_confidence",  # an answer, but not sure enough
    "no_majority",  # the jury did not agree enough
    "no_votes",  # every judge abstained or failed
    "tie",  # the responses were found equally good
    "filtered",  # a hard principle excludes the item
    "missing",  # nothing is recorded for this item
    "undecided",  # nothing against the item, and nothing that decides it either
]


def content_id(*parts: Any) -> str:
    """Sixteen hex digits that depend on nothing but ``parts`` (JSON values or records)."""
    return hashlib.sha256(canonical_json(parts)).hexdigest()[:16]


def canonical_json(value: Any) -> bytes:
    """``value``, of JSON values and records, as JSON that depends on nothing but its content."""
    return _ENCODER.encode(value).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """A record as JSON values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{value!r} is neither a JSON value nor a record")


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)


class Record(BaseModel):
    """Base of all records: frozen, strict about unknown fields, one JSON line each."""

    # As strings, infinities and NaN are valid JSON and come back as they were; the default is null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def to_json(self) -> str:
        """This record as one line of JSON, without the line end."""
        return self.model_dump_json(exclude_defaults=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed. Ids are derived anew: pydantic would keep those it had cached.

        A run copies records several times for each call, so this leaves out what frozen records without
        extra or private fields do not need; it takes a fifth of the time.
        """
        if deep:
            return super().model_copy(update=update, deep=True)
        known = type(self).__pydantic_fields__
        fields = {name: value for name, value in self.__dict__.items() if name in known}
        changed = update or {}
        copied = type(self).__new__(type(self))
        object.__setattr__(copied, "__dict__", {**fields, **changed})
        object.__setattr__(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changed.keys())
        object.__setattr__(copied, "__pydantic_extra__", None)
        object.__setattr__(copied, "__pydantic_private__", None)
        return copied


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: str


class Prompt(Record):
    """What the policy is asked: a conversation that ends with the user's turn.

    ``tags`` select (routing, reports); ``metadata`` is carried along untouched. Neither is part of
    the id.
    """

    messages: tuple[Message, ...] = Field(min_length=1)
    tags: tuple[str, ...] = ()
    # A plain {} would be copied deeply each time.
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"messages": [{"role": "user", "content": value}]}
        return value

    @classmethod
    def of(cls, text: str, **fields: Any) -> Prompt:
        """A prompt of one user message."""
        return cls(messages=(Message(role="user", content=text),), **fields)

    @cached_property
    def id(self) -> str:
        """Derived from the messages alone."""
        return content_id("prompt", [{"content": m.content, "role": m.role} for m in self.messages])


class Usage(Record):
    """What something cost. ``seconds`` is the time the provider took, queueing left out."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        if self is NO_USAGE:  # most sums begin with it
            return other
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            usd=self.usd + other.usd,
            seconds=self.seconds + other.seconds,
        )


NO_USAGE = Usage()
"""What a call costs that was not made."""


class Outcome(Record):
    """What the three outcomes of any question have in common.

    ``source`` names who was asked; ``raw`` is the text the model wrote. Those that a judge gives have two
    more: ``order``, the presentation order that was shown, and ``parts``, the outcomes this one was made of:
    the two orders where ``order`` is ``both``, else what judges inside said.
    """

    source: str = ""
    raw: str | None = None
    usage: Usage = NO_USAGE


class Abstention(Outcome):
    """It was asked, and gave no usable answer."""

    kind: Literal["abstention"] = "abstention"
    reason: Reason
    detail: str = ""
    order: Order | None = None
    parts: tuple[JudgeOutcome, ...] = ()


class Failure(Outcome):
    """The call did not succeed. ``retryable``: it may succeed when the run is repeated."""

    kind: Literal["failure"] = "failure"
    error: str
    retryable: bool = False
    order: Order | None = None
    parts: tuple[JudgeOutcome, ...] = ()


class Response(Outcome):
    """What the policy answered. Its id depends on the text alone."""

    kind: Literal["response"] = "response"
    text: str
    finish_reason: Literal["stop", "length"] = "stop"

    @cached_property
    def id(self) -> str:
        """Derived from the text alone."""
        return content_id("response", self.text)

    @property
    def is_complete(self) -> bool:
        """Whether it says something and came to its end; others would teach to stop in mid-sentence."""
        return bool(self.text.strip()) and self.finish_reason == "stop"

    def says_the_same_as(self, other: Response) -> bool:
        """Whether the texts are equal, but for blanks at the ends and at the ends of lines."""
        if self.text == other.text:
            return True
        if self.text.split(None, 1)[:1] != other.text.split(None, 1)[:1]:  # mostly the first word tells
            return False
        return _trimmed(self.text) == _trimmed(other.text)


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


class Finding(Record):
    """What a critic found about one principle.

    ``satisfied`` is None when the critique gives no verdict (the free critiques of the paper).
    """

    principle: str
    satisfied: bool | None
    explanation: str = ""
    suggestion: str = ""


class Critique(Outcome):
    """A critic's answer: one finding per principle it was asked about."""

    kind: Literal["critique"] = "critique"
    findings: tuple[Finding, ...] = Field(min_length=1)

    @property
    def satisfied(self) -> bool:
        """Whether every principle was found satisfied."""
        return all(finding.satisfied is True for finding in self.findings)

    @property
    def violated(self) -> tuple[str, ...]:
        """The names of the principles found violated."""
        return tuple(f.principle for f in self.findings if f.satisfied is False)


class Score(Outcome):
    """A scorer's answer: one number, and any number of named ones beside it."""

    kind: Literal["score"] = "score"
    value: float
    metrics: dict[str, float] = {}


class Judgment(Outcome):
    """What one judge said of one comparison.

    ``preference`` is P(A is better), in the comparison's own A and B whatever order was shown; 0.5 is
    a tie that the judge declared. ``method`` says where the number comes from (``logprobs``,
    ``verdict``, ``stated``, ``model``, ``recorded``).
    """

    kind: Literal["judgment"] = "judgment"
    preference: float = Field(ge=0, le=1)
    order: Order = "ab"
    method: str = "verdict"
    rationale: str | None = None
    parts: tuple[JudgeOutcome, ...] = ()


JudgeOutcome = Annotated[Judgment | Abstention | Failure, Field(discriminator="kind")]
CritiqueOutcome = Annotated[Critique | Abstention | Failure, Field(discriminator="kind")]
ScoreOutcome = Annotated[Score | Abstention | Failure, Field(discriminator="kind")]
ResponseOutcome = Annotated[Response | Abstention | Failure, Field(discriminator="kind")]


class Step(Record):
    """One round of a trajectory: a critique and, if one was asked for, the revision it led to."""

    round: int
    principles: tuple[str, ...]
    critique: CritiqueOutcome
    revision: ResponseOutcome | None = None


class Trajectory(Record):
    """A prompt's whole way: response → critique → revision → critique → …

    ``ended`` says why it stopped: ``satisfied`` (a critique found nothing), ``rounds`` (as many as
    were allowed), ``abstention`` or ``failure`` (a step gave no answer; earlier steps stay valid).
    """

    prompt: Prompt
    response: ResponseOutcome
    steps: tuple[Step, ...] = ()
    ended: Literal["satisfied", "rounds", "abstention", "failure"]

    @property
    def revisions(self) -> tuple[Response, ...]:
        """Every revision that was written, in order; the initial response is not one of them."""
        return tuple(s.revision for s in self.steps if isinstance(s.revision, Response))


class Comparison(Record):
    """A prompt with two responses, A shown first.

    ``critique_a`` and ``critique_b`` hold what is known of the hard principles, when asked for. ``sample``
    tells apart questions that are otherwise the same, where a judge is asked several times; the id is not.
    """

    prompt: Prompt
    response_a: Response
    response_b: Response
    critique_a: CritiqueOutcome | None = None
    critique_b: CritiqueOutcome | None = None
    sample: int = Field(default=0, ge=0, exclude_if=lambda sample: sample == 0)

    @cached_property
    def id(self) -> str:
        """Derived from the prompt and both texts, in this order."""
        return content_id("comparison", self.prompt.id, self.response_a.text, self.response_b.text)

    def swapped(self) -> Comparison:
        """The same comparison with B shown first."""
        return Comparison(
            prompt=self.prompt,
            response_a=self.response_b,
            response_b=self.response_a,
            critique_a=self.critique_b,
            critique_b=self.critique_a,
            sample=self.sample,
        )


class Decision(Record):
    """What an aggregator made of a jury's outcomes.

    ``decided``: ``probability`` is P(A is better). ``set_aside``: the item is out, with the reason.
    ``undecided``: this aggregator passes the item on to the next in the chain, with the reason.
    """

    status: Literal["decided", "set_aside", "undecided"]
    probability: float | None = Field(default=None, ge=0, le=1)
    reason: Reason | None = None
    detail: str = ""
    aggregator: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Decision:
        if (self.status == "decided") != (self.probability is not None):
            raise ValueError("a decision has a probability exactly when it is decided")
        if (self.status == "decided") == (self.reason is not None):
            raise ValueError("a decision has a reason exactly when it is not decided")
        return self


class Preference(Record):
    """A labelled pair, in the layout that ``datasets`` and TRL read as it is.

    ``probability`` is P(chosen is better), at least 0.5.
    """

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    probability: float = Field(ge=0.5, le=1)
    prompt_id: str
    comparison_id: str
    aggregator: str
    tags: tuple[str, ...] = ()


for _record in (Abstention, Failure, Judgment):
    _record.model_rebuild()
