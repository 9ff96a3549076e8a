"""What every trainer that samples responses, rollout by rollout, can say before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TypeVar

from jurist.train_jobs import JobOutline, Samples
from jurist_trl.rollouts.options import RolloutOptions
from jurist_trl.training.component import TRLTrainer

T = TypeVar("T")


def named_sources(models: Sequence[T], function: T | None, scorers: T | None) -> dict[str, T]:
    """What gives rewards, by the names that metrics have, in the order of ``reward_weights``."""
    count = len(models)
    names = ["reward_model"] if count == 1 else [f"reward_model_{number}" for number in range(1, count + 1)]
    others = {"reward_function": function, "scorers": scorers}
    return {
        **dict(zip(names, models, strict=True)),
        **{name: source for name, source in others.items() if source is not None},
    }


class RolloutTrainer(TRLTrainer):
    """A trainer that samples responses to prompts and learns from their rewards."""

    options: RolloutOptions

    def faults(self, outline: JobOutline) -> Sequence[str]:
        """Those of every trainer, and what speaks against its rewards, its measure and how it samples."""
        found = [*super().faults(outline), *self._reward_faults(outline), *self._measure_faults(outline)]
        if self.options.use_vllm and find_spec("vllm") is None:
            found.append("use_vllm needs the package vllm: pip install 'trl[vllm]', of the version TRL takes")
        return found

    def _reward_faults(self, outline: JobOutline) -> Iterator[str]:
        models = range(outline.reward_models)
        sources = named_sources(models, self.options.reward, outline.scored or None)
        weights = self.options.reward_weights
        if not sources:
            yield "there are no rewards: name a reward model or scorers, or give reward: module:function"
        elif weights is not None and len(weights) != len(sources):
            order = ", ".join(sources)
            yield f"reward_weights has {len(weights)} numbers: give one for each of these, in order: {order}"

    def _measure_faults(self, outline: JobOutline) -> Iterator[str]:
        measures = (self.options.metric is not None) + outline.measured
        if measures and not outline.held_out:
            yield "metric measures responses to held-out prompts: name some with 'held_out:', or leave it out"
        elif outline.held_out and not measures:
            yield "nobody measures the held-out prompts: name scorers there, or give metric: module:function"
        elif measures > 1:
            yield "the held-out prompts have two measures: leave out either metric or their scorers"

    def samples(self, prompts: int, processes: int) -> Samples | None:
        """How many responses all rollouts have, and their longest."""
        responses = self.options.rollouts_over(prompts, processes) * self.options.batch_size * processes
        return Samples(responses=responses, max_tokens=self.options.max_completion_length)

    def measurements(self, held_out: int, prompts: int, processes: int) -> Samples | None:
        """One response to each held-out prompt: before training, every ``eval_steps``, and at the end."""
        steps = self.options.rollouts_over(prompts, processes) * self.options.steps_per_rollout
        every = self.options.whole_rollouts(self.options.eval_steps)
        times = 1 + -(-steps // every)
        return Samples(responses=times * held_out, max_tokens=self.options.max_completion_length)
