"""Constitutional AI, the supervised part: response → critique → revision, repeated."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

from jurist.artifacts import StageArtifact
from jurist.constitution import Constitution
from jurist.contracts import Critic, Generator, Reviser
from jurist.files.jsonl import write_lines
from jurist.records import Abstention, Critique, Failure, Message, Outcome, Prompt, Response, Step, Trajectory
from jurist.stage_records import Revision
from jurist.stage_settings import ReviseSettings
from jurist.stages.base import ComponentUse, Stage, StageContext, StageResult, Work, choose_principles, tally
from jurist.stages.surroundings import Surroundings

_KINDS = ("generator", "critic", "reviser")
"""Who is asked, each named by a setting of its own."""


class ReviseStage(Stage):
    """Lets a model criticise and revise its own answers; makes ``revisions``."""

    settings: ReviseSettings

    def references(self) -> list[ComponentUse]:
        """The generator, the critic and the reviser."""
        return [
            ComponentUse(f"stages.{self.name}.{kind}", kind, getattr(self.settings, kind)) for kind in _KINDS
        ]

    def makes(self) -> StageArtifact:
        """Revisions."""
        return StageArtifact(kind="revisions", fingerprint="")

    def work(self, surroundings: Surroundings) -> Work:
        """The loop over one prompt."""
        built = {kind: self.build(surroundings, kind, getattr(self.settings, kind), kind) for kind in _KINDS}
        return CritiqueRevisionLoop(
            generator=cast(Generator, built["generator"]),
            critic=cast(Critic, built["critic"]),
            reviser=cast(Reviser, built["reviser"]),
            constitution=surroundings.constitution,
            stage=self,
        ).trajectory

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Write every trajectory, and the texts that are kept for training."""
        prompts = self.prompts()
        context.events.stage_started(stage=self.name, total=len(prompts))
        tallies = _Tallies()
        with (
            write_lines(folder / "trajectories.jsonl") as trajectories,
            write_lines(folder / "revisions.jsonl") as revisions,
        ):
            async for trajectory in context.engine.map(self.work(context), prompts):
                trajectories.write(trajectory.to_json())
                for revision in kept(trajectory, self.settings.keep):
                    revisions.write(revision.to_json())
                tallies.add(trajectory)
                context.events.outcome(stage=self.name, outcome=trajectory.ended)
        summary = {"prompts": len(prompts), "revisions": revisions.count, **tallies.summary()}
        artifact = self.makes().model_copy(update={"path": folder / "revisions.jsonl"})
        return StageResult(summary, artifact, tallies.faults())


class CritiqueRevisionLoop:
    """The loop over one prompt (arXiv 2212.08073, section 3.1; with verdicts it stops early)."""

    def __init__(
        self,
        *,
        generator: Generator,
        critic: Critic,
        reviser: Reviser,
        constitution: Constitution,
        stage: ReviseStage,
    ) -> None:
        self._generator = generator
        self._critic = critic
        self._reviser = reviser
        self._constitution = constitution
        self._stage = stage
        self._settings = stage.settings

    async def trajectory(self, prompt: Prompt) -> Trajectory:
        """Respond, then criticise and revise up to ``rounds`` times."""
        response = await self._generator.generate(prompt, self._stage.sampling(prompt, 0))
        if not isinstance(response, Response):
            return Trajectory(prompt=prompt, response=response, ended=response.kind)
        current, steps = response, []
        for number in range(1, self._settings.rounds + 1):
            step = await self._step(prompt, current, number)
            steps.append(step)
            ended = self._ends(step)
            if ended:
                return Trajectory(prompt=prompt, response=response, steps=tuple(steps), ended=ended)
            if isinstance(step.revision, Response):
                current = step.revision
        return Trajectory(prompt=prompt, response=response, steps=tuple(steps), ended="rounds")

    async def _step(self, prompt: Prompt, current: Response, number: int) -> Step:
        how = self._settings.principles
        seed = f"{self._stage.recipe.seed}:{prompt.id}:{number}"
        principles = choose_principles(self._constitution, how, seed)
        names = tuple(principle.name for principle in principles)
        critique = await self._critic.critique(prompt, current, principles)
        if not isinstance(critique, Critique) or critique.satisfied:
            return Step(round=number, principles=names, critique=critique)
        sampling = self._stage.sampling(prompt, number)
        revision = await self._reviser.revise(prompt, current, critique, principles, sampling)
        return Step(round=number, principles=names, critique=critique, revision=revision)

    def _ends(self, step: Step) -> Any:
        """Why the trajectory ends with this step, or None when it goes on."""
        if not isinstance(step.critique, Critique):
            return step.critique.kind
        if step.revision is None:
            # With a sampled principle the others may still be violated, so later rounds go on.
            return "satisfied" if self._settings.principles == "all" else None
        return None if isinstance(step.revision, Response) else step.revision.kind


def kept(trajectory: Trajectory, keep: str | int) -> list[Revision]:
    """The texts of a trajectory that become training data.

    ``final``: the last text, if the trajectory came to its end, also when the first response needed
    no revision. ``all``: every revision. A number: the revisions up to that round. Never texts that
    are empty, or cut at ``max_tokens``: they would teach to stop in mid-sentence.
    """
    if keep == "final":
        ended_well = trajectory.ended in ("satisfied", "rounds")
        texts = _texts(trajectory)[-1:] if ended_well else []
    else:
        last = len(trajectory.steps) if keep == "all" else int(keep)
        texts = [(number, text) for number, text in _texts(trajectory) if 1 <= number <= last]
    return [
        Revision(
            prompt=trajectory.prompt.messages,
            completion=(Message(role="assistant", content=response.text),),
            round=number,
            prompt_id=trajectory.prompt.id,
            tags=trajectory.prompt.tags,
        )
        for number, response in texts
        if response.is_complete
    ]


def _texts(trajectory: Trajectory) -> list[tuple[int, Response]]:
    """The initial response as round 0, and each round's revision."""
    written = [(0, trajectory.response), *((step.round, step.revision) for step in trajectory.steps)]
    return [(number, text) for number, text in written if isinstance(text, Response)]


class _Tallies:
    """Counts over trajectories, for the summary."""

    def __init__(self) -> None:
        self._ended: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._violations: dict[int, Counter[str]] = {}
        self._asked: dict[int, int] = {}

    def add(self, trajectory: Trajectory) -> None:
        self._ended[trajectory.ended] += 1
        outcomes: list[Outcome] = [trajectory.response]
        for step in trajectory.steps:
            outcomes += [outcome for outcome in (step.critique, step.revision) if outcome is not None]
            if isinstance(step.critique, Critique):
                self._asked[step.round] = self._asked.get(step.round, 0) + 1
                self._violations.setdefault(step.round, Counter()).update(step.critique.violated)
        for outcome in outcomes:
            if isinstance(outcome, Response) and outcome.finish_reason == "length":
                self._reasons["cut at max_tokens"] += 1
            if isinstance(outcome, Abstention):
                self._reasons[outcome.reason] += 1
            elif isinstance(outcome, Failure):
                self._reasons[f"failure: {shorten(outcome.error, 120)}"] += 1

    def faults(self) -> tuple[str, ...]:
        """Why there is nothing: the failures, when every trajectory ended with one."""
        all_failed = self._ended["failure"] == self._ended.total() > 0
        return tuple(reason for reason in self._reasons if reason.startswith("failure")) if all_failed else ()

    def summary(self) -> dict[str, Any]:
        return {
            "ended": tally(self._ended),
            "reasons": tally(self._reasons),
            "critiques_by_round": self._asked,
            "violations_by_round": {number: tally(names) for number, names in self._violations.items()},
        }
