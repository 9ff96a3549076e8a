"""Training on a fixed dataset in several processes, which a user starts with torchrun."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jurist.train_jobs import TrainJob
from jurist_trl.supervised.dpo import DPO, DPOOptions
from jurist_trl.supervised.reward import Reward, RewardOptions

SCRIPT = """
import os
from pathlib import Path
from jurist.train_jobs import TrainJob
from {module} import {trainer}

if __name__ == "__main__":
    job = TrainJob(model=Path({policy!r}), data=Path({preferences!r}), output=Path("out"), seed=2)
    options = {trainer}.Options(**{options!r}, batch_size=4)
    artifact = {trainer}(options).train(job, lambda _: None)
    Path("rank" + os.environ["RANK"] + ".json").write_text(artifact.model_dump_json())
"""
STEPS: dict[str, Any] = {"max_steps": 4, "learning_rate": 1e-3, "eval_fraction": 0.25}


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [Reward, DPO])
def test_two_processes_train_what_one_with_the_batches_of_both_trains(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any, trainer: type[Reward] | type[DPO]
) -> None:
    options = RewardOptions if trainer is Reward else DPOOptions
    job = TrainJob(model=policy, data=preferences, output=tmp_path / "alone", seed=2)
    alone = trainer(options(**STEPS, batch_size=8)).train(job, lambda _: None)
    script = tmp_path / "script.py"
    names = {"module": trainer.__module__, "trainer": trainer.__name__, "options": STEPS}
    script.write_text(SCRIPT.format(policy=str(policy), preferences=str(preferences), **names))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    evaluated = {name: value for name, value in first["metrics"].items() if name.startswith("eval_")}
    assert evaluated == {name: second["metrics"][name] for name in evaluated}
    for name, value in evaluated.items():
        assert value == pytest.approx(alone.metrics[name], abs=1e-3), name
    start, one, both = weights(policy), weights(alone.path), weights(tmp_path / "out/model")
    for name in start.keys() & one.keys():
        moved = (one[name] - start[name]).abs().max().item()
        assert moved > 1e-4
        assert (one[name] - both[name]).abs().mean().item() < 1e-2 * moved, name
