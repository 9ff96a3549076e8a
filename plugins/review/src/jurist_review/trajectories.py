"""What a revise stage did: the rounds, the principles, and sample trajectories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jurist.intervals import Estimate, wilson
from jurist.records import Critique, Response, ResponseOutcome, Step, Trajectory
from jurist_review.browsing import BrowsedRow, Browser, Section
from jurist_review.display import worded
from jurist_review.selection import Selection

SAMPLES = 12


@dataclass
class Round:
    """One round over all trajectories.

    ``known`` counts the trajectories whose text this round is known to be good or bad: criticised now,
    or satisfied earlier. Those that failed or abstained on the way are not in it.
    """

    number: int
    known: int = 0
    critiques: int = 0
    violating: int = 0
    without_verdict: int = 0
    principles: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)


@dataclass
class Repaired:
    """Trajectories in which a principle was violated, by what the last critique that looked found of it."""

    repaired: int = 0
    still: int = 0
    not_looked: int = 0

    @property
    def share(self) -> Estimate | None:
        """The repaired ones of those that were looked at again."""
        looked = self.repaired + self.still
        return wilson(self.repaired / looked, looked, looked) if looked else None


@dataclass(frozen=True)
class Exchange:
    """A step with the text that it criticised."""

    before: Response
    step: Step


@dataclass
class Trajectories:
    """The rounds of a stage and its sample trajectories."""

    count: int
    rounds: list[Round]
    samples: list[Trajectory]
    repaired: dict[str, Repaired] = field(default_factory=dict)

    @property
    def principles(self) -> list[str]:
        """Every principle that was violated, the most often violated first."""
        return [name for name in self.constitution if name in self.repaired]

    @property
    def constitution(self) -> list[str]:
        """Every principle that a text was held against, the most often violated first."""
        total: Counter[str] = Counter()
        for counted in self.rounds:
            total.update(counted.principles)
        asked = dict.fromkeys(name for counted in self.rounds for name in counted.asked)
        return sorted(asked, key=lambda name: -total[name])


def summarise(trajectories: Iterable[Trajectory], browser: Browser) -> Trajectories:
    """Count the rounds and choose the samples, in one pass."""
    selection = Selection[Trajectory](SAMPLES)
    rounds: dict[int, Round] = {}
    satisfied_after: Counter[int] = Counter()
    repaired: dict[str, Repaired] = {}
    count = 0
    for trajectory in trajectories:
        count += 1
        browser.add(_browsed(trajectory))
        _add_repaired(repaired, trajectory)
        selection.offer(_group(trajectory), trajectory.prompt.id, trajectory)
        for step in trajectory.steps:
            _add(rounds.setdefault(step.round, Round(step.round)), step)
        if trajectory.ended == "satisfied":
            satisfied_after[trajectory.steps[-1].round if trajectory.steps else 0] += 1
    for counted in rounds.values():
        earlier = sum(n for last, n in satisfied_after.items() if last < counted.number)
        counted.known = counted.critiques + earlier
    samples = selection.preferring(("revised", "unchanged", "ended early"))
    return Trajectories(count, [rounds[number] for number in sorted(rounds)], samples, repaired)


def exchanges(trajectory: Trajectory) -> list[Exchange]:
    """Every step of a trajectory beside the text it criticised."""
    current: ResponseOutcome = trajectory.response
    found = []
    for step in trajectory.steps:
        if isinstance(current, Response):
            found.append(Exchange(current, step))
        if isinstance(step.revision, Response):
            current = step.revision
    return found


def _add(counted: Round, step: Step) -> None:
    if not isinstance(step.critique, Critique):
        return
    counted.critiques += 1
    counted.violating += bool(step.critique.violated)
    counted.without_verdict += all(finding.satisfied is None for finding in step.critique.findings)
    counted.principles.update(step.critique.violated)
    counted.asked.update(finding.principle for finding in step.critique.findings)


def _add_repaired(repaired: dict[str, Repaired], trajectory: Trajectory) -> None:
    """Count every principle that was violated at first by what became of it."""
    newest: dict[str, str] = {}
    for step in trajectory.steps:
        if not isinstance(step.critique, Critique):
            continue
        violated = set(step.critique.violated)
        for finding in step.critique.findings:
            if finding.principle in violated:
                newest[finding.principle] = "still" if finding.principle in newest else "not_looked"
            elif finding.principle in newest and finding.satisfied:
                newest[finding.principle] = "repaired"
    for principle, became in newest.items():
        counts = repaired.setdefault(principle, Repaired())
        setattr(counts, became, getattr(counts, became) + 1)


def _browsed(trajectory: Trajectory) -> BrowsedRow:
    """The row of a trajectory; opened, it shows the first text beside the last, and each critique."""

    def sections() -> list[Section]:
        first, revisions = trajectory.response, trajectory.revisions
        shown = [Section.of("Response", first)]
        if isinstance(first, Response) and revisions:
            shown = Section.changed(("Response", "Last revision"), first.text, revisions[-1].text)
        for step in trajectory.steps:
            if isinstance(step.critique, Critique):
                violated = ", ".join(step.critique.violated)
                shown.append(Section.text(f"Critique {step.round}", f"violated: {violated or 'nothing'}"))
            else:
                shown.append(Section.of(f"Critique {step.round}", step.critique))
        return shown

    revisions = len(trajectory.revisions)
    return BrowsedRow(
        trajectory.prompt.id,
        trajectory.prompt,
        f"ended: {worded(trajectory.ended)}",
        str(revisions),
        sections,
    )


def _group(trajectory: Trajectory) -> str:
    if trajectory.ended in ("abstention", "failure"):
        return "ended early"
    first = trajectory.response
    changed = isinstance(first, Response) and any(r.text != first.text for r in trajectory.revisions)
    return "revised" if changed else "unchanged"
