"""PPO against the last PPO of TRL and against TRL's GRPO and RLOO, on the demo's world.

    python benchmarks/ppo.py [--peer PYTHON] [--seeds 5] [--samples 2048] [--epochs 1] [--device cpu|cuda]

The task: the policy and the reward model that the demo's recipe trains from AI feedback. The gold metric is
the demo's oracle (good answers minus violations) on held-out prompts, which no training asks. ``--peer`` is
the Python of an environment of its own with trl 1.12.0, the last release with PPO:

    python -m venv peer && peer/bin/pip install torch==2.13.0 trl==1.12.0 transformers==5.23.0

Every training is a process of its own, with one thread on a CPU. Rates count its CPU seconds of training
alone (on a GPU, its seconds), so other work on the machine hardly matters. Each method is also given as many
samples as it can use in the time that TRL's PPO takes (ours, where there is no peer).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import ppo_task

TRAINING = Path(__file__).with_name("ppo_training.py")
PEER = "trl-1.12-ppo"
LEARNING_RATE = 1e-3
"""Of all methods alike, divided by the epochs over a rollout."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}

Result = dict[str, float]


class Benchmark:
    """The trainings of one task, each measured once."""

    def __init__(self, folder: Path, peer: str | None, device: str, epochs: int) -> None:
        self._folder = folder
        self._device = device
        self._epochs = epochs
        self._python = {PEER: peer} if peer else {}
        self.task = ppo_task.prepare(folder / "task")

    @property
    def methods(self) -> list[str]:
        """What is compared; TRL's PPO only where its environment was named."""
        return ["jurist-ppo", *self._python, "grpo", "rloo"]

    def measure(self, method: str, seed: int, samples: int) -> Result:
        """Rates and peak memory of a training, and what its policy is worth."""
        output = self._folder / f"{method}-{seed}-{samples}"
        settings = {
            "method": method,
            "seed": seed,
            "rollouts": samples // ppo_task.ROLLOUT,
            "output": str(output),
            "device": self._device,
            "epochs": self._epochs,
            "learning_rate": LEARNING_RATE / self._epochs,
            **self.task.settings(),
        }
        done = subprocess.run(
            [self._python.get(method, sys.executable), str(TRAINING), json.dumps(settings)],
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{method}, seed {seed}, failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        result: Result = json.loads(done.stdout.splitlines()[-1])
        result |= self.task.worth(output / "model", self._device)
        result["samples"] = float(samples)
        print(method, seed, json.dumps({k: round(v, 3) for k, v in result.items()}), flush=True)
        return result


def table(title: str, results: dict[str, list[Result]]) -> None:
    """Print means over seeds, with standard deviations for what learning came to."""
    print(f"\n## {title}\n")
    print("| method | samples | gold | reward model | KL to the start | samples/s | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for method, runs in results.items():
        mean = {name: fmean(run[name] for run in runs) for name in runs[0]}
        spread = {name: stdev([run[name] for run in runs]) if len(runs) > 1 else 0.0 for name in runs[0]}
        learnt = " | ".join(f"{mean[name]:.3f} ± {spread[name]:.3f}" for name in ("gold", "reward", "kl"))
        print(
            f"| {method} | {mean['samples']:,.0f} | {learnt} | {mean['rate']:.1f} | {mean['peak_mb']:.0f} |"
        )


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description="Our PPO against TRL's PPO, GRPO and RLOO.")
    parser.add_argument("--peer", metavar="PYTHON", help="the Python of an environment with trl 1.12.0")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument(
        "--epochs", type=int, default=1, help="optimizer steps on each rollout, of all methods"
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        benchmark = Benchmark(given.folder or Path(temporary), given.peer, given.device, given.epochs)
        start = benchmark.task.worth(benchmark.task.policy, given.device)
        print("before", json.dumps({k: round(v, 3) for k, v in start.items()}), flush=True)
        equal: dict[str, list[Result]] = {method: [] for method in benchmark.methods}
        for seed in range(given.seeds):  # methods by turns, so that a busy hour hits all alike
            for method, runs in equal.items():
                runs.append(benchmark.measure(method, seed, given.samples))
        table(f"{given.samples:,} samples", equal)
        yardstick = PEER if PEER in equal else "jurist-ppo"
        seconds = fmean(run["seconds"] for run in equal[yardstick])
        timed: dict[str, list[Result]] = {yardstick: equal[yardstick]}
        for method in [name for name in equal if name != yardstick]:
            rate = fmean(run["rate"] for run in equal[method])
            samples = round(rate * seconds / ppo_task.ROLLOUT) * ppo_task.ROLLOUT
            timed[method] = [benchmark.measure(method, seed, samples) for seed in range(given.seeds)]
        table(f"{seconds:.0f} seconds of training", timed)


if __name__ == "__main__":
    main()
