"""The patterns in which a verdict between two responses of given names is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from jurist.parsing import phrases

_OPEN, _CLOSE = r"[\[(<{【《\"“「]*\s*", r"(?:\s*[\])>}】》\"”」]+)?"
_NOUN = rf"(?:{phrases.NOUN}\s*)?"
_ORDINAL = rf"(?:the\s+)?(?:{phrases.ORDINAL})"


class Grammar:
    """Patterns. The group that names a response is ``name``, ``inner``, ``bare`` or ``ordinal``.

    Each is compiled when it is first used: most verdicts are short and formal, and all together take longer
    than the first call.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._either = "|".join(re.escape(name) for name in names)
        self._label = rf"(?:(?:the\s+)?{_NOUN}{_OPEN}{self._name('name')}{_CLOSE})"
        self._target = rf"(?:(?P<tie>{phrases.TIE})|{self._label}|(?P<ordinal>{_ORDINAL}))"
        self._other = rf"(?:(?:the\s+)?{_NOUN}{_OPEN}{self._name()}{_CLOSE}|{_ORDINAL})"
        turned_down = rf"(?:(?:not|不是)\s*{self._other}\s*,?\s*(?:but|而是)\s*)?"
        self._answered = rf"(?:{phrases.SUBJECT}{phrases.COPULA}{turned_down}|{phrases.CHOOSE})"

    @cached_property
    def target(self) -> re.Pattern[str]:
        """A name, or a word for a tie."""
        return _compiled(self._target)

    @cached_property
    def formal(self) -> tuple[re.Pattern[str], ...]:
        """A verdict that is written as an answer."""
        # Some prompts call a tie by the next letter.
        letter = "c" if tuple(name.casefold() for name in self._names) == ("a", "b") else "tie"
        inside = rf"\s*(?:(?P<tie>tie|draw|equal|平局|{letter})|{_NOUN}(?P<name>{self._either}))\s*"
        return (
            _compiled(rf"\[\[{inside}\]\]"),
            _compiled(rf"\\boxed\{{(?:\\(?:text|math)\w*\{{)?{inside}\}}+"),
            _compiled(rf"<{phrases.KEY}>\s*{self._target}\s*</"),
            _compiled(self._answered + self._target),
        )

    @cached_property
    def ranked(self) -> re.Pattern[str]:
        """``A>B``; what stands before is looked at for the few that are found: long texts stay cheap."""
        sides = rf"(?P<left>{self._either})\s*(?P<sign>>+|<+|=|≈)\s*{_NOUN}(?P<right>{self._either})"
        return _compiled(rf"{sides}(?![A-Za-z0-9])")

    @cached_property
    def ranked_after(self) -> re.Pattern[str]:
        """What stands before a ranking that is an answer."""
        return _compiled(rf"(?:\[\[\s*|{self._answered}|(?P<line>^\s*)){_NOUN}\Z")

    @cached_property
    def alone(self) -> re.Pattern[str]:
        """A line that is a label and nothing else."""
        return _compiled(rf"\s*(?:{phrases.NOUN}\s*:)?\s*{self._target}[\s.。!]*")

    @cached_property
    def recommended(self) -> re.Pattern[str]:
        """``I recommend A``."""
        return _compiled(rf"{phrases.RECOMMEND}{self._label}(?!\s+(?:to|for)\b)")

    @cached_property
    def better(self) -> re.Pattern[str]:
        """``A is better``, ``A is worse than B``."""
        better = rf"(?:\s*比\s*{self._other})?{phrases.BETTER}"
        return _compiled(rf"{self._subject()}(?:{better}|(?P<worse>{phrases.WORSE}{self._other}))")

    @cached_property
    def equal(self) -> re.Pattern[str]:
        """``Both are equal``, ``A and B are tied``."""
        named = rf"{self._name()}{_CLOSE}{phrases.ALSO}{self._other}{phrases.EQUAL}"
        return _compiled(rf"{phrases.BOTH_EQUAL}|{named}")

    @cached_property
    def shared_after(self) -> re.Pattern[str]:
        """``… and B`` after A: nothing is said of one of them."""
        apart = rf"\s+(?:for|in|on)\s[^.;!?\n]*?[,;]\s*(?:and\s+)?{self._other}\s+(?:for|in|on)\b"
        return _compiled(rf"{phrases.ALSO}{self._other}|{apart}")

    @cached_property
    def shared_before(self) -> re.Pattern[str]:
        """``A and …`` before B."""
        return _compiled(rf"{self._other}{phrases.ALSO}\Z")

    def _name(self, group: str = "") -> str:
        """One of the names as a word of its own: no side of ``A>B``, no owner of anything but a response."""
        compared = rf"\s*[<>=≈]+\s*{_NOUN}(?:{self._either})"
        owner = rf"['’](?!s\s+{phrases.NOUN})"
        named = f"?P<{group}>" if group else "?:"
        return rf"(?<![A-Za-z0-9])({named}{self._either})(?![A-Za-z0-9]|\.\d|{compared}|{owner})"

    def _subject(self) -> str:
        """What a statement can be about; a bare name must be written as it was given."""
        marked = rf"{phrases.NOUN}\s*{_OPEN}{self._name('name')}{_CLOSE}(?:['’]s\s+{phrases.NOUN})?"
        bare = rf"(?-i:{self._name('bare')})"
        return rf"(?:{marked}|\(\s*{self._name('inner')}\s*\)|(?P<ordinal>{_ORDINAL})|{bare})"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, phrases.FLAGS)
