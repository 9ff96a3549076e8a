"""Several processes: data parallelism, and sharding by FSDP.

Accelerate shards on GPUs alone. Here two processes of a CPU pass for two with a GPU each, so that PyTorch
really shards over gloo; whether it does is seen by the file that only sharded checkpoints have.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.train_jobs import TrainJob
from jurist_trl.options import FSDPOptions
from jurist_trl.supervised.dpo import DPOOptions
from jurist_trl.supervised.sft import SFT, SFTOptions

SCRIPT = """
import importlib, json, os, sys
from pathlib import Path

jobs = json.loads(Path("jobs.json").read_text())
if "sharded" in sys.argv:
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    import torch
    torch.distributed.init_process_group("gloo")
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType
    PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
    from jurist_trl.training import installation
    installation._sharding = lambda *_: []

from jurist.train_jobs import TrainJob

for job in jobs:
    module, _, name = job["trainer"].partition(":")
    trainer = getattr(importlib.import_module("jurist_trl." + module), name)
    steps = []
    artifact = trainer(trainer.Options(**job["options"])).train(
        TrainJob(**job["job"]), lambda update: steps.append(update.step)
    )
    assert "ACCELERATE_USE_FSDP" not in os.environ, "the next training would be sharded, too"
    rank = Path(job["job"]["output"], "rank" + os.environ["RANK"] + ".json")
    rank.write_text(json.dumps({"steps": steps, "metrics": artifact.metrics}))
"""

REWARDS = """
def ones(prompts, completions):
    return [float(text.count("one")) for text in completions]
"""

STEPS = {"batch_size": 4, "max_steps": 3, "save_steps": 2, "learning_rate": 1e-2, "lr_scheduler": "constant"}
GRPO = {"batch_size": 4, "max_completion_length": 6, "reward": "rewards:ones", "max_steps": None}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sft": ("supervised.sft:SFT", "revisions", {}),
    "sft-lora": ("supervised.sft:SFT", "revisions", {"lora": {"rank": 4}}),
    "reward": ("supervised.reward:Reward", "preferences", {}),
    "reward-lora": ("supervised.reward:Reward", "preferences", {"lora": {"rank": 4}}),
    "dpo": ("supervised.dpo:DPO", "preferences", {}),
    "grpo": ("groups.component:GRPO", "prompts", {"num_generations": 4, "rollouts": 3, **GRPO}),
}
SHARDED = "checkpoints/checkpoint-3/pytorch_model_fsdp.bin"


class TwoProcesses:
    """Runs jobs one after another in the same two processes."""

    def __init__(self, policy: Path, data: dict[str, Path], folder: Path) -> None:
        self.policy, self.data, self.folder = policy, data, folder
        self.jobs: list[dict[str, Any]] = []

    def add(self, name: str, trainer: str, data: str, **options: Any) -> None:
        paths = {"model": self.policy, "data": self.data[data], "output": self.folder / name}
        job = {key: str(path) for key, path in paths.items()} | {"seed": 1}
        given = {name: value for name, value in {**STEPS, **options}.items() if value is not None}
        self.jobs.append({"trainer": trainer, "job": job, "options": given})

    def run(self, kind: str) -> Path:
        (self.folder / "script.py").write_text(SCRIPT)
        (self.folder / "rewards.py").write_text(REWARDS)
        (self.folder / "jobs.json").write_text(json.dumps(self.jobs))
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        done = subprocess.run(
            [*launch, "script.py", kind],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        return self.folder


@pytest.fixture(scope="module")
def two_processes(
    policy: Path,
    revisions: Path,
    preferences: Path,
    prompts: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], TwoProcesses]:
    one = tmp_path_factory.mktemp("data") / "one.jsonl"
    one.write_text(revisions.read_text().splitlines(keepends=True)[0])
    data = {"revisions": revisions, "preferences": preferences, "prompts": prompts, "one": one}
    return lambda: TwoProcesses(policy, data, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def plain(two_processes: Callable[[], TwoProcesses]) -> Path:
    """The outputs of trainings by plain data parallelism."""
    processes = two_processes()
    for name, (trainer, data, options) in CASES.items():
        processes.add(name, trainer, data, **options)
    processes.add("one", "supervised.sft:SFT", "one")
    return processes.run("plain")


@pytest.fixture(scope="module")
def sharded(two_processes: Callable[[], TwoProcesses]) -> Path:
    """The same with FSDP, and one that stops after two steps and goes on."""
    processes = two_processes()
    for name, (trainer, data, options) in CASES.items():
        processes.add(name, trainer, data, **options, fsdp={})
    processes.add("halved", "supervised.sft:SFT", "revisions", fsdp={}, max_steps=2)
    processes.add("halved", "supervised.sft:SFT", "revisions", fsdp={})
    return processes.run("sharded")


def furthest(first: dict[str, Any], second: dict[str, Any]) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def told(output: Path, rank: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / f"rank{rank}.json").read_text())
    return found


@pytest.mark.slow
def test_two_processes_train_as_one_with_batches_twice_as_large(
    plain: Path, policy: Path, revisions: Path, tmp_path: Path, weights: Any
) -> None:
    job = TrainJob(model=policy, data=revisions, output=tmp_path, seed=1)
    SFT(SFTOptions(**{**STEPS, "batch_size": 8})).train(job, lambda _: None)
    alone, together = weights(tmp_path / "model"), weights(plain / "sft/model")
    assert furthest(alone, together) < 1e-4
    assert furthest(alone, weights(policy)) > 1e-2


@pytest.mark.slow
def test_one_process_speaks_for_both(plain: Path) -> None:
    first, second = told(plain / "sft", 0), told(plain / "sft", 1)
    assert (first["steps"], second["steps"]) == ([1, 2, 3], [])
    assert first["metrics"] == second["metrics"]
    lines = (plain / "sft/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


@pytest.mark.slow
def test_a_checkpoint_is_complete_with_the_random_states_of_both(plain: Path) -> None:
    checkpoint = plain / "sft/checkpoints/checkpoint-3"
    assert json.loads((checkpoint / "complete.json").read_text()) == {"step": 3, "processes": 2}
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {path.name for path in checkpoint.iterdir()}


@pytest.mark.slow
def test_one_example_is_enough_for_two_processes(plain: Path) -> None:
    assert told(plain / "one", 0)["steps"] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_sharded_training_ends_as_plain_data_parallelism_does(
    name: str, plain: Path, sharded: Path, weights: Any
) -> None:
    assert furthest(weights(plain / name / "model"), weights(sharded / name / "model")) < 1e-5
    assert (sharded / name / SHARDED).is_file()
    assert not (plain / name / SHARDED).exists()


@pytest.mark.slow
def test_sharded_training_continues_bit_identical(sharded: Path, weights: Any) -> None:
    assert told(sharded / "halved", 0)["steps"] == [3]
    assert furthest(weights(sharded / "sft/model"), weights(sharded / "halved/model")) == 0


def test_the_configuration_arrives(tmp_path: Path) -> None:
    from jurist_trl.training.arguments import training_arguments

    job = TrainJob(model=tmp_path, data=tmp_path, output=tmp_path)
    fsdp = FSDPOptions(cpu_offload=True, transformer_layer_cls_to_wrap=("LlamaDecoderLayer",))
    given = training_arguments(DPOOptions(fsdp=fsdp, gradient_checkpointing=True), job)
    assert given["fsdp"] is True
    assert given["fsdp_config"] == {
        "cpu_offload": True,
        "reshard_after_forward": True,
        "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"],
        "activation_checkpointing": True,
    }
    assert given["activation_checkpointing"] is False  # FSDP's own takes its place
    assert "fsdp" not in training_arguments(DPOOptions(), job)
