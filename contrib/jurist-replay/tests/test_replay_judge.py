"""The judge ``replay``: the contract, what it finds, and which files it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import UsageError
from jurist.judges.orders import BothOrders
from jurist.records import Comparison, Judgment, Message, Prompt, Response
from jurist.testing import JudgeContract
from jurist.testing.kit.samples import sample_comparisons
from jurist_replay.judge import ReplayJudge, ReplayOptions


def row(
    prompt: Any = "Which?", a: str = "this", b: str = "that", votes: Any = (), **fields: Any
) -> dict[str, Any]:
    return {"item": "1", "prompt": prompt, "response_a": a, "response_b": b, "votes": list(votes), **fields}


def vote(verdict: str | None, order: str = "ab", judge: str = "one", **fields: Any) -> dict[str, Any]:
    return {"judge": judge, "order": order, "verdict": verdict, **fields}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in rows), encoding="utf-8")
    return path


def shown(a: str = "this", b: str = "that", prompt: str = "Which?") -> Comparison:
    return Comparison(prompt=Prompt.of(prompt), response_a=Response(text=a), response_b=Response(text=b))


def answer(path: Path, comparison: Comparison, judge: str | None = None) -> object:
    outcome = asyncio.run(ReplayJudge(ReplayOptions(file=path, judge=judge)).judge(comparison, ()))
    return outcome.preference if isinstance(outcome, Judgment) else outcome.reason  # type: ignore[union-attr]


class TestReplayJudge(JudgeContract):
    component = ReplayJudge

    @pytest.fixture(autouse=True)
    def _recorded(self, tmp_path: Path) -> None:
        pairs = self.samples()[::2]
        rows = [
            row(
                [message.model_dump() for message in pair.prompt.messages],
                pair.response_a.text,
                pair.response_b.text,
                [vote(verdict, confidence=confidence), vote("B", "ba")],
            )
            for pair, verdict, confidence in zip(pairs, ("A", "B", "A"), (0.9, 0.8, None), strict=True)
        ]
        type(self).options = {"file": str(write(tmp_path / "votes.jsonl", *rows))}

    def samples(self) -> Sequence[Comparison]:
        return sample_comparisons()


@pytest.mark.parametrize(
    ("recorded", "as_shown", "as_swapped"),
    [
        ([vote("A"), vote("A", "ba")], 1.0, 0.0),  # the same response both times
        ([vote("A"), vote("B", "ba")], 1.0, 1.0),  # whichever is first
        ([vote("tie"), vote("B", "ba", confidence=0.75)], 0.5, 0.75),
        ([vote("B", confidence=0.75), vote("A", "ba", confidence=0.75)], 0.25, 0.25),
        ([vote("A"), vote(None, "ba")], 1.0, "unparsed"),
        ([vote("A", "ba")], "missing", 0.0),
        ([vote("A", "either")], 1.0, 0.0),
    ],
)
def test_verdicts_come_back_in_the_order_shown(
    tmp_path: Path, recorded: list[Any], as_shown: object, as_swapped: object
) -> None:
    path = write(tmp_path / "votes.jsonl", row(votes=recorded))
    assert answer(path, shown()) == as_shown
    assert answer(path, shown().swapped()) == as_swapped


def test_every_part_of_the_content_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.jsonl", row(votes=[vote("A")]))
    assert answer(path, shown(prompt="Which one?")) == "missing"
    assert answer(path, shown(a="This")) == "missing"
    assert answer(path, shown(b="")) == "missing"


def test_chat_messages_and_text_are_the_same_prompt(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.jsonl", row([{"role": "user", "content": "Which?"}], votes=[vote("A")]))
    assert answer(path, shown()) == 1.0
    longer = Prompt(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="Which?"))
    )
    assert answer(path, shown().model_copy(update={"prompt": longer})) == "missing"


def test_equal_responses_are_answered_by_the_order_ab(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.jsonl", row(a="same", b="same", votes=[vote("A"), vote("A", "ba")]))
    judge = BothOrders(ReplayJudge(ReplayOptions(file=path)))
    outcome = asyncio.run(judge.judge(shown("same", "same"), ()))
    assert isinstance(outcome, Judgment)
    assert outcome.preference == 0.5


def test_judges_are_kept_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.jsonl", row(votes=[vote("A"), vote("B", judge="二")]))
    assert answer(path, shown(), "one") == 1.0
    assert answer(path, shown(), "二") == 0.0
    with pytest.raises(UsageError, match=r"2 judges(.|\n)*recorded: one, 二"):
        ReplayJudge(ReplayOptions(file=path))
    with pytest.raises(UsageError, match="no verdicts of 'onne'; did you mean 'one'"):
        ReplayJudge(ReplayOptions(file=path, judge="onne"))


def test_repeated_lines_may_agree(tmp_path: Path) -> None:
    twice = [row(votes=[vote("A")]), row(a="that", b="this", votes=[vote("B", "ba")])]
    assert answer(write(tmp_path / "votes.jsonl", *twice), shown()) == 1.0


def test_every_faulty_line_is_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "votes.jsonl",
        row(votes=[vote("A")]),
        row(votes=[vote("C")]),
        {"item": "3", "prompt": "Which?", "response_a": "this"},
        row(votes=[vote("A", confidence=1.5)]),
        row(votes=[vote("tie", confidence=0.5)]),
        row(a="that", b="this", votes=[vote("A", "ba")]),
        row(lable="A"),
        row(prompt=[]),
        7,
    )
    with path.open("a", encoding="utf-8") as file:
        file.write("{\n")
    with pytest.raises(UsageError) as caught:
        ReplayJudge(ReplayOptions(file=path))
    message = str(caught.value)
    lines = [line.strip(" -") for line in message.splitlines()]
    assert lines[0].endswith("is no file of recorded verdicts: 9 faults")
    places = [line.split(":")[1].partition(".")[0] for line in lines[1:10]]
    assert places == ["2", "3", "4", "5", "6", "7", "8", "9", "10"]
    assert "votes.jsonl:3.response_b: required, but not given" in lines
    assert "votes.jsonl:6: 'one' said something else of the same comparison in line 1" in lines
    assert any("7.lable: unknown option; did you mean 'label'?" in line for line in lines)


def test_of_many_faulty_lines_the_first_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.jsonl", *range(70))
    with pytest.raises(UsageError, match=r": 70 faults\n(.|\n)*… and 20 more"):
        ReplayJudge(ReplayOptions(file=path))


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="holds no recorded verdicts"):
        ReplayJudge(ReplayOptions(file=path))


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        ReplayJudge(ReplayOptions(file=tmp_path / "none.jsonl"))


def test_file_without_votes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="verdicts of 0 judges"):
        ReplayJudge(ReplayOptions(file=write(tmp_path / "votes.jsonl", row())))


def test_identity_is_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.jsonl", row(votes=[vote("A")]))
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    identity = ReplayJudge(ReplayOptions(file=path)).identity()
    assert identity == {"judge": "one", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert ReplayJudge(ReplayOptions(file=copy, judge="one")).identity() == identity
    write(copy, row(votes=[vote("B")]))
    assert ReplayJudge(ReplayOptions(file=copy)).identity() != identity


def test_the_entry_point_offers_the_judge() -> None:
    [entry_point] = entry_points(group="jurist", name="replay")
    [component] = entry_point.load().jurist_judges()
    assert component.name == "replay"
    assert component.collected("judge", "jurist-replay 0.1.0").load() is ReplayJudge
