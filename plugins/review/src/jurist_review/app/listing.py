"""Lists of what is in a run: filtered, searched, and a page at a time."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass, fields, replace
from typing import Any, get_args
from urllib.parse import urlencode

from jurist_review.app.entries import Said, spaced
from jurist_review.app.index import Index
from jurist_review.app.indexed_rows import Item

_PER_PAGE = 25
_COUNTED = 1000
"""Up to how many rows a search is counted; beyond, "more than" is said."""

_CHOICES = 200
"""How many values a filter offers."""

_TERM = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True)
class Filters:
    """What to list; empty means all. ``q`` is searched for; ``after`` and ``before`` are rows' numbers."""

    q: str = ""
    stage: str = ""
    kind: str = ""
    outcome: str = ""
    stratum: str = ""
    tag: str = ""
    judge: str = ""
    said: str = ""
    after: int = 0
    before: int = 0

    def query(self, **changes: Any) -> str:
        """These filters as the query of an address, with some changed."""
        changed = replace(self, **changes)
        return urlencode({f.name: value for f in fields(self) if (value := getattr(changed, f.name))})


@dataclass(frozen=True)
class Hidden:
    """Comparisons that a reviewer must not see judged yet, in whichever stage; ``items`` None: all."""

    items: frozenset[str] | None = frozenset()

    def holds(self, item: Item) -> bool:
        """Whether a row is one of them."""
        return item.kind == "comparison" and self.holds_item(item.item)

    def holds_item(self, item: str) -> bool:
        """Whether a comparison is one of them."""
        return self.items is None or item in self.items


NOTHING = Hidden()
EVERYTHING = Hidden(None)


@dataclass(frozen=True)
class ListPage:
    """A page of a list. ``total`` is the number of rows in all pages, at most ``_COUNTED`` + 1."""

    items: list[Item]
    total: int
    earlier: int | None
    later: int | None

    @property
    def total_text(self) -> str:
        """The number of rows for people."""
        return f"{self.total:,}" if self.total <= _COUNTED else f"more than {_COUNTED:,}"


class Listing:
    """Lists rows of the index, without those whose judgments a reviewer must not see yet."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def page(self, filters: Filters, hidden: Hidden = NOTHING) -> ListPage:
        """A page of the rows that pass, without those that are ``hidden``."""
        where, values = _conditions(filters, hidden)
        order = "DESC" if filters.before else "ASC"
        place = " AND id < ?" if filters.before else " AND id > ?"
        query = f"SELECT * FROM items WHERE {where}{place} ORDER BY id {order} LIMIT {_PER_PAGE + 1}"
        count = f"SELECT COUNT(*) FROM (SELECT 1 FROM items WHERE {where} LIMIT {_COUNTED + 1})"
        with self._index.connected() as connection:
            rows = connection.execute(query, (*values, filters.before or filters.after)).fetchall()
            total = connection.execute(count, values).fetchone()[0]
        more = len(rows) > _PER_PAGE
        items = [Item(**row) for row in rows[:_PER_PAGE]]
        if filters.before:
            items.reverse()
        earlier = bool(items) and (more if filters.before else filters.after > 0)
        later = bool(items) and (True if filters.before else more)
        return ListPage(items, total, items[0].id if earlier else None, items[-1].id if later else None)

    def newest(self, stage: str, hidden: Hidden, number: int) -> list[Item]:
        """The rows of a stage that were written last."""
        where, values = _conditions(Filters(stage=stage), hidden)
        # From the end backwards: an index by stage would have all of its rows sorted first.
        query = f"SELECT * FROM items NOT INDEXED WHERE {where} ORDER BY id DESC LIMIT {number}"
        with self._index.connected() as connection:
            return [Item(**row) for row in connection.execute(query, values)]

    def choices(self) -> dict[str, list[str]]:
        """What each filter can be; of many tags those that most rows have."""
        query = (
            f"SELECT value FROM counts WHERE name = ? GROUP BY 1 ORDER BY SUM(number) DESC LIMIT {_CHOICES}"
        )
        with self._index.connected() as connection:
            found = {
                name: sorted(row[0] for row in connection.execute(query, (name,)))
                for name in ("kind", "outcome", "stratum", "tag", "judge")
            }
            stages = [row[0] for row in connection.execute("SELECT DISTINCT stage FROM counts")]
        return {**found, "stage": stages, "said": list(get_args(Said)) if found["judge"] else []}

    def counts(self, stage: str) -> dict[str, dict[str, int]]:
        """How many rows of a stage there are of each kind, outcome, stratum, tag and judge."""
        found: dict[str, dict[str, int]] = {}
        with self._index.connected() as connection:
            rows: sqlite3.Cursor = connection.execute(
                "SELECT name, value, number FROM counts WHERE stage = ? ORDER BY number DESC", (stage,)
            )
            for name, value, number in rows:
                found.setdefault(name, {})[value] = number
        return found


def match(q: str) -> str:
    """A search as FTS5 writes it: all words must be there, those in double quotes one after the other.

    A word may end in ``*``; nothing else has a meaning. Empty where there is nothing to search for.
    """
    terms = []
    for phrase, word in _TERM.findall(q.replace("\x00", " ")):
        begun = word.endswith("*")
        text = spaced(phrase or (word[:-1] if begun else word)).replace('"', "")
        if re.search(r"\w", text):
            terms.append(f'"{text}"' + ("*" if begun else ""))
    return " ".join(terms)


def _conditions(filters: Filters, hidden: Hidden) -> tuple[str, tuple[object, ...]]:
    found: list[tuple[str, tuple[object, ...]]] = [("TRUE", ())]
    if terms := match(filters.q):
        found.append(("id IN (SELECT rowid FROM texts WHERE texts MATCH ?)", (terms,)))
    found += [
        (f"{name} = ?", (value,))
        for name in ("stage", "kind", "outcome", "stratum")
        if (value := getattr(filters, name))
    ]
    if filters.tag:
        found.append(("id IN (SELECT id FROM tags WHERE tag = ?)", (filters.tag,)))
    if filters.judge or filters.said:
        asked = {"judge": filters.judge, "verdict": filters.said}
        given = {name: value for name, value in asked.items() if value}
        said = " AND ".join(f"{name} = ?" for name in given)
        found.append((f"id IN (SELECT id FROM said WHERE {said})", tuple(given.values())))
    if hidden.items is None:
        found.append(("kind <> 'comparison'", ()))
    elif hidden.items:
        left_out = "NOT (kind = 'comparison' AND item IN (SELECT value FROM json_each(?)))"
        found.append((left_out, (json.dumps(sorted(hidden.items)),)))
    return " AND ".join(text for text, _ in found), tuple(value for _, values in found for value in values)
