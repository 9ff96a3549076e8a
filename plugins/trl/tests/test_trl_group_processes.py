"""GRPO and RLOO in several processes, which a user starts with torchrun: as one with the whole batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = '''
"""Trains on responses that depend on the prompt and on their place among those to it."""
import json, os, random, sys, warnings
from collections import Counter
from pathlib import Path

import torch
from trl import GRPOTrainer

from jurist.train_jobs import TrainJob
from jurist_trl.groups import run
from jurist_trl.groups.component import GRPO, RLOO


def recited(base):
    class Recited(base):
        def _generate_single_turn(self, prompt_ids, *args, **kwargs):
            rows, seen = [], Counter()
            for ids in prompt_ids:
                asked = str(list(ids))
                source = random.Random(f"{asked}/{seen[asked]}")
                seen[asked] += 1
                row = [source.randrange(6, 24) for _ in range(source.randrange(1, 6))]
                rows.append([*row, self._tokenizer.eos_token_id] if source.random() < 0.7 else row)
            return (rows, None) if issubclass(base, GRPOTrainer) else rows

    return Recited


def rewards(prompts, completions):
    return [None if "three" in text else float(len(text)) for text in completions]


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("error", message=".*[Dd]istributed.*")
    for name in ("GroupRelativeTrainer", "LeaveOneOutTrainer"):
        setattr(run, name, recited(getattr(run, name)))
    method, options = {"grpo": GRPO, "rloo": RLOO}[sys.argv[1]], json.loads(sys.argv[2])
    output = Path(sys.argv[3])
    world = int(os.environ.get("WORLD_SIZE", "1"))
    given = method.Options(
        rollouts=3, num_iterations=2, gradient_accumulation_steps=2, learning_rate=1e-3, num_generations=4,
        max_completion_length=6, reward="script:rewards", reward_retries=0, batch_size=16 // world, **options,
    )
    job = TrainJob(model=Path(sys.argv[4]), data=Path(sys.argv[5]), output=output, seed=1)
    method(given).train(job, lambda _: None)
    together = torch.distributed.is_initialized() and world
    (output / f"rank{os.environ.get('RANK', 0)}.json").write_text(json.dumps(together))
'''
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ADAPTERS = {"lora": {"rank": 4, "target_modules": ["q_proj", "v_proj"]}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"),
    [("grpo", {}), ("rloo", ADAPTERS)],
    ids=["grpo", "rloo with adapters"],
)
def test_two_processes_learn_what_one_does_from_the_doubled_batch(
    method: str,
    options: dict[str, Any],
    policy: Path,
    prompts: Path,
    tmp_path: Path,
    weights: Any,
    metrics_of: Any,
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    for output, launch in (("one", []), ("two", TORCHRUN)):
        done = subprocess.run(
            [sys.executable, *launch, "script.py", method, json.dumps(options), output, policy, prompts],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    files = ("one/rank0.json", "two/rank0.json", "two/rank1.json")
    assert [json.loads((tmp_path / file).read_text()) for file in files] == [False, 2, 2]
    start, one, two = weights(policy), weights(tmp_path / "one/model"), weights(tmp_path / "two/model")
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    assert max((start[name] - one[name]).abs().max().item() for name in one) > 1e-3
    # not those over tokens (clip fractions, entropy, KL), of which TRL takes means of each process's mean
    names = ("step", "raw_reward", "length", "eos_rate", "dropped", "frac_reward_zero_std", "grad_norm")
    kept = [
        [{name: line[name] for name in names if name in line} for line in metrics_of(tmp_path / folder)]
        for folder in ("one", "two")
    ]
    assert len(kept[0]) == 6
    for a, b in zip(*kept, strict=True):
        assert b == pytest.approx(a, abs=1e-3)
    assert kept[0][0]["dropped"] > 0
