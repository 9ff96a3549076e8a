"""Verdicts of pairwise judges in text.

Two kinds of sentence count. A *formal* verdict is written as an answer (``Verdict: A``, ``[[B]]``,
``the answer is (a)``, JSON); the last one is taken. A *statement* (``Response A is better``) counts where
no formal verdict was given, and only if all statements agree and none is of one aspect. Neither counts
inside a quotation, a question, a condition, a negation or a report of what somebody said; contradictions and
what the writer takes back are left unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal

from jurist.parsing import phrases
from jurist.parsing.context import SENTENCE, is_meant, without_quotations
from jurist.parsing.grammar import Grammar
from jurist.parsing.text import json_values, normalised

Verdict = Literal["a", "b", "tie"]
PREFERENCE: MappingProxyType[Verdict, float] = MappingProxyType({"a": 1.0, "tie": 0.5, "b": 0.0})
"""Verdict → P(A is better)."""

_WORD = re.compile(r"\w")
_SHORT = 80
"""Characters up to which a text is remembered with its verdict."""

_RECENT = 9
"""Formal verdicts, from the last one, among which contradictions are looked for."""
_BEFORE = 20
"""Characters before a statement that say whether it is one."""


@dataclass(frozen=True)
class _Found:
    """A verdict, where it stands, and whether it is a formal one."""

    start: int
    end: int
    verdict: Verdict
    formal: bool


def parse_verdict(text: str, names: Sequence[str] = ("A", "B")) -> Verdict | None:
    """The last explicit verdict of ``text`` between two responses called ``names``; None without one."""
    if len(text) <= _SHORT:  # most judges say the same few words again and again
        return _short_verdict(text, tuple(names))
    return _reader(tuple(names)).read(text)


@lru_cache(maxsize=1024)
def _short_verdict(text: str, names: tuple[str, ...]) -> Verdict | None:
    return _reader(names).read(text)


@lru_cache(maxsize=16)
def _reader(names: tuple[str, ...]) -> _Reader:
    return _Reader(names)


class _Reader:
    """Reads verdicts between two responses of given names."""

    def __init__(self, names: Sequence[str]) -> None:
        self.first = names[0].casefold()
        self.grammar = Grammar(names)

    def read(self, text: str) -> Verdict | None:
        """The verdict of ``text``; None where there is no explicit one."""
        plain, found = self._without_json(normalised(text))
        plain = without_quotations(plain, self._is_whole)
        written = sorted(
            (*found, *self._formal(plain)), key=lambda each: (each.start, each.end), reverse=True
        )
        formal = list(islice((each for each in written if self._stands(plain, each)), _RECENT))
        said_last = formal[0].end if formal else 0
        statements = [each for each in self._statements(plain, said_last) if self._stands(plain, each)]
        rivals = [each for each in formal if _beside(plain, each, formal[0])]
        verdicts = {each.verdict for each in (*formal[:1], *rivals, *statements)}
        taken_back = formal and phrases.RETRACTED.search(plain, said_last)
        return verdicts.pop() if len(verdicts) == 1 and not taken_back else None

    def _without_json(self, plain: str) -> tuple[str, list[_Found]]:
        """``plain`` with its JSON blanked out, and the verdicts found there."""
        found = []
        for start, end, value in json_values(plain):
            for said in _answers(value):
                if verdict := self.read(said.replace("_", " ")):
                    found.append(_Found(start, end, verdict, formal=True))
            plain = plain[:start] + " " * (end - start) + plain[end:]
        return plain, found

    def _formal(self, plain: str) -> Iterator[_Found]:
        for pattern in self.grammar.formal:
            for match in pattern.finditer(plain):
                if _is_label(match):
                    yield self._found(match, formal=True)
        yield from self._ranked(plain)
        yield from self._alone(plain)

    def _ranked(self, plain: str) -> Iterator[_Found]:
        """``A>B``, ``[[B>>A]]``, ``Verdict: A=B``: on a line of its own, boxed, or as an answer."""
        for match in self.grammar.ranked.finditer(plain):
            start, end = match.span()
            introduced = self.grammar.ranked_after.search(plain, max(0, start - _SHORT), start)
            alone = re.match(r"[\s.。!]*$", plain[end:].partition("\n")[0])
            if introduced is None or (introduced["line"] is not None and not alone):
                continue
            if match["left"].casefold() != match["right"].casefold():
                better = match["left"] if match["sign"].startswith(">") else match["right"]
                verdict = "tie" if match["sign"] in "=≈" else self._side(better)
                yield _Found(start, end, verdict, formal=True)

    def _alone(self, plain: str) -> Iterator[_Found]:
        """A label alone on the last line, or on the first if no other line names the other one alone."""
        lines = list(re.finditer(r"^.*\S.*$", plain, phrases.FLAGS))
        labels = {m.start(): found for m in lines if (found := self.grammar.alone.fullmatch(m.group()))}
        sides = {self._verdict(found) for found in labels.values()}
        for line in lines[-1:] + (lines[:1] if len(sides) == 1 else []):
            if found := labels.get(line.start()):
                yield _Found(line.start(), line.end(), self._verdict(found), formal=True)

    def _statements(self, plain: str, start: int) -> Iterator[_Found]:
        if _WORD.search(plain, start) is None:
            return
        for match in self.grammar.better.finditer(plain, start):
            before = plain[max(0, match.start() - _BEFORE) : match.start()]
            compared = phrases.COMPARED_WITH.search(before) is not None
            if _names_a_response(match, before) and _is_complete(match) and not compared:
                yield self._found(match, formal=False)
        for match in self.grammar.recommended.finditer(plain, start):
            if _is_label(match):
                yield self._found(match, formal=False)
        for match in self.grammar.equal.finditer(plain, start):
            if not phrases.YET.match(plain, match.end()):
                yield _Found(match.start(), match.end(), "tie", formal=False)

    def _stands(self, plain: str, found: _Found) -> bool:
        """Whether a verdict is really given, of the whole and for this response alone."""
        before = plain[max(0, found.start - SENTENCE) : found.start]
        after = plain[found.end : found.end + SENTENCE]
        shared = self.grammar.shared_after.match(after) or self.grammar.shared_before.search(before[-40:])
        of_aspect = phrases.ASPECT.match(after) or phrases.ASPECT_FIRST.search(before)
        if shared or (of_aspect and not found.formal):
            return False
        return is_meant(plain, found.start, found.end)

    def _is_whole(self, text: str) -> bool:
        return self.grammar.target.fullmatch(text) is not None

    def _found(self, match: re.Match[str], *, formal: bool) -> _Found:
        return _Found(match.start(), match.end(), self._verdict(match), formal)

    def _verdict(self, match: re.Match[str]) -> Verdict:
        groups = match.groupdict()
        if groups.get("tie"):
            return "tie"
        if ordinal := groups.get("ordinal"):
            side: Verdict = "a" if re.search(r"first|一", ordinal, re.IGNORECASE) else "b"
        else:
            side = self._side(next(groups[key] for key in ("name", "inner", "bare") if groups.get(key)))
        if groups.get("worse"):
            return "b" if side == "a" else "a"
        return side

    def _side(self, name: str) -> Verdict:
        return "a" if name.casefold() == self.first else "b"


def _answers(value: Any) -> Iterator[str]:
    """What a JSON object says under the keys of a verdict, or one level down under those of the whole."""
    for key, said in value.items() if isinstance(value, dict) else ():
        if not isinstance(said, dict) and re.fullmatch(phrases.KEY, key, phrases.FLAGS):
            yield str(said)
        elif isinstance(said, dict) and re.fullmatch(phrases.WHOLE_KEY, key, phrases.FLAGS):
            yield from _answers({k: v for k, v in said.items() if not isinstance(v, dict)})


def _is_label(match: re.Match[str]) -> bool:
    """Whether a name is an answer, not the beginning of a sentence: ``Verdict: A close call``."""
    text = match.group()
    if text.endswith((*'])}】》"”」', "</")):
        return True
    if re.search(r"[\[({【《]\s*\w+$", text):  # cut off: what follows in [[A might have been A=B]]
        return False
    name = match.groupdict().get("name")
    ending = phrases.ARTICLE_END if name is not None and name.islower() else phrases.LABEL_END
    return ending.match(match.string, match.end()) is not None


def _names_a_response(match: re.Match[str], before: str) -> bool:
    """Whether a bare letter is a response, not an article or part of a name: ``Vitamin B is better``."""
    bare = match["bare"]
    return bare is None or (not bare.islower() and phrases.LEADS_IN.search(before) is not None)


def _is_complete(match: re.Match[str]) -> bool:
    """Whether a statement ends where it was read: in ``A is better known`` the word says how, not which."""
    last = match.group()[-1]
    return not last.isascii() or phrases.LABEL_END.match(match.string, match.end()) is not None


def _beside(plain: str, earlier: _Found, last: _Found) -> bool:
    """Whether nothing was said between two verdicts, or both stand on one line, and none is corrected."""
    between = plain[earlier.end : last.start]
    if earlier is last or phrases.RETRACTED.search(between):
        return False
    return "\n" not in between or not _WORD.search(between)
