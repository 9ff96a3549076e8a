"""Hooks of jurist-trl."""

from __future__ import annotations

from collections.abc import Iterable

from jurist import Component, hookimpl


@hookimpl
def jurist_trainers() -> Iterable[Component]:
    """Fine-tuning, reward models, DPO, and trainings on rewards: PPO, GRPO and RLOO."""
    yield Component(
        "trl-sft", "jurist_trl.supervised.sft:SFT", "Fine-tunes a policy on revisions (TRL SFTTrainer)."
    )
    yield Component(
        "trl-reward",
        "jurist_trl.supervised.reward:Reward",
        "Trains a Bradley-Terry reward model on soft preferences (TRL RewardTrainer).",
    )
    yield Component(
        "trl-dpo",
        "jurist_trl.supervised.dpo:DPO",
        "Trains a policy on soft preferences without a reward model (TRL DPOTrainer).",
    )
    yield Component(
        "trl-ppo",
        "jurist_trl.ppo.component:PPO",
        "Trains a policy by PPO with a value model, against reward models, a Python function or scorers.",
    )
    yield Component(
        "trl-grpo",
        "jurist_trl.groups.component:GRPO",
        "Trains a policy by GRPO: rewards compared within groups of responses (TRL GRPOTrainer).",
    )
    yield Component(
        "trl-rloo",
        "jurist_trl.groups.component:RLOO",
        "Trains a policy by REINFORCE leave-one-out (TRL RLOOTrainer).",
    )


@hookimpl
def jurist_scorers() -> Iterable[Component]:
    """A trained reward model as a scorer."""
    yield Component(
        "trl-reward-model",
        "jurist_trl.reward_judge:RewardModelScorer",
        "Scores a response by a reward model.",
    )


@hookimpl
def jurist_judges() -> Iterable[Component]:
    """A trained reward model as a judge."""
    yield Component(
        "trl-reward-model",
        "jurist_trl.reward_judge:RewardModelJudge",
        "Compares two responses by a reward model's scores (Bradley-Terry; symmetric).",
    )
