"""The patterns in which a verdict between two responses of given names is written."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jurist.parsing import phrases

_OPEN, _CLOSE = r"[\[(<{【《\"“「]*\s*", r"(?:\s*[\])>}】》\"”」]+)?"
_NOUN = rf"(?:{phrases.NOUN}\s*)?"
_ORDINAL = rf"(?:the\s+)?(?:{phrases.ORDINAL})"


class Grammar:
    """Compiled patterns. The group that names a response is ``name``, ``inner``, ``bare`` or ``ordinal``."""

    def __init__(self, names: Sequence[str]) -> None:
        self._either = "|".join(re.escape(name) for name in names)
        label = rf"(?:(?:the\s+)?{_NOUN}{_OPEN}{self._name('name')}{_CLOSE})"
        target = rf"(?:(?P<tie>{phrases.TIE})|{label}|(?P<ordinal>{_ORDINAL}))"
        other = rf"(?:(?:the\s+)?{_NOUN}{_OPEN}{self._name()}{_CLOSE}|{_ORDINAL})"
        turned_down = rf"(?:(?:not|不是)\s*{other}\s*,?\s*(?:but|而是)\s*)?"
        answered = rf"(?:{phrases.SUBJECT}{phrases.COPULA}{turned_down}|{phrases.CHOOSE})"
        subject = self._subject()

        self.target = _compiled(target)
        self.formal = (
            *self._boxed("c" if tuple(name.casefold() for name in names) == ("a", "b") else "tie"),
            _compiled(rf"<{phrases.KEY}>\s*{target}\s*</"),
            _compiled(answered + target),
        )
        # What stands before is looked at for the few that are found: long texts stay cheap.
        self.ranked = _compiled(
            rf"(?P<left>{self._either})\s*(?P<sign>>+|<+|=|≈)\s*{_NOUN}(?P<right>{self._either})(?![A-Za-z0-9])"
        )
        self.ranked_after = _compiled(rf"(?:\[\[\s*|{answered}|(?P<line>^\s*)){_NOUN}\Z")
        self.alone = _compiled(rf"\s*(?:{phrases.NOUN}\s*:)?\s*{target}[\s.。!]*")
        self.recommended = _compiled(rf"{phrases.RECOMMEND}{label}(?!\s+(?:to|for)\b)")
        self.better = _compiled(
            rf"{subject}(?:(?:\s*比\s*{other})?{phrases.BETTER}|(?P<worse>{phrases.WORSE}{other}))"
        )
        self.equal = _compiled(
            rf"{phrases.BOTH_EQUAL}|{self._name()}{_CLOSE}{phrases.ALSO}{other}{phrases.EQUAL}"
        )
        self.shared_after = _compiled(
            rf"{phrases.ALSO}{other}|\s+(?:for|in|on)\s[^.;!?\n]*?[,;]\s*(?:and\s+)?{other}\s+(?:for|in|on)\b"
        )
        self.shared_before = _compiled(rf"{other}{phrases.ALSO}\Z")

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

    def _boxed(self, letter: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """``[[A]]`` and ``\\boxed{A}``; some prompts call a tie by the next letter."""
        inside = rf"\s*(?:(?P<tie>tie|draw|equal|平局|{letter})|{_NOUN}(?P<name>{self._either}))\s*"
        return _compiled(rf"\[\[{inside}\]\]"), _compiled(
            rf"\\boxed\{{(?:\\(?:text|math)\w*\{{)?{inside}\}}+"
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, phrases.FLAGS)
