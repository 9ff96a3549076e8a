"""Samples of each rollout, for people to read."""

from __future__ import annotations

import json
from typing import Any

from transformers import TrainerCallback

from jurist.train_jobs import TrainJob
from jurist.training.metrics_log import keep_lines, lines_up_to

_SHOWN = 4
"""How many responses of a rollout are kept."""


class SamplesLog(TrainerCallback):  # type: ignore[misc]
    """Writes ``samples.jsonl``: the first responses of each rollout, with what was asked and their rewards.

    ``trainer`` has ``last_prompts``, ``last_responses`` and ``last_rewards``, those of its newest rollout.
    """

    def __init__(self, trainer: Any, job: TrainJob) -> None:
        self._trainer = trainer
        self._path = job.output / "samples.jsonl"

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave out what comes after the checkpoint that a stopped training goes on from."""
        if state.is_world_process_zero and self._path.is_file():
            keep_lines(self._path, lines_up_to(self._path, state.global_step))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        """Write those of a new rollout."""
        if "raw_reward" not in logs or not state.is_world_process_zero:
            return
        trainer, step = self._trainer, state.global_step
        samples = zip(trainer.last_prompts, trainer.last_responses, trainer.last_rewards, strict=True)
        with self._path.open("a", encoding="utf-8") as file:
            for prompt, response, reward in list(samples)[:_SHOWN]:
                row = {"step": step, "prompt": prompt, "response": response, "reward": reward}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
