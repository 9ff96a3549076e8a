"""RLAIF's labelling: K responses per prompt, compared in pairs by a jury."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from jurist.aggregators.chain import Chain
from jurist.artifacts import StageArtifact
from jurist.assembly import labels_of
from jurist.contracts import Aggregator, Critic, Generator, Judge
from jurist.jsonl import write_lines
from jurist.orders import BothOrders, BothOrdersOptions, OneOrder, flipped
from jurist.pairing import PAIRINGS
from jurist.plan import CallPlan, StagePlan
from jurist.prompts import load_comparisons, select
from jurist.recipe import CompareSettings, resolve_path
from jurist.records import (
    Abstention,
    Comparison,
    Decision,
    Failure,
    Judgment,
    Message,
    Outcome,
    Preference,
    Prompt,
    Reason,
    Record,
    Response,
    ResponseOutcome,
)
from jurist.stages.base import Stage, StageContext, StageResult, tally
from jurist.stages.jury import Judged, Jury


@dataclass(frozen=True)
class Sampled:
    """A prompt with its sampled responses and the comparisons made of them.

    ``unpaired`` counts the pairs that could not be made: equal or empty texts, missing responses.
    """

    prompt: Prompt
    judged: Sequence[Judged]
    responses: Sequence[ResponseOutcome] = ()
    unpaired: int = 0


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

    def comparisons(self) -> list[Comparison]:
        """The comparisons of the ``pairs`` file, filtered by tags.

        Raises:
            UsageError: the file is missing or faulty.
        """
        assert self.settings.pairs is not None
        found = load_comparisons(resolve_path(self.settings.pairs))
        tags = self.settings.tags, self.settings.without_tags
        return [c for c in found if select([c.prompt], *tags)]

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

    def plan(self) -> StagePlan:
        """K responses per prompt; every pair judged by every judge in every order."""
        if self.settings.pairs is None:
            prompts = self.prompts()
            samples = len(prompts) * self.settings.samples
            pairs = len(prompts) * len(PAIRINGS[self.settings.pairing](self.settings.samples))
        else:
            prompts = [comparison.prompt for comparison in self.comparisons()]
            samples, pairs = 0, len(prompts)
        orders = 2 if self.settings.orders == "both" else 1
        calls = [
            CallPlan("generator", samples, samples),
            CallPlan("judges", 0, pairs * orders * len(self.settings.judges)),
        ]
        if self.settings.critic is not None:
            calls.append(CallPlan("critic", 0, samples or 2 * pairs))
        return StagePlan.of(self.name, prompts, calls, self.settings.sampling.max_tokens)

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Write every comparison with its outcomes, the preferences, and what was set aside."""
        items, total = self._work(context, self._jury(context))
        context.events.stage_started(stage=self.name, total=total)
        tallies = _Tallies()
        with (
            write_lines(folder / "judgments.jsonl") as judgments,
            write_lines(folder / "preferences.jsonl") as preferences,
            write_lines(folder / "set_aside.jsonl") as set_aside,
        ):
            async for sampled in items:
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

    def _work(self, context: StageContext, jury: Jury) -> tuple[AsyncIterator[Sampled], int]:
        """The stream of judged prompts, and how many comparisons it will have at most."""
        if self.settings.pairs is not None:
            comparisons = self.comparisons()

            async def judge(comparison: Comparison) -> Sampled:
                return Sampled(prompt=comparison.prompt, judged=(await jury.judge(comparison),))

            return context.engine.map(judge, comparisons), len(comparisons)
        prompts = self.prompts()
        generator = cast(Generator, self._build(context, "generator", self.settings.generator))
        samples = range(self.settings.samples)
        wanted = len(PAIRINGS[self.settings.pairing](len(samples)))

        async def sample(prompt: Prompt) -> Sampled:
            asked = (generator.generate(prompt, self._sampling(prompt, index)) for index in samples)
            responses = await asyncio.gather(*asked)
            pairs = self._pairs(prompt, responses)
            judged = await asyncio.gather(*(jury.judge(pair) for pair in pairs))
            unpaired = wanted - len(pairs)
            return Sampled(prompt=prompt, responses=responses, judged=judged, unpaired=unpaired)

        return context.engine.map(sample, prompts), len(prompts) * wanted

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

    def _jury(self, context: StageContext) -> Jury:
        judges = [
            cast(Judge, self._build(context, f"judges.{number}", judge, "judge"))
            for number, judge in enumerate(self.settings.judges)
        ]
        if self.settings.orders == "both":
            options = BothOrdersOptions(on_flip=self.settings.on_flip)
            judges = [BothOrders(judge, options) for judge in judges]
        else:
            judges = [OneOrder(judge) for judge in judges]
        chain = Chain(
            [
                cast(Aggregator, self._build(context, f"aggregate.{number}", aggregator, "aggregator"))
                for number, aggregator in enumerate(self.settings.aggregate)
            ]
        )
        critic = self.settings.critic
        return Jury(
            judges=judges,
            chain=chain,
            critic=None if critic is None else cast(Critic, self._build(context, "critic", critic)),
            constitution=context.constitution,
            principles=self.settings.principles,
            seed=self.recipe.seed,
        )

    def _build(self, context: StageContext, place: str, reference: Any, kind: str = "") -> Any:
        where = f"stages.{self.name}.{place}"
        return context.assembly.build(kind or place, context.artifacts.component(reference), where)


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


def outcome_of(decision: Decision) -> str:
    """One word for progress and counts: ``preferred``, ``tie``, or why it was set aside."""
    if decision.probability is None:
        return str(decision.reason)
    return "tie" if decision.probability == 0.5 else "preferred"


class _Tallies:
    """Counts over comparisons, for the summary."""

    def __init__(self) -> None:
        self._decisions: Counter[str] = Counter()
        self._responses: Counter[str] = Counter()
        self._judges: dict[str, Counter[str]] = {}
        self._errors: dict[str, str] = {}

    def add(self, sampled: Sampled) -> list[str]:
        """Count one prompt; returns the outcome of each of its comparisons."""
        self._responses.update(response.kind for response in sampled.responses)
        self._note_errors(sampled.responses)
        for judged in sampled.judged:
            self._add_outcomes(judged)
        outcomes = [outcome_of(judged.decision) for judged in sampled.judged]
        outcomes += ["unpaired"] * sampled.unpaired
        self._decisions.update(outcomes)
        return outcomes

    def _note_errors(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                self._errors.setdefault(outcome.source, f"{outcome.source}: {outcome.error}")

    def _add_outcomes(self, judged: Judged) -> None:
        self._note_errors(judged.outcomes)
        for outcome in judged.outcomes:
            counts = self._judges.setdefault(outcome.source, Counter())
            counts["comparisons"] += 1
            if isinstance(outcome, Abstention):
                counts[outcome.reason] += 1
            for part in outcome.parts or (outcome,):
                counts["asked"] += 1
                counts[f"{part.kind}s" if part.kind != "abstention" else "abstentions"] += 1
            votes = [part for part in outcome.parts if isinstance(part, Judgment)]
            counts["flips"] += len(votes) == 2 and flipped(*votes)
            decided = judged.decision.probability
            if (
                decided is not None
                and isinstance(outcome, Judgment)
                and 0.5 not in (decided, outcome.preference)
            ):
                counts["votes"] += 1
                counts["with_jury"] += (outcome.preference > 0.5) == (decided > 0.5)

    def faults(self) -> tuple[str, ...]:
        """Why there is nothing: a failure of each, when everyone who was asked failed every time."""
        failed = [counts["asked"] == counts["failures"] for counts in self._judges.values()]
        nobody = bool(failed) and all(failed)
        no_response = self._responses["failure"] == self._responses.total() > 0
        return tuple(self._errors.values()) if nobody or no_response else ()

    def summary(self) -> dict[str, Any]:
        return {
            "responses": tally(self._responses),
            "comparisons": self._decisions.total() - self._decisions["unpaired"],
            "decisions": tally(self._decisions),
            "judges": {name: dict(counts) for name, counts in self._judges.items()},
        }
