import asyncio
from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.errors import ProviderError
from jurist.records import Message
from jurist_hf.model import TransformersChatModel, TransformersOptions


def ask(text: str, **sampling: object) -> ChatRequest:
    sampling = {"max_tokens": 12, "temperature": 1.0, **sampling}
    return ChatRequest(messages=(Message(role="user", content=text),), sampling=Sampling(**sampling))


MIXED = [
    ask("Hello", seed=1),
    ask("哪个回答更好?", seed=2, temperature=0.7, max_tokens=20),
    ask(
        "A much longer question, with many more words than the others have, to need padding",
        seed=3,
        top_p=0.5,
    ),
    ask("B", temperature=0.0),
    ask("Hello", seed=4, max_tokens=3),
    ask("Hello"),
    ask("评分", temperature=2.0, top_p=0.9, seed=1),
    ask("Which answer?", temperature=0.0, max_tokens=30),
]


async def test_a_request_gets_the_same_text_alone_and_among_others(chat_model: TransformersChatModel) -> None:
    alone = [await chat_model.complete(request) for request in MIXED]
    together = await asyncio.gather(*map(chat_model.complete, MIXED))
    backwards = await asyncio.gather(*map(chat_model.complete, reversed(MIXED)))

    def facts(reply: ChatReply) -> tuple[object, ...]:
        return reply.text, reply.finish_reason, reply.usage.prompt_tokens, reply.usage.completion_tokens

    assert [facts(r) for r in together] == [facts(r) for r in alone]
    assert [facts(r) for r in reversed(backwards)] == [facts(r) for r in alone]
    assert len({reply.text for reply in alone}) == len(MIXED)


async def test_batches_smaller_than_the_crowd_keep_rows_apart(
    chat_model: TransformersChatModel, checkpoint: Path
) -> None:
    small = TransformersChatModel(TransformersOptions(model=str(checkpoint), device="cpu", batch_size=3))
    texts = [reply.text for reply in await asyncio.gather(*map(small.complete, MIXED))]
    await small.close()
    assert texts == [(await chat_model.complete(request)).text for request in MIXED]


async def test_greedy_is_what_transformers_generates(
    chat_model: TransformersChatModel, checkpoint: Path
) -> None:
    request = ask("Which answer is better?", temperature=0.0, max_tokens=24)
    reply = await chat_model.complete(request)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ids = tokenizer.apply_chat_template(
        [m.model_dump() for m in request.messages], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    expected = model.generate(ids, do_sample=False, max_new_tokens=24, pad_token_id=2)[0, ids.shape[1] :]
    assert reply.text == tokenizer.decode(expected, skip_special_tokens=True)
    assert reply.usage.prompt_tokens == ids.shape[1]
    assert reply.usage.completion_tokens == len(expected)
    assert reply.usage.seconds > 0


async def test_samples_follow_the_softmax(chat_model: TransformersChatModel, checkpoint: Path) -> None:
    draws, temperature = 2000, 1.5
    requests = [ask("A or B?", seed=seed, max_tokens=1, temperature=temperature) for seed in range(draws)]
    texts = [reply.text for reply in await asyncio.gather(*map(chat_model.complete, requests))]
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ids = tokenizer.apply_chat_template(
        [m.model_dump() for m in requests[0].messages], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    probabilities = (model(ids).logits[0, -1].double() / temperature).softmax(-1).tolist()
    by_text: Counter[str] = Counter()  # single bytes of a longer character share one text
    for token, probability in enumerate(probabilities):
        by_text[tokenizer.decode([token], skip_special_tokens=True)] += probability
    top = [text for text, _ in by_text.most_common(12)]
    observed = [texts.count(text) for text in top]
    expected = [draws * by_text[text] for text in top]
    observed.append(draws - sum(observed))
    expected.append(draws - sum(expected))
    assert min(expected) > 5
    statistic = sum((seen - due) ** 2 / due for seen, due in zip(observed, expected, strict=True))
    assert statistic < 32.9  # chi-square with 12 degrees of freedom passes this once in a thousand


async def test_top_p_leaves_only_the_head(chat_model: TransformersChatModel) -> None:
    greedy = await chat_model.complete(ask("Hello", temperature=0.0, max_tokens=1))
    requests = [ask("Hello", seed=seed, max_tokens=1, temperature=3.0, top_p=0.001) for seed in range(20)]
    assert {r.text for r in await asyncio.gather(*map(chat_model.complete, requests))} == {greedy.text}


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    from jurist_hf.generation import keep_top_p

    logits = torch.tensor([[0.1, 0.5, 0.4], [0.1, 0.5, 0.4], [0.1, 0.5, 0.4]]).log()
    kept = keep_top_p(logits, torch.tensor([[0.45], [0.6], [1.0]])).isfinite()
    assert kept.tolist() == [[False, True, False], [False, True, True], [True, True, True]]


async def test_without_a_seed_the_content_decides(chat_model: TransformersChatModel) -> None:
    request = ask("Hello")
    first, again = await chat_model.complete(request), await chat_model.complete(request)
    second = await chat_model.complete(request.model_copy(update={"sample": 1}))
    assert first.text == again.text != second.text


async def test_another_sample_of_one_seed_differs(chat_model: TransformersChatModel) -> None:
    request = ask("Hello", seed=7)
    first = await chat_model.complete(request)
    second = await chat_model.complete(request.model_copy(update={"sample": 1}))
    assert first.text != second.text


async def test_stop_strings_end_the_text_before_them(chat_model: TransformersChatModel) -> None:
    whole = await chat_model.complete(ask("Hello", seed=1, max_tokens=40))
    assert whole.finish_reason == "length"
    assert whole.usage.completion_tokens == 40
    stop = whole.text[5:8]
    requests = [
        ask("Hello", seed=1, max_tokens=40, stop=(stop, "never there")),
        ask("Hello", seed=1, max_tokens=40),
    ]
    stopped, free = await asyncio.gather(*map(chat_model.complete, requests))
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish_reason == "stop"
    assert stopped.usage.completion_tokens < 40
    assert free.text == whole.text


async def test_the_end_token_ends_a_row(checkpoint: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    request = ask("Hello", temperature=0.0, max_tokens=40)
    ids = tokenizer.apply_chat_template(
        [m.model_dump() for m in request.messages], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    written = model.generate(ids, do_sample=False, max_new_tokens=40, pad_token_id=2)[
        0, ids.shape[1] :
    ].tolist()
    end = written[5]
    tokenizer.save_pretrained(tmp_path)
    model.generation_config.eos_token_id = [2, end]
    model.save_pretrained(tmp_path)
    ending = TransformersChatModel(TransformersOptions(model=str(tmp_path), device="cpu"))
    reply, neighbour = await asyncio.gather(
        ending.complete(request), ending.complete(ask("B", seed=3, max_tokens=40))
    )
    await ending.close()
    assert reply.finish_reason == "stop"
    assert reply.usage.completion_tokens == written.index(end) + 1
    assert reply.text == tokenizer.decode(written[: written.index(end) + 1], skip_special_tokens=True)
    assert neighbour.usage.completion_tokens > reply.usage.completion_tokens


async def test_a_last_assistant_message_is_continued(chat_model: TransformersChatModel) -> None:
    question = Message(role="user", content="Which?")
    sampling = Sampling(temperature=0.0, max_tokens=8)
    whole = await chat_model.complete(ChatRequest(messages=(question,), sampling=sampling))
    begun = Message(role="assistant", content="The better answer is")
    request = ChatRequest(messages=(question, begun), sampling=sampling)
    loaded = chat_model._loaded
    assert loaded is not None
    assert loaded.tokenizer.decode(loaded.prompts.encode_prompt(request)).endswith(
        "assistant\nThe better answer is"
    )
    assert (await chat_model.complete(request)).text != whole.text


async def test_a_prompt_past_the_context_fails_alone(chat_model: TransformersChatModel) -> None:
    long, short = ask("better " * 400, seed=1), ask("Hello", seed=1)
    failed, fine = await asyncio.gather(
        chat_model.complete(long), chat_model.complete(short), return_exceptions=True
    )
    assert isinstance(failed, ProviderError)
    assert (failed.retryable, failed.fatal) == (False, False)
    assert "12 more for max_tokens" in str(failed)
    assert "256 of the context" in str(failed)
    assert isinstance(fine, ChatReply)


async def test_a_template_that_refuses_the_messages_fails_alone(checkpoint: Path) -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}x"
    model = TransformersChatModel(TransformersOptions(model=str(checkpoint), chat_template=template))
    system = ChatRequest(messages=(Message(role="system", content="s"), Message(role="user", content="u")))
    failed, fine = await asyncio.gather(
        model.complete(system), model.complete(ask("Hello")), return_exceptions=True
    )
    await model.close()
    assert isinstance(failed, ProviderError)
    assert "no system turn" in str(failed)
    assert isinstance(fine, ChatReply)


async def test_a_batch_that_does_not_fit_is_halved(
    chat_model: TransformersChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [(await chat_model.complete(request)).text for request in MIXED]
    loaded = chat_model._loaded
    assert loaded is not None
    real, sizes = loaded.model.generate, []

    def crowded(**arguments: object) -> object:
        ids = arguments["input_ids"]
        assert isinstance(ids, torch.Tensor)
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return real(**arguments)

    monkeypatch.setattr(loaded.model, "generate", crowded)
    assert [r.text for r in await asyncio.gather(*map(chat_model.complete, MIXED))] == expected
    assert sizes == [8, 4, 2, 2, 4, 2, 2]


async def test_what_cannot_fit_is_known_before_any_call(chat_model: TransformersChatModel) -> None:
    short, long = ask("short", max_tokens=8), ask("long " * 300, max_tokens=8)
    assert await chat_model.misfit(short) is None
    assert "256 of the context" in str(await chat_model.misfit(long))
