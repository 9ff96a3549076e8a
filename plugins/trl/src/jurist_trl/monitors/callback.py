"""Watches a training by reinforcement: measures its responses as texts, and warns of reward hacking."""

from __future__ import annotations

import json
from typing import Any

from transformers import TrainerCallback

from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.monitors.text_statistics import (
    commonest_phrase,
    distinct,
    length_correlation,
    repetition,
    words,
)
from jurist_trl.monitors.warning_signs import WarningTracker
from jurist_trl.training.component import Progress


class Monitors(TrainerCallback):  # type: ignore[misc]
    """Adds what responses look like to the metrics of each rollout, and passes warnings on as progress.

    ``trainer`` has ``last_responses`` and ``last_rewards``, those of this process's newest rollout.
    ``reward_clip`` is the bound of rewards, where there is one.
    """

    def __init__(
        self, trainer: Any, job: TrainJob, progress: Progress, *, reward_clip: float | None = None
    ) -> None:
        self._trainer = trainer
        self._metrics = job.output / "metrics.jsonl"
        self._progress = progress
        self._reward_clip = reward_clip
        self._tracker = WarningTracker(trainer.args.generation_batch_size)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Go through what was measured before a resumed training stopped; its warnings were given then."""
        if state.global_step and state.is_world_process_zero:
            for line in self._metrics.read_text(encoding="utf-8").splitlines():
                self._observe(json.loads(line))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        """Measure the newest responses, and warn of what is to be seen now."""
        if "raw_reward" in logs:
            logs |= self._measured()
        if state.is_world_process_zero:
            metrics = {name: value for name, value in logs.items() if isinstance(value, int | float)}
            for warning in self._observe(metrics):
                progress = TrainProgress(step=state.global_step, total=state.max_steps, warning=warning)
                self._progress(progress)

    def _measured(self) -> dict[str, float]:
        """What the newest responses of this process look like."""
        responses = [words(text) for text in self._trainer.last_responses]
        rewards = [reward for reward in self._trainer.last_rewards if reward is not None]
        phrase = commonest_phrase(responses)
        self._tracker.history.phrase = phrase.text
        measured = {
            "empty_rate": sum(not response for response in responses) / len(responses),
            "boilerplate_rate": phrase.share,
        }
        if any(responses):  # without a word there is nothing to be varied or repeated
            measured |= {"distinct_2": distinct(responses), "repetition": repetition(responses)}
        correlation = length_correlation(responses, self._trainer.last_rewards)
        if correlation is not None:
            measured["length_correlation"] = correlation
        if self._reward_clip is not None and rewards:
            clipped = sum(abs(reward) >= self._reward_clip for reward in rewards)
            measured["reward_clipped"] = clipped / len(rewards)
        return measured

    def _observe(self, metrics: dict[str, float]) -> list[str]:
        self._tracker.history.add(metrics)
        measured = "raw_reward" in metrics or "held_out_metric" in metrics
        return self._tracker.warnings() if measured else []
