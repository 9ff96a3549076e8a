"""What a revise stage did: the rounds, and sample trajectories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jurist.records import Critique, Response, ResponseOutcome, Step, Trajectory
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

    @property
    def principles(self) -> list[str]:
        """Every principle that was violated, the most often violated first."""
        total: Counter[str] = Counter()
        for counted in self.rounds:
            total.update(counted.principles)
        return [name for name, _ in total.most_common()]


def summarise(trajectories: Iterable[Trajectory]) -> Trajectories:
    """Count the rounds and choose the samples, in one pass."""
    selection = Selection[Trajectory](SAMPLES)
    rounds: dict[int, Round] = {}
    satisfied_after: Counter[int] = Counter()
    count = 0
    for trajectory in trajectories:
        count += 1
        selection.offer(_group(trajectory), trajectory.prompt.id, trajectory)
        for step in trajectory.steps:
            _add(rounds.setdefault(step.round, Round(step.round)), step)
        if trajectory.ended == "satisfied":
            satisfied_after[trajectory.steps[-1].round if trajectory.steps else 0] += 1
    for counted in rounds.values():
        earlier = sum(n for last, n in satisfied_after.items() if last < counted.number)
        counted.known = counted.critiques + earlier
    samples = selection.preferring(("revised", "unchanged", "ended early"))
    return Trajectories(count, [rounds[number] for number in sorted(rounds)], samples)


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


def _group(trajectory: Trajectory) -> str:
    if trajectory.ended in ("abstention", "failure"):
        return "ended early"
    first = trajectory.response
    changed = isinstance(first, Response) and any(r.text != first.text for r in trajectory.revisions)
    return "revised" if changed else "unchanged"
