"""Drift: judges who say something else of the same items than they said before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Literal

from jurist.intervals import Estimate, estimate
from jurist.records import Failure, JudgeOutcome, Judgment, Record
from jurist.validation.labelled import LabelledItem, Vote

_LEVEL = 0.05
"""How probable it may be that a judge is called drifting though none changes more than is tolerated."""


class JudgeDrift(Record):
    """How one judge's verdicts differ from those it gave before.

    ``settings``: whether its settings, and how it was asked, are those of before; where they are not it is
    another judge, which has not drifted. Of ``compared`` items the verdict is another one on ``changed`` (an
    abstention counts as a verdict, a failure as none). ``chance`` is the probability of as many changes, or
    more, of a judge that changes just what is tolerated (exact binomial test). ``moved`` is the mean absolute
    change of P(A is better). Of the labelled items ``lost`` were right before alone and ``won`` are right now
    alone; ``right_chance`` is the two-sided probability of that if it is as good as it was (McNemar's exact
    test).
    """

    judge: str
    settings: Literal["same", "changed", "unknown"]
    compared: int
    changed: int
    share: Estimate | None
    chance: float
    moved: float | None
    lost: int
    won: int
    right_chance: float

    def text(self) -> str:
        """All of it in one line."""
        if self.share is None:
            return f"{self.judge}: nothing to compare, since the anchors have no verdicts of it"
        share = f"{self.share.mean:.1%} [{self.share.low:.1%}, {self.share.high:.1%}]"
        parts = [f"{self.judge}: {self.changed:,} of {self.compared:,} verdicts changed, {share}"]
        if self.moved is not None:
            parts.append(f"P(A) moved by {self.moved:.3f}")
        if self.lost or self.won:
            parts.append(f"right on {self.won:,} more and {self.lost:,} fewer, p={self.right_chance:.3f}")
        if self.settings == "changed":
            parts.append("its settings, or how it was asked, were others before, so this is no drift")
        return "; ".join(parts)


class Drift(Record):
    """The judges that were compared, and how many changes are tolerated, as a share."""

    tolerated: float
    judges: tuple[JudgeDrift, ...]

    @classmethod
    def between(cls, before: Sequence[LabelledItem], now: Sequence[LabelledItem], tolerated: float) -> Drift:
        """Compare the votes on the same items, judge by judge, in the orders that both times were shown."""
        earlier = {item.item: item for item in before}
        pairs = [(earlier[item.item], item) for item in now if item.item in earlier]
        names = dict.fromkeys(vote.judge for item in now for vote in item.votes)
        return cls(tolerated=tolerated, judges=tuple(_of_judge(name, pairs, tolerated) for name in names))

    @property
    def drifting(self) -> tuple[JudgeDrift, ...]:
        """Judges with the settings of before who changed more than is tolerated, beyond what chance explains.

        With several judges each is held to a smaller probability (Bonferroni).
        """
        level = _LEVEL / max(1, len(self.judges))
        return tuple(each for each in self.judges if each.settings != "changed" and each.chance < level)


def _of_judge(judge: str, pairs: Sequence[tuple[LabelledItem, LabelledItem]], tolerated: float) -> JudgeDrift:
    compared = list(_compared(judge, pairs))
    changed = [_said(before) != _said(now) for _, before, now in compared]
    moves = [
        abs(before.preference - now.preference)
        for _, before, now in compared
        if isinstance(before, Judgment) and isinstance(now, Judgment)
    ]
    right = [(_said(b) == label, _said(n) == label) for label, b, n in compared if label != "tie"]
    lost, won = right.count((True, False)), right.count((False, True))
    return JudgeDrift(
        judge=judge,
        settings=_settings(judge, pairs),
        compared=len(compared),
        changed=sum(changed),
        share=estimate([float(each) for each in changed]) if changed else None,
        chance=_tail(sum(changed), len(changed), tolerated),
        moved=fmean(moves) if moves else None,
        lost=lost,
        won=won,
        right_chance=min(1.0, 2 * _tail(max(lost, won), lost + won, 0.5)),
    )


def _compared(
    judge: str, pairs: Sequence[tuple[LabelledItem, LabelledItem]]
) -> Iterator[tuple[str, JudgeOutcome, JudgeOutcome]]:
    """The label of each item with what the judge said before and now, where neither is a failure."""
    for before, now in pairs:
        votes = [[v for v in item.votes if v.judge == judge] for item in (before, now)]
        shown = {vote.order for vote in votes[0]} & {vote.order for vote in votes[1]}
        if not shown:
            continue
        old, new = (_outcome(now, [vote for vote in each if vote.order in shown]) for each in votes)
        if not isinstance(old, Failure) and not isinstance(new, Failure):
            yield now.label, old, new


def _outcome(item: LabelledItem, votes: Sequence[Vote]) -> JudgeOutcome:
    (outcome,) = item.model_copy(update={"votes": tuple(votes)}).outcomes
    return outcome


def _said(outcome: JudgeOutcome) -> str:
    """The verdict: a side, a tie, or none."""
    if not isinstance(outcome, Judgment):
        return "none"
    return "tie" if outcome.preference == 0.5 else "A" if outcome.preference > 0.5 else "B"


def _settings(
    judge: str, pairs: Sequence[tuple[LabelledItem, LabelledItem]]
) -> Literal["same", "changed", "unknown"]:
    before, now = (
        {(vote.version, vote.seed) for pair in pairs for vote in pair[place].votes if vote.judge == judge}
        for place in (0, 1)
    )
    if not before or "" in {version for version, _ in before | now}:
        return "unknown"
    return "same" if before == now else "changed"


def _tail(successes: int, n: int, p: float) -> float:
    """The probability of so many successes or more among ``n``, each with probability ``p`` below 1."""
    if successes == 0:
        return 1.0
    if p == 0:
        return 0.0
    return min(1.0, math.fsum(math.exp(_log_binomial(k, n, p)) for k in range(successes, n + 1)))


def _log_binomial(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)
