"""Juries learnt from verdicts on record: LLMBar's ten prompts and PRD, a fifth of the items to learn from."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import NamedTuple

import pytest

from jurist.validation.labelled import LabelledItem, load_labelled
from jurist_calibrate.calibrated import CalibratedJury

REPOSITORY = Path(__file__).parents[3]
DATA = Path(os.environ.get("JURIST_DATA") or REPOSITORY.parent / "shared" / "data")
PROMPTS = [
    "CoT",
    "Metrics",
    "Metrics_Reference",
    "Reference",
    "Swap",
    "Swap_CoT",
    "Vanilla",
    "Vanilla_1shot",
    "Vanilla_2shot",
    "Vanilla_NoRules",
]
SPLITS = 20


class Means(NamedTuple):
    """Over the splits, on the items that were held out."""

    best_judge: float
    majority: float
    accuracy: float
    surest: float
    error: float


def benchmark(name: str) -> ModuleType:
    """A module of the benchmarks, so that what is tested is what they print."""
    path = REPOSITORY / "benchmarks" / f"{name}.py"
    if not path.exists():
        pytest.skip(f"the benchmarks are not at hand: {path}")
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public data as files of labelled items."""
    for name in ("llmbar", "prd"):
        if not (DATA / name).exists():
            pytest.skip(f"{name} is not at hand: {DATA / name}")
    folder = tmp_path_factory.mktemp("verdicts")
    convert = benchmark("convert_verdicts")
    for name in ("llmbar", "prd"):
        convert.SETS[name](DATA / name, folder)
    return folder


def means(items: Sequence[LabelledItem]) -> Means:
    juries = benchmark("juries")
    rows = []
    for seed in range(SPLITS):
        learning, held_out = juries.split(items, seed)
        jury = CalibratedJury()
        jury.fit(learning)
        ties = juries.has_ties(items)
        measured = juries.measure(jury, held_out, ties)
        rows.append(
            Means(
                juries.best_judge(held_out, ties),
                juries.majority(held_out, ties),
                measured.accuracy,
                measured.surest,
                measured.error,
            )
        )
    return Means(*map(fmean, zip(*rows, strict=True)))


@pytest.mark.slow
def test_on_llmbar_it_beats_the_best_judge_with_every_prompt(verdicts: Path) -> None:
    found = {prompt: means(load_labelled(verdicts / f"llmbar-{prompt}.jsonl")) for prompt in PROMPTS}
    for prompt, each in found.items():
        assert each.accuracy > each.best_judge > each.majority, prompt
        assert each.surest > each.accuracy + 0.02, prompt
    assert fmean(each.error for each in found.values()) <= 0.06
    assert fmean(each.accuracy - each.best_judge for each in found.values()) > 0.015


@pytest.mark.slow
def test_on_prd_it_beats_the_best_judge_and_the_majority_with_ties_as_a_third_class(verdicts: Path) -> None:
    found = means(load_labelled(verdicts / "prd.jsonl"))
    assert found.accuracy > found.best_judge + 0.02
    assert found.accuracy > found.majority
    assert found.surest > found.accuracy + 0.03


@pytest.mark.slow
def test_a_judge_that_is_asked_in_one_order_alone_can_be_learnt_too(verdicts: Path) -> None:
    items = [
        item.model_copy(update={"votes": tuple(vote for vote in item.votes if vote.order == "ab")})
        for item in load_labelled(verdicts / "prd.jsonl")
    ]
    found = means(items)
    assert found.accuracy > max(found.best_judge, found.majority)
