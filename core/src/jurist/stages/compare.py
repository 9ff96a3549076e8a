"""RLAIF's labelling: K responses per prompt, compared in pairs by a jury."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from jurist.artifacts import StageArtifact
from jurist.contracts import Critic, Generator
from jurist.files.jsonl import write_lines
from jurist.files.prompts import load_comparisons, selected
from jurist.files.record_file import RecordFile
from jurist.recipe import Recipe, resolve_path
from jurist.records import Comparison, Message, Preference, Prompt, Response, ResponseOutcome
from jurist.stage_records import Judged, SetAside
from jurist.stage_settings import CompareSettings
from jurist.stages.base import ComponentUse, StageContext, StageResult, Work, naming
from jurist.stages.compare_tallies import Sampled, Tallies
from jurist.stages.judging import JudgingStage
from jurist.stages.jury import Jury
from jurist.stages.pairing import PAIRINGS, Pairing
from jurist.stages.panel import Panel
from jurist.stages.surroundings import Surroundings


class CompareStage(JudgingStage):
    """Has a jury compare responses; makes ``preferences``."""

    settings: CompareSettings

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self._comparisons: RecordFile[Comparison] | None = None

    def references(self) -> list[ComponentUse]:
        """The generator (unless pairs are given), the judges, the aggregators, the critic."""
        where = f"stages.{self.name}"
        found: list[ComponentUse] = []
        if self.settings.pairs is None:
            found.append(ComponentUse(f"{where}.generator", "generator", self.settings.generator))
        found += super().references()
        if self.settings.critic is not None:
            found.append(ComponentUse(f"{where}.critic", "critic", self.settings.critic))
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
            with naming(f"stages.{self.name}.pairs"):
                self._comparisons = load_comparisons(path, keep=lambda c: selected(c.prompt, *tags))
        return self._comparisons

    def records(self) -> RecordFile[Any]:
        """The comparisons of the ``pairs`` file, or the prompts."""
        return self.prompts() if self.settings.pairs is None else self.comparisons()

    def comparisons_made(self) -> int:
        """Those of the ``pairs`` file, or as many pairs of responses as there can be."""
        each = 1 if self.settings.pairs is not None else self._pairing.most(self.settings.samples)
        return len(self.records()) * each

    def goes_by_verdicts(self) -> bool:
        """Whether who is asked next, or what is compared next, depends on what was said."""
        adaptive = self.settings.pairs is None and self._pairing.adaptive
        return adaptive or self.settings.ask == "in_turn" or super().goes_by_verdicts()

    def faults(self) -> list[str]:
        """Its prompts or pairs."""
        if self.settings.pairs is None:
            return super().faults()
        if not self.comparisons():
            return [f"stages.{self.name}.pairs: no pair is left after its filters"]
        return []

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Write every comparison with its outcomes, the preferences, and what was set aside."""
        self.check_judges(context)
        work = self.work(context)
        context.events.stage_started(stage=self.name, total=self.comparisons_made())
        tallies = Tallies(self.settings.on_flip)
        with (
            write_lines(folder / "judgments.jsonl") as judgments,
            write_lines(folder / "preferences.jsonl") as preferences,
            write_lines(folder / "set_aside.jsonl") as set_aside,
        ):
            async for sampled in context.engine.map(work, self.records()):
                for judged in sampled.judged:
                    judgments.write(judged.to_json())
                    preference = preference_of(judged) if sampled.asks_for(judged) else None
                    if preference is not None:
                        preferences.write(preference.to_json())
                    else:
                        set_aside.write(set_aside_of(judged).to_json())
                for outcome in tallies.add(sampled):
                    context.events.outcome(stage=self.name, outcome=outcome)
        summary = {
            "preferences": preferences.count,
            "set_aside": set_aside.count,
            **tallies.summary(),
            **self.provenance(context).model_dump(mode="json"),
        }
        artifact = self.makes().model_copy(update={"path": folder / "preferences.jsonl"})
        return StageResult(summary, artifact, tallies.faults())

    def work(self, surroundings: Surroundings) -> Work:
        """The judgment of a comparison; of a prompt, its responses first and then their pairs."""
        if self.settings.pairs is None:
            return self._sample_and_judge(surroundings)
        jury = self._jury(surroundings)

        async def judge(comparison: Comparison) -> Sampled:
            return Sampled(prompt=comparison.prompt, judged=(await jury.judge(comparison),))

        return judge

    def _sample_and_judge(self, surroundings: Surroundings) -> Work:
        built = self.build(surroundings, "generator", self.settings.generator, "generator")
        generator = cast(Generator, built)
        jury = self._jury(surroundings)

        async def sample(prompt: Prompt) -> Sampled:
            samples = range(self.settings.samples)
            asked = (generator.generate(prompt, self.sampling(prompt, index)) for index in samples)
            responses = await asyncio.gather(*asked)
            return await self._paired(jury, prompt, responses)

        return sample

    @property
    def _pairing(self) -> Pairing:
        return PAIRINGS[self.settings.pairing]

    async def _paired(self, jury: Jury, prompt: Prompt, responses: Sequence[ResponseOutcome]) -> Sampled:
        """Compare different, non-empty texts; equal texts have no better one."""
        texts = {r.text: r for r in responses if isinstance(r, Response) and r.text.strip()}
        usable = list(texts.values())
        judged: dict[tuple[int, int], Judged] = {}

        async def compare(first: int, second: int) -> bool | None:
            comparison = Comparison(prompt=prompt, response_a=usable[first], response_b=usable[second])
            found = judged[first, second] = await jury.judge(comparison)
            return None if found.preferred is None else found.preferred == "B"

        best = await self._pairing.pair(len(usable), compare)
        most = self._pairing.most(len(usable))
        return Sampled(
            prompt=prompt,
            responses=responses,
            judged=[judged[numbers] for numbers in sorted(judged)],
            best=None if best is None else usable[best],
            unpaired=self._pairing.most(self.settings.samples) - most,
            unneeded=most - len(judged),
        )

    def _jury(self, surroundings: Surroundings) -> Jury:
        critic = self.settings.critic
        built = None if critic is None else self.build(surroundings, "critic", critic, "critic")
        return Jury(
            panel=Panel.of(self, surroundings),
            chain=self.chain(surroundings),
            critic=cast(Critic | None, built),
            constitution=surroundings.constitution,
            in_turn=self.settings.ask == "in_turn",
        )


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
    decided = "tie" if judged.decision.probability == 0.5 else "knock_out"
    return SetAside(
        prompt_id=judged.comparison.prompt.id,
        comparison_id=judged.comparison.id,
        reason=judged.decision.reason or decided,
        detail=judged.decision.detail,
        aggregator=judged.decision.aggregator,
    )
