"""PPO in several processes, which a user starts with torchrun."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, os
from pathlib import Path
from jurist.contracts import TrainJob
from jurist_trl.ppo import PPO, PPOOptions


def ones(prompts, completions):
    return [float("one" in text) for text in completions]


if __name__ == "__main__":
    options = PPOOptions(
        rollouts=2, batch_size=4, ppo_epochs=2, max_completion_length=6, reward="script:ones"
    )
    job = TrainJob(model=Path({policy!r}), data=Path({prompts!r}), output=Path("out"))
    artifact = PPO(options).train(job, lambda _: None)
    Path("rank" + os.environ["RANK"] + ".json").write_text(json.dumps(artifact.metrics))
"""


@pytest.mark.slow
def test_two_processes_take_the_same_steps_on_samples_of_their_own(
    policy: Path, prompts: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(policy=str(policy), prompts=str(prompts)))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    for shared in ("grad_norm", "value_grad_norm", "kl", "reward"):
        assert first[shared] == second[shared], shared
    assert first["explained_variance"] != second["explained_variance"]  # of each process's own samples
    lines = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert (tmp_path / "out/model/model.safetensors").is_file()
