"""Findings of a critic that checks principles one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from jurist.constitution import fold
from jurist.parsing.text import json_values, normalised
from jurist.records import Finding

SATISFIED = (
    r"satisfied|satisfies|met|pass(?:ed|es)?|compl(?:ies|iant)|upheld|满足|符合|遵守|通过|未违反|没有违反"
)
VIOLATED = (
    r"violated|violates|violation|not\s+(?:satisfied|met|upheld|compliant)|unsatisfied|unmet|fail(?:ed|s)?"
    r"|non-?compliant|违反|违背|不满足|不符合|未满足|不通过|未通过|未遵守"
)
WORD = re.compile(
    rf"\s*[\[(【\"“]*(?:(?P<satisfied>{SATISFIED})|(?P<violated>{VIOLATED}))(?:了)?[\])】\"”]*(?=\s*(?:$|[.,;:!。,(\-—–]))",
    re.IGNORECASE,
)
HEADER = re.compile(
    r"\s*(?:[-•]\s+)?(?:(?:principle|rule|原则)\s*)?(?:[\[(【]?\s*(?P<number>\d{1,4})\s*[\])】.:、)]*)?\s*",
    re.I,
)
VERDICT_LINE = re.compile(
    r"\s*(?:[-•]\s+)?(?:verdict|status|result|judge?ment|结论|判定|判断|结果)\s*:", re.I
)
FIELD = re.compile(
    r"\s*(?:[-•]\s+)?(?:(?P<explanation>explanation|reason(?:ing)?|why|evidence|解释|说明|理由|原因)"
    r"|(?P<suggestion>suggestions?|fix|improvement|how to mend it|建议|改进建议|修改建议))\s*:\s*",
    re.I,
)
NOTHING = frozenset(
    {"none", "n/a", "na", "none needed", "nothing", "-", "无", "没有", "无需修改", "不需要", "无需"}
)
SEPARATORS = " \t:-—–=>"


class _Draft:
    """One principle's finding while its lines are being read."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.satisfied: bool | None = None
        self.texts: dict[str, list[str]] = {"explanation": [], "suggestion": []}
        self.field = "explanation"

    def add(self, text: str) -> None:
        if text.strip():
            self.texts[self.field].append(text.strip())

    def text(self, field: str) -> str:
        joined = " ".join(self.texts[field]).strip()
        return "" if fold(joined).strip(" .。") in NOTHING else joined


def parse_findings(text: str, names: Sequence[str]) -> tuple[Finding, ...] | None:
    """One finding per principle of ``names``, in their order.

    None when a principle is missing, when a number and a name do not belong together, or when one
    principle is found both satisfied and violated.
    """
    plain = normalised(text)
    drafts = list(_of_json(plain, names) or _of_lines(plain, names))
    findings: dict[int, Finding] = {}
    for draft in drafts:
        if draft.satisfied is None:
            continue
        earlier = findings.get(draft.index)
        if draft.index < 0 or (earlier is not None and earlier.satisfied is not draft.satisfied):
            return None
        findings[draft.index] = Finding(
            principle=names[draft.index],
            satisfied=draft.satisfied,
            explanation=draft.text("explanation"),
            suggestion=draft.text("suggestion"),
        )
    if len(findings) < len(names):
        return None
    return tuple(findings[index] for index in range(len(names)))


def _of_lines(plain: str, names: Sequence[str]) -> Iterator[_Draft]:
    draft: _Draft | None = None
    for line in plain.splitlines():
        cells = ": ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
        opened = _header(cells if line.lstrip().startswith("|") else line, names)
        if opened is not None:
            if draft is not None:
                yield draft
            draft = opened
        elif draft is not None:
            _continue(draft, line)
    if draft is not None:
        yield draft


def _header(line: str, names: Sequence[str]) -> _Draft | None:
    """The draft that ``line`` opens; its index is -1 when number and name contradict each other."""
    match = HEADER.match(line)
    if match is None:
        return None
    rest = line[match.end() :].lstrip(SEPARATORS)
    number = int(match["number"]) - 1 if match["number"] else None
    named = _named(rest, names)
    if named is not None:
        rest = rest[len(names[named]) :].lstrip(SEPARATORS + '])】"”')
    index = named if number is None else number
    if index is None or not 0 <= index < len(names):
        return None
    verdict = WORD.match(rest)
    if named is None and (verdict is None and rest.strip()):
        return None
    if named is not None and verdict is None and rest.strip() and number is None:
        return None
    draft = _Draft(-1 if named is not None and named != index else index)
    if verdict is not None:
        draft.satisfied = verdict["satisfied"] is not None
        draft.add(rest[verdict.end() :].strip(SEPARATORS + ".,;。,|"))
    return draft


def _named(rest: str, names: Sequence[str]) -> int | None:
    """The principle whose name ``rest`` begins with; the longest where several do."""
    folded = fold(rest)
    fitting = [i for i, name in enumerate(names) if re.match(rf"{re.escape(fold(name))}(?![\w-])", folded)]
    return max(fitting, key=lambda i: len(names[i]), default=None)


def _continue(draft: _Draft, line: str) -> None:
    if match := VERDICT_LINE.match(line):
        if verdict := WORD.match(line, match.end()):
            draft.satisfied = verdict["satisfied"] is not None
        return
    if match := FIELD.match(line):
        draft.field = "explanation" if match["explanation"] else "suggestion"
        draft.add(line[match.end() :])
        return
    if draft.satisfied is None and (verdict := WORD.match(line)):
        draft.satisfied = verdict["satisfied"] is not None
        return
    draft.add(line)


def _of_json(plain: str, names: Sequence[str]) -> list[_Draft]:
    drafts: list[_Draft] = []
    for _, _, value in json_values(plain):
        for key, entry in _entries(value):
            draft = _entry_draft(key, entry, names)
            if draft is not None:
                drafts.append(draft)
    return drafts


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of what names the principle and what is said of it."""
    if isinstance(value, list):
        for entry in value:
            if isinstance(entry, dict):
                yield (
                    next(
                        (
                            entry[k]
                            for k in ("principle", "name", "number", "原则", "名称", "编号")
                            if k in entry
                        ),
                        None,
                    ),
                    entry,
                )
        return
    if isinstance(value.get("findings"), list):
        yield from _entries(value["findings"])
        return
    if "principle" in value or "原则" in value:
        yield from _entries([value])
        return
    yield from value.items()


def _entry_draft(key: Any, entry: Any, names: Sequence[str]) -> _Draft | None:
    label = str(key).strip(" []")
    index = int(label) - 1 if label.isdecimal() else _named(label, names)
    if index is None or not 0 <= index < len(names):
        return None
    draft = _Draft(index)
    fields = entry if isinstance(entry, dict) else {"satisfied": entry}
    for name, said in fields.items():
        if name in ("satisfied", "verdict", "status", "结论", "满足"):
            draft.satisfied = said if isinstance(said, bool) else _word(said)
        elif name == "violated" and isinstance(said, bool):
            draft.satisfied = not said
        elif isinstance(said, str) and (match := FIELD.match(f"{name}:")):
            draft.field = "explanation" if match["explanation"] else "suggestion"
            draft.add(said)
    return draft


def _word(said: Any) -> bool | None:
    verdict = WORD.match(said) if isinstance(said, str) else None
    return None if verdict is None else verdict["satisfied"] is not None
