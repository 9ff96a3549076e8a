"""Soft labels against hard ones where the truth is known: the benchmark in small."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "soft_labels.py"
    if not path.exists():
        pytest.skip(f"the benchmarks are not at hand: {path}")
    spec = importlib.util.spec_from_file_location("benchmarks_soft_labels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_judge_of_the_made_up_world_is_noisy_and_calibrated(benchmark: ModuleType) -> None:
    world = benchmark.World(seed=0, noise=1.0)
    judged = [world.judged() for _ in range(20_000)]
    better = [world.difference(each.one, each.other) > 0 for each in judged]
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        inside = [
            (each.probability, truth)
            for each, truth in zip(judged, better, strict=True)
            if low <= each.probability < low + 0.1
        ]
        said, found = (sum(column) / len(inside) for column in zip(*inside, strict=True))
        assert found == pytest.approx(said, abs=0.04), low
    right = sum((e.probability > 0.5) == truth for e, truth in zip(judged, better, strict=True)) / len(judged)
    assert right == pytest.approx(0.75, abs=0.01)  # as noise of the size of the differences allows


@pytest.mark.slow
def test_soft_labels_find_the_better_response_more_often_than_hard_ones(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    found = [benchmark.compare(seed, 400, 1.0, tmp_path / str(seed)) for seed in range(3)]
    gains = [each.soft - each.hard for each in found]
    assert min(each.hard for each in found) > 0.6
    assert sum(gains) / len(gains) > 0.01, found
