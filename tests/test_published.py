"""Published numbers come out of ``jurist validate`` on recorded verdicts, to the digits that were printed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from jurist_registry.main import cli

Report = dict[str, Any]
Measure = Callable[..., Report]

CONVERTER = Path(__file__).parents[1] / "benchmarks" / "convert_verdicts.py"
# GPT-4 on LLMBar, in percent: accuracy (mean over the orders), and share of items judged alike in both.
LLMBAR = {
    "Vanilla_NoRules": {
        "Natural": (93.5, 97.0),
        "Neighbor": (64.2, 89.6),
        "GPTInst": (76.6, 90.2),
        "GPTOut": (76.6, 87.2),
        "Manual": (75.0, 89.1),
    },
    "Swap": {
        "Natural": (94.5, 97.0),
        "Neighbor": (77.6, 97.0),
        "GPTInst": (88.0, 95.7),
        "GPTOut": (73.4, 97.9),
        "Manual": (81.5, 93.5),
    },
    "CoT": {
        "Natural": (94.5, 91.0),
        "Neighbor": (75.0, 90.3),
        "GPTInst": (83.2, 90.2),
        "GPTOut": (74.5, 87.2),
        "Manual": (73.9, 82.6),
    },
}


def converter() -> ModuleType:
    specification = importlib.util.spec_from_file_location("convert_verdicts", CONVERTER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def converted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Converts a set, once, and says in which folder."""

    @cache
    def convert(name: str) -> Path:
        if not (data / name).exists():
            pytest.skip(f"{name} is not at hand: {data / name}")
        folder = tmp_path_factory.mktemp(name)
        converter().SETS[name](data / name, folder)
        return folder

    return convert


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """What ``jurist validate`` writes of a file of verdicts."""

    def validate(verdicts: Path, *options: str) -> Report:
        output = tmp_path / "validation.json"
        command = ["validate", "--verdicts", str(verdicts), "--json", str(output), *options]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
        report: Report = json.loads(output.read_text(encoding="utf-8"))["report"]
        return report

    return validate


def rater(report: Report, name: str) -> Report:
    """The measures of one judge or aggregator on all items, and on each tag."""
    found: Report = next(each for each in report["raters"] if each["name"] == name)
    return found


@pytest.mark.parametrize("prompt", LLMBAR)
def test_llmbar_gives_the_accuracy_and_agreement_of_gpt_4(
    prompt: str, converted: Callable[[str], Path], measure: Measure
) -> None:
    by_tag = rater(measure(converted("llmbar") / f"llmbar-{prompt}.jsonl"), "GPT-4")["by_tag"]
    measured = {
        tag: (
            round(100 * found["agreement"]["mean_of_orders"]["mean"], 1),
            round(100 * found["position"]["order_agreement"]["mean"], 1),
        )
        for tag, found in by_tag.items()
    }
    assert measured == LLMBAR[prompt]


def test_the_other_sets_of_llmbar_can_be_measured(converted: Callable[[str], Path], measure: Measure) -> None:
    folder = converted("llmbar")
    sizes = {"llmbar-casestudy-Vanilla": 315, "llmbar-processed-Vanilla_NoRules": 466, "llmbar-Rating": 419}
    for name, size in sizes.items():
        report = measure(folder / f"{name}.jsonl")
        assert report["items"] == size
        assert all(
            0 < each["overall"]["agreement"]["mean_of_orders"]["mean"] < 1 for each in report["raters"]
        )


def test_prd_gives_accuracies_kappas_and_the_jury_weighted_by_peer_rank(
    converted: Callable[[str], Path], measure: Measure
) -> None:
    folder = converted("prd")
    weights = json.loads((folder / "prd-weights.json").read_text(encoding="utf-8"))
    assert {name: round(weight, 5) for name, weight in weights.items()} == {
        "gpt4": 0.48844,
        "claude": 0.37666,
        "vicuna-13b": 0.08181,
        "gpt35": 0.05308,
        "bard": 0,
    }
    report = measure(folder / "prd.jsonl", "--aggregate", json.dumps({"use": "weighted", "weights": weights}))
    assert report["labels"] == {"A": 413, "B": 291, "tie": 96}
    # As the authors' notebook peer_ranking.ipynb prints them; of GPT-3.5 it prints 0.3873768855885963.
    published = {
        "gpt4": (0.6425, 0.40629),
        "claude": (0.606875, 0.31944),
        "gpt35": (0.620625, 0.38738),
        "weighted": (0.673125, 0.40996),
    }
    measured = {}
    for name in published:
        found = rater(report, name)["overall"]
        accuracy = found["agreement"]["mean_of_orders"]["mean"]
        measured[name] = (round(accuracy, 6), round(found["kappa"]["fleiss"]["mean"], 5))
    assert measured == published
    consistency = {
        judge: round(rater(report, judge)["overall"]["position"]["order_agreement"]["mean"], 3)
        for judge in weights
    }
    assert consistency == {"gpt4": 0.689, "gpt35": 0.691, "claude": 0.549, "vicuna-13b": 0.374, "bard": 0.369}


def test_pandalm_gives_its_labels_and_the_kappas_of_its_people(
    converted: Callable[[str], Path], measure: Measure
) -> None:
    folder = converted("pandalm")
    report = measure(folder / "pandalm-people.jsonl")
    assert report["labels"] == {"tie": 105, "A": 422, "B": 472}
    kappas = [round(pair["cohen"]["mean"], 2) for pair in report["jury"]["pairwise"]]
    assert kappas == [0.85, 0.88, 0.86]
    judged = rater(measure(folder / "pandalm.jsonl"), "gpt-3.5-turbo")["overall"]
    assert judged["absences"]["reasons"] == {"unparsed": 25}
    assert round(judged["agreement"]["mean_of_orders"]["mean"], 4) == 0.6977  # .7107 if garbage were a tie
