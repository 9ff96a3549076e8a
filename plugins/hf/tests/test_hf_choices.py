import asyncio
import inspect
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from jurist.chat import ChatRequest, Sampling
from jurist.errors import ProviderError
from jurist.records import Message, Prompt, Response, Score
from jurist.roles import ChatScorer
from jurist_hf.model import TransformersChatModel, TransformersOptions


def ask(text: str, *choices: str, begun: str | None = None) -> ChatRequest:
    messages = [Message(role="user", content=text)]
    if begun is not None:
        messages.append(Message(role="assistant", content=begun))
    return ChatRequest(messages=tuple(messages), choices=choices)


SINGLE = [
    ask("Which is better?", "A", "B"),
    ask("哪个回答更好? 请只回答 A 或 B", "A", "B"),
    ask("x", "B", "A", "1"),
]
LONGER = [
    ask("How good is it, from 1 to 10?", *map(str, range(1, 11))),
    ask("评分", "十分", "九", "A is better"),
    ask("Which is better?", "A", "B", begun="The better answer is ("),
    ask("The same prompt twice, with many more words than the others", "The answer is A.", "B", "十分"),
]


def plain_forward(folder: Path, request: ChatRequest) -> list[float]:
    """Each choice by a full forward pass of its own, less those that go on from it: slow and obvious."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "".join(
        f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in request.messages if m.role == "user"
    )
    text += "<|im_start|>assistant\n"
    if request.messages[-1].role == "assistant":
        text += request.messages[-1].content
    prompt = tokenizer.encode(text, add_special_tokens=False)
    sums = []
    tokens = [tokenizer.encode(choice, add_special_tokens=False) for choice in request.choices]
    for ids in tokens:
        with torch.inference_mode():
            logprobs = model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
        sums.append(sum(logprobs[len(prompt) + i - 1, token].item() for i, token in enumerate(ids)))
    return [
        math.log(
            math.exp(own)
            - sum(
                math.exp(other)
                for longer, other in zip(tokens, sums, strict=True)
                if longer[: len(ids)] == ids != longer
            )
        )
        for ids, own in zip(tokens, sums, strict=True)
    ]


@pytest.mark.parametrize("requests", [SINGLE, LONGER, SINGLE + LONGER], ids=["single", "longer", "mixed"])
async def test_choices_equal_a_full_forward_each(
    chat_model: TransformersChatModel, checkpoint: Path, requests: list[ChatRequest]
) -> None:
    replies = await asyncio.gather(*map(chat_model.complete, requests))
    for request, reply in zip(requests, replies, strict=True):
        assert reply.choice_logprobs == pytest.approx(plain_forward(checkpoint, request), abs=1e-4)
        assert reply.text == ""


async def test_whole_responses_are_scored_piece_by_piece(
    chat_model: TransformersChatModel, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jurist_hf.choices._POSITIONS", 10)
    requests = [
        ask("Write", "The better answer is A. " * 4, "Which one?"),
        ask("写一个比较长的问题", "哪个回答更好?" * 3),
    ]
    replies = await asyncio.gather(*map(chat_model.complete, requests))
    for request, reply in zip(requests, replies, strict=True):
        assert reply.choice_logprobs == pytest.approx(plain_forward(checkpoint, request), abs=1e-4)


async def test_padding_does_not_shift_learnt_positions(checkpoint: Path, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=256, bos_token_id=0, eos_token_id=2
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        model.transformer.wpe.weight.mul_(50)
    model.save_pretrained(tmp_path)
    learnt = TransformersChatModel(TransformersOptions(model=str(tmp_path), device="cpu"))
    replies = await asyncio.gather(*map(learnt.complete, LONGER))
    await learnt.close()
    for request, reply in zip(LONGER, replies, strict=True):
        assert reply.choice_logprobs == pytest.approx(plain_forward(tmp_path, request), abs=1e-4)


async def test_a_sliding_window_changes_nothing_about_that(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(
        checkpoint,
        use_sliding_window=True,
        sliding_window=8,
        layer_types=["full_attention", "sliding_attention"],
    )
    model.save_pretrained(tmp_path)
    windowed = TransformersChatModel(TransformersOptions(model=str(tmp_path), device="cpu"))
    replies = await asyncio.gather(*map(windowed.complete, LONGER))
    await windowed.close()
    for request, reply in zip(LONGER, replies, strict=True):
        assert reply.choice_logprobs == pytest.approx(plain_forward(tmp_path, request), abs=1e-4)


async def test_single_token_choices_take_one_pass_without_a_logit_per_position(
    chat_model: TransformersChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chat_model.complete(SINGLE[0])
    loaded = chat_model._loaded
    assert loaded is not None
    shapes = []
    loaded.model.lm_head.register_forward_hook(
        lambda _module, _inputs, output: shapes.append(tuple(output.shape))
    )
    await asyncio.gather(*map(chat_model.complete, SINGLE))
    assert shapes == [(3, 1, 300)]


async def test_a_batch_that_a_cpu_has_no_memory_for_is_halved(
    chat_model: TransformersChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [(await chat_model.complete(request)).choice_logprobs for request in SINGLE + LONGER]
    loaded = chat_model._loaded
    assert loaded is not None
    real, sizes = loaded.model.forward, []

    def crowded(input_ids: torch.Tensor, **arguments: object) -> object:
        sizes.append(len(input_ids))
        if len(input_ids) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return real(input_ids=input_ids, **arguments)

    crowded.__signature__ = inspect.signature(real)  # type: ignore[attr-defined]
    monkeypatch.setattr(loaded.model, "forward", crowded)
    single = await asyncio.gather(*map(chat_model.complete, SINGLE))
    assert sizes == [3, 1, 2]
    for reply, logprobs in zip(single, expected, strict=False):
        assert reply.choice_logprobs == pytest.approx(logprobs, abs=1e-5)
    with pytest.raises(ProviderError, match="out of memory on a prompt of"):
        await chat_model.complete(ask("How good is it?", "A is better", "B is better", "十分", "九"))


async def test_choices_and_generation_do_not_disturb_each_other(chat_model: TransformersChatModel) -> None:
    writing = ChatRequest(messages=SINGLE[0].messages, sampling=Sampling(max_tokens=6, seed=1))
    alone = await chat_model.complete(SINGLE[0]), await chat_model.complete(writing)
    together = await asyncio.gather(chat_model.complete(SINGLE[0]), chat_model.complete(writing))
    assert together[0].choice_logprobs == pytest.approx(alone[0].choice_logprobs, abs=1e-5)
    assert together[1].text == alone[1].text


async def test_an_empty_choice_and_too_long_a_prompt_fail_alone(chat_model: TransformersChatModel) -> None:
    empty, long, fine = await asyncio.gather(
        chat_model.complete(ask("x", "A", "")),
        chat_model.complete(ask("better " * 400, "A", "B")),
        chat_model.complete(SINGLE[0]),
        return_exceptions=True,
    )
    assert isinstance(empty, ProviderError)
    assert "'' has no token" in str(empty)
    assert isinstance(long, ProviderError)
    assert "1 more for the choices" in str(long)
    assert not isinstance(fine, BaseException)


async def test_the_expected_score_is_right_where_10_is_two_tokens(
    chat_model: TransformersChatModel, checkpoint: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    assert len(tokenizer.encode("10", add_special_tokens=False)) == 2
    scorer = ChatScorer(chat_model, ChatScorer.Options(template="{response}", labels="logprobs"))
    score = await scorer.score(Prompt.of("x"), Response(text="How good is it?"), ())
    shares = torch.tensor(plain_forward(checkpoint, ask("How good is it?", *map(str, range(1, 11))))).softmax(
        -1
    )
    expected = sum(number * share for number, share in enumerate(shares.tolist(), 1))
    assert isinstance(score, Score)
    assert score.metrics["score"] == pytest.approx(expected, abs=1e-3)
    assert score.value == pytest.approx(2 * (expected - 1) / 9 - 1, abs=1e-3)
