"""What is refused before a model is loaded, all at once, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.errors import UsageError
from jurist.train_jobs import TrainJob
from jurist_trl.groups.component import GRPO, RLOO
from jurist_trl.groups.options import GRPOOptions, RLOOOptions
from jurist_trl.options import TrainingOptions
from jurist_trl.ppo.component import PPO
from jurist_trl.ppo.options import PPOOptions
from jurist_trl.supervised.dpo import DPO, DPOOptions
from jurist_trl.supervised.reward import Reward, RewardOptions
from jurist_trl.supervised.sft import SFT, SFTOptions
from jurist_trl.training.installation import installation_faults

Refused = Callable[..., UsageError]

REWARD = "json:loads"  # any function: none of these trainings gets as far as a reward


@pytest.fixture
def refused(revisions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Start a training whose model must not be loaded; gives the error."""
    from transformers import PreTrainedModel

    def loaded(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", loaded)

    def start(model: Path, trainer: Trainer | None = None, data: Path = revisions, **more: Any) -> UsageError:
        """``more`` are options of SFT, or, with a ``trainer``, fields of the job."""
        trainer, fields = (trainer, more) if trainer else (SFT(SFTOptions(**more)), {})
        job = TrainJob(model=model, data=data, output=tmp_path / "out", **fields)
        with pytest.raises(UsageError) as caught:
            trainer.train(job, lambda _: None)
        return caught.value

    return start


def with_config(make_policy: Callable[..., Path], **changed: Any) -> Path:
    folder = make_policy()
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changed))
    return folder


def test_faults_of_options_tokenizer_and_installation_are_listed_together(
    make_policy: Callable[..., Path], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "jurist_trl.training.installation.requires",
        lambda _: ["trl<1.16", "torch>=2.6", "none; extra == 'a'"],
    )
    error = refused(
        make_policy(pad=None, template=None), report_to=("tensorbord", "neptune"), fsdp={}, push_to_hub="a/b"
    )
    starts = [
        f"trl {metadata.version('trl')} is installed, tested is another: pip install 'trl<1.16'",
        "report_to: unknown tracker 'tensorbord'; did you mean 'tensorboard'? (known: azure_ml, ",
        "report_to: 'neptune' is not installed: pip install neptune",
        "fsdp: there is one process",
        "fsdp: there is no GPU",
        "push_to_hub: 'a/b' is out of reach: HF_HUB_OFFLINE is set",
        "push_to_hub: there is no token",
        "no chat template",
        "no padding token",
    ]
    assert len(error.faults) == len(starts)
    assert all(fault.startswith(start) for fault, start in zip(error.faults, starts, strict=True))


def test_the_installed_packages_are_in_the_range_that_was_tested() -> None:
    assert list(installation_faults(TrainingOptions(), 1)) == []
    assert "trl<1.17,>=1.16" in (metadata.requires("jurist-trl") or [])


def test_a_required_package_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "jurist_trl.training.installation.requires", lambda _: ["no-such-package<3,>=2", "torch>=2.6"]
    )
    assert list(installation_faults(TrainingOptions(), 1)) == [
        "no-such-package is not installed: pip install 'no-such-package<3,>=2'"
    ]


def test_without_metadata_of_the_plugin_there_is_nothing_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("jurist_trl.training.installation.requires", requires)
    assert list(installation_faults(TrainingOptions(), 1)) == []


def test_token_ids_that_the_model_does_not_know_are_refused(
    make_policy: Callable[..., Path], refused: Refused
) -> None:
    known = json.loads((make_policy() / "tokenizer.json").read_text())["model"]["vocab"]
    error = refused(with_config(make_policy, vocab_size=len(known) - 1))
    assert error.faults[0].startswith(
        f"the tokenizer has token ids up to {len(known) - 1}, and the model knows {len(known) - 1} tokens"
    )


@pytest.mark.parametrize(
    ("trainer", "data", "longest"),
    [
        (SFT(SFTOptions()), "revisions", 8),
        (Reward(RewardOptions()), "preferences", 13),
        (DPO(DPOOptions()), "preferences", 13),
        (PPO(PPOOptions(max_completion_length=20, reward=REWARD)), "prompts", 25),
        (GRPO(GRPOOptions(max_completion_length=20, reward=REWARD)), "prompts", 25),
        (RLOO(RLOOOptions(max_completion_length=20, reward=REWARD)), "prompts", 25),
    ],
    ids=["sft", "reward", "dpo", "ppo", "grpo", "rloo"],
)
def test_sequences_that_the_model_has_no_positions_for_are_refused(
    trainer: Trainer,
    data: str,
    longest: int,
    request: pytest.FixtureRequest,
    refused: Refused,
    make_policy: Any,
) -> None:
    short = with_config(make_policy, max_position_embeddings=longest - 1)
    error = refused(short, trainer, request.getfixturevalue(data))
    assert (
        error.what
        == f"sequences of up to {longest} tokens are too long for {short}, which takes {longest - 1}"
    )


def test_a_sequence_as_long_as_the_model_is_taken(policy: Path) -> None:
    from jurist_trl.training.job_checks import check_length

    check_length("trl-sft", policy, 128, "")
    with pytest.raises(UsageError, match="up to 129 tokens"):
        check_length("trl-sft", policy, 129, "")


PPO_OF_SIX = {"max_completion_length": 6, "reward": REWARD}


@pytest.mark.parametrize("method", [PPO, GRPO, RLOO])
def test_held_out_prompts_that_the_model_has_no_positions_for_are_refused(
    method: type[Trainer], refused: Refused, make_policy: Any, prompts: Path, tmp_path: Path
) -> None:
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text(json.dumps({"prompt": "red " * 40}))
    short = with_config(make_policy, max_position_embeddings=16)
    trainer = method(method.Options(**PPO_OF_SIX, metric=REWARD))
    error = refused(short, trainer, prompts, held_out=held_out)
    assert error.what == f"sequences of up to 48 tokens are too long for {short}, which takes 16"


def test_mixed_conversations_that_the_model_has_no_positions_for_are_refused(
    refused: Refused, make_policy: Any, prompts: Path, tmp_path: Path
) -> None:
    turn = {"completion": [{"role": "assistant", "content": "good"}]}
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(json.dumps({"prompt": [{"role": "user", "content": "red " * 30}], **turn}))
    short = with_config(make_policy, max_position_embeddings=16)
    error = refused(short, PPO(PPOOptions(**PPO_OF_SIX)), prompts, mixed=mixed)
    assert error.what == f"sequences of up to 34 tokens are too long for {short}, which takes 16"


@pytest.mark.parametrize("method", [PPO, GRPO, RLOO])
@pytest.mark.parametrize(("own_tokens", "longest"), [(False, 5 + 20 + 1), (True, 5 + 25 + 1)])
def test_a_reward_model_that_has_no_positions_for_responses_is_refused(
    method: type[Trainer],
    own_tokens: bool,
    longest: int,
    refused: Refused,
    make_policy: Any,
    policy: Path,
    prompts: Path,
) -> None:
    from transformers import AutoTokenizer

    reward = with_config(make_policy, max_position_embeddings=longest - 1)
    if own_tokens:
        tokenizer = AutoTokenizer.from_pretrained(reward)
        tokenizer.add_tokens(["purple"])
        tokenizer.save_pretrained(reward)
    trainer = method(method.Options(max_completion_length=20))
    error = refused(policy, trainer, prompts, reward_models=(reward,))
    expected = f"sequences of up to {longest} tokens are too long for {reward}, which takes {longest - 1}"
    assert error.what == expected


@pytest.mark.parametrize("method", [Reward, DPO, PPO, GRPO, RLOO])
def test_dropout_of_adapters_is_refused_where_it_has_no_effect(method: type[Trainer]) -> None:
    with pytest.raises(ValueError, match=r"lora\.dropout works in trl-sft alone"):
        method.Options(lora={"dropout": 0.1})
    assert SFTOptions(lora={"dropout": 0.1}).lora is not None


def test_an_adaptive_kl_coefficient_cannot_begin_at_zero() -> None:
    with pytest.raises(ValueError, match="kl_target adapts kl_coef, which stays 0"):
        PPOOptions(kl_coef=0.0, kl_target=1.0)
