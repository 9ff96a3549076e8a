"""Prompts past the context: refused, or shortened so that it shows."""

import re
from pathlib import Path

import pytest

from jurist.chat import ChatRequest
from jurist.errors import ProviderError
from jurist.judges.orders import BothOrders
from jurist.records import Comparison, Judgment, Message, Prompt, Response
from jurist.roles import ChatJudge
from jurist_hf.model import TransformersChatModel, TransformersOptions
from jurist_hf.prompts import PromptEncoder, load_encoder
from jurist_hf.shortening import shorten

MARK = re.compile(r" \[… (\d+) tokens left out …\] ")
SHORT = "Which is better?"
LONG_A = "Keep the battery cool and dry. " * 30
LONG_B = "请把电池放在阴凉干燥的地方。" * 20


@pytest.fixture(scope="module")
def prompts(checkpoint: Path) -> PromptEncoder:
    return load_encoder(TransformersOptions(model=str(checkpoint)))


def ask(*paragraphs: str) -> ChatRequest:
    text = "\n\n".join(paragraphs)
    return ChatRequest(messages=(Message(role="user", content=text),), choices=("A", "B"))


def shown(prompts: PromptEncoder, *paragraphs: str, room: int) -> tuple[list[str], int]:
    """The paragraphs of the shortened prompt, and how many tokens were left out of them."""
    found = shorten(prompts, ask(*paragraphs), room)
    assert found is not None
    assert len(found.prompt) <= room
    return prompts.decode(found.prompt).split("\n\n"), found.left_out


def test_the_longest_paragraphs_lose_their_middle_and_say_how_much(prompts: PromptEncoder) -> None:
    paragraphs, left_out = shown(prompts, SHORT, LONG_A, LONG_B, SHORT, room=400)
    assert paragraphs[0].endswith(SHORT)
    assert paragraphs[3].startswith(SHORT)
    marks = [MARK.search(paragraph) for paragraph in paragraphs[1:3]]
    assert sum(int(mark[1]) for mark in marks if mark) == left_out > 0
    for paragraph, mark, whole in zip(paragraphs[1:3], marks, (LONG_A, LONG_B), strict=True):
        assert mark is not None
        assert whole.startswith(paragraph[: mark.start()])
        assert whole.endswith(paragraph[mark.end() :])
        assert "\ufffd" not in paragraph


def test_no_more_than_needed_is_left_out(prompts: PromptEncoder) -> None:
    whole = len(prompts.encode_prompt(ask(SHORT, LONG_A, LONG_B)))
    for room in (whole - 1, whole - 200, 300):
        found = shorten(prompts, ask(SHORT, LONG_A, LONG_B), room)
        assert found is not None
        assert room - 80 <= len(found.prompt) <= room  # a mark takes about 40 tokens, where one is needed


def test_a_response_is_cut_alike_wherever_it_stands(prompts: PromptEncoder) -> None:
    first, left_out = shown(prompts, SHORT, LONG_A, LONG_B, SHORT, room=400)
    second, left_out_too = shown(prompts, SHORT, LONG_B, LONG_A, SHORT, room=400)
    assert (first[1], first[2], left_out) == (second[2], second[1], left_out_too)


def test_what_cannot_be_shortened_enough_is_not(prompts: PromptEncoder) -> None:
    assert shorten(prompts, ask(*["better " * 20] * 40), 100) is None


async def test_it_is_refused_unless_shortening_is_asked_for(checkpoint: Path) -> None:
    model = TransformersChatModel(TransformersOptions(model=str(checkpoint)))
    with pytest.raises(ProviderError, match="256 of the context"):
        await model.complete(ask(SHORT, LONG_A))
    await model.close()


async def test_a_verdict_on_a_shortened_prompt_says_so(checkpoint: Path) -> None:
    options = TransformersOptions(model=str(checkpoint), too_long="shorten", max_length=900)
    judge = BothOrders(ChatJudge(TransformersChatModel(options)))
    long, short = (
        Comparison(prompt=Prompt.of("x"), response_a=Response(text=a), response_b=Response(text=b))
        for a, b in ((LONG_A, LONG_B), ("yes", "no"))
    )
    outcome, whole = await judge.judge(long, ()), await judge.judge(short, ())
    written = ChatRequest(messages=ask(SHORT, LONG_A * 9).messages)
    assert "900 of the context" in str(await judge.inner.model.misfit(written))
    assert await judge.inner.model.misfit(ask(SHORT, LONG_A * 9)) is None
    await judge.close()
    assert isinstance(outcome, Judgment)
    for part in outcome.parts:
        assert re.fullmatch(r"\[… \d+ tokens of the prompt left out …\]", part.raw or "")
    assert all(not part.raw for part in whole.parts)
