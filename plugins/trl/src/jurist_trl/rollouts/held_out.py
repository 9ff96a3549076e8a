"""Measures a policy on held-out prompts while it trains, without changing what it learns."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy
import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback, set_seed

from jurist.contracts import Trainer
from jurist.train_jobs import ScoreResponses, TrainJob
from jurist_trl.rollouts.options import RolloutOptions
from jurist_trl.rollouts.prompts import RolloutPrompts, rollout_prompts
from jurist_trl.rollouts.rewards import Retried, checked, load_function
from jurist_trl.rollouts.sampling import sample
from jurist_trl.tokens import ChatMessages


class HeldOut(NamedTuple):
    """Prompts that nothing is learned from, and a measure of responses to them."""

    found: RolloutPrompts
    measure: ScoreResponses

    @property
    def prompts(self) -> list[ChatMessages]:
        """Those that are measured on."""
        return self.found.prompts

    @classmethod
    def of(cls, job: TrainJob, options: RolloutOptions, trainer: Trainer, tokenizer: Any) -> HeldOut | None:
        """What the job and the options ask for; prompts over ``max_prompt_length`` are left out."""
        if job.held_out is None:
            return None
        found = rollout_prompts(
            job.held_out,
            tokenizer,
            options.max_prompt_length,
            provided_by="jurist-trl",
            what="held-out prompts",
        )
        measure = trainer.measure
        if measure is None:
            assert options.metric is not None, "faults() comes first"
            measure = Retried(load_function(options.metric), options.reward_retries)
        return cls(found, measure)


class HeldOutEvaluation(TrainerCallback):  # type: ignore[misc]
    """Samples a response to each held-out prompt before, in and after training, and logs the mean measure.

    ``trainer`` is one of TRL's that samples, with our ``stopped``. ``every`` is a number of optimizer steps
    after which a rollout ends. Each time the same random numbers are used, and training goes on with its own.
    """

    def __init__(self, trainer: Any, held_out: HeldOut, every: int) -> None:
        self.trainer = trainer
        self.held_out = held_out
        self.every = every
        trainer.num_generations_eval = 1  # the prompts are not repeated

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure what training starts from."""
        if state.global_step == 0:
            self.trainer.log(self.metrics())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure, if it is time to; it is logged with the step."""
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            for name, value in self.metrics().items():
                self.trainer._metrics["train"][name].append(value)

    def metrics(self) -> dict[str, float]:
        """Mean measure and length, and how many could not be measured; the same in all processes."""
        with random_numbers_of_its_own(self.trainer.args.seed + self.trainer.accelerator.process_index):
            return self._metrics()

    def _metrics(self) -> dict[str, float]:
        texts, lengths = self._sampled()
        place, count = self._share()
        own = self.held_out.prompts[place : place + count]  # none that only filled up the share
        given = self.held_out.measure(own, texts[: len(own)]) if own else []
        values = checked("the measure of held-out responses", given, len(own))
        rows = gather_object(list(zip(lengths, values, strict=False)))
        measured = [value for _, value in rows if value is not None]
        metrics = {
            "held_out_length": sum(length for length, _ in rows) / len(rows),
            "held_out_missing": float(len(rows) - len(measured)),
        }
        return {"held_out_metric": sum(measured) / len(measured), **metrics} if measured else metrics

    def _share(self) -> tuple[int, int]:
        """Where this process's share of the prompts begins, and how many it has; as many in each process."""
        accelerator = self.trainer.accelerator
        count = math.ceil(len(self.held_out.prompts) / accelerator.num_processes)
        return accelerator.process_index * count, count

    def _sampled(self) -> tuple[list[str], list[int]]:
        """Responses to this process's share of the prompts, and their lengths in tokens."""
        trainer, prompts, (place, count) = self.trainer, self.held_out.prompts, self._share()
        # processes sample together, so the first prompts fill up the last share
        share = [prompts[i % len(prompts)] for i in range(place, place + count)]
        at_once = trainer.args.per_device_train_batch_size * trainer.args.steps_per_generation
        was_training = trainer.model.training
        trainer.model.eval()  # so that TRL counts none of this as training
        texts: list[str] = []
        lengths: list[int] = []
        for start in range(0, count, at_once):
            responses = sample(trainer, share[start : start + at_once])
            texts += responses.texts
            lengths += [len(ids) for ids in responses.response_ids]
        trainer.model.train(was_training)
        trainer._metrics["eval"].clear()
        return texts, lengths


@contextmanager
def random_numbers_of_its_own(seed: int) -> Iterator[None]:
    """Within it, random numbers follow from ``seed``; after it, they go on as if none had been drawn."""
    python, of_numpy = random.getstate(), numpy.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        set_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            numpy.random.set_state(of_numpy)
