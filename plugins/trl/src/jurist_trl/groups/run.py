"""Sets up a training by GRPO or RLOO: prompts, policy, rewards, arguments."""

from __future__ import annotations

from typing import Any, NamedTuple

from transformers import set_seed
from trl import GRPOConfig, RLOOConfig

from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.groups.component import GRPO, RLOO
from jurist_trl.groups.options import GroupOptions, GRPOOptions, RLOOOptions
from jurist_trl.groups.trainer import GroupRelativeTrainer, LeaveOneOutTrainer
from jurist_trl.rollouts.component import RolloutTrainer
from jurist_trl.rollouts.rewards import RewardSource
from jurist_trl.rollouts.setup import RolloutSetup
from jurist_trl.training.arguments import make_config
from jurist_trl.training.component import Progress
from jurist_trl.training.model_card import Trained
from jurist_trl.training.saving import save_model
from jurist_trl.training.session import run_training


class GroupMethod(NamedTuple):
    """What sets GRPO and RLOO apart: TRL's trainer, its configuration, and arguments of its own."""

    trainer: type[Any]
    config: type[Any]
    arguments: dict[str, Any]
    reward_clip: float | None = None


def train_grpo(grpo: GRPO, job: TrainJob, progress: Progress) -> Artifact:
    """Train ``job.model`` on the prompts in ``job.data`` by GRPO."""
    return _train(grpo, grpo.options, grpo_method(grpo.options), job, progress)


def train_rloo(rloo: RLOO, job: TrainJob, progress: Progress) -> Artifact:
    """Train ``job.model`` on the prompts in ``job.data`` by RLOO."""
    return _train(rloo, rloo.options, rloo_method(rloo.options), job, progress)


def grpo_method(options: GRPOOptions) -> GroupMethod:
    """GRPO with these options."""
    own = {"loss_type": options.loss_type, "scale_rewards": options.scale_rewards}
    return GroupMethod(GroupRelativeTrainer, GRPOConfig, own)


def rloo_method(options: RLOOOptions) -> GroupMethod:
    """RLOO with these options."""
    clip = None if options.reward_clip is None else (-options.reward_clip, options.reward_clip)
    own = {"normalize_advantages": options.normalize_advantages, "reward_clip_range": clip}
    return GroupMethod(LeaveOneOutTrainer, RLOOConfig, own, options.reward_clip)


def _train(
    trainer: RolloutTrainer, options: GroupOptions, method: GroupMethod, job: TrainJob, progress: Progress
) -> Artifact:
    setup = RolloutSetup.of(trainer, job)
    config = group_config(setup, options, method)  # first, since it chooses this process's GPU
    reward = RewardSource.of(setup.job, trainer)
    set_seed(setup.job.seed)
    made = method.trainer(reward=reward, args=config, **setup.trainer_arguments())
    callbacks = setup.callbacks(made, progress, reward_clip=method.reward_clip)
    metrics = run_training(made, setup.job, progress, callbacks=callbacks) | setup.counts
    trained, folder = Trained(trainer.name, setup.job, options, metrics), job.output / "model"
    save_model(made, made.finished_policy(), setup.tokenizer, folder, trained=trained)
    return Artifact(kind="policy", path=folder, metrics=metrics)


def group_config(setup: RolloutSetup, options: GroupOptions, method: GroupMethod) -> Any:
    """TRL's configuration of the method."""
    return make_config(
        method.config,
        **setup.config_arguments(),
        **method.arguments,
        num_iterations=options.num_iterations,
        num_generations=options.num_generations,
        beta=options.beta,
        epsilon=options.epsilon,
        epsilon_high=options.epsilon_high,
        mask_truncated_completions=options.mask_truncated_completions,
    )
