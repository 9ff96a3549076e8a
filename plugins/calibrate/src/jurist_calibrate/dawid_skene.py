"""Dawid-Skene, with each judge in each presentation order as a worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log

from jurist.errors import UsageError
from jurist.records import Decision, JudgeOutcome, Judgment
from jurist.validation.labelled import Label, LabelledItem
from jurist_calibrate.ballots import judgments_in, verdict_in
from jurist_calibrate.confusion import Confusion, Vote, confusion_by_labels, confusion_by_votes
from jurist_calibrate.learnt_jury import Learnt, LearntJury, LearntJuryOptions
from jurist_calibrate.roster import versions_in

_MIRRORED: dict[str, Label] = {"A": "B", "B": "A", "tie": "tie"}
_OTHER = {"ab": "ba", "ba": "ab", "any": "any"}


class DawidSkeneOptions(LearntJuryOptions):
    """``use_labels``: take the labels as known; otherwise it learns from the votes alone."""

    use_labels: bool = True


class FittedDawidSkene(Learnt):
    """The confusion matrices of workers: ``ab/JUDGE`` and ``ba/JUDGE``.

    A judge that was shown one of the orders alone, or to whom the order is all the same, is ``any/JUDGE``:
    nothing says which position it leans to.
    """

    confusion: Confusion


class DawidSkene(LearntJury[FittedDawidSkene]):
    """Decides by what each judge says, in each order, where A, B or neither is better.

    A judge's lean towards one position is part of its confusion matrices. They are learnt from every item
    and its mirror image, so A and B are treated alike. Given the label, votes are taken to be independent, so
    judges who err together make it too sure.
    """

    Options = DawidSkeneOptions
    options: DawidSkeneOptions
    name = "dawid-skene"
    holds = FittedDawidSkene

    def learn(self, items: Sequence[LabelledItem]) -> FittedDawidSkene:
        """The confusion matrices of the judges who voted on ``items``."""
        versions = versions_in(items, self.name)
        votes, labels = _votes_and_labels(items)
        if not votes:
            raise UsageError(
                f"aggregator '{self.name}' of jurist-calibrate cannot learn",
                cause=f"no judge gave a judgment on any of {len(items)} items",
                hint="jurist validate LABELLED --judges FILE",
            )
        confusion = (
            confusion_by_labels(votes, labels) if self.options.use_labels else confusion_by_votes(votes)
        )
        return FittedDawidSkene(items=len(items), versions=versions, confusion=confusion)

    def decide_by(self, learnt: FittedDawidSkene, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decided, or undecided with ``no_votes``."""
        said = [(outcome.source, judgment) for outcome in outcomes for judgment in judgments_in(outcome)]
        if not said:
            detail = f"none of {len(outcomes)} judges gave a judgment"
            return Decision(status="undecided", reason="no_votes", detail=detail, aggregator=self.name)
        posterior = _posterior(learnt.confusion, said)
        for_a, for_b, tie = (posterior.get(label, 0.0) for label in ("A", "B", "tie"))
        probability = 0.5 if tie >= max(for_a, for_b) else min(for_a + tie / 2, 1.0)
        detail = f"P(A) {for_a:.3f}, P(tie) {tie:.3f}, P(B) {for_b:.3f}"
        return Decision(status="decided", probability=probability, detail=detail, aggregator=self.name)


def _votes_and_labels(items: Sequence[LabelledItem]) -> tuple[list[Vote], dict[str, str]]:
    """The votes and labels of every item that was voted on and of its mirror image."""
    one_order = _shown_in_one_order(items)
    votes: list[Vote] = []
    labels: dict[str, str] = {}
    for number, item in enumerate(items):
        for judge, order, verdict in _verdicts(item):
            seen = "any" if judge in one_order else order
            votes.append((f"{number}", f"{seen}/{judge}", verdict))
            votes.append((f"-{number}", f"{_OTHER[seen]}/{judge}", _MIRRORED[verdict]))
            labels |= {f"{number}": item.label, f"-{number}": _MIRRORED[item.label]}
    return votes, labels


def _shown_in_one_order(items: Sequence[LabelledItem]) -> set[str]:
    shown = {(judge, order) for item in items for judge, order, _ in _verdicts(item)}
    return {judge for judge, order in shown if (judge, _OTHER[order]) not in shown}


def _verdicts(item: LabelledItem) -> Iterator[tuple[str, str, Label]]:
    for outcome in item.outcomes:
        for judgment in judgments_in(outcome):
            yield outcome.source, _order(judgment), verdict_in(judgment)


def _order(judgment: Judgment) -> str:
    """The order it was given in, or ``any``; a mean of both that keeps neither counts as of the first."""
    if judgment.order in ("either", "mixed"):
        return "any"
    return "ba" if judgment.order == "ba" else "ab"


def _posterior(confusion: Confusion, said: Sequence[tuple[str, Judgment]]) -> dict[str, float]:
    """P(label) by Bayes' rule (eq. 2.5 of the paper)."""
    scores = {label: log(share) for label, share in confusion.marginals.items() if share > 0}
    for judge, judgment in said:
        seen = (f"{_order(judgment)}/{judge}", f"any/{judge}")
        worker = next((confusion.rates[name] for name in seen if name in confusion.rates), {})
        verdict = verdict_in(judgment)
        for label in scores:
            # What was never seen when it was learnt, a worker or a verdict, says nothing.
            scores[label] += log(worker.get(label, {}).get(verdict, 1.0))
    highest = max(scores.values())
    shares = {label: exp(score - highest) for label, score in scores.items()}
    total = sum(shares.values())
    return {label: share / total for label, share in shares.items()}
