"""RLAIF's labelling: K responses per prompt, compared in pairs by a jury."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from jurist.aggregators.chain import Chain
from jurist.artifacts import StageArtifact
from jurist.assembly import labels_of
from jurist.contracts import Aggregator, Critic, Generator, Judge
from jurist.jsonl import write_lines
from jurist.orders import BothOrders, BothOrdersOptions, OneOrder
from jurist.pairing import PAIRINGS
from jurist.prompts import load_comparisons, selected
from jurist.recipe import CompareSettings, Recipe, resolve_path
from jurist.record_file import RecordFile
from jurist.records import (
    Comparison,
    Message,
    Preference,
    Prompt,
    Reason,
    Record,
    Response,
    ResponseOutcome,
)
from jurist.stages.base import Stage, StageContext, StageResult, Surroundings, Work
from jurist.stages.jury import Judged, Jury
from jurist.stages.jury import outcome_of as outcome_of
from jurist.stages.sampled import Sampled, Tallies


class SetAside(Record):
    """A comparison that gave no preference, and why."""

    prompt_id: str
    comparison_id: str
    reason: Reason
    detail: str
    aggregator: str


class CompareStage(Stage):
    """Has a jury compare responses; makes ``preferences``."""

    settings: CompareSettings

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self._comparisons: RecordFile[Comparison] | None = None

    def references(self) -> list[tuple[str, str, Any]]:
        """The generator (unless pairs are given), the judges, the aggregators, the critic."""
        where = f"stages.{self.name}"
        found: list[tuple[str, str, Any]] = []
        if self.settings.pairs is None:
            found.append((f"{where}.generator", "generator", self.settings.generator))
        for number, judge in enumerate(self.settings.judges):
            found.append((f"{where}.judges.{number}", "judge", judge))
        for number, aggregator in enumerate(self.settings.aggregate):
            found.append((f"{where}.aggregate.{number}", "aggregator", aggregator))
        if self.settings.critic is not None:
            found.append((f"{where}.critic", "critic", self.settings.critic))
        return found

    def makes(self) -> StageArtifact:
        """Preferences."""
        return StageArtifact(kind="preferences", fingerprint="")

    def input_files(self) -> list[Path]:
        """The pairs, or the prompts."""
        return [resolve_path(self.settings.pairs)] if self.settings.pairs else super().input_files()

    def comparisons(self) -> RecordFile[Comparison]:
        """The comparisons of the ``pairs`` file, filtered by tags.

        Raises:
            UsageError: the file is missing or faulty.
        """
        assert self.settings.pairs is not None
        if self._comparisons is None:
            tags = self.settings.tags, self.settings.without_tags
            path = resolve_path(self.settings.pairs)
            self._comparisons = load_comparisons(path, keep=lambda c: selected(c.prompt, *tags))
        return self._comparisons

    def records(self) -> RecordFile[Any]:
        """The comparisons of the ``pairs`` file, or the prompts."""
        return self.prompts() if self.settings.pairs is None else self.comparisons()

    def comparisons_made(self) -> int:
        """Those of the ``pairs`` file, or as many pairs of responses as there can be."""
        return len(self.records()) * (1 if self.settings.pairs is not None else len(self._pairing()))

    def check(self) -> list[str]:
        """Its prompts or pairs, and that no two judges share a name."""
        labels = labels_of(self.settings.judges)
        faults = [
            f"stages.{self.name}.judges: {labels.count(label)} judges are called '{label}'; "
            "give each its own 'name:'"
            for label in sorted(set(labels))
            if labels.count(label) > 1
        ]
        if self.settings.pairs is None:
            return faults + super().check()
        if not self.comparisons():
            faults.append(f"stages.{self.name}.pairs: no pair is left after its filters")
        return faults

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Write every comparison with its outcomes, the preferences, and what was set aside."""
        work = self.work(context)
        context.events.stage_started(stage=self.name, total=self.comparisons_made())
        tallies = Tallies()
        with (
            write_lines(folder / "judgments.jsonl") as judgments,
            write_lines(folder / "preferences.jsonl") as preferences,
            write_lines(folder / "set_aside.jsonl") as set_aside,
        ):
            async for sampled in context.engine.map(work, self.records()):
                for judged in sampled.judged:
                    judgments.write(judged.to_json())
                    if (preference := preference_of(judged)) is not None:
                        preferences.write(preference.to_json())
                    else:
                        set_aside.write(set_aside_of(judged).to_json())
                for outcome in tallies.add(sampled):
                    context.events.outcome(stage=self.name, outcome=outcome)
        summary = {"preferences": preferences.count, "set_aside": set_aside.count, **tallies.summary()}
        artifact = self.makes().model_copy(update={"path": folder / "preferences.jsonl"})
        return StageResult(summary, artifact, tallies.faults())

    def work(self, surroundings: Surroundings) -> Work:
        """The judgment of a comparison; of a prompt, its responses first and then all their pairs."""
        if self.settings.pairs is None:
            return self._sample_and_judge(surroundings)
        jury = self._jury(surroundings)

        async def judge(comparison: Comparison) -> Sampled:
            return Sampled(prompt=comparison.prompt, judged=(await jury.judge(comparison),))

        return judge

    def _sample_and_judge(self, surroundings: Surroundings) -> Work:
        generator = cast(Generator, self._build(surroundings, "generator", self.settings.generator))
        jury = self._jury(surroundings)

        async def sample(prompt: Prompt) -> Sampled:
            samples = range(self.settings.samples)
            asked = (generator.generate(prompt, self._sampling(prompt, index)) for index in samples)
            responses = await asyncio.gather(*asked)
            pairs = self._pairs(prompt, responses)
            judged = await asyncio.gather(*(jury.judge(pair) for pair in pairs))
            unpaired = len(self._pairing()) - len(pairs)
            return Sampled(prompt=prompt, responses=responses, judged=judged, unpaired=unpaired)

        return sample

    def _pairing(self) -> list[tuple[int, int]]:
        """Which of the responses to one prompt are compared, by their numbers."""
        return PAIRINGS[self.settings.pairing](self.settings.samples)

    def _pairs(self, prompt: Prompt, responses: Sequence[ResponseOutcome]) -> list[Comparison]:
        """Pairs of different, non-empty texts; equal texts have no better one."""
        texts = {r.text: r for r in responses if isinstance(r, Response) and r.text.strip()}
        usable = list(texts.values())
        return [
            Comparison(prompt=prompt, response_a=usable[a], response_b=usable[b])
            for a, b in PAIRINGS[self.settings.pairing](len(usable))
        ]

    def _sampling(self, prompt: Prompt, index: int) -> Any:
        seed = self.seed(self.name, prompt.id, index)
        return self.settings.sampling.model_copy(update={"seed": seed})

    def _jury(self, surroundings: Surroundings) -> Jury:
        judges = [
            cast(Judge, self._build(surroundings, f"judges.{number}", judge, "judge"))
            for number, judge in enumerate(self.settings.judges)
        ]
        if self.settings.orders == "both":
            options = BothOrdersOptions(on_flip=self.settings.on_flip)
            judges = [BothOrders(judge, options) for judge in judges]
        else:
            judges = [OneOrder(judge) for judge in judges]
        chain = Chain(
            [
                cast(Aggregator, self._build(surroundings, f"aggregate.{number}", aggregator, "aggregator"))
                for number, aggregator in enumerate(self.settings.aggregate)
            ]
        )
        critic = self.settings.critic
        return Jury(
            judges=judges,
            chain=chain,
            critic=None if critic is None else cast(Critic, self._build(surroundings, "critic", critic)),
            constitution=surroundings.constitution,
            principles=self.settings.principles,
            seed=self.recipe.seed,
        )

    def _build(self, surroundings: Surroundings, place: str, reference: Any, kind: str = "") -> Any:
        where = f"stages.{self.name}.{place}"
        return surroundings.assembly.build(kind or place, surroundings.artifacts.component(reference), where)


def preference_of(judged: Judged) -> Preference | None:
    """The labelled pair of a decided comparison; None when it was set aside or is an exact tie."""
    probability = judged.decision.probability
    if probability is None or probability == 0.5:
        return None
    comparison = judged.comparison
    chosen, rejected = comparison.response_a, comparison.response_b
    if probability < 0.5:
        chosen, rejected, probability = rejected, chosen, 1 - probability
    return Preference(
        prompt=comparison.prompt.messages,
        chosen=(Message(role="assistant", content=chosen.text),),
        rejected=(Message(role="assistant", content=rejected.text),),
        probability=probability,
        prompt_id=comparison.prompt.id,
        comparison_id=comparison.id,
        aggregator=judged.decision.aggregator,
        tags=comparison.prompt.tags,
    )


def set_aside_of(judged: Judged) -> SetAside:
    """The row of a comparison that gave no preference; one decided at 0.5 is a tie."""
    return SetAside(
        prompt_id=judged.comparison.prompt.id,
        comparison_id=judged.comparison.id,
        reason=judged.decision.reason or "tie",
        detail=judged.decision.detail,
        aggregator=judged.decision.aggregator,
    )
