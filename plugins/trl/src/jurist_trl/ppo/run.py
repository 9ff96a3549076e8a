"""Sets up a PPO training: prompts, networks, rewards, arguments."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, TrainerCallback, set_seed
from trl import GRPOConfig

from jurist.contracts import Artifact, TrainJob
from jurist.errors import UsageError
from jurist_trl.monitors.monitors import Monitors
from jurist_trl.ppo import PPO, PPOOptions
from jurist_trl.ppo.mixed_conversations import MixedConversations
from jurist_trl.ppo.trainer import PPOTrainer
from jurist_trl.ppo.value_model import make_value_model
from jurist_trl.rollouts.held_out import HeldOut, HeldOutEvaluation
from jurist_trl.rollouts.prompts import Prompt, rollout_prompts, shuffled
from jurist_trl.rollouts.rewards import RewardSource
from jurist_trl.rollouts.vllm import vllm_arguments
from jurist_trl.training.checkpoints import last_checkpoint
from jurist_trl.training.job_checks import check_rollouts, prepare
from jurist_trl.training.model_card import Trained
from jurist_trl.training.session import Progress, arguments, failed, lora_config, run, save_model

PROVIDED_BY = "jurist-trl (trl-ppo)"


def train_by_ppo(ppo: PPO, job: TrainJob, progress: Progress) -> Artifact:
    """Train ``job.model`` on the prompts in ``job.data``."""
    options = ppo.options
    if options.fsdp is not None:
        raise UsageError(
            "trl-ppo trains two networks, which FSDP cannot do here",
            provided_by=PROVIDED_BY,
            hint="start the processes with torchrun and without the option fsdp; for a large model, set lora",
        )
    job, tokenizer = prepare("trl-ppo", job, options)
    prompts, longest_prompt, too_long = rollout_prompts(
        job.data, tokenizer, options.max_prompt_length, provided_by=PROVIDED_BY
    )
    check_rollouts("trl-ppo", job.model, longest_prompt, options.max_completion_length)
    held_out = HeldOut.of(job, options, ppo, tokenizer, options.max_prompt_length)
    longest = options.max_prompt_length + options.max_completion_length
    mixed = MixedConversations(job.mixed, tokenizer, longest, job.seed) if job.mixed else None
    trainer = _trainer(ppo, job, tokenizer, prompts, mixed)
    callbacks = _callbacks(trainer, job, options, progress, held_out)
    metrics = run(trainer, job, progress, callbacks=callbacks)
    value_model = trainer.accelerator.unwrap_model(trainer.value_model).model
    save_model(trainer, value_model, tokenizer, job.output / "value_model")
    metrics |= {"prompts": float(len(prompts)), "prompts_too_long": float(too_long)}
    if mixed is not None:
        metrics["mixed_too_long"] = float(mixed.too_long)
    trained = Trained("trl-ppo", job, options, metrics)
    save_model(trainer, trainer.model, tokenizer, job.output / "model", trained=trained)
    return Artifact(kind="policy", path=job.output / "model", metrics=metrics)


def _trainer(
    ppo: PPO, job: TrainJob, tokenizer: Any, prompts: list[Prompt], mixed: MixedConversations | None
) -> PPOTrainer:
    """The trainer as it begins, or as it was when the last checkpoint was written."""
    options, processes = ppo.options, int(os.environ.get("WORLD_SIZE", "1"))
    rollouts = options.rollouts_over(len(prompts), processes)
    drawn = shuffled(prompts, rollouts * options.prompts_per_rollout(processes), job.seed)
    config = _config(job, options, rollouts)  # first, since it chooses this process's GPU
    reward = RewardSource.of(job, options, ppo)
    set_seed(job.seed)
    trainer = PPOTrainer(
        options=options,
        value_model=make_value_model(job, options, tokenizer),
        reward=reward,
        mixed=mixed,
        stopped=partial(failed, job),
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=options.dtype),
        args=config,
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in drawn]),
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "CAUSAL_LM"),
    )
    last = last_checkpoint(job)
    if last is not None:
        trainer.restore(last)
    return trainer


def _callbacks(
    trainer: PPOTrainer, job: TrainJob, options: PPOOptions, progress: Progress, held_out: HeldOut | None
) -> list[TrainerCallback]:
    clip = None if options.reward_normalization else options.reward_clip  # monitors see rewards as they came
    callbacks: list[TrainerCallback] = [Monitors(trainer, job, progress, reward_clip=clip)]
    if held_out is not None:
        every = options.whole_rollouts(options.eval_steps)
        callbacks.append(HeldOutEvaluation(trainer, held_out, every))
    return callbacks


def _config(job: TrainJob, options: PPOOptions, rollouts: int) -> GRPOConfig:
    config = GRPOConfig(
        **arguments(options, job),
        per_device_train_batch_size=options.micro_batch,
        steps_per_generation=options.mini_batches * options.gradient_accumulation_steps,
        num_iterations=options.ppo_epochs,
        max_steps=rollouts * options.steps_per_rollout,
        # a checkpoint between two rollouts needs no buffered samples
        save_steps=options.whole_rollouts(options.save_steps),
        num_generations=options.batch_size,
        max_completion_length=options.max_completion_length,
        temperature=options.temperature,
        **vllm_arguments(options),
        beta=1.0,  # makes GRPOTrainer keep a reference policy; its own KL term is not used
        shuffle_dataset=False,
        disable_dropout=True,
        log_completions=False,
    )
    # GRPO refuses 1, since its advantages compare the samples of a prompt; a value model needs no such group
    config.num_generations = options.num_generations
    return config
