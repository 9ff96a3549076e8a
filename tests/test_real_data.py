"""Data that nobody of this project wrote goes through the command: real conversations, real verdicts."""

from __future__ import annotations

import gzip
import json
import math
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from jurist.records import Comparison
from jurist_replay.llmbar import convert
from jurist_replay.recording import load_items

Rows = Callable[[Path], list[Any]]
Start = Callable[..., "subprocess.Popen[bytes]"]
Environment = dict[str, str]

RECIPE = Path(__file__).parents[1] / "contrib" / "recipes" / "rlaif.yaml"
CONTEXT = 4096
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROLES = {"Human": "user", "Assistant": "assistant"}
# Accuracy (mean over the two orders) and share of items judged alike in both, in percent.
PUBLISHED = {
    "Natural": (93.5, 97.0),
    "Neighbor": (64.2, 89.6),
    "GPTInst": (76.6, 90.2),
    "GPTOut": (76.6, 87.2),
    "Manual": (75.0, 89.1),
}


def conversations(data: Path, count: int) -> list[list[dict[str, str]]]:
    """The first prompts of HH-RLHF: each transcript up to its last human turn, with more than one turn."""
    path = data / "hh_rlhf" / "harmless-base-test.jsonl.gz"
    if not path.exists():
        pytest.skip(f"HH-RLHF is not at hand: {path}")
    found: dict[str, list[dict[str, str]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            parts = re.split(r"\n\n(Human|Assistant): ?", json.loads(line)["chosen"])[1:]
            turns = [
                {"role": ROLES[who], "content": text}
                for who, text in zip(parts[::2], parts[1::2], strict=True)
            ]
            while turns and turns[-1]["role"] != "user":
                turns.pop()
            if len(turns) >= 3:
                found[json.dumps(turns)] = turns
    return list(islice(found.values(), count))


def save_tiny_model(folder: Path, texts: list[str]) -> None:
    """A random Llama of two layers whose tokenizer was trained on the texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def prompts(data: Path) -> list[list[dict[str, str]]]:
    return conversations(data, 200)


@pytest.fixture(scope="module")
def model(prompts: list[list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_model(folder, [turn["content"] for turns in prompts for turn in turns])
    return folder


@pytest.fixture(scope="module")
def llmbar(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 419 pairs of LLMBar with the recorded verdicts."""
    if not (data / "llmbar").exists():
        pytest.skip(f"LLMBar is not at hand: {data / 'llmbar'}")
    path = tmp_path_factory.mktemp("llmbar") / "llmbar.jsonl"
    assert convert(data / "llmbar", path) == 419
    return path


@pytest.mark.slow
def test_rlaif_on_real_conversations_gives_a_checkpoint_that_transformers_loads(
    prompts: list[list[dict[str, str]]],
    model: Path,
    start: Start,
    environment: Environment,
    rows: Rows,
    tmp_path: Path,
) -> None:
    from transformers import AutoModelForCausalLM

    lines = [json.dumps({"prompt": turns}, ensure_ascii=False) for turns in prompts]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "heldout.jsonl").write_text("\n".join(lines[:10]), encoding="utf-8")
    local = f"{{use: hf, model: {model}, batch_size: 8}}"
    judge = f"{{use: hf, name: local, model: {model}, batch_size: 8, labels: logprobs}}"
    overrides = [
        f"policy={local}",
        "stages.compare.samples=2",
        "stages.compare.sampling.max_tokens=16",
        f"stages.compare.judges=[{judge}]",
        "stages.compare.aggregate=[majority]",
        "stages.compare.principles=sampled",
        "stages.reward.trainer={use: trl-reward, batch_size: 4, max_steps: 6, learning_rate: 1.0e-3, "
        "max_length: 4096}",
        "stages.ppo.trainer={use: trl-ppo, batch_size: 4, rollouts: 3, learning_rate: 1.0e-3, "
        "max_prompt_length: 4096, max_completion_length: 12}",
        f"stages.evaluate.scorers=[{judge}]",
        "stages.evaluate.sampling.max_tokens=16",
    ]
    changes = [part for override in overrides for part in ("--set", override)]
    process = start("run", RECIPE, *changes, "--out", tmp_path / "run", environment=environment, cwd=tmp_path)
    assert process.wait(timeout=280) == 0, (tmp_path / "command.log").read_text()
    stages = tmp_path / "run" / "stages"

    judgments = rows(stages / "01-compare" / "judgments.jsonl")
    asked = [row["comparison"]["prompt"]["messages"] for row in judgments]
    assert all(turns in prompts for turns in asked)
    assert len(asked) > 190  # a pair of equal or empty texts is not compared
    parts = [part for row in judgments for part in row["outcomes"][0]["parts"]]
    assert {part["kind"] for part in parts} == {"judgment"}
    assert {part["method"] for part in parts} == {"logprobs"}
    preferences = rows(stages / "01-compare" / "preferences.jsonl")
    assert len(preferences) + len(rows(stages / "01-compare" / "set_aside.jsonl")) == len(judgments)
    assert len(preferences) > 100
    assert all(0.5 < row["probability"] < 1 for row in preferences)

    before, after = (
        AutoModelForCausalLM.from_pretrained(str(path)).state_dict()
        for path in (model, stages / "03-ppo" / "model")
    )
    assert before.keys() == after.keys()
    assert max((before[name] - after[name]).abs().max().item() for name in before) > 1e-4
    evaluated = json.loads((stages / "04-evaluate" / "summary.json").read_text())["policies"]
    assert evaluated["rlaif"]["kl"]["n"] > 0
    assert math.isfinite(evaluated["rlaif"]["kl"]["mean"])


def label_llmbar(llmbar: Path, judge: str, start: Start, environment: Environment, folder: Path) -> Path:
    """Have one judge label the pairs through the command; where the datasets are."""
    (folder / "jury.yaml").write_text(f"judges: [{judge}]\nprinciples: none\n", encoding="utf-8")
    command = ("judge", llmbar, "--judges", folder / "jury.yaml", "--out", folder / "run")
    process = start(*command, environment=environment, cwd=folder)
    assert process.wait(timeout=280) == 0, (folder / "command.log").read_text()
    return folder / "run" / "stages" / "01-compare"


@pytest.mark.slow
def test_every_outcome_of_a_local_judge_on_llmbar_is_accounted_for(
    llmbar: Path, model: Path, start: Start, environment: Environment, rows: Rows, tmp_path: Path
) -> None:
    judge = f"{{use: hf, name: local, model: {model}, batch_size: 8, labels: logprobs, max_length: 1500}}"
    found = label_llmbar(llmbar, judge, start, environment, tmp_path)
    judgments = rows(found / "judgments.jsonl")
    kinds = Counter(part["kind"] for row in judgments for part in row["outcomes"][0]["parts"])
    assert kinds.total() == 2 * 419
    assert kinds["judgment"] > 700
    assert kinds["failure"] > 0  # what the context does not hold is a failure, never a label
    counted = json.loads((found / "summary.json").read_text())["judges"]["local"]
    assert counted["asked"] == 2 * 419
    assert {kind: counted.get(f"{kind}s", 0) for kind in kinds} == dict(kinds)
    preferences, aside = rows(found / "preferences.jsonl"), rows(found / "set_aside.jsonl")
    ids = Counter(row["comparison_id"] for row in (*preferences, *aside))
    assert len(preferences) + len(aside) == len(ids) == 419
    unanswered = [row for row in judgments if row["outcomes"][0]["kind"] != "judgment"]
    assert Counter(row["reason"] for row in aside)["no_votes"] == len(unanswered)


def test_recorded_verdicts_of_gpt_4_give_the_published_figures(
    llmbar: Path, start: Start, environment: Environment, rows: Rows, tmp_path: Path
) -> None:
    judge = f"{{use: replay, file: {llmbar}, judge: GPT-4/Vanilla_NoRules}}"
    found = label_llmbar(llmbar, judge, start, environment, tmp_path)
    gold = {item.comparison.id: item.label for item in load_items(llmbar)}
    assert len(gold) == 419
    measured: dict[str, list[tuple[float, bool]]] = {name: [] for name in PUBLISHED}
    for row in rows(found / "judgments.jsonl"):
        comparison = Comparison.model_validate(row["comparison"])
        for_a = [part["preference"] > 0.5 for part in row["outcomes"][0]["parts"]]
        right = [vote == (gold[comparison.id] == "A") for vote in for_a]
        measured[comparison.prompt.tags[0]].append((sum(right) / 2, for_a[0] == for_a[1]))
    figures = {
        name: tuple(round(100 * sum(column) / len(votes), 1) for column in zip(*votes, strict=True))
        for name, votes in measured.items()
    }
    assert figures == PUBLISHED
