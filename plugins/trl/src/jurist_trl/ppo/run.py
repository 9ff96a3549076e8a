"""Sets up a PPO training: prompts, networks, rewards, arguments."""

from __future__ import annotations

from transformers import set_seed
from trl import GRPOConfig

from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.ppo.component import PPO
from jurist_trl.ppo.mixed_conversations import MixedConversations
from jurist_trl.ppo.options import PPOOptions
from jurist_trl.ppo.trainer import PPOTrainer
from jurist_trl.ppo.value_model import make_value_model
from jurist_trl.rollouts.checks import check_rollouts
from jurist_trl.rollouts.rewards import RewardSource
from jurist_trl.rollouts.setup import RolloutSetup
from jurist_trl.training.arguments import make_config
from jurist_trl.training.checkpoints import last_checkpoint
from jurist_trl.training.component import Progress
from jurist_trl.training.job_checks import check_length
from jurist_trl.training.model_card import Trained
from jurist_trl.training.saving import save_model
from jurist_trl.training.session import run_training


def train_ppo(ppo: PPO, job: TrainJob, progress: Progress) -> Artifact:
    """Train ``job.model`` on the prompts in ``job.data``."""
    options = ppo.options
    setup = RolloutSetup.of(ppo, job)
    job, mixed = setup.job, _mixed(setup)
    if job.reward_models and options.value_model in (None, "reward_model"):
        check_rollouts(ppo.name, job.reward_models[0], setup.prompts.longest, options.max_completion_length)
    trainer = _trainer(ppo, setup, mixed)
    # monitors see rewards as they came
    clip = None if options.reward_normalization else options.reward_clip
    metrics = run_training(
        trainer, job, progress, callbacks=setup.callbacks(trainer, progress, reward_clip=clip)
    )
    value_model = trainer.accelerator.unwrap_model(trainer.value_model).model
    save_model(trainer, value_model, setup.tokenizer, job.output / "value_model")
    metrics |= setup.counts
    if mixed is not None:
        metrics["mixed_too_long"] = float(mixed.too_long)
    trained = Trained(ppo.name, job, options, metrics)
    save_model(trainer, trainer.finished_policy(), setup.tokenizer, job.output / "model", trained=trained)
    return Artifact(kind="policy", path=job.output / "model", metrics=metrics)


def _mixed(setup: RolloutSetup) -> MixedConversations | None:
    job, options = setup.job, setup.options
    if job.mixed is None:
        return None
    longest = options.max_prompt_length + options.max_completion_length
    mixed = MixedConversations(job.mixed, setup.tokenizer, longest, job.seed)
    hint = "lower max_prompt_length or max_completion_length: longer conversations are left out, and counted"
    check_length(PPO.name, job.model, mixed.longest, hint)
    return mixed


def _trainer(ppo: PPO, setup: RolloutSetup, mixed: MixedConversations | None) -> PPOTrainer:
    """The trainer as it begins, or as it was when the last checkpoint was written."""
    job, options = setup.job, ppo.options
    config = ppo_config(setup, options)  # first, since it chooses this process's GPU
    reward = RewardSource.of(job, ppo)
    set_seed(job.seed)
    trainer = PPOTrainer(
        options=options,
        value_model=make_value_model(job, options, setup.tokenizer),
        reward=reward,
        mixed=mixed,
        args=config,
        **setup.trainer_arguments(),
    )
    last = last_checkpoint(job)
    if last is not None:
        trainer.restore(last)
    return trainer


def ppo_config(setup: RolloutSetup, options: PPOOptions) -> GRPOConfig:
    """TRL's configuration of a GRPOTrainer that is trained by PPO."""
    config: GRPOConfig = make_config(
        GRPOConfig,
        **setup.config_arguments(),
        num_iterations=options.ppo_epochs,
        num_generations=options.batch_size,
        beta=1.0,  # makes GRPOTrainer keep a reference policy; its own KL term is not used
    )
    # GRPO refuses 1, since its advantages compare the samples of a prompt; a value model needs no such group
    config.num_generations = options.num_generations
    return config
