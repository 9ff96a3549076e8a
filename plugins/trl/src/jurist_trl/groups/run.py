"""Sets up a training by GRPO or RLOO: prompts, policy, rewards, arguments."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, NamedTuple

from datasets import Dataset
from transformers import AutoModelForCausalLM, TrainerCallback, set_seed
from trl import GRPOConfig, RLOOConfig

from jurist.contracts import Artifact, Trainer, TrainJob
from jurist.errors import UsageError
from jurist_trl.groups.grpo import GRPO, GroupOptions
from jurist_trl.groups.rloo import RLOO
from jurist_trl.groups.trainer import GroupRelativeTrainer, LeaveOneOutTrainer
from jurist_trl.monitors.monitors import Monitors
from jurist_trl.rollouts.held_out import HeldOut, HeldOutEvaluation
from jurist_trl.rollouts.prompts import Prompt, rollout_prompts, shuffled
from jurist_trl.rollouts.rewards import RewardSource
from jurist_trl.rollouts.vllm import vllm_arguments
from jurist_trl.training.job_checks import check_rollouts, prepare
from jurist_trl.training.model_card import Trained
from jurist_trl.training.session import Progress, arguments, failed, lora_config, run, save_model


class Method(NamedTuple):
    """What sets GRPO and RLOO apart: TRL's trainer, its configuration, and arguments of its own."""

    name: str
    trainer: type[Any]
    config: type[Any]
    arguments: dict[str, Any]
    reward_clip: float | None = None

    @property
    def provided_by(self) -> str:
        """What its errors name."""
        return f"jurist-trl ({self.name})"


def train_by_grpo(grpo: GRPO, job: TrainJob, progress: Progress) -> Artifact:
    """Train ``job.model`` on the prompts in ``job.data`` by GRPO."""
    options = grpo.options
    own = {"loss_type": options.loss_type, "scale_rewards": options.scale_rewards}
    method = Method("trl-grpo", GroupRelativeTrainer, GRPOConfig, own)
    return _train(grpo, options, method, job, progress)


def train_by_rloo(rloo: RLOO, job: TrainJob, progress: Progress) -> Artifact:
    """Train ``job.model`` on the prompts in ``job.data`` by RLOO."""
    options = rloo.options
    clip = None if options.reward_clip is None else (-options.reward_clip, options.reward_clip)
    own = {"normalize_advantages": options.normalize_advantages, "reward_clip_range": clip}
    method = Method("trl-rloo", LeaveOneOutTrainer, RLOOConfig, own, options.reward_clip)
    return _train(rloo, options, method, job, progress)


def _train(
    trainer: Trainer, options: GroupOptions, method: Method, job: TrainJob, progress: Progress
) -> Artifact:
    if job.mixed is not None:
        raise UsageError(
            "conversations to learn from besides cannot be mixed into a training by GRPO or RLOO",
            provided_by=method.provided_by,
            hint="leave 'mixed:' out of the stage, or use trl-ppo",
        )
    job, tokenizer = prepare(method.name, job, options)
    prompts, longest, too_long = rollout_prompts(
        job.data, tokenizer, options.max_prompt_length, provided_by=method.provided_by
    )
    check_rollouts(method.name, job.model, longest, options.max_completion_length)
    held_out = HeldOut.of(job, options, trainer, tokenizer, options.max_prompt_length)
    group_trainer = _group_trainer(trainer, options, method, job, tokenizer, prompts)
    callbacks: list[TrainerCallback] = [
        Monitors(group_trainer, job, progress, reward_clip=method.reward_clip)
    ]
    if held_out is not None:
        every = options.whole_rollouts(options.eval_steps)
        callbacks.append(HeldOutEvaluation(group_trainer, held_out, every))
    metrics = run(group_trainer, job, progress, callbacks=callbacks)
    metrics |= {"prompts": float(len(prompts)), "prompts_too_long": float(too_long)}
    trained = Trained(method.name, job, options, metrics)
    save_model(group_trainer, group_trainer.model, tokenizer, job.output / "model", trained=trained)
    return Artifact(kind="policy", path=job.output / "model", metrics=metrics)


def _group_trainer(
    trainer: Trainer,
    options: GroupOptions,
    method: Method,
    job: TrainJob,
    tokenizer: Any,
    prompts: list[Prompt],
) -> Any:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    rollouts = options.rollouts_over(len(prompts), processes)
    drawn = shuffled(prompts, rollouts * options.prompts_per_rollout(processes), job.seed)
    config = _config(job, options, method, rollouts)  # first, since it chooses this process's GPU
    reward = RewardSource.of(job, options, trainer)
    set_seed(job.seed)
    return method.trainer(
        reward=reward,
        stopped=partial(failed, job),
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=options.dtype),
        args=config,
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in drawn]),
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "CAUSAL_LM"),
    )


def _config(job: TrainJob, options: GroupOptions, method: Method, rollouts: int) -> Any:
    return method.config(
        **arguments(options, job),
        **vllm_arguments(options),
        **method.arguments,
        per_device_train_batch_size=options.micro_batch,
        steps_per_generation=options.mini_batches * options.gradient_accumulation_steps,
        num_iterations=options.num_iterations,
        max_steps=rollouts * options.steps_per_rollout,
        # a checkpoint between two rollouts needs no buffered samples
        save_steps=options.whole_rollouts(options.save_steps),
        num_generations=options.num_generations,
        max_completion_length=options.max_completion_length,
        temperature=options.temperature,
        beta=options.beta,
        epsilon=options.epsilon,
        epsilon_high=options.epsilon_high,
        mask_truncated_completions=options.mask_truncated_completions,
        shuffle_dataset=False,
        disable_dropout=True,
        log_completions=False,
    )
