"""Every option arrives where it is read: in TRL's configuration, or in the equations of PPO."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from jurist.train_jobs import TrainJob
from jurist_trl.groups.options import GRPOOptions, RLOOOptions
from jurist_trl.options import SupervisedOptions, TrainingOptions
from jurist_trl.ppo.options import PPOOptions
from jurist_trl.rollouts.options import RolloutOptions
from jurist_trl.supervised.dpo import DPOOptions

Arrivals = dict[str, tuple[Any, dict[str, Any]]]
"""Option → a value that is not its default, and the fields of TRL's configuration that it makes."""

COMMON: Arrivals = {
    "learning_rate": (2e-4, {"learning_rate": 2e-4}),
    "lr_scheduler": ("cosine", {"lr_scheduler_type": "cosine"}),
    "warmup": (7.0, {"warmup_steps": 7.0}),
    "weight_decay": (0.25, {"weight_decay": 0.25}),
    "adam_epsilon": (1e-6, {"adam_epsilon": 1e-6}),
    "max_grad_norm": (2.5, {"max_grad_norm": 2.5}),
    "gradient_accumulation_steps": (2, {"gradient_accumulation_steps": 2}),
    "gradient_checkpointing": (True, {"activation_checkpointing": True}),
    "bf16": (True, {"bf16": True}),
    "save_total_limit": (5, {"save_total_limit": 5}),
    "report_to": (("tensorboard",), {"report_to": ["tensorboard"]}),
}
NOT_IN_A_CONFIGURATION = {"lora", "dtype", "fsdp", "push_to_hub"}
SUPERVISED: Arrivals = {
    "batch_size": (6, {"per_device_train_batch_size": 6}),
    "epochs": (2.5, {"num_train_epochs": 2.5}),
    "max_steps": (11, {"max_steps": 11}),
    "save_steps": (13, {"save_steps": 13}),
    "max_length": (99, {"max_length": None}),  # what is longer was left out before
}
ROLLOUTS: Arrivals = {
    "batch_size": (24, {"per_device_train_batch_size": 4, "steps_per_generation": 6}),
    "num_generations": (4, {"num_generations": 4}),
    "mini_batches": (3, {}),
    "rollouts": (5, {"max_steps": 30}),  # two uses of each, of three mini-batches
    "save_steps": (8, {"save_steps": 12}),
    "max_completion_length": (40, {"max_completion_length": 40}),
    "temperature": (0.75, {"temperature": 0.75}),
    "use_vllm": (True, {"use_vllm": True, "vllm_mode": "server"}),
    "vllm_server_base_url": ("http://127.0.0.1:9", {"vllm_server_base_url": "http://127.0.0.1:9"}),
    "vllm_gpu_memory_utilization": (0.6, {"vllm_gpu_memory_utilization": 0.6}),
}
GROUPS: Arrivals = {
    "num_iterations": (2, {"num_iterations": 2}),
    "beta": (0.125, {"beta": 0.125}),
    "epsilon": (0.15, {"epsilon": 0.15}),
    "epsilon_high": (0.35, {"epsilon_high": 0.35}),
    "mask_truncated_completions": (True, {"mask_truncated_completions": True}),
}
OF_REWARDS_AND_PROMPTS = {
    *("reward", "reward_retries", "reward_weights", "metric", "eval_steps"),
    *("epochs", "max_prompt_length"),  # `rollouts` takes the place of the first
}


def given(kind: type[TrainingOptions], arrivals: Arrivals, elsewhere: Iterable[str]) -> Any:
    """The options, none of them at its default; ``elsewhere`` are those that no configuration has."""
    assert {*arrivals, *elsewhere} == set(kind.model_fields), "an option that no test sets"
    options = kind(**{name: value for name, (value, _) in arrivals.items()})
    assert [name for name in arrivals if getattr(options, name) == getattr(kind(), name)] == []
    return options


def check(config: Any, arrivals: Arrivals) -> None:
    expected = {name: value for _, fields in arrivals.values() for name, value in fields.items()}
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.fixture
def job(tmp_path: Path) -> TrainJob:
    return TrainJob(model=tmp_path, data=tmp_path, output=tmp_path, seed=3)


def setup(options: RolloutOptions, job: TrainJob) -> Any:
    """What is known before a configuration is made; no model is loaded."""
    from jurist_trl.rollouts.prompts import RolloutPrompts
    from jurist_trl.rollouts.setup import RolloutSetup

    prompts = RolloutPrompts([[{"role": "user", "content": "say"}]] * 9, longest=1, too_long=0)
    return RolloutSetup(job, options, None, prompts, None, processes=1)


def test_options_on_a_fixed_dataset_arrive(job: TrainJob) -> None:
    from trl import SFTConfig

    from jurist_trl.training.arguments import make_config, supervised_arguments

    arrivals = COMMON | SUPERVISED
    options = given(SupervisedOptions, arrivals, NOT_IN_A_CONFIGURATION)
    config = make_config(SFTConfig, **supervised_arguments(options, job))
    check(config, arrivals)
    assert (config.seed, config.data_seed) == (3, 3)


def test_options_of_dpo_arrive(job: TrainJob) -> None:
    from jurist_trl.supervised.dpo_trainer import dpo_config

    arrivals = {
        **(COMMON | SUPERVISED),
        "batch_size": (6, {"per_device_train_batch_size": 6, "per_device_eval_batch_size": 6}),
        "beta": (0.3, {"beta": 0.3}),
        "loss_type": ("robust", {"loss_type": ["robust"]}),
        "label_smoothing": (0.2, {"label_smoothing": 0.2}),
        "labels": ("hard", {}),
        "precompute_reference": (True, {"precompute_ref_log_probs": True}),
    }
    options = given(DPOOptions, arrivals, {*NOT_IN_A_CONFIGURATION, "eval_fraction"})
    check(dpo_config(job, options), arrivals)


def test_options_of_grpo_arrive(job: TrainJob) -> None:
    from jurist_trl.groups.run import group_config, grpo_method

    own: Arrivals = {
        "loss_type": ("bnpo", {"loss_type": "bnpo"}),
        "scale_rewards": ("batch", {"scale_rewards": "batch"}),
    }
    arrivals = COMMON | ROLLOUTS | GROUPS | own
    options = given(GRPOOptions, arrivals, NOT_IN_A_CONFIGURATION | OF_REWARDS_AND_PROMPTS)
    check(group_config(setup(options, job), options, grpo_method(options)), arrivals)


def test_options_of_rloo_arrive(job: TrainJob) -> None:
    from jurist_trl.groups.run import group_config, rloo_method

    own: Arrivals = {
        "reward_clip": (1.5, {"reward_clip_range": (-1.5, 1.5)}),
        "normalize_advantages": (True, {"normalize_advantages": True}),
    }
    arrivals = COMMON | ROLLOUTS | GROUPS | own
    options = given(RLOOOptions, arrivals, NOT_IN_A_CONFIGURATION | OF_REWARDS_AND_PROMPTS)
    method = rloo_method(options)
    check(group_config(setup(options, job), options, method), arrivals)
    assert method.reward_clip == 1.5  # what monitors go by


def test_vllm_works_in_the_process_of_the_trainer_where_no_server_is_named(job: TrainJob) -> None:
    options = GRPOOptions(use_vllm=True, vllm_gpu_memory_utilization=0.6)
    arguments = setup(options, job).config_arguments()
    found = {name: value for name, value in arguments.items() if "vllm" in name}
    assert found == {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_server_base_url": None,
        "vllm_gpu_memory_utilization": 0.6,
    }
    assert not any("vllm" in name for name in setup(GRPOOptions(), job).config_arguments())


OF_EQUATIONS = {
    "kl_coef": (0.07, "token_rewards", "kl_coef"),
    "kl_estimator": ("k2", "kl_estimate", "estimator"),
    "kl_target": (3.0, "adapted_kl_coef", "target"),
    "kl_horizon": (900, "adapted_kl_coef", "horizon"),
    "gamma": (0.9, "gae", "gamma"),
    "gae_lambda": (0.8, "gae", "lam"),
    "clip_range": (0.3, "policy_loss", "clip_range"),
    "dual_clip": (3.5, "policy_loss", "dual_clip"),
    "clip_range_value": (0.4, "value_loss", "clip_range"),
}
"""Option → a value that is not its default, and the equation and the parameter of it that gets the value."""
OF_NETWORKS_AND_REWARDS = {
    *("value_learning_rate", "value_lr_scheduler", "value_model", "value_warmup_rollouts"),
    *("reward_normalization", "reward_clip", "missing_eos_penalty", "whiten_rewards", "whiten_advantages"),
    *("kl_stop", "entropy_coef", "ptx_coef"),
}
"""Options whose effect other tests measure."""


def test_options_of_ppo_arrive_in_the_configuration(job: TrainJob) -> None:
    from jurist_trl.ppo.run import ppo_config

    arrivals = {**(COMMON | ROLLOUTS), "ppo_epochs": (2, {"num_iterations": 2})}
    elsewhere = NOT_IN_A_CONFIGURATION | OF_REWARDS_AND_PROMPTS | OF_NETWORKS_AND_REWARDS | set(OF_EQUATIONS)
    options = given(PPOOptions, arrivals, elsewhere)
    check(ppo_config(setup(options, job), options), arrivals)


def test_options_of_ppo_arrive_in_its_equations(
    ppo_job: TrainJob, train_ppo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jurist_trl.ppo import equations

    seen: dict[tuple[str, str], list[Any]] = {}

    def recorded(name: str) -> Any:
        function = getattr(equations, name)
        signature = inspect.signature(function)

        def call(*arguments: Any, **named: Any) -> Any:
            for parameter, value in signature.bind(*arguments, **named).arguments.items():
                seen.setdefault((name, parameter), []).append(value)
            return function(*arguments, **named)

        return call

    for name in {equation for _, equation, _ in OF_EQUATIONS.values()}:
        monkeypatch.setattr(equations, name, recorded(name))
    train_ppo(ppo_job, **{name: value for name, (value, _, _) in OF_EQUATIONS.items()})
    first = {name: seen[equation, of][0] for name, (_, equation, of) in OF_EQUATIONS.items()}
    assert first == {name: value for name, (value, _, _) in OF_EQUATIONS.items()}
