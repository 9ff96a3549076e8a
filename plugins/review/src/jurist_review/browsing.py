"""Everything that a stage did, as data that the page's filters go through: bounded, and texts alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jurist.records import Abstention, Failure, Outcome, Prompt, Response
from jurist_review.differences import differences
from jurist_review.display import counted, excerpt, visible, worded
from jurist_review.selection import Fitting

BYTES = 4_400_000
"""Of all such data in one page, so that it stays under 7 MB with plotly.js."""

_OF_ROWS = 0.4
"""The part of them that is for rows; the rest is for what is seen when a row is opened."""

_BEGINNING = 90
"""Characters of a prompt that its row shows."""
_LONGEST = 1200
"""Characters of each text that is shown when a row is opened."""
_TAGS = 200
"""Different tags that can be filtered by."""

REMOVED, ADDED = 1, 2


@dataclass(frozen=True)
class Section:
    """A heading and a text in pieces, as JSON: strings, ``[1, text]`` that is dropped, ``[2, text]`` new."""

    heading: str
    pieces: Sequence[Any]

    @classmethod
    def of(cls, heading: str, outcome: Outcome, remark: str = "") -> Section:
        """What was answered, or why there is nothing."""
        text = outcome.text if isinstance(outcome, Response) else ""
        if isinstance(outcome, Abstention):
            text = f"abstained: {worded(outcome.reason)} {outcome.detail}"
        elif isinstance(outcome, Failure):
            text = f"failed: {outcome.error}"
        return cls.text(f"{heading}{', ' if remark else ''}{remark}", text)

    @classmethod
    def text(cls, heading: str, text: str) -> Section:
        """A text, cut visibly when it is long."""
        return cls(heading, [_shown(text)])

    @classmethod
    def changed(cls, headings: tuple[str, str], before: str, after: str) -> list[Section]:
        """Two texts, with what the second dropped of the first and added to it."""
        found = []
        sides = differences(_shown(before), _shown(after))
        for heading, pieces, kind in zip(headings, sides, (REMOVED, ADDED), strict=True):
            found.append(cls(heading, [[kind, p.text] if p.changed else p.text for p in pieces]))
        return found


@dataclass(frozen=True)
class BrowsedRow:
    """One row: a prompt, what became of it, a ``value`` worth a column, and what is seen when opened."""

    key: str
    prompt: Prompt
    outcome: str
    value: str
    sections: Callable[[], Sequence[Section]]


class Browser:
    """Collects the rows of one stage, and what is seen when one is opened, in about ``most`` bytes."""

    def __init__(self, most: int, noun: str, value_name: str) -> None:
        self.noun, self.value_name = noun, value_name
        self.count = 0
        self.outcomes: dict[str, int] = {}
        self.tags: dict[str, int] = {}
        self._rows = Fitting(round(most * _OF_ROWS))
        self._details = Fitting(round(most * (1 - _OF_ROWS)))

    def add(self, row: BrowsedRow) -> None:
        """Add a row, and its sections while there is room for them."""
        self.count += 1
        key = f"{row.key}/{self.count}"
        shown = [
            _shown(row.prompt.messages[-1].content, _BEGINNING),
            self.outcomes.setdefault(row.outcome, len(self.outcomes)),
            self._tag_numbers(row.prompt),
            visible(row.value),
        ]
        self._rows.offer("", key, script_json(shown))
        if not self._details.has_room(row.outcome, key):
            return
        conversation = "\n\n".join(message.content for message in row.prompt.messages)
        sections = [Section.text("Prompt", conversation), *row.sections()]
        detail = [[visible(each.heading), *each.pieces] for each in sections]
        self._details.offer(row.outcome, key, script_json(detail))

    def _tag_numbers(self, prompt: Prompt) -> list[int]:
        found = []
        for tag in (_shown(tag, _BEGINNING) for tag in prompt.tags[:_TAGS]):
            if tag in self.tags or len(self.tags) < _TAGS:
                found.append(self.tags.setdefault(tag, len(self.tags)))
        return found

    @property
    def shown(self) -> int:
        """How many rows there was room for."""
        return len(self._rows.texts())

    @property
    def opened(self) -> int:
        """How many of them can be opened."""
        return len(self._rows.texts().keys() & self._details.texts().keys())

    def data(self) -> str:
        """All of it as JSON that may stand in a script tag; rows in the order of the file."""
        rows, details = self._rows.texts(), self._details.texts()
        keys = sorted(rows, key=lambda key: int(key.rpartition("/")[2]))
        opened = (f'"{number}":{details[key]}' for number, key in enumerate(keys) if key in details)
        return (
            f'{{"outcomes":{script_json(list(self.outcomes))},"tags":{script_json(list(self.tags))},'
            f'"rows":[{",".join(rows[key] for key in keys)}],"details":{{{",".join(opened)}}}}}'
        )


def room_for(sizes: Mapping[str, int], most: int) -> dict[str, int]:
    """Bytes for each of several files in one page: for small ones all that they need, for others the same."""
    found: dict[str, int] = {}
    for number, name in enumerate(sorted(sizes, key=sizes.__getitem__)):
        # Twice the file is enough for its rows, and for what is seen inside.
        found[name] = min(2 * sizes[name], (most - sum(found.values())) // (len(sizes) - number))
    return found


def script_json(value: Any) -> str:
    """``value`` as JSON in which nothing can end a script."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _shown(text: str, longest: int = _LONGEST) -> str:
    shown = excerpt(text, longest)
    return f"{shown.text} … {counted(shown.omitted, 'more character')}" if shown.omitted else shown.text
