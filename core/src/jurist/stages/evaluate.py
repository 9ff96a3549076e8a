"""Measuring: policies answer held-out prompts and scorers score the answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from jurist.chat import ChatRequest
from jurist.contracts import ChatModel, Generator
from jurist.errors import ProviderError
from jurist.files.jsonl import write_lines
from jurist.intervals import Estimate, estimate
from jurist.records import Prompt, Response, Score
from jurist.stage_records import Evaluated
from jurist.stage_settings import EvaluateSettings
from jurist.stages.base import ComponentUse, Stage, StageContext, StageResult, Work, choose_principles, tally
from jurist.stages.first_errors import FirstErrors
from jurist.stages.scorers import Scorers, scorer_faults, scorer_references
from jurist.stages.surroundings import Surroundings


class EvaluateStage(Stage):
    """Scores the responses of one or more policies; makes no artifact."""

    settings: EvaluateSettings

    def references(self) -> list[ComponentUse]:
        """The policies as generators, and the scorers."""
        where = f"stages.{self.name}"
        policies = [
            ComponentUse(f"{where}.policies.{label}", "generator", reference)
            for label, reference in self.settings.policies.items()
        ]
        return [*policies, *scorer_references(self.name, self.settings.scorers)]

    def makes(self) -> None:
        """Nothing to hand on."""

    def faults(self) -> list[str]:
        """Its prompts, names that differ, and a reference policy that is one of its policies."""
        faults = super().faults() + scorer_faults(self.name, self.settings.scorers)
        known, sampling = self.settings.policies, self.settings.sampling
        if self.settings.kl_to is not None and self.settings.kl_to not in known:
            faults.append(f"stages.{self.name}.kl_to: must be one of its policies ({', '.join(known)})")
        if self.settings.kl_to is not None and (sampling.temperature, sampling.top_p) != (1, 1):
            faults.append(
                f"stages.{self.name}.kl_to: needs temperature 1 and top_p 1; else another policy is sampled"
            )
        return faults

    def items(self, records: Iterable[Prompt]) -> Iterable[tuple[str, Prompt, int]]:
        """Every policy with every prompt, as often as there are samples."""
        return (
            (label, prompt, number)
            for label in self.settings.policies
            for prompt in records
            for number in range(self.settings.samples)
        )

    def work(self, surroundings: Surroundings) -> Work:
        """A response, its scores, and how likely the reference policy finds it."""
        return _Evaluation(self, surroundings).evaluate

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Write every scored response; the summary has each metric's mean with a 95% interval."""
        prompts = self.prompts()
        work = self.work(context)
        total = len(prompts) * len(self.settings.policies) * self.settings.samples
        context.events.stage_started(stage=self.name, total=total)
        tallies = _Tallies()
        with write_lines(folder / "responses.jsonl") as lines:
            async for evaluated in context.engine.map(work, self.items(prompts)):
                lines.write(evaluated.to_json())
                tallies.add(evaluated)
                context.events.outcome(stage=self.name, outcome=evaluated.response.kind)
        return StageResult({"prompts": len(prompts), **tallies.summary()}, faults=tallies.faults())


class _Evaluation:
    """The components of one evaluation, and how they are applied to one response."""

    def __init__(self, stage: EvaluateStage, surroundings: Surroundings) -> None:
        self._stage = stage
        self._settings = stage.settings
        self._constitution = surroundings.constitution
        policies = self._settings.policies.items()
        self._generators = {
            label: cast(Generator, stage.build(surroundings, "generator", policy, f"policies.{label}"))
            for label, policy in policies
        }
        self._models: Mapping[str, ChatModel] = {}
        if self._settings.kl_to is not None:
            self._models = {
                label: cast(ChatModel, stage.build(surroundings, "chat_model", policy, f"policies.{label}"))
                for label, policy in policies
            }
        self._scorers = Scorers(stage, self._settings.scorers, surroundings)

    async def evaluate(self, item: tuple[str, Prompt, int]) -> Evaluated:
        """Generate, score, and compare with the reference policy."""
        label, prompt, number = item
        # The seed leaves the policy out, so all policies answer with the same random numbers.
        sampling = self._stage.sampling(prompt, number)
        response = await self._generators[label].generate(prompt, sampling)
        if not isinstance(response, Response):
            return Evaluated(policy=label, prompt=prompt, response=response)
        principles = choose_principles(self._constitution, self._settings.principles, str(sampling.seed))
        return Evaluated(
            policy=label,
            prompt=prompt,
            response=response,
            scores=await self._scorers.score(prompt, response, principles),
            log_ratio=await self._log_ratio(label, prompt, response),
        )

    async def _log_ratio(self, label: str, prompt: Prompt, response: Response) -> float | None:
        reference = self._settings.kl_to
        if reference is None or label == reference or not response.text:
            return None
        request = ChatRequest(messages=prompt.messages, choices=(response.text,))
        try:
            own, other = await asyncio.gather(
                self._models[label].complete(request), self._models[reference].complete(request)
            )
        except ProviderError:
            return None  # counted: fewer values than responses
        if own.choice_logprobs is None or other.choice_logprobs is None:
            return None
        return own.choice_logprobs[0] - other.choice_logprobs[0]


class _Tallies:
    """Values per policy, metric and prompt, for the summary."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, dict[str, list[float]]]] = {}
        self._outcomes: dict[str, Counter[str]] = {}
        self._errors = FirstErrors()

    def add(self, evaluated: Evaluated) -> None:
        outcomes = self._outcomes.setdefault(evaluated.policy, Counter())
        outcomes[evaluated.response.kind] += 1
        self._errors.note(f"{evaluated.policy}: response", evaluated.response)
        found: dict[str, float] = {}
        if isinstance(evaluated.response, Response):
            found["length"] = len(evaluated.response.text)
        if evaluated.log_ratio is not None:
            found["kl"] = evaluated.log_ratio
        for name, score in evaluated.scores.items():
            outcomes[f"{name}: {score.kind}"] += 1
            self._errors.note(f"{evaluated.policy}: {name}", score)
            if isinstance(score, Score):
                metrics = {"value": score.value, **score.metrics}
                found |= {f"{name}.{metric}": value for metric, value in metrics.items()}
        policy = self._values.setdefault(evaluated.policy, {})
        for metric, value in found.items():
            policy.setdefault(metric, {}).setdefault(evaluated.prompt.id, []).append(value)

    def faults(self) -> tuple[str, ...]:
        """Why there is nothing: an error of each, when no policy answered or no answer was scored."""
        counts = sum(self._outcomes.values(), Counter[str]())
        answered = counts["response"] or counts["abstention"]
        scored = any(name.endswith((": score", ": abstention")) for name in counts)
        return self._errors.lines if not (answered and scored) else ()

    def summary(self) -> dict[str, Any]:
        return {
            "policies": {
                policy: {metric: _estimate(values).model_dump() for metric, values in metrics.items()}
                for policy, metrics in self._values.items()
            },
            "outcomes": {policy: tally(counts) for policy, counts in self._outcomes.items()},
        }


def _estimate(values: dict[str, list[float]]) -> Estimate:
    """Over prompts: several samples of one prompt are not independent, so their mean counts once."""
    return estimate([fmean(of_prompt) for of_prompt in values.values()])
