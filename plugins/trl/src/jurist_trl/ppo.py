"""Proximal policy optimisation of a policy against a reward model or a Python function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from jurist.contracts import Artifact, Trainer, TrainJob, TrainProgress
from jurist.options import Operational
from jurist_trl.settings import TrainingOptions

KLEstimator = Literal["k1", "k2", "k3"]
ValueStart = Literal["reward_model", "policy", "fresh"]


class PPOOptions(TrainingOptions):
    """Options of ``trl-ppo``.

    One *rollout* samples ``batch_size`` responses per process (``num_generations`` for each prompt;
    1 is fine, since advantages come from the value model and not from a group). It is then used
    ``ppo_epochs`` times, in ``mini_batches`` optimizer steps each, each of them in
    ``gradient_accumulation_steps`` forward passes: ``mini_batches * ppo_epochs`` optimizer steps per
    rollout. ``rollouts``, when given, takes the place of ``epochs`` over the prompts; prompts are
    reshuffled and used again when they run out, so there may be fewer of them than one rollout takes.

    ``reward`` names a function ``module:function`` taking (prompts, completions) as lists and returning
    one float or None each; it may be async. Without it, the job's reward model gives the rewards.
    What fails is asked again ``reward_retries`` times, then the response is left out of the loss.

    ``value_model`` says what the value model starts from; the default is the reward model where the
    job has one, else the policy. ``value_learning_rate`` None means ``learning_rate``. The policy rests
    for the first ``value_warmup_rollouts``. ``kl_target`` makes ``kl_coef`` adaptive (Ziegler et al. 2019).
    ``missing_eos_penalty`` is subtracted from the reward of a response that was cut off.
    """

    learning_rate: float = Field(default=3e-6, gt=0)
    value_learning_rate: float | None = Field(default=None, gt=0)
    adam_epsilon: float = Field(default=1e-5, gt=0)
    batch_size: int = Field(default=64, ge=2)
    num_generations: int = Field(default=1, ge=1)
    mini_batches: int = Field(default=1, ge=1)
    ppo_epochs: int = Field(default=4, ge=1)
    epochs: float = Field(default=1.0, gt=0)
    rollouts: int | None = Field(default=None, ge=1)
    max_prompt_length: int = Field(default=1024, ge=1)
    max_completion_length: int = Field(default=256, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    reward: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    reward_retries: Annotated[int, Operational] = Field(default=2, ge=0)
    reward_clip: float | None = Field(default=None, gt=0)
    missing_eos_penalty: float = Field(default=0.0, ge=0)
    kl_coef: float = Field(default=0.05, ge=0)
    kl_estimator: KLEstimator = "k1"
    kl_target: float | None = Field(default=None, gt=0)
    kl_horizon: int = Field(default=10_000, ge=1)
    gamma: float = Field(default=1.0, gt=0, le=1)
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    clip_range: float = Field(default=0.2, gt=0)
    clip_range_value: float = Field(default=0.2, gt=0)
    entropy_coef: float = Field(default=0.0, ge=0)
    whiten_rewards: bool = False
    whiten_advantages: bool = True
    value_model: ValueStart | None = None
    value_warmup_rollouts: int = Field(default=0, ge=0)
    save_steps: Annotated[int, Operational] = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _divides(self) -> PPOOptions:
        if self.batch_size % (self.mini_batches * self.gradient_accumulation_steps):
            raise ValueError("batch_size must be a multiple of mini_batches * gradient_accumulation_steps")
        if self.batch_size % self.num_generations:
            raise ValueError("batch_size must be a multiple of num_generations")
        return self

    @property
    def micro_batch(self) -> int:
        """Responses in one forward pass."""
        return self.batch_size // (self.mini_batches * self.gradient_accumulation_steps)

    @property
    def steps_per_rollout(self) -> int:
        """Optimizer steps taken on one rollout."""
        return self.mini_batches * self.ppo_epochs


class PPO(Trainer):
    """Trains a policy by PPO with a separate value model."""

    Options = PPOOptions
    options: PPOOptions
    consumes = "prompts"
    produces = "policy"

    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        """Train to the end; continues from the last checkpoint of the job's folder."""
        from jurist_trl._ppo_run import train_by_ppo

        return train_by_ppo(job, self.options, progress)
