"""PPO in several processes, which a user starts with torchrun: the same as one with the whole batch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = '''
"""Trains by PPO on responses that depend on the prompt alone; takes the options and a folder to write to."""
import json, os, random, sys, warnings
from pathlib import Path

import torch

from jurist.train_jobs import TrainJob
from jurist_trl.ppo import run as ppo_run
from jurist_trl.ppo.component import PPO
from jurist_trl.ppo.options import PPOOptions

ASKED = []


class Recited(ppo_run.PPOTrainer):
    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        rows = []
        for ids in prompt_ids:
            source = random.Random(str(list(ids)))
            row = [source.randrange(6, 24) for _ in range(source.randrange(1, 6))]
            rows.append([*row, self._tokenizer.eos_token_id] if source.random() < 0.7 else row)
        return rows, None


def rewards(prompts, completions):
    return [None if "three" in text else float(len(text)) for text in completions]


def lengths(prompts, completions):
    return [float(len(text)) for text in completions]


def score(prompts, completions):
    ASKED.append(len(completions))
    return [float(text.count("e")) for text in completions]


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("error", message=".*[Dd]istributed.*")
    ppo_run.PPOTrainer = Recited
    options, output = json.loads(sys.argv[1]), Path(sys.argv[2])
    job = TrainJob(**options.pop("job"), output=output, seed=1)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    ppo = PPO(PPOOptions(**options, batch_size=16 // world, reward="script:rewards", metric="script:lengths"))
    ppo.score = score
    artifact = ppo.train(job, lambda _: None)
    together = torch.distributed.is_initialized() and world
    found = {"metrics": artifact.metrics, "asked": ASKED, "world": together}
    (output / f"rank{os.environ.get('RANK', 0)}.json").write_text(json.dumps(found))
'''
OPTIONS = {
    "rollouts": 3,
    "ppo_epochs": 2,
    "gradient_accumulation_steps": 2,
    "learning_rate": 1e-3,
    "max_completion_length": 6,
    "reward_weights": [1.0, 0.5],
    "reward_retries": 0,
    "reward_normalization": True,
    "whiten_rewards": True,
    "kl_target": 0.5,
    "kl_horizon": 100,
    "ptx_coef": 0.5,
    "eval_steps": 2,
}
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
Trained = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def trained(policy: Path, prompts: Path, revisions: Path, tmp_path: Path) -> Trained:
    """Train in ``processes`` processes; what each one found."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "held_out.jsonl").write_text(
        "".join(f'{{"prompt": "say {w}"}}\n' for w in ("one", "no", "red"))
    )

    def train(processes: int, output: str, **options: Any) -> list[dict[str, Any]]:
        job = {"model": policy, "data": prompts, "mixed": revisions, "held_out": tmp_path / "held_out.jsonl"}
        given = json.dumps({**OPTIONS, **options, "job": {name: str(path) for name, path in job.items()}})
        launch = [sys.executable, *(TORCHRUN if processes == 2 else [])]
        done = subprocess.run(
            [*launch, "script.py", given, output],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found = [
            json.loads((tmp_path / output / f"rank{rank}.json").read_text()) for rank in range(processes)
        ]
        assert all(each["world"] == (processes if processes > 1 else False) for each in found)
        return found

    return train


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="all weights"),
        pytest.param({"lora": {"rank": 4, "target_modules": ["q_proj", "v_proj"]}}, id="adapters"),
        pytest.param({"value_warmup_rollouts": 1, "kl_stop": 1e-5}, id="a policy that rests"),
    ],
)
def test_two_processes_learn_what_one_does_from_the_doubled_batch(
    trained: Trained, tmp_path: Path, weights: Any, metrics_of: Any, policy: Path, options: dict[str, Any]
) -> None:
    (one,), (first, second) = trained(1, "one", **options), trained(2, "two", **options)
    assert [a + b for a, b in zip(first["asked"], second["asked"], strict=True)] == one["asked"]
    for folder in ("model", "value_model"):
        a, b = weights(tmp_path / "one" / folder), weights(tmp_path / "two" / folder)
        assert max((a[name] - b[name]).abs().max().item() for name in a) < 1e-5, folder
    start, end = weights(policy), weights(tmp_path / "one/model")
    assert max((start[name] - end[name]).abs().max().item() for name in start) > 1e-3
    timed = {"step_time", "epoch", "distinct_2", "repetition", "boilerplate_rate", "length_correlation"}
    lines = [metrics_of(tmp_path / run) for run in ("one", "two")]
    assert [line["step"] for line in lines[0]] == [0, 1, 2, 3, 4, 5, 6]
    for a, b in zip(*lines, strict=True):
        assert {k: v for k, v in b.items() if k not in timed} == pytest.approx(
            {k: v for k, v in a.items() if k not in timed}, abs=1e-4
        )
    assert lines[0][1]["dropped"] > 0
    assert {k: v for k, v in first["metrics"].items() if k not in timed} == pytest.approx(
        {k: v for k, v in second["metrics"].items() if k not in timed}
    )


@pytest.mark.slow
def test_a_training_in_two_processes_resumes(trained: Trained, tmp_path: Path, weights: Any) -> None:
    import shutil

    import torch

    settings = {"save_steps": 1, "save_total_limit": 5}
    trained(2, "whole", **settings)
    shutil.copytree(tmp_path / "whole", tmp_path / "halved")
    shutil.rmtree(tmp_path / "halved/checkpoints/checkpoint-6")
    shutil.rmtree(tmp_path / "halved/model")
    trained(2, "halved", **settings)
    for folder in ("model", "value_model"):
        a, b = weights(tmp_path / "whole" / folder), weights(tmp_path / "halved" / folder)
        assert all(torch.equal(a[name], b[name]) for name in a), folder
