"""What the judge of a chat model can be asked for besides a verdict: a stated confidence; after examples."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jurist.chat import ChatReply
from jurist.constitution import Principle
from jurist.errors import UsageError
from jurist.judges.orders import BothOrders
from jurist.records import Abstention, Comparison, JudgeOutcome, Judgment, Prompt, Response
from jurist.roles import ChatJudge
from jurist.selection import select
from jurist.testing import ScriptedChatModel

PAIR = Comparison(
    prompt=Prompt.of("How do I whistle?"),
    response_a=Response(text="Purse your lips."),
    response_b=Response(text="No idea."),
)
CHINESE = PAIR.model_copy(update={"prompt": Prompt.of("怎样吹口哨？请用一句话回答。")})
KIND = (Principle(name="kindness", description="Be kind."),)
EXAMPLES: list[dict[str, Any]] = [
    {
        "prompt": "2 + 2?",
        "response_a": "5",
        "response_b": "4",
        "verdict": "B",
        "rationale": "4 is right.",
        "confidence": 0.93,
    },
    {
        "prompt": [{"role": "user", "content": "Hi {prompt}"}],
        "response_a": "Hello",
        "response_b": "Hey",
        "verdict": "tie",
        "rationale": "Both greet.",
        "principle": "Be brief.",
    },
]


class Choosing(ScriptedChatModel):
    capabilities = frozenset({"logprobs"})


def judge(
    *lines: Any, model: type[ScriptedChatModel] = ScriptedChatModel, pair: Comparison = PAIR, **options: Any
) -> tuple[JudgeOutcome, ScriptedChatModel]:
    chat = model(script=lines)
    role = ChatJudge(chat, ChatJudge.Options(**options))
    return asyncio.run(role.judge(pair, KIND)), chat


def said(chat: ScriptedChatModel, call: int = 0) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in chat.requests[call].messages]


# --- stated confidences --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "preference"),
    [
        ("Verdict: A\nConfidence: 80%", {}, 0.8),
        ("Verdict: B\nConfidence: 80%", {}, 0.2),
        ("Verdict: B\nConfidence: High", {}, 0.1),
        ("结论：B\n置信度：低", {}, 0.4),
        ("Verdict: A\nConfidence: Medium", {"word_probabilities": (0.55, 0.65, 0.8)}, 0.65),
        ("Verdict: tie", {}, 0.5),
        ("Verdict: tie\nConfidence: 90%", {}, 0.5),
        ("Verdict: B\nConfidence: 20%", {}, 0.49),  # no confidence turns a verdict round
        ("Verdict: A\nConfidence: 100%", {}, 0.99),
    ],
)
def test_a_stated_confidence_is_the_soft_label(text: str, options: dict[str, Any], preference: float) -> None:
    outcome, chat = judge(text, labels="stated", **options)
    assert isinstance(outcome, Judgment)
    assert (outcome.preference, outcome.method) == (pytest.approx(preference), "stated")
    assert chat.calls == 1


def test_a_verdict_without_a_confidence_is_asked_for_again_and_then_an_abstention() -> None:
    outcome, chat = judge("Verdict: A", labels="stated")
    assert isinstance(outcome, Abstention)
    assert outcome.reason == "unparsed"
    assert chat.calls == 3
    outcome, chat = judge("Verdict: A", "Verdict: A\nConfidence: 70%", labels="stated")
    assert isinstance(outcome, Judgment)
    assert outcome.preference == pytest.approx(0.7)


def test_a_confidence_alone_and_one_that_may_go_on_are_none() -> None:
    assert isinstance(judge("Confidence: 90%", labels="stated")[0], Abstention)
    cut = ChatReply(text="Verdict: A\nConfidence: 9", finish_reason="length")
    outcome, _ = judge(cut, labels="stated")
    assert isinstance(outcome, Abstention)
    assert outcome.reason == "truncated"


def test_a_stated_confidence_is_not_clamped_after_reasoning() -> None:
    outcome, chat = judge("B lies.\nVerdict: A\nConfidence: 90%", labels="stated", chain_of_thought=True)
    assert isinstance(outcome, Judgment)
    assert outcome.preference == pytest.approx(0.9)
    assert outcome.rationale == "B lies.\nVerdict: A\nConfidence: 90%"
    assert "First reason step by step" in said(chat)[0][1]


@pytest.mark.parametrize(
    ("pair", "form", "asked"),
    [
        (PAIR, "number", "in percent from 50% to 100%"),
        (PAIR, "words", "Low, Medium or High"),
        (CHINESE, "number", "50% 到 100%"),
        (CHINESE, "words", "低、中或高"),
    ],
)
def test_it_is_asked_for_in_the_form_and_language_that_are_wanted(
    pair: Comparison, form: str, asked: str
) -> None:
    language = "zh" if pair is CHINESE else "en"
    _, chat = judge("A", pair=pair, labels="stated", confidence=form, language=language)
    assert asked in said(chat)[0][1]


@pytest.mark.parametrize("words", [(0.4, 0.7, 0.9), (0.9, 0.8, 0.7), (0.6, 0.7, 1.1)])
def test_words_mean_probabilities_that_do_not_fall(words: tuple[float, float, float]) -> None:
    with pytest.raises(ValidationError):
        ChatJudge.Options(word_probabilities=words)


# --- examples ------------------------------------------------------------------------------------------


def test_examples_are_turns_in_the_same_form_as_the_question() -> None:
    _, plain = judge("Verdict: A", labels="verdict")
    _, chat = judge("Verdict: A", labels="verdict", examples=EXAMPLES)
    turns = said(chat)
    assert [role for role, _ in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert [text for role, text in turns if role == "assistant"] == ["Verdict: B", "Verdict: tie"]
    assert turns[-1] == said(plain)[-1]
    first, second = turns[0][1], turns[2][1]
    assert "- Be kind." in first
    assert "- Be brief." in second
    assert "Be kind." not in second
    assert "2 + 2?" in first
    assert "Hi {prompt}" in second
    assert chat.requests[0].shared == len(first)


@pytest.mark.parametrize(
    ("model", "options", "answers"),
    [
        (Choosing, {"examples": EXAMPLES[:1]}, ["B"]),
        (ScriptedChatModel, {"labels": "stated"}, ["Verdict: B\nConfidence: 93%", "Verdict: tie"]),
        (
            ScriptedChatModel,
            {"labels": "stated", "confidence": "words"},
            ["Verdict: B\nConfidence: High", "Verdict: tie"],
        ),
        (
            ScriptedChatModel,
            {"chain_of_thought": True},
            ["4 is right.\nVerdict: B", "Both greet.\nVerdict: tie"],
        ),
        (
            Choosing,
            {"labels": "logprobs", "chain_of_thought": True, "examples": EXAMPLES[:1]},
            ["4 is right.", "B"],
        ),
        (ScriptedChatModel, {"language": "zh"}, ["结论：B", "结论：平局"]),
    ],
)
def test_examples_are_answered_as_the_judge_should(
    model: type[ScriptedChatModel], options: dict[str, Any], answers: list[str]
) -> None:
    options = {"labels": "verdict" if model is ScriptedChatModel else "auto", "examples": EXAMPLES, **options}
    choice = ChatReply(text="A", choice_logprobs=(-0.1, -2.0) if model is Choosing else None)
    _, chat = judge(choice, model=model, **options)
    assert [text for role, text in said(chat)[:-1] if role == "assistant"] == answers


def test_both_orders_leave_the_examples_alone() -> None:
    chat = ScriptedChatModel(script=["Verdict: A"])
    role = ChatJudge(chat, ChatJudge.Options(examples=EXAMPLES, labels="verdict"))
    asyncio.run(BothOrders(role).judge(PAIR, KIND))
    straight, swapped = said(chat, 0), said(chat, 1)
    assert straight[:-1] == swapped[:-1]
    assert straight[-1] != swapped[-1]


def test_examples_come_from_a_file_and_count_by_content(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text("".join(json.dumps(example) + "\n" for example in EXAMPLES))
    read = ChatJudge.Options(examples=str(path), labels="verdict")
    assert read.identity() == ChatJudge.Options(examples=EXAMPLES, labels="verdict").identity()
    path.write_text('{"prompt": "q", "response_a": "x", "verdict": "C"}\n[]\n')
    with pytest.raises(ValidationError) as error:
        ChatJudge.Options(examples=str(path))
    for fault in ("examples.jsonl:1.response_b", "examples.jsonl:1.verdict", "examples.jsonl:2: "):
        assert fault in str(error.value)


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ({}, ["examples.1: only A or B may be answered here"]),
        ({"labels": "logprobs"}, ["examples.1: only A or B"]),
        ({"labels": "stated", "examples": [{**EXAMPLES[0], "confidence": None}]}, ["needs a 'confidence'"]),
        (
            {"chain_of_thought": True, "examples": [{**EXAMPLES[0], "rationale": " "}] * 2},
            ["examples.0: with 'chain_of_thought' it needs a 'rationale'", "examples.1: "],
        ),
        ({"examples": "nowhere.jsonl"}, ["nowhere.jsonl"]),
    ],
)
def test_examples_that_cannot_be_shown_are_faults(options: dict[str, Any], faults: list[str]) -> None:
    with pytest.raises(ValidationError) as error:
        ChatJudge.Options(**{"examples": EXAMPLES, **options})
    for fault in faults:
        assert fault in str(error.value)


def test_every_fault_of_a_file_of_examples_is_a_line_of_the_error(source: Any, tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    whole = {"prompt": "q", "response_a": "x", "response_b": "y", "verdict": "C"}
    path.write_text(f'{json.dumps(whole)}\n{{"prompt": "q"}}\n')
    with pytest.raises(UsageError) as error:
        select("judge", {"use": "chat", "examples": str(path), "labels": "logprobs"}, source, "judges.0")
    lines = str(error.value).splitlines()
    assert lines[0] == "judges.0: chat_model 'chat' of jurist-core 0.1.0: 4 faults"
    assert [line.split(": ")[:2] for line in lines[1:5]] == [
        ["  - judges.0.examples", "examples.jsonl:1.verdict"],
        ["  - judges.0.examples", "examples.jsonl:2.response_a"],
        ["  - judges.0.examples", "examples.jsonl:2.response_b"],
        ["  - judges.0.examples", "examples.jsonl:2.verdict"],
    ]
    assert "(given: '/" not in str(error.value)
    tie = {**EXAMPLES[0], "verdict": "tie"}
    with pytest.raises(UsageError) as error:
        select("judge", {"use": "chat", "examples": [tie, tie], "labels": "logprobs"}, source, "judges.0")
    assert [line.split(": ")[:2] for line in str(error.value).splitlines()[1:3]] == [
        ["  - judges.0", "examples.0"],
        ["  - judges.0", "examples.1"],
    ]
