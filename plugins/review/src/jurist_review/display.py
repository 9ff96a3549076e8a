"""How texts and numbers are shown: hostile characters made visible, long texts cut visibly."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

ENDINGS = {
    "done": "done",
    "running": "running",
    "failed": "failed",
    "budget": "stopped by the budget",
    "gate": "stopped by a quality gate",
    "interrupted": "interrupted",
}
"""How a run ended, by the status in run.json."""

LONGEST = 3000
"""Characters of one text that a report shows."""

# Control characters, those that change the direction or hide text, blank letters, fillers, tags, selectors of
# variants, and halves of surrogate pairs. Left are U+200C, U+200D and U+FE0F: they join or part letters, as
# in Persian, and make up emoji.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a text as it can be shown, and how many characters were left out."""

    text: str
    omitted: int = 0


def excerpt(text: str, longest: int = LONGEST) -> Excerpt:
    """The beginning of ``text``, with its unseen characters made visible."""
    return Excerpt(visible(text[:longest]), max(0, len(text) - longest))


def visible(text: object) -> str:
    """``text`` with every character that cannot be seen written as ⟨U+…⟩."""
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", str(text))


def number(value: object) -> str:
    """A number for people: thousands separated, three decimals where they matter."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return visible(value)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if isinstance(value, int) or (value == int(value) and abs(value) > 1):
        text = f"{int(value):,}"
    elif value != 0 and abs(value) < 0.001:
        text = f"{value:.2e}"
    else:
        text = f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return text.replace("-", "−")


def counted(count: int, noun: str) -> str:
    """A number of things: their ``noun`` gets an s unless there is one."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; a dash when there is no whole."""
    return percent(part / whole) if whole else "–"


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{value:.1%}"


def dollars(value: float) -> str:
    """An amount in US dollars, with more digits when it is small; what costs a little is never free."""
    if 0 < value < 0.0001:
        return "<$0.0001"
    return f"${value:,.2f}" if value == 0 or value >= 1 else f"${value:.4f}"


def duration(seconds: float) -> str:
    """A time span in the two units that matter."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60} s"
    return f"{seconds:.1f} s"


def worded(name: str) -> str:
    """A name of the records (``no_majority``) as words."""
    return visible(name).replace("_", " ")
