"""Verdicts of pairwise judges in text.

Two kinds of sentence count. A *formal* verdict is written as an answer (``Verdict: A``, ``[[B]]``,
``the answer is (a)``, JSON); the last one is taken. A *statement* (``Response A is better``) counts where
no formal verdict was given, and only if all statements agree. Neither counts inside a quotation, a
question, a condition, a negation or a report of what somebody said; contradictions are left unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from jurist.parsing import phrases
from jurist.parsing.text import json_values, normalised

Verdict = Literal["a", "b", "tie"]
PREFERENCE: MappingProxyType[Verdict, float] = MappingProxyType({"a": 1.0, "tie": 0.5, "b": 0.0})
"""Verdict → P(A is better)."""

SENTENCE = 300  # how far around a verdict its sentence is looked at, so that long texts stay cheap
_SHORT = 80
"""Characters up to which a text is remembered with its verdict."""


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
        self.names = tuple(name.casefold() for name in names)
        self.either = "|".join(re.escape(name) for name in names)
        wrapped = rf"[\[(<{{【《\"“'「]*\s*{self._name('name')}\s*[\])>}}】》\"”'」]*"
        possessive = rf"(?:['’]s\s+{phrases.NOUN})?"
        self.label = rf"(?:(?:the\s+)?{phrases.NOUN}\s*)?{wrapped}"
        marked = rf"(?:{phrases.NOUN}\s*{wrapped}{possessive}|\(\s*{self._name('inner')}\s*\))"
        bare = rf"(?-i:{self._name('bare')})"
        self.ordinal = rf"(?P<ordinal>(?:the\s+)?(?:{phrases.ORDINAL}))"
        self.subject = rf"(?:{marked}|{self.ordinal}|{bare})"
        self.target = rf"(?:(?P<tie>{phrases.TIE})|{self.label}|{self.ordinal})"

    def _name(self, group: str) -> str:
        """One of the two names as a word of its own, and not one side of a comparison like ``A>B``."""
        compared = rf"\s*[<>=≈]+\s*(?:{self.either})"
        owner = rf"['’](?!s\s+{phrases.NOUN})"
        return rf"(?<![A-Za-z0-9])(?P<{group}>{self.either})(?![A-Za-z0-9]|\.\d|{compared}|{owner})"

    def read(self, text: str) -> Verdict | None:
        """The verdict of ``text``; None where there is no explicit one."""
        plain, found = self._without_json(normalised(text))
        plain = phrases.QUOTED.sub(self._unquoted, plain)
        found += [each for each in self._formal(plain) if self._stands(plain, each)]
        found += [each for each in self._statements(plain) if self._stands(plain, each)]
        found.sort(key=lambda each: (each.start, each.end))
        formal = [each for each in found if each.formal]
        if not formal:
            verdicts = {each.verdict for each in found}
            return verdicts.pop() if len(verdicts) == 1 else None
        last = formal[-1]
        rivals = [each for each in formal[-9:] if each.verdict != last.verdict and _beside(plain, each, last)]
        later = [each for each in found if each.start > last.end and each.verdict != last.verdict]
        return None if rivals or later else last.verdict

    def _without_json(self, plain: str) -> tuple[str, list[_Found]]:
        """``plain`` with its JSON blanked out, and the verdicts found there."""
        found = []
        for start, end, value in json_values(plain):
            fields = value.items() if isinstance(value, dict) else ()
            for key, said in fields:
                whole = re.fullmatch(self.target, str(said).strip(), phrases.FLAGS)
                if str(key).casefold().replace(" ", "_") in phrases.JSON_KEYS and whole is not None:
                    found.append(_Found(start, end, self._verdict(whole), formal=True))
            plain = plain[:start] + " " * (end - start) + plain[end:]
        return plain, found

    def _unquoted(self, match: re.Match[str]) -> str:
        """A quotation is kept, without its quotes, when it is a label or a whole line; else blanked out."""
        inner = next(group for group in match.groups() if group is not None)
        before = match.string[: match.start()].rpartition("\n")[2].strip()
        after = match.string[match.end() :].partition("\n")[0].strip(" \t.。")
        if (not before and not after) or re.fullmatch(self.target, inner.strip(), phrases.FLAGS):
            return f" {inner} "
        return " " * len(match.group())

    def _formal(self, plain: str) -> Iterator[_Found]:
        tie_letter = "|c" if self.names == ("a", "b") else ""
        tie = rf"(?P<tie>tie|draw|equal|平局{tie_letter})"
        boxed = rf"\s*(?:{tie}|(?:{phrases.NOUN}\s*)?(?P<name>{self.either}))\s*"
        answered = rf"(?:{phrases.SUBJECT}{phrases.COPULA}|{phrases.CHOOSE})"
        patterns = (
            rf"\[\[{boxed}\]\]",
            rf"\\boxed\{{(?:\\text\{{)?{boxed}\}}+",
            rf"<(?:{phrases.SUBJECT})>\s*{self.target}\s*</",
            answered + self.target,
        )
        for pattern in patterns:
            for match in re.finditer(pattern, plain, phrases.FLAGS):
                if self._is_label(match):
                    yield self._found(match, formal=True)
        yield from self._ranked(plain, answered)
        yield from self._alone(plain)

    def _ranked(self, plain: str, answered: str) -> Iterator[_Found]:
        """``A>B``, ``[[B>>A]]``, ``Verdict: A=B``: on a line of its own, boxed, or as an answer."""
        sides = rf"(?P<left>{self.either})\s*(?P<sign>>+|<+|=|≈)\s*(?P<right>{self.either})(?![A-Za-z0-9])"
        for match in re.finditer(rf"(?:\[\[\s*|{answered}|^\s*){sides}", plain, phrases.FLAGS):
            if match["left"].casefold() == match["right"].casefold():
                continue
            better = match["left"] if match["sign"].startswith(">") else match["right"]
            verdict = "tie" if match["sign"] in "=≈" else self._side(better)
            yield _Found(match.start(), match.end(), verdict, formal=True)

    def _alone(self, plain: str) -> Iterator[_Found]:
        """A label alone on the last line, or on the first if no other line names the other one alone."""
        lines = list(re.finditer(r"^.*\S.*$", plain, phrases.FLAGS))
        whole = re.compile(rf"\s*{self.target}[\s.。!]*", phrases.FLAGS)
        labels = {m.start(): found for m in lines if (found := whole.fullmatch(m.group()))}
        sides = {self._verdict(found) for found in labels.values()}
        for line in lines[-1:] + (lines[:1] if len(sides) == 1 else []):
            if found := labels.get(line.start()):
                yield _Found(line.start(), line.end(), self._verdict(found), formal=True)

    def _statements(self, plain: str) -> Iterator[_Found]:
        other = rf"(?:\s*比\s*(?:{phrases.NOUN}\s*)?(?:{self.either}))?"
        for match in re.finditer(rf"{self.subject}{other}{phrases.BETTER}", plain, phrases.FLAGS):
            bare = match["bare"]
            compared = phrases.COMPARED_WITH.search(plain, max(0, match.start() - 10), match.start())
            if bare is not None and bare.islower():
                continue
            if compared is None and not phrases.ASPECT.match(plain, match.end()):
                yield self._found(match, formal=False)
        for match in re.finditer(phrases.BOTH_EQUAL, plain, phrases.FLAGS):
            if not phrases.ASPECT.match(plain, match.end()):
                yield _Found(match.start(), match.end(), "tie", formal=False)

    def _is_label(self, match: re.Match[str]) -> bool:
        """Whether a name is meant: a bare lower-case letter must end its clause ('a' is also an article)."""
        name = match["name"]
        if name is None or not name.islower() or match.group().endswith(tuple("])}】》\"”'」")):
            return True
        return re.match(r"\s*(?:$|[.,;!。])", match.string[match.end() :], phrases.FLAGS) is not None

    def _stands(self, plain: str, found: _Found) -> bool:
        """Whether a verdict is really given: unconditionally, not denied, not asked, not reported."""
        before = plain[max(0, found.start - SENTENCE) : found.start].rpartition("\n")[2]
        breaks = [m.end() for m in phrases.CLAUSE_END.finditer(before)]
        clause = before[breaks[-1] if breaks else 0 :]
        rest = plain[found.end : found.end + SENTENCE].partition("\n")[0]
        if phrases.VOID.search(clause) or phrases.CONDITIONAL.search(before) or phrases.CONDITION.match(rest):
            return False
        if re.match(rf"{phrases.ALSO}{self.label}", rest, phrases.FLAGS):
            return False
        if re.search(rf"{self.label}{phrases.ALSO}$", before, phrases.FLAGS):
            return False
        ending = re.search(r"[.!?。;]", rest)
        return ending is None or ending.group() != "?"

    def _found(self, match: re.Match[str], *, formal: bool) -> _Found:
        return _Found(match.start(), match.end(), self._verdict(match), formal)

    def _verdict(self, match: re.Match[str]) -> Verdict:
        groups = match.groupdict()
        if groups.get("tie"):
            return "tie"
        if ordinal := groups.get("ordinal"):
            return "a" if re.search(r"first|一", ordinal, re.IGNORECASE) else "b"
        return self._side(next(groups[key] for key in ("name", "inner", "bare") if groups.get(key)))

    def _side(self, name: str) -> Verdict:
        return "a" if name.casefold() == self.names[0] else "b"


def _beside(plain: str, earlier: _Found, last: _Found) -> bool:
    """Whether nothing was said between two verdicts, or both stand on one line."""
    between = plain[earlier.end : last.start]
    return earlier is not last and ("\n" not in between or not re.search(r"\w", between))
