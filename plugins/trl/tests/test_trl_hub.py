"""Models that are named by their id on the Hugging Face hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from jurist.contracts import Trainer
from jurist.errors import UsageError
from jurist.train_jobs import TrainJob
from jurist_trl.ppo.component import PPO
from jurist_trl.ppo.options import PPOOptions
from jurist_trl.supervised.reward import Reward, RewardOptions
from jurist_trl.supervised.sft import SFT, SFTOptions
from jurist_trl.training.hub import local_folder, with_local_models

NAME = "our-house/tiny-policy"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub, as its own library lays it out, that holds the tiny policy; no network."""
    from huggingface_hub import constants

    repository = tmp_path / "cache" / f"models--{NAME.replace('/', '--')}"
    copytree(policy, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def snapshot(cache: Path) -> Path:
    return (cache / f"models--{NAME.replace('/', '--')}" / "snapshots" / COMMIT).resolve()


def test_a_hub_id_becomes_the_folder_of_its_snapshot(cache: Path) -> None:
    assert local_folder(Path(NAME)) == snapshot(cache)


def test_a_folder_of_that_name_comes_first(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert local_folder(Path(NAME)) == Path(NAME)


def test_both_models_of_a_job_are_resolved_and_nothing_else(cache: Path, policy: Path) -> None:
    job = TrainJob(model=policy, data=Path("data"), output=Path("out"), seed=5)
    assert with_local_models(job) == job
    named = job.model_copy(update={"model": Path(NAME), "reward_model": Path(NAME)})
    resolved = {"model": snapshot(cache), "reward_model": snapshot(cache)}
    assert with_local_models(named) == job.model_copy(update=resolved)


@pytest.mark.parametrize("name", ["our-house/unknown", "unknown", "our--house/.bad."])
def test_an_unknown_id_is_named_with_its_cause_and_what_to_do(cache: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        local_folder(Path(name))
    error = caught.value
    assert error.what == f"'{name}' is no folder here and could not be had from the hub"
    assert error.cause
    assert str(error.hint).startswith(f"hf download {name}")
    assert error.provided_by == "jurist-trl"


@pytest.mark.parametrize("name", ["/nowhere/model", "../nowhere", "runs/here/model", "~/no-such-folder"])
def test_what_can_only_be_a_folder_is_not_looked_for_on_the_hub(cache: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"there is no folder {name}"):
        local_folder(Path(name))


def test_a_model_whose_weights_are_not_in_the_cache_is_refused(cache: Path) -> None:
    (snapshot(cache) / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=rf"'{NAME}' cannot be trained") as caught:
        local_folder(Path(NAME))
    assert "holds no *.safetensors" in str(caught.value)


def test_of_a_repository_only_what_training_reads_is_downloaded() -> None:
    """The patterns as the hub's library applies them; the download itself would need the network."""
    from huggingface_hub.utils import filter_repo_objects

    from jurist_trl.training import hub

    wanted = ["config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"]
    wanted += ["tokenizer.json", "tokenizer.model", "merges.txt", "chat_template.jinja"]
    unwanted = ["pytorch_model.bin", "model.gguf", "onnx/config.json", "original/model.safetensors"]
    unwanted += ["consolidated.safetensors", "modeling_own.py", "README.md", "model.h5"]
    kept = filter_repo_objects([*wanted, *unwanted], allow_patterns=hub._FILES, ignore_patterns=hub._COPIES)
    assert list(kept) == wanted


@pytest.mark.parametrize(
    "trainer",
    [
        SFT(SFTOptions(max_length=2)),
        Reward(RewardOptions(max_length=2)),
        PPO(PPOOptions(max_prompt_length=1, reward="json:loads")),  # any function: none is asked
    ],
    ids=["sft", "reward", "ppo"],
)
def test_every_trainer_reads_the_tokenizer_of_a_hub_id(
    trainer: Trainer, cache: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """They come as far as finding every example too long, which takes the tokenizer."""
    data = request.getfixturevalue(trainer.consumes)
    job = TrainJob(model=Path(NAME), data=data, output=tmp_path / "out")
    with pytest.raises(UsageError, match="tokens"):
        trainer.train(job, lambda _: None)


def test_fine_tuning_starts_from_a_hub_id_with_the_network_shut_off(
    cache: Path, revisions: Path, tmp_path: Path
) -> None:
    """In a process of its own, where the environment alone says where the cache is."""
    code = """
import sys
from pathlib import Path
from jurist.train_jobs import TrainJob
from jurist_trl.supervised.sft import SFT, SFTOptions
job = TrainJob(model=Path(sys.argv[1]), data=Path(sys.argv[2]), output=Path("out"))
SFT(SFTOptions(batch_size=8, max_steps=1)).train(job, lambda _: None)
"""
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    subprocess.run(
        [sys.executable, "-c", code, NAME, str(revisions)],
        cwd=tmp_path,
        env=environment,
        check=True,
        timeout=120,
        capture_output=True,
    )
    config = json.loads((tmp_path / "out/model/config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (tmp_path / "out/model/model.safetensors").is_file()
