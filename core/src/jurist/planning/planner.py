"""Planner: makes a plan by rehearsing every stage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Literal

from jurist.artifacts import Artifacts
from jurist.chat import Sampling
from jurist.constitution import Constitution
from jurist.contracts import BatchChatModel
from jurist.planning.bounds import Bounds
from jurist.planning.pace import seconds_of
from jurist.planning.plan import NO_COST, ComponentPlan, Cost, Plan, StagePlan
from jurist.planning.rehearsal import Rehearsal, Tally, UnmeteredModels
from jurist.preflight import Checked, check
from jurist.recipe import Recipe
from jurist.records import Record
from jurist.selection import ComponentSource
from jurist.stages import Stage
from jurist.stages.train import TrainStage
from jurist.stages.train_scores import ResponseScorers

SAMPLE = 1000
"""How many rows of a longer file are rehearsed, from evenly over all of it."""


class Planner:
    """Plans the stages of one recipe; makes no call and loads no weights, at most tokenizers."""

    def __init__(self, source: ComponentSource, constitution: Constitution) -> None:
        self._source = source
        self._constitution = constitution
        self._models = UnmeteredModels()

    async def stage(self, stage: Stage, artifacts: Artifacts) -> StagePlan:
        """What one stage will ask for; ``artifacts`` are what it is handed."""
        name, kind = stage.name, stage.settings.stage
        if isinstance(stage, TrainStage):
            trainer, components = stage.settings.trainer_name, await self._scored(stage, artifacts)
            return StagePlan(stage=name, kind=kind, trainer=trainer, components=components)
        records = stage.records()
        chosen = records.spread(SAMPLE)
        scale = len(records) / len(chosen)
        rehearsal = await self._rehearsed(stage, artifacts, chosen, fortunate=False)
        low = high = _grouped(rehearsal.tallies)
        if rehearsal.by_fortune or stage.goes_by_verdicts():
            low = _grouped((await self._rehearsed(stage, artifacts, chosen, fortunate=True)).tallies)
        return StagePlan(
            stage=name,
            kind=kind,
            noun=records.noun,
            items=len(records),
            rehearsed=len(chosen),
            comparisons=stage.comparisons_made(),
            components=tuple(component_plan(low[key], tallies, scale) for key, tallies in high.items()),
        )

    async def _scored(self, stage: TrainStage, artifacts: Artifacts) -> tuple[ComponentPlan, ...]:
        """What the scorers of a training are asked: as often as it says, or nobody knows how often."""
        components = []
        for which, references in stage.scorers().items():
            rehearsal = self._rehearsal(artifacts, fortunate=False)
            scorers = ResponseScorers(stage, which, references, rehearsal)
            samples = stage.samples(which)
            prompts = stage.sampled()[which].spread(SAMPLE)
            longest = Sampling().max_tokens if samples is None else samples.max_tokens
            for prompt in prompts:
                await scorers.score((prompt, rehearsal.response(longest)))
            scale = 1 if samples is None else samples.responses / len(prompts)
            plans = [component_plan(each, each, scale) for each in _grouped(rehearsal.tallies).values()]
            components += [plan.unbounded() for plan in plans] if samples is None else plans
        return tuple(components)

    def _rehearsal(self, artifacts: Artifacts, *, fortunate: bool) -> Rehearsal:
        return Rehearsal(self._source, self._constitution, artifacts, self._models, fortunate=fortunate)

    async def _rehearsed(
        self, stage: Stage, artifacts: Artifacts, records: Sequence[Record], *, fortunate: bool
    ) -> Rehearsal:
        """The rehearsal of a stage over some records."""
        rehearsal = self._rehearsal(artifacts, fortunate=fortunate)
        work = stage.work(rehearsal)
        assert work is not None, "only training makes no calls"
        for item in stage.items(records):
            await work(item)
        return rehearsal

    async def close(self) -> None:
        """Let the models go."""
        await self._models.close()


def plan(recipe: Recipe, source: ComponentSource) -> Plan:
    """What a run of this recipe will ask for, and what that costs; makes no call.

    Raises:
        UsageError: the recipe has faults.
    """
    return asyncio.run(make_plan(check(recipe, source), source))


async def make_plan(checked: Checked, source: ComponentSource) -> Plan:
    """The same as :func:`plan` of a recipe that was checked, for programs that have an event loop."""
    planner = Planner(source, checked.constitution)
    try:
        stages = [
            await planner.stage(stage, artifacts)
            for stage, artifacts in zip(checked.stages, checked.handed, strict=True)
        ]
    finally:
        await planner.close()
    return Plan.of(checked.recipe, stages, checked.notices)


def _grouped(tallies: Sequence[Tally]) -> dict[str, list[Tally]]:
    """Those of the same settings and role together."""
    groups: dict[str, list[Tally]] = {}
    for tally in tallies:
        key = json.dumps([tally.selection.kind, tally.selection.settings], sort_keys=True)
        groups.setdefault(key, []).append(tally)
    return groups


def component_plan(low: Sequence[Tally], high: Sequence[Tally], scale: float) -> ComponentPlan:
    """What a component is asked for, by its tallies where answers are fortunate, and where they are not."""
    first, selection = high[0], high[0].selection
    calls = _scaled((tally.calls for tally in low), (tally.calls for tally in high), scale)
    prompt = _scaled(
        (tally.prompt_tokens.low for tally in low), (tally.prompt_tokens.high for tally in high), scale
    )
    completion = _scaled(
        (tally.completion_tokens.low for tally in low),
        (tally.completion_tokens.high for tally in high),
        scale,
    )
    known = first.model is not None or selection.implementation.free
    return ComponentPlan(
        component=selection.label,
        role="kl" if selection.kind == "chat_model" else selection.kind,
        where=tuple(tally.where for tally in high),
        calls=calls,
        prompt_tokens=prompt if known else None,
        completion_tokens=completion if known else None,
        counted=None if first.model is None else _counted(high),
        cost=_cost(first, prompt, completion),
        batched=selection.batching is not None,
        seconds=_seconds(first, calls, prompt + completion),
    )


def _scaled(low: Iterable[float], high: Iterable[float], scale: float) -> Bounds:
    # Where answers are fortunate, a component may be left to ask what else one of the same settings asks.
    least, most = sorted((sum(low), sum(high)))
    return Bounds(low=round(scale * least), high=round(scale * most))


def _counted(tallies: Sequence[Tally]) -> Literal["tokenizer", "estimate"]:
    return "estimate" if any(tally.estimated for tally in tallies) else "tokenizer"


def _cost(tally: Tally, prompt: Bounds, completion: Bounds) -> Cost | None:
    """None where the price is not known, as of components that call a service of their own."""
    if tally.model is None:
        return NO_COST if tally.selection.implementation.free else None
    if tally.price is None:
        return None
    batches, batched = isinstance(tally.model, BatchChatModel), tally.selection.batching is not None
    return Cost.of(tally.price, prompt, completion, batches=batches, batched=batched)


def _seconds(tally: Tally, calls: Bounds, tokens: Bounds) -> Bounds | None:
    """None where nothing is known: how fast this machine is, and how soon a provider ends a batch."""
    if tally.selection.implementation.free:
        return Bounds()
    if tally.is_local or tally.selection.batching is not None:
        return None
    return seconds_of(calls, tokens, tally.selection.limits)
