"""The judge ``replay``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from jurist.constitution import Principle
from jurist.contracts import Judge
from jurist.errors import UsageError
from jurist.fingerprint import file_digest
from jurist.near_names import near_miss
from jurist.options import Options
from jurist.records import Abstention, Comparison, JudgeOutcome, Judgment
from jurist_replay.recording import Recording, load_items


class ReplayOptions(Options):
    """``file``: JSON lines of recorded verdicts. ``judge``: whose; not needed if only one was recorded."""

    file: Path
    judge: str | None = None


class ReplayJudge(Judge):
    """Says what a judge is on record as having said of the comparison, in the order it is shown."""

    Options = ReplayOptions
    options: ReplayOptions
    free: ClassVar[bool] = True

    def __init__(self, options: ReplayOptions) -> None:
        super().__init__(options)
        self._recording = Recording(load_items(options.file))
        self._judge = _choose(options, self._recording.judges)
        self._digest = file_digest(options.file)

    def identity(self) -> JsonValue:
        """Whose verdicts, and the content of the file; where it lies does not matter."""
        return {"judge": self._judge, "sha256": self._digest}

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The recorded preference; what the principles were is for whoever recorded it to say."""
        if not self._recording.has(self._judge, comparison):
            return Abstention(
                reason="missing",
                detail=f"{self.options.file} has no verdict of '{self._judge}' on it in this order",
            )
        preference = self._recording.preference(self._judge, comparison)
        if preference is None:
            return Abstention(reason="unparsed", detail="recorded as an answer without a verdict")
        return Judgment(preference=preference, method="recorded")


def _choose(options: ReplayOptions, judges: list[str]) -> str:
    if options.judge in judges:
        return options.judge
    if options.judge is None and len(judges) == 1:
        return judges[0]
    names = ", ".join(judges) or "none"
    if options.judge is None:
        raise UsageError(
            f"{options.file} has verdicts of {len(judges)} judges, so 'judge' must say whose to take",
            cause=f"recorded: {names}",
            hint=f"judge: {judges[0]}" if judges else "look at what wrote the file",
        )
    raise UsageError(f"{options.file} has no verdicts of '{options.judge}'{near_miss(options.judge, judges)}")
