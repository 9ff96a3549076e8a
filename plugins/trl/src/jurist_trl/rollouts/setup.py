"""What a training by PPO, GRPO or RLOO begins with: prompts, checks, arguments, policy and callbacks."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from datasets import Dataset
from transformers import AutoModelForCausalLM, TrainerCallback

from jurist.train_jobs import TrainJob
from jurist_trl.monitors.callback import Monitors
from jurist_trl.rollouts.checks import check_reward_model, check_rollouts
from jurist_trl.rollouts.component import RolloutTrainer
from jurist_trl.rollouts.held_out import HeldOut, HeldOutEvaluation
from jurist_trl.rollouts.options import RolloutOptions
from jurist_trl.rollouts.prompts import RolloutPrompts, rollout_prompts, shuffled
from jurist_trl.rollouts.samples import SamplesLog
from jurist_trl.training.arguments import lora_config, training_arguments
from jurist_trl.training.component import Progress
from jurist_trl.training.dropout import without_dropout
from jurist_trl.training.failures import failed
from jurist_trl.training.prepare import prepare


class RolloutSetup(NamedTuple):
    """A job that was looked through, and what it is trained on, by how many processes."""

    job: TrainJob
    options: RolloutOptions
    tokenizer: Any
    prompts: RolloutPrompts
    held_out: HeldOut | None
    processes: int

    @classmethod
    def of(cls, trainer: RolloutTrainer, job: TrainJob) -> RolloutSetup:
        """The setup of a job.

        Raises:
            UsageError: it cannot succeed.
        """
        options = trainer.options
        job, tokenizer = prepare(trainer, job)
        prompts = rollout_prompts(
            job.data, tokenizer, options.max_prompt_length, provided_by=trainer.provided_by()
        )
        held_out = HeldOut.of(job, options, trainer, tokenizer)
        longest = max(prompts.longest, held_out.found.longest if held_out else 0)
        check_rollouts(trainer.name, job.model, longest, options.max_completion_length)
        for model in job.reward_models:
            check_reward_model(trainer.name, model, tokenizer, prompts.prompts, options.max_completion_length)
        return cls(job, options, tokenizer, prompts, held_out, trainer.outline(job).processes)

    @property
    def rollouts(self) -> int:
        """How many there will be."""
        return self.options.rollouts_over(len(self.prompts.prompts), self.processes)

    @property
    def counts(self) -> dict[str, float]:
        """How many prompts are used and how many were too long, as metrics."""
        counts = {"prompts": len(self.prompts.prompts), "prompts_too_long": self.prompts.too_long}
        if self.held_out is not None:
            counts["held_out_too_long"] = self.held_out.found.too_long
        return {name: float(count) for name, count in counts.items()}

    def config_arguments(self) -> dict[str, Any]:
        """Arguments of GRPOConfig and RLOOConfig."""
        options = self.options
        return {
            **training_arguments(options, self.job),
            **_vllm_arguments(options),
            "per_device_train_batch_size": options.micro_batch,
            "steps_per_generation": options.mini_batches * options.gradient_accumulation_steps,
            "max_steps": self.rollouts * options.steps_per_rollout,
            # a checkpoint between two rollouts needs no buffered samples
            "save_steps": options.whole_rollouts(options.save_steps),
            "max_completion_length": options.max_completion_length,
            "temperature": options.temperature,
            "shuffle_dataset": False,
            "log_completions": False,
        }

    def trainer_arguments(self) -> dict[str, Any]:
        """Arguments of the trainer: the policy, and prompts in the order in which they are sampled on."""
        job, options = self.job, self.options
        count = self.rollouts * options.prompts_per_rollout(self.processes)
        drawn = shuffled(self.prompts.prompts, count, job.seed)
        policy = AutoModelForCausalLM.from_pretrained(job.model, dtype=options.dtype)
        return {
            "stopped": partial(failed, job),
            "model": without_dropout(policy),
            "train_dataset": Dataset.from_list([{"prompt": prompt} for prompt in drawn]),
            "processing_class": self.tokenizer,
            "peft_config": lora_config(options.lora, "CAUSAL_LM"),
        }

    def callbacks(
        self, trainer: Any, progress: Progress, *, reward_clip: float | None
    ) -> list[TrainerCallback]:
        """Monitors, which see rewards within ``reward_clip``; samples; the measure of held-out prompts."""
        callbacks: list[TrainerCallback] = [
            Monitors(trainer, self.job, progress, reward_clip=reward_clip),
            SamplesLog(trainer, self.job),
        ]
        if self.held_out is not None:
            every = self.options.whole_rollouts(self.options.eval_steps)
            callbacks.append(HeldOutEvaluation(trainer, self.held_out, every))
        return callbacks


def _vllm_arguments(options: RolloutOptions) -> dict[str, Any]:
    """The arguments of TRL's configurations that follow from the options ``use_vllm`` and ``vllm_…``."""
    if not options.use_vllm:
        return {}
    server = options.vllm_server_base_url
    return {
        "use_vllm": True,
        "vllm_mode": "colocate" if server is None else "server",
        "vllm_server_base_url": server,
        "vllm_gpu_memory_utilization": options.vllm_gpu_memory_utilization,
    }
