"""A labeler learns from real human preferences and judges others of them, through the command."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.intervals import estimate

Rows = Callable[[Path], list[Any]]
Start = Callable[..., "subprocess.Popen[bytes]"]

TRAIN, TEST = 1800, 512
RECIPE = """
name: labeler
stages:
  - stage: train
    name: human
    data: {path: human.jsonl}
    trainer:
      use: classifier
      base: base
      max_length: 96
      learning_rate: 1.0e-3
      weight_decay: 0.1
      batch_size: 32
      eval_steps: 20
      calibration_fraction: 0.2
      test_fraction: 0.03
  - {stage: compare, pairs: pairs.jsonl, judges: [labeler], principles: none}
"""


@pytest.fixture(scope="module")
def benchmark(data: Path) -> ModuleType:
    """The benchmark's module, which reads the data and makes a base."""
    if not (data / "hh_rlhf").exists():
        pytest.skip(f"HH-RLHF is not at hand: {data / 'hh_rlhf'}")
    path = Path(__file__).parents[1] / "benchmarks" / "labeler.py"
    spec = importlib.util.spec_from_file_location("labeler_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_labeler_trained_on_1800_human_preferences_beats_chance_and_length_on_512_others(
    benchmark: ModuleType, start: Start, environment: dict[str, str], rows: Rows, tmp_path: Path
) -> None:
    preferences = list(benchmark.hh_rlhf())
    train, test = preferences[:TRAIN], preferences[TRAIN:]
    assert len(test) == TEST
    assert not {row.prompt for row in train} & {row.prompt for row in test}
    benchmark.make_base(train, tmp_path / "base", seed=0)
    (tmp_path / "human.jsonl").write_text("".join(row.to_json() + "\n" for row in train), encoding="utf-8")
    with (tmp_path / "pairs.jsonl").open("w", encoding="utf-8") as pairs:
        for row in test:
            prompt = [turn.model_dump() for turn in row.prompt]
            for a, b in ((row.chosen, row.rejected), (row.rejected, row.chosen)):
                line = {"prompt": prompt, "response_a": a[0].content, "response_b": b[0].content}
                pairs.write(json.dumps(line) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    process = start("run", "recipe.yaml", "--out", tmp_path / "run", environment=environment, cwd=tmp_path)
    assert process.wait(timeout=880) == 0, (tmp_path / "command.log").read_text()

    stages = tmp_path / "run" / "stages"
    outcomes = [row["outcomes"][0] for row in rows(stages / "02-compare" / "judgments.jsonl")]
    assert {outcome["kind"] for outcome in outcomes} == {"judgment"}
    chosen_first, chosen_second = (
        [outcome["preference"] for outcome in outcomes[first::2]] for first in (0, 1)
    )
    assert len(chosen_first) == len(chosen_second) == TEST
    flips = sum((p > 0.5) == (q > 0.5) for p, q in zip(chosen_first, chosen_second, strict=True))
    assert flips == 0
    labeler = estimate([float(p > 0.5) for p in chosen_first])
    longest = estimate([float(len(row.chosen[0].content) > len(row.rejected[0].content)) for row in test])
    assert labeler.low > max(0.5, longest.high)
    summary = json.loads((stages / "01-human" / "summary.json").read_text(encoding="utf-8"))
    assert summary["metrics"]["train_pairs"] > 1300
    assert summary["seconds"] < 15 * 60
