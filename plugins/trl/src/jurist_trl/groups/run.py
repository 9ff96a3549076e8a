"""Sets up a training by GRPO or RLOO: prompts, policy, rewards, arguments."""

from __future__ import annotations

from typing import Any, NamedTuple

from transformers import set_seed
from trl import GRPOConfig, RLOOConfig

from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.groups.grpo import GRPO, GroupOptions
from jurist_trl.groups.rloo import RLOO
from jurist_trl.groups.trainer import GroupRelativeTrainer, LeaveOneOutTrainer
from jurist_trl.rollouts.rewards import RewardSource
from jurist_trl.rollouts.setup import RolloutSetup
from jurist_trl.rollouts.trainer import RolloutTrainer
from jurist_trl.training.model_card import Trained
from jurist_trl.training.session import Progress, configured, run, save_model


class Method(NamedTuple):
    """What sets GRPO and RLOO apart: TRL's trainer, its configuration, and arguments of its own."""

    name: str
    trainer: type[Any]
    config: type[Any]
    arguments: dict[str, Any]
    reward_clip: float | None = None


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
    trainer: RolloutTrainer, options: GroupOptions, method: Method, job: TrainJob, progress: Progress
) -> Artifact:
    setup = RolloutSetup.of(method.name, trainer, job)
    config = _config(setup, options, method)  # first, since it chooses this process's GPU
    reward = RewardSource.of(setup.job, trainer)
    set_seed(setup.job.seed)
    made = method.trainer(reward=reward, args=config, **setup.trainer_arguments())
    callbacks = setup.callbacks(made, progress, reward_clip=method.reward_clip)
    metrics = run(made, setup.job, progress, callbacks=callbacks) | setup.counts
    trained, folder = Trained(method.name, setup.job, options, metrics), job.output / "model"
    save_model(made, made.finished_policy(), setup.tokenizer, folder, trained=trained)
    return Artifact(kind="policy", path=folder, metrics=metrics)


def _config(setup: RolloutSetup, options: GroupOptions, method: Method) -> Any:
    return configured(
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
