"""``kill -9`` at any moment of any stage, then the same command: as if nothing had happened.

What was in flight is asked once more and nothing else is; the data and the weights are those of a run
that was never interrupted.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Rows = Callable[[Path], list[Any]]
Start = Callable[..., "subprocess.Popen[bytes]"]
Environment = dict[str, str]

DATASETS = (
    "trajectories.jsonl",
    "revisions.jsonl",
    "judgments.jsonl",
    "preferences.jsonl",
    "set_aside.jsonl",
    "prompts.jsonl",
    "responses.jsonl",
)
LABELLING = """
prompts: prompts.jsonl
policy: {use: hf, model: "package:jurist_demo/model"}
stages:
  - {stage: revise, generator: counting, critic: counting, reviser: counting, rounds: 2}
  - {stage: compare, generator: counting, samples: 3, judges: [counting]}
  - {stage: evaluate, policies: {one: counting}, scorers: [counting], samples: 2}
"""
MODEL = 'use: hf, model: "package:jurist_demo/model", batch_size: 8'
TINY = "batch_size: 4, max_steps: 40, learning_rate: 1.0e-3, save_steps: 1"
WHOLE = f"""
prompts: {{path: "package:jurist_demo/prompts/train.jsonl", limit: 40}}
constitution: package:jurist_demo/constitution.yaml
policy: {{{MODEL}}}
stages:
  - stage: revise
    critic: {{{MODEL}, max_tokens: 80, template: "critique {{principles}}\\n{{prompt}} => {{response}}"}}
    reviser: {{{MODEL}, template: "revise {{critique}}\\n{{prompt}} => {{response}}"}}
    sampling: &answer {{max_tokens: 48}}
  - {{stage: train, name: sft, trainer: {{use: trl-sft, {TINY}}}}}
  - {{stage: compare, judges: [demo-strict, demo-friendly], sampling: *answer}}
  - {{stage: train, name: reward, trainer: {{use: trl-reward, {TINY}}}}}
  - stage: train
    name: ppo
    trainer: {{use: trl-ppo, batch_size: 8, rollouts: 6, ppo_epochs: 2, learning_rate: 1.0e-3,
              max_completion_length: 24, save_steps: 1}}
  - {{stage: evaluate, policies: {{a: sft, b: ppo}}, scorers: [demo-oracle], sampling: *answer, kl_to: a}}
"""


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the moment to kill the process, which must not end before; ``log`` has its output."""
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "the moment to kill it never came"
        time.sleep(0.002)


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    assert process.wait() == -signal.SIGKILL


def replies(folder: Path) -> int:
    """How many replies the ledger of a run holds."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True)) as ledger:
            count: int = ledger.execute("SELECT COUNT(*) FROM replies").fetchone()[0]
    except sqlite3.OperationalError:
        return 0  # the file or its table is not there yet
    return count


INEXACT = ("seconds", "log_ratio")
"""What differs between runs: times, and in the last digits a sum whose order depends on the batch."""


def exact(value: Any) -> Any:
    """A record without what differs between runs."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items() if key not in INEXACT}
    return [exact(inner) for inner in value] if isinstance(value, list) else value


def log_ratios(run: Path) -> list[float]:
    """What the evaluation measured against the reference policy, where it did."""
    (path,) = run.glob("stages/*-evaluate/responses.jsonl")
    found = [json.loads(line)["log_ratio"] for line in path.read_text(encoding="utf-8").splitlines()]
    return [ratio for ratio in found if ratio is not None]


def datasets(run: Path) -> dict[str, list[str]]:
    """Every dataset of a run, line by line."""
    found = sorted(path for name in DATASETS for path in run.glob(f"stages/*/{name}"))
    return {
        str(path.relative_to(run)): [
            json.dumps(exact(json.loads(line))) for line in path.read_text(encoding="utf-8").splitlines()
        ]
        for path in found
    }


def weights(run: Path) -> dict[str, bytes]:
    """The finished checkpoints of a run, byte by byte."""
    paths = sorted(run.glob("stages/*/model/*.safetensors"))
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def labelling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelling")
    lines = [json.dumps({"prompt": f"question {number}"}) for number in range(25)]
    (folder / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "recipe.yaml").write_text(LABELLING, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(labelling: Path, counting: Environment) -> list[str]:
    """The calls of a run that nothing disturbs, in their order; its results are in ``labelling/whole``."""
    log = labelling / "whole.log"
    command = ["-c", "from jurist_registry.main import main; main()", "run", "recipe.yaml", "--out", "whole"]
    subprocess.run(
        [sys.executable, *command],
        cwd=labelling,
        env={**counting, "COUNTING_LOG": str(log)},
        check=True,
        capture_output=True,
        timeout=100,
    )
    calls = log.read_text().splitlines()
    assert len(set(calls)) == len(calls)
    assert len(calls) == replies(labelling / "whole")
    return calls


@pytest.mark.parametrize("stage", ["revise", "compare", "evaluate"])
@pytest.mark.parametrize("seed", [0, 1])
def test_only_calls_in_flight_are_repeated(
    labelling: Path,
    uninterrupted: list[str],
    start: Start,
    counting: Environment,
    tmp_path: Path,
    stage: str,
    seed: int,
) -> None:
    # The stages follow each other, so the first call of the next one bounds each.
    ends = {
        "revise": max(n for n, call in enumerate(uninterrupted, 1) if call.startswith("revise")),
        "compare": max(n for n, call in enumerate(uninterrupted, 1) if call.startswith("judge")),
        "evaluate": len(uninterrupted),
    }
    begins = {"revise": 0, "compare": ends["revise"], "evaluate": ends["compare"]}
    moment = random.Random(f"{stage} {seed}").randrange(begins[stage] + 8, ends[stage] - 8)
    log = tmp_path / "calls.log"
    environment = {**counting, "COUNTING_LOG": str(log), "COUNTING_DELAY": "0.02"}
    command = ("run", "recipe.yaml", "--out", tmp_path / "run")

    def made() -> list[str]:
        return log.read_text().splitlines() if log.exists() else []

    first = start(*command, environment=environment, cwd=labelling)
    wait_until(lambda: len(made()) >= moment, first, tmp_path / "command.log")
    killed(first)
    before, kept = made(), replies(tmp_path / "run")
    folders = [path.name[3:] for path in sorted((tmp_path / "run" / "stages").iterdir())]
    assert folders[-1] == stage

    second = start(*command, environment=environment, cwd=labelling)
    assert second.wait(timeout=60) == 0, (tmp_path / "command.log").read_text()
    repeated = {call for call, times in Counter(made()).items() if times > 1}
    assert Counter(made()).most_common(1)[0][1] <= 2
    assert len(repeated) == len(before) - kept
    assert len(repeated) <= 3 * 4  # three components at once, each with four calls in flight
    assert set(made()) == set(uninterrupted)
    assert datasets(tmp_path / "run") == datasets(labelling / "whole")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_killed_in_every_stage_gives_the_same_data_and_weights(
    start: Start, environment: Environment, tmp_path: Path
) -> None:
    """With a real model that samples in batches: what a prompt gets must not depend on its neighbours."""
    (tmp_path / "recipe.yaml").write_text(WHOLE, encoding="utf-8")
    choose = random.Random(0)

    def checkpoints(stage: str) -> set[Path]:
        return set((tmp_path / "killed").glob(f"stages/*-{stage}/checkpoints/checkpoint-*"))

    def begun(stage: str) -> bool:
        return bool(list((tmp_path / "killed").glob(f"stages/*-{stage}")))

    def moment(stage: str) -> Callable[[], bool]:
        """True from a random moment of the stage on."""
        if stage in ("sft", "reward", "ppo"):
            pause = choose.uniform(0, 0.3)
            return lambda: bool(checkpoints(stage)) and not time.sleep(pause)
        known = replies(tmp_path / "killed")
        wanted = choose.randrange(5, 30)
        return lambda: begun(stage) and replies(tmp_path / "killed") >= known + wanted

    def worker_killed(process: subprocess.Popen[bytes]) -> None:
        """Kill the process that trains instead: the run says so, and can be continued as well."""
        known = checkpoints("sft")
        wait_until(lambda: checkpoints("sft") != known, process, tmp_path / "command.log")
        (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        assert process.wait(timeout=30) == 2
        said = (tmp_path / "command.log").read_text()
        assert "the process of trainer 'trl-sft' died (SIGKILL)" in said
        assert "running again continues from the last checkpoint" in said

    def command(out: str) -> subprocess.Popen[bytes]:
        return start("run", "recipe.yaml", "--out", out, environment=environment, cwd=tmp_path)

    whole = command("whole")
    assert whole.wait(timeout=120) == 0, (tmp_path / "command.log").read_text()
    for stage in ("revise", "sft", "compare", "reward", "ppo", "evaluate"):
        process = command("killed")
        wait_until(moment(stage), process, tmp_path / "command.log")
        killed(process)
        assert not list((tmp_path / "killed").glob(f"stages/*-{stage}/summary.json")), f"{stage} had ended"
        if stage == "sft":
            worker_killed(command("killed"))
    last = command("killed")
    assert last.wait(timeout=120) == 0, (tmp_path / "command.log").read_text()
    assert datasets(tmp_path / "killed") == datasets(tmp_path / "whole")
    assert log_ratios(tmp_path / "killed") == pytest.approx(log_ratios(tmp_path / "whole"), abs=1e-4)
    assert len(log_ratios(tmp_path / "whole")) > 30
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert len(weights(tmp_path / "whole")) == 3
