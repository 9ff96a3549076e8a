"""Labelled items: comparisons with a person's label and, where judges were asked, their votes.

A file of them has one JSON object per line:

    {"item": "q7", "label": "A", "tags": ["hard"], "prompt": "…", "response_a": "…", "response_b": "…",
     "votes": [{"judge": "gpt", "order": "ba", "verdict": "A", "confidence": 0.8}]}

``label`` is ``A``, ``B`` or ``tie``. A verdict is named in the item's own A and B, whatever order was shown,
and null where there was none. The texts may be left out where votes are all that is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from jurist.files.prompts import read_messages
from jurist.files.record_file import RecordFile
from jurist.judges.orders import merged
from jurist.records import (
    Abstention,
    Comparison,
    Failure,
    JudgeOutcome,
    Judgment,
    Message,
    OnFlip,
    Prompt,
    Reason,
    Record,
    Response,
    content_id,
)

Label = Literal["A", "B", "tie"]
ShownOrder = Literal["ab", "ba", "either", "mixed"]
_LEAST_SIDED = 0.51
"""P(side) of a verdict whose stated confidence is one half or less: none turns a verdict round."""


class Provenance(Record):
    """Where the votes of a stage come from, as they record it.

    ``versions`` has a fingerprint for each judge's name, of its settings and of how it was asked. ``seed`` is
    that of the recipe where it said which principle was sampled, else None. ``unpriced`` are the judges some
    of whose calls cost nobody knows what.
    """

    versions: dict[str, str] = Field(default={})
    seed: int | None = None
    unpriced: tuple[str, ...] = ()


_NOT_KNOWN = Provenance()


class Vote(Record):
    """What one judge said of an item in one presentation order.

    ``confidence`` is the stated probability, from 0 to 1, that the verdict is right. ``probability`` is P(A
    is better), for a verdict B whose confidence, being one minus that, was rounded. ``reason`` says why there
    is no verdict: a reason of an abstention, or ``failure``. ``version`` is a fingerprint of the judge's
    settings and of how it was asked, ``seed`` that of the sampled principles. ``usd`` is what the vote cost,
    None where that is not known. Several votes of one judge in one order are repeated samples.

    ``order`` is ``either`` where the order plays no part for this judge, and ``mixed`` where what it said
    rests on both and cannot be told apart by order.
    """

    judge: str
    order: ShownOrder = "ab"
    verdict: Label | None
    confidence: float | None = Field(default=None, ge=0, le=1)
    probability: float | None = Field(default=None, ge=0, lt=0.5)
    reason: Reason | Literal["failure", ""] = ""
    version: str = ""
    seed: int | None = None
    usd: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _probability_of_b(self) -> Self:
        if self.probability is not None and self.verdict != "B":
            raise ValueError("a 'probability' below one half, that A is better, is of a verdict B")
        return self

    @classmethod
    def of(cls, outcome: JudgeOutcome, provenance: Provenance = _NOT_KNOWN) -> Vote:
        """The vote that an outcome of one order is."""
        order: ShownOrder = "mixed" if outcome.order == "both" else outcome.order or "ab"
        judge = outcome.source
        common: dict[str, Any] = {
            "judge": judge,
            "order": order,
            "version": provenance.versions.get(judge, ""),
            "seed": provenance.seed,
            "usd": None if judge in provenance.unpriced else outcome.usage.usd,
        }
        if isinstance(outcome, Failure):
            return cls(verdict=None, reason="failure", **common)
        if isinstance(outcome, Abstention):
            return cls(verdict=None, reason=outcome.reason, **common)
        preference = outcome.preference
        if preference == 0.5:
            return cls(verdict="tie", **common)
        if preference in (0, 1):
            return cls(verdict="A" if preference else "B", **common)
        if preference > 0.5:
            return cls(verdict="A", confidence=preference, **common)
        sure = 1 - preference
        exact = 1 - sure == preference
        return cls(verdict="B", confidence=sure, probability=None if exact else preference, **common)

    @property
    def preference(self) -> float | None:
        """P(A is better) by this vote; None where it has no verdict."""
        if self.verdict is None:
            return None
        if self.verdict == "tie":
            return 0.5
        if self.probability is not None:
            return self.probability
        sure = 1.0 if self.confidence is None else self.confidence
        sure = sure if sure > 0.5 else _LEAST_SIDED
        return sure if self.verdict == "A" else 1 - sure

    def outcome(self) -> JudgeOutcome:
        """The outcome that this vote records."""
        if self.preference is not None:
            return Judgment(
                preference=self.preference, source=self.judge, order=self.order, method="recorded"
            )
        if self.reason == "failure":
            return Failure(error="recorded as failed", source=self.judge, order=self.order)
        return Abstention(reason=self.reason or "unparsed", source=self.judge, order=self.order)


class LabelledItem(Record):
    """A comparison with its label and the votes on it.

    ``on_flip`` says what a judge's two orders make where they contradict each other, as in a recipe.
    """

    item: str
    label: Label
    tags: tuple[str, ...] = ()
    prompt: tuple[Message, ...] | None = None
    response_a: str | None = None
    response_b: str | None = None
    votes: tuple[Vote, ...] = ()
    on_flip: OnFlip = "average"

    @model_validator(mode="after")
    def _in_plain_orders(self) -> Self:
        for judge, votes in self.votes_by_judge().items():
            shown = {vote.order for vote in votes}
            if len(shown) > 1 and shown != {"ab", "ba"}:
                raise ValueError(
                    f"the votes of '{judge}' are of {' and '.join(sorted(shown))}: which are they?"
                )
        return self

    @cached_property
    def id(self) -> str:
        """Derived from all of it."""
        return content_id("labelled", self)

    @property
    def has_texts(self) -> bool:
        """Whether prompt and responses are known."""
        return None not in (self.prompt, self.response_a, self.response_b)

    @cached_property
    def comparison(self) -> Comparison:
        """What was judged; where the texts are not known, the item's name and the sides' stand for them."""
        return Comparison(
            prompt=Prompt(messages=self.prompt or (Message(role="user", content=self.item),), tags=self.tags),
            response_a=Response(text="A" if self.response_a is None else self.response_a),
            response_b=Response(text="B" if self.response_b is None else self.response_b),
        )

    @cached_property
    def outcomes(self) -> tuple[JudgeOutcome, ...]:
        """One outcome for each judge, in the order of their first votes, as a jury's aggregator gets them."""
        return tuple(_outcome(votes, self.on_flip) for votes in self.votes_by_judge().values())

    def votes_by_judge(self) -> dict[str, tuple[Vote, ...]]:
        """The votes of each judge."""
        found: dict[str, list[Vote]] = {}
        for vote in self.votes:
            found.setdefault(vote.judge, []).append(vote)
        return {judge: tuple(votes) for judge, votes in found.items()}


def votes_of(
    outcomes: Iterable[JudgeOutcome],
    provenance: Provenance,
    on_flip: OnFlip = "average",
) -> tuple[Vote, ...]:
    """The votes that a jury's outcomes are: one of each judge in each order that it saw.

    With ``on_flip: abstain`` a judge of judges may side though its orders do not, each of those inside being
    consistent: that is one vote, since two would be read as an abstention.
    """
    return tuple(
        Vote.of(part, provenance) for outcome in outcomes for part in _by_shown_order(outcome, on_flip)
    )


def _by_shown_order(outcome: JudgeOutcome, on_flip: OnFlip) -> tuple[JudgeOutcome, ...]:
    if outcome.order != "both":
        return (outcome,)
    ab, ba = outcome.parts
    return (ab, ba) if merged(ab, ba, on_flip).kind == outcome.kind else (outcome,)


def right_by(label: Label, preferred: str | None) -> float:
    """How right it is to have ``preferred`` one side, by a person's label: half where they see a tie."""
    return 0.5 if label == "tie" else float(label == preferred)


def load_labelled(path: Path) -> list[LabelledItem]:
    """The items of a file.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """
    return list(labelled_file(path))


def labelled_file(
    path: Path, *, keep: Callable[[LabelledItem], bool] = lambda item: True, limit: int | None = None
) -> RecordFile[LabelledItem]:
    """The items of a file, read anew whenever gone through: of those that ``keep`` keeps the first ``limit``.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """
    lines: dict[str, int] = {}

    def once(number: int, item: LabelledItem) -> None:
        first = lines.setdefault(item.item, number)
        if first != number:
            raise ValueError(f"item '{item.item}' stands there more than once, first in line {first}")

    fields = LabelledItem.model_fields
    return RecordFile(
        path, read_labelled, "labelled items", keep=keep, limit=limit, check=once, fields=fields
    )


def read_labelled(row: Any) -> LabelledItem:
    """The item of one row; fields that are not known are passed over.

    Raises:
        ValueError: the row is faulty.
    """
    if not isinstance(row, Mapping):
        raise ValueError("a row is an object with item, label and votes")
    known = {name: value for name, value in row.items() if name in LabelledItem.model_fields}
    if known.get("prompt") is not None:
        known["prompt"] = read_messages(row["prompt"])
    votes = row.get("votes", ())
    if not isinstance(votes, Sequence) or not all(isinstance(vote, Mapping) for vote in votes):
        raise ValueError("'votes' must be a list of objects")
    known["votes"] = [
        {name: value for name, value in vote.items() if name in Vote.model_fields} for vote in votes
    ]
    if isinstance(known.get("item"), int):
        known["item"] = str(known["item"])
    return LabelledItem.model_validate(known)


def _outcome(votes: Sequence[Vote], on_flip: OnFlip) -> JudgeOutcome:
    """The outcome of one judge: of the order it was asked in, or of both."""
    orders = [_of_order(of_order) for of_order in _by_order(votes)]
    return orders[0] if len(orders) == 1 else merged(orders[0], orders[1], on_flip)


def _by_order(votes: Sequence[Vote]) -> Iterator[list[Vote]]:
    for order in get_args(ShownOrder):
        if of_order := [vote for vote in votes if vote.order == order]:
            yield of_order


def _of_order(votes: Sequence[Vote]) -> JudgeOutcome:
    """The outcome of one order: the mean of its repeated samples that have a verdict."""
    if len(votes) == 1:
        return votes[0].outcome()
    parts = tuple(vote.outcome() for vote in votes)
    cast = [part.preference for part in parts if isinstance(part, Judgment)]
    if not cast:
        return parts[0].model_copy(update={"parts": parts})
    first = votes[0]
    return Judgment(
        preference=fmean(cast), source=first.judge, order=first.order, method="recorded", parts=parts
    )
