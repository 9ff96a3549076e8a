"""The shipped model: it loads as plain transformers, criticises in the form core reads, and revises."""

import asyncio
import json
import random
from pathlib import Path

import pytest

import jurist_demo
from jurist.chat import Sampling
from jurist.records import Critique, Response
from jurist.roles.critic import ChatCritic, CriticOptions
from jurist.roles.reviser import ChatReviser, ReviserOptions
from jurist_demo.base import END, train_base, train_tokenizer
from jurist_demo.corpus import CRITIC_TEMPLATE, REVISER_TEMPLATE, constitution, corpus, findings, mixed_answer
from jurist_demo.oracle import Oracle
from jurist_demo.world import draw_task

MODEL = Path(jurist_demo.__file__).parent / "model"
TURN = [{"role": "user", "content": "How do I clean the bridge?"}, {"role": "assistant", "content": "No."}]


@pytest.fixture(scope="module")
def chat_model():
    from jurist_hf.model import TransformersChatModel, TransformersOptions

    return TransformersChatModel(TransformersOptions(model=str(MODEL), batch_size=64))


@pytest.fixture(scope="module")
def answers():
    """Sixty held-out questions with answers of mixed quality."""
    rng = random.Random(4)
    drawn = [draw_task("dev", rng) for _ in range(60)]
    return [(task.prompt(), mixed_answer(task, rng)) for task in drawn]


def test_the_weights_are_small_and_load_in_full_precision():
    import torch
    from transformers import AutoModelForCausalLM

    assert (MODEL / "model.safetensors").stat().st_size < 1_400_000
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    assert model.dtype == torch.float32
    assert model.num_parameters() == 623_232
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_a_turn_ends_with_the_end_token_and_padding_has_its_own():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    assert tokenizer.eos_token == END
    assert tokenizer.pad_token not in (None, END)
    assert tokenizer.apply_chat_template(TURN, tokenize=False).endswith("<|assistant|>No.<|end|>")
    encoded = tokenizer.apply_chat_template(TURN, return_assistant_tokens_mask=True, return_dict=True)
    learnt = [i for i, m in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(learnt) == "No.<|end|>"


def test_the_corpus_is_still_the_one_that_the_shipped_model_learnt():
    """Fails when the world, or core's wording of critiques, changed: then run --train-base again."""
    shipped = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    made = json.loads(train_tokenizer(corpus(0)).backend_tokenizer.to_str())
    assert made["model"]["vocab"] == shipped["model"]["vocab"]
    assert made["model"]["merges"] == shipped["model"]["merges"]


async def test_its_critiques_can_be_read_and_are_mostly_right(chat_model, answers):
    critic = ChatCritic(chat_model, CriticOptions(template=CRITIC_TEMPLATE, max_tokens=80, reasks=0))
    principles = constitution().principles
    critiques = await asyncio.gather(
        *(critic.critique(prompt, Response(text=answer.text), principles) for prompt, answer in answers)
    )
    read = [(c, answer) for c, (_, answer) in zip(critiques, answers, strict=True) if isinstance(c, Critique)]
    assert len(read) / len(answers) >= 0.9
    right = [(f.satisfied is False) == (f.principle in a.faults) for c, a in read for f in c.findings]
    assert sum(right) / len(right) >= 0.9
    found = [bool(c.violated) for c, a in read if a.faults]
    assert sum(found) / len(found) >= 0.7


async def test_its_revisions_mend_what_is_violated(chat_model, answers):
    reviser = ChatReviser(chat_model, ReviserOptions(template=REVISER_TEMPLATE))
    principles = constitution().principles
    faulty = [(p, a) for p, a in answers if a.faults & {"privacy", "harm", "kindness"}]
    assert len(faulty) > 15

    async def revised(prompt, answer):
        critique = Critique(findings=findings(answer, principles))
        response = Response(text=answer.text)
        sampling = Sampling(temperature=0.7, max_tokens=48, seed=1)
        return await reviser.revise(prompt, response, critique, principles, sampling)

    responses = await asyncio.gather(*(revised(*pair) for pair in faulty))
    truths = [
        Oracle().truth(prompt, r.text).metrics for (prompt, _), r in zip(faulty, responses, strict=True)
    ]
    assert sum(t["violation"] for t in truths) / len(truths) <= 0.1
    assert sum(t["good"] for t in truths) / len(truths) >= 0.7


def test_training_the_base_model_learns_and_is_repeatable(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    first = train_base(7, tmp_path / "a", conversations=300, steps=5)
    again = train_base(7, tmp_path / "b", conversations=300, steps=5)
    assert len(first) == 5
    assert first == again
    assert first[-1] < first[0] - 1
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "a").config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(tmp_path / "a").chat_template
