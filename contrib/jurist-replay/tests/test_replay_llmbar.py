"""LLMBar: the published figures of GPT-4, computed through the judge in both orders."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import UsageError
from jurist.judges.orders import BothOrders, flipped
from jurist.records import Judgment
from jurist_replay.judge import ReplayJudge, ReplayOptions
from jurist_replay.llmbar import convert, main
from jurist_replay.recording import Item, load_items

DATA = (
    Path(os.environ.get("JURIST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data") / "llmbar"
)
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="LLMBar is not at hand; set JURIST_DATA to a folder with llmbar in it"
)
SETS = ("Natural", "Neighbor", "GPTInst", "GPTOut", "Manual")
SIZES = (100, 134, 92, 47, 46)
# Accuracy (mean over the two orders) and share of items judged alike in both, in percent.
PUBLISHED = {
    "Vanilla_NoRules": ((93.5, 97.0), (64.2, 89.6), (76.6, 90.2), (76.6, 87.2), (75.0, 89.1)),
    "Swap": ((94.5, 97.0), (77.6, 97.0), (88.0, 95.7), (73.4, 97.9), (81.5, 93.5)),
    "CoT": ((94.5, 91.0), (75.0, 90.3), (83.2, 90.2), (74.5, 87.2), (73.9, 82.6)),
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("llmbar") / "llmbar.jsonl"
    assert convert(DATA, target) == sum(SIZES)
    return target


async def measure(path: Path, judge: str) -> dict[str, tuple[float, float]]:
    """Accuracy and agreement by set, in percent."""
    replay = BothOrders(ReplayJudge(ReplayOptions(file=path, judge=judge)))
    found: dict[str, list[tuple[float, bool]]] = {name: [] for name in SETS}
    for item in load_items(path):
        outcome = await replay.judge(item.comparison, ())
        assert isinstance(outcome, Judgment)
        ab, ba = outcome.parts
        assert isinstance(ab, Judgment)
        assert isinstance(ba, Judgment)
        right = [(part.preference > 0.5) == (item.label == "A") for part in (ab, ba)]
        found[item.tags[0]].append((sum(right) / 2, not flipped(ab, ba)))
    return {
        name: tuple(round(100 * sum(column) / len(rows), 1) for column in zip(*rows, strict=True))  # type: ignore[misc]
        for name, rows in found.items()
    }


@needs_data
@pytest.mark.parametrize("strategy", PUBLISHED)
def test_published_figures_come_out(converted: Path, strategy: str) -> None:
    measured = asyncio.run(measure(converted, f"GPT-4/{strategy}"))
    assert measured == dict(zip(SETS, PUBLISHED[strategy], strict=True))


@needs_data
def test_items_are_the_dataset(converted: Path) -> None:
    items = load_items(converted)
    assert [sum(item.tags == (name,) for item in items) for name in SETS] == list(SIZES)
    judges = {vote.judge for item in items for vote in item.votes}
    assert len(judges) == len({(vote.judge, vote.order) for vote in items[0].votes}) / 2
    assert {"GPT-4/CoT", "PaLM2/Swap", "Falcon/Vanilla"} <= judges


@needs_data
@pytest.mark.parametrize("judge", ["GPT-4/Vanilla_NoRules", "GPT-4/CoT", "ChatGPT/Vanilla_NoRules"])
def test_original_records_read_the_same(converted: Path, tmp_path: Path, judge: str) -> None:
    """The layout of the LLMBar repository gives the votes that the gathered file gives."""
    name = "LLMBar/Natural"
    source = tmp_path / "Dataset" / name
    record = Path("evaluators", judge, "result.json")
    (source / record).parent.mkdir(parents=True)
    (source / "dataset.json").write_bytes((DATA / "Dataset" / name / "dataset.json").read_bytes())
    (source / record).write_bytes((DATA / "raw" / "Dataset" / name / record).read_bytes())
    assert convert(tmp_path, tmp_path / "out.jsonl") == 100
    gathered = [item for item in load_items(converted) if item.item.startswith(name)]
    expected = [[vote for vote in item.votes if vote.judge == judge] for item in gathered]
    assert [list(item.votes) for item in load_items(tmp_path / "out.jsonl")] == expected


def little_llmbar(folder: Path, winners: list[tuple[str, str]]) -> Path:
    source = folder / "Dataset" / "LLMBar" / "Little"
    record = source / "evaluators" / "Bot" / "Plain"
    record.mkdir(parents=True)
    pair = {"input": "问题？", "output_1": "一", "output_2": "二", "label": 2}
    (source / "dataset.json").write_text(json.dumps([pair]), encoding="utf-8")
    results: list[Any] = [
        {**pair, "results": [{"swap = False": {"winner": first}, "swap = True": {"winner": second}}]}
        for first, second in winners
    ]
    (record / "result.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


def test_command_converts_a_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.jsonl"
    assert main([str(little_llmbar(tmp_path, [("2", "None")])), str(target)]) == 0
    assert "1 items" in capsys.readouterr().out
    assert load_items(target) == [
        Item.model_validate(
            {
                "item": "LLMBar/Little/0",
                "label": "B",
                "tags": ["Little"],
                "prompt": "问题？",
                "response_a": "一",
                "response_b": "二",
                "votes": [
                    {"judge": "Bot/Plain", "order": "ab", "verdict": "B"},
                    {"judge": "Bot/Plain", "order": "ba", "verdict": None},
                ],
            }
        )
    ]


def test_command_refuses_what_is_not_llmbar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "out.jsonl")]) == 2
    assert "no sets whose names begin with 'LLMBar'" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_record_of_another_set_is_refused(tmp_path: Path) -> None:
    source = little_llmbar(tmp_path, [("1", "1"), ("2", "2")])
    with pytest.raises(UsageError, match="has 1 items, the record of 'Bot/Plain' has not"):
        convert(source, tmp_path / "out.jsonl")
