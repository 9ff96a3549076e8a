"""Sets up a PPO training: prompts, networks, rewards, arguments."""

from __future__ import annotations

import math
import os
import random
from functools import partial
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, set_seed
from trl import GRPOConfig

from jurist.contracts import Artifact, TrainJob
from jurist.errors import UsageError
from jurist_trl._ppo_trainer import PPOTrainer
from jurist_trl._session import Progress, arguments, failed, lora_config, run, save_model
from jurist_trl._value_model import make_value_model
from jurist_trl.checkpoints import last_checkpoint
from jurist_trl.examples import Example, messages, read_examples
from jurist_trl.hub import with_local_models
from jurist_trl.ppo import PPOOptions
from jurist_trl.reward_source import RetriedReward, load_reward_function
from jurist_trl.tokens import load_tokenizer, prompt_ids

Prompt = list[dict[str, str]]


def train_by_ppo(job: TrainJob, options: PPOOptions, progress: Progress) -> Artifact:
    """Train ``job.model`` on the prompts in ``job.data``."""
    job = with_local_models(job)
    tokenizer = load_tokenizer(job.model)
    prompts, too_long = _prompts(job, options, tokenizer)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    per_rollout = options.batch_size * world // options.num_generations
    rollouts = options.rollouts or math.ceil(options.epochs * len(prompts) / per_rollout)
    config = _config(job, options, rollouts)  # first, since it chooses this process's GPU
    reward = RetriedReward(_reward_function(job, options), options.reward_retries)
    set_seed(job.seed)
    trainer = PPOTrainer(
        options=options,
        value_model=make_value_model(job, options, tokenizer),
        reward=reward,
        stopped=partial(failed, job),
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=options.dtype),
        args=config,
        train_dataset=Dataset.from_list(
            [{"prompt": prompt} for prompt in shuffled(prompts, rollouts * per_rollout, job.seed)]
        ),
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "CAUSAL_LM"),
    )
    last = last_checkpoint(job)
    if last is not None:
        trainer.restore(last)
    metrics = run(trainer, job, progress)
    save_model(trainer, trainer.model, tokenizer, job.output / "model")
    value_model = trainer.accelerator.unwrap_model(trainer.value_model).model
    save_model(trainer, value_model, tokenizer, job.output / "value_model")
    metrics |= {"prompts": float(len(prompts)), "prompts_too_long": float(too_long)}
    return Artifact(kind="policy", path=job.output / "model", metrics=metrics)


def shuffled(prompts: list[Prompt], count: int, seed: int) -> list[Prompt]:
    """``count`` prompts: all of them in random order, then again in another, as often as needed.

    The whole training is laid out beforehand as one pass, so that resuming is skipping.
    """
    source, order = random.Random(seed), list(range(len(prompts)))
    drawn: list[Prompt] = []
    while len(drawn) < count:
        source.shuffle(order)
        drawn.extend(prompts[i] for i in order)
    return drawn[:count]


def _config(job: TrainJob, options: PPOOptions, rollouts: int) -> GRPOConfig:
    config = GRPOConfig(
        **arguments(options, job),
        per_device_train_batch_size=options.micro_batch,
        steps_per_generation=options.mini_batches * options.gradient_accumulation_steps,
        num_iterations=options.ppo_epochs,
        max_steps=rollouts * options.steps_per_rollout,
        # a checkpoint between two rollouts needs no buffered samples
        save_steps=math.ceil(options.save_steps / options.steps_per_rollout) * options.steps_per_rollout,
        num_generations=options.batch_size,
        max_completion_length=options.max_completion_length,
        temperature=options.temperature,
        beta=1.0,  # makes GRPOTrainer keep a reference policy; its own KL term is not used
        shuffle_dataset=False,
        disable_dropout=True,
        log_completions=False,
    )
    # GRPO refuses 1, since its advantages compare the samples of a prompt; a value model needs no such group
    config.num_generations = options.num_generations
    return config


def _reward_function(job: TrainJob, options: PPOOptions) -> Any:
    if options.reward is not None:
        return load_reward_function(options.reward)
    if job.reward_models:
        from jurist_trl.scoring import RewardModel

        return RewardModel(job.reward_models[0]).score
    raise UsageError(
        "PPO has no rewards",
        provided_by="jurist-trl (trl-ppo)",
        hint="give the stage a reward model, or option reward: module:function",
    )


def _prompts(job: TrainJob, options: PPOOptions, tokenizer: Any) -> tuple[list[Prompt], int]:
    prompts = [messages(example.prompt) for example in read_examples(job.data, Example)]
    kept = [p for p in prompts if len(prompt_ids(tokenizer, p)) <= options.max_prompt_length]
    if not kept:
        raise UsageError(
            f"none of the {len(prompts)} prompts has at most {options.max_prompt_length} tokens",
            provided_by="jurist-trl (trl-ppo)",
            hint="raise the option max_prompt_length",
        )
    return kept, len(prompts) - len(kept)
