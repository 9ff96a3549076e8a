"""The file of recorded verdicts: its format, and what it says of a comparison as shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from jurist.errors import UsageError
from jurist.fault_lines import faults_of
from jurist.files.jsonl import read_rows
from jurist.records import Comparison, Message, Prompt, Record, Response

Verdict = Literal["A", "B", "tie"]
SHOWN_FAULTS = 50
PREFERENCE = {"A": 1.0, "tie": 0.5, "B": 0.0}


class Vote(Record):
    """What one judge said in one order.

    ``verdict`` is in the item's own A and B, whatever ``order`` was shown; ``either`` is that of a judge
    to whom it is all the same. None is an answer that nobody could read. ``confidence`` is P(verdict),
    where the judge stated it; a tie has none.
    """

    judge: str = Field(min_length=1)
    order: Literal["ab", "ba", "either"]
    verdict: Verdict | None
    confidence: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _confident_of_something(self) -> Vote:
        if self.confidence is not None and self.verdict not in ("A", "B"):
            raise ValueError("only a verdict A or B has a confidence")
        return self

    @property
    def preference(self) -> float | None:
        """P(A is better), A being the item's own; None if there is no verdict."""
        if self.verdict is None:
            return None
        if self.confidence is None:
            return PREFERENCE[self.verdict]
        return self.confidence if self.verdict == "A" else 1 - self.confidence


class Item(Record):
    """One line of the file: a comparison, perhaps with a human label, and the votes on it."""

    item: str
    label: Verdict | None = None
    tags: tuple[str, ...] = ()
    prompt: str | tuple[Message, ...] = Field(min_length=1)
    response_a: str
    response_b: str
    votes: tuple[Vote, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """The item as the comparison that was judged, A first."""
        messages = (
            (Message(role="user", content=self.prompt),) if isinstance(self.prompt, str) else self.prompt
        )
        return Comparison(
            prompt=Prompt(messages=messages, tags=self.tags),
            response_a=Response(text=self.response_a),
            response_b=Response(text=self.response_b),
        )


class Recording:
    """Recorded verdicts, found by the content of the comparison as it was shown.

    A verdict is stored under the id of what the judge saw: the comparison for order ``ab``, the swapped
    one for ``ba``. Two equal responses look the same in both orders, so there ``ab`` alone counts.
    """

    def __init__(self, items: list[Item]) -> None:
        self._preferences: dict[str, dict[str, float | None]] = {}
        for item in items:
            for judge, shown, preference in _as_shown(item):
                self._preferences.setdefault(judge, {})[shown] = preference

    @property
    def judges(self) -> list[str]:
        """The names of the recorded judges, sorted."""
        return sorted(self._preferences)

    def has(self, judge: str, shown: Comparison) -> bool:
        """Whether the judge was asked about the comparison in the order shown."""
        return shown.id in self._preferences[judge]

    def preference(self, judge: str, shown: Comparison) -> float | None:
        """P(A is better), A being shown first; None if the judge's answer had no verdict."""
        return self._preferences[judge][shown.id]


def load_items(path: Path) -> list[Item]:
    """The items of a file of recorded verdicts.

    Raises:
        UsageError: the file cannot be read or is empty; or lines are faulty, or contradict each
            other about what a judge said. Lists all such lines.
    """
    items: list[Item] = []
    faults: list[str] = []
    said: dict[tuple[str, str], tuple[float | None, int]] = {}
    for number, row in read_rows(path):
        place = f"{path.name}:{number}"
        try:
            if isinstance(row, ValueError):
                raise row
            item = Item.model_validate(row)
        except ValidationError as error:
            faults += faults_of(error, Item.model_fields, place)
            continue
        except ValueError as error:
            faults.append(f"{place}: {error}")
            continue
        items.append(item)
        for judge, shown, preference in _as_shown(item):
            before, line = said.setdefault((judge, shown), (preference, number))
            if before != preference:
                faults.append(f"{place}: '{judge}' said something else of the same comparison in line {line}")
    if faults:
        raise UsageError.of_faults(
            f"{path} is no file of recorded verdicts",
            faults[:SHOWN_FAULTS],
            more=len(faults[SHOWN_FAULTS:]),
            hint="the README of jurist-replay describes the format",
        )
    if not items:
        raise UsageError(f"{path} holds no recorded verdicts", hint="look at what wrote it")
    return items


def _as_shown(item: Item) -> Iterator[tuple[str, str, float | None]]:
    """Judge, id of what it saw, and P(first shown is better), per vote."""
    comparison = item.comparison
    swapped = comparison.swapped()
    for vote in item.votes:
        preference = vote.preference
        if vote.order != "ba":
            yield vote.judge, comparison.id, preference
        if vote.order != "ab" and swapped.id != comparison.id:
            yield vote.judge, swapped.id, None if preference is None else 1 - preference
