"""Scores are read where a response ends, whatever pads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROMPTS = [[{"role": "user", "content": text}] for text in ("say red please", "what is the number", "say no")]
TEXTS = ["good", "maybe one two three green", ""]


@pytest.fixture
def reward_folder(make_policy: Callable[..., Path], tmp_path: Path) -> Callable[[str, str], Path]:
    """A reward model with a random head, by its padding token and side."""

    def make(pad: str, side: str) -> Path:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        policy = make_policy(pad=pad)
        torch.manual_seed(1)
        model = AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1)
        tokenizer = AutoTokenizer.from_pretrained(policy, padding_side=side)
        model.config.pad_token_id = tokenizer.pad_token_id
        model.save_pretrained(tmp_path / "reward")
        tokenizer.save_pretrained(tmp_path / "reward")
        return tmp_path / "reward"

    return make


def true_score(model: Any, ids: list[int]) -> float:
    """The head on the hidden state of the last token, of one row without padding."""
    import torch

    with torch.no_grad():
        hidden = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
        return float(model.score(hidden)[0])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pad", ["<pad>", "<eos>"])
def test_the_score_is_of_the_end_token(
    reward_folder: Callable[[str, str], Path], pad: str, side: str
) -> None:
    from jurist_trl.reward_model import RewardModel
    from jurist_trl.tokens import conversation_ids

    reward = RewardModel(reward_folder(pad, side))
    tokenizer = reward.tokenizer
    assert (tokenizer.pad_token, tokenizer.padding_side) == (pad, side)
    rows = [
        conversation_ids(tokenizer, [*prompt, {"role": "assistant", "content": text}])
        for prompt, text in zip(PROMPTS, TEXTS, strict=True)
    ]
    assert all(ids[-1] == tokenizer.eos_token_id for ids in rows)
    expected = [true_score(reward.model, ids) for ids in rows]
    assert reward.score(PROMPTS, TEXTS) == pytest.approx(expected, abs=1e-6)
    too_early = [true_score(reward.model, ids[:-1]) for ids in rows]
    assert max(abs(a - b) for a, b in zip(expected, too_early, strict=True)) > 1e-2


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_and_their_gradient_under_padding_on_either_side(
    reward_folder: Callable[[str, str], Path], side: str
) -> None:
    """The end token is everywhere: within a row, at its end, and as padding."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from jurist_trl.reward_model import last_token_logits

    folder = reward_folder("<eos>", "right")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    pad = model.config.pad_token_id
    rows = [[0, 7, pad, 8, pad], [pad], [9, 1, 2]]
    padded = torch.full((3, 5), pad)
    mask = torch.zeros(3, 5, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(5 - len(row), 5)
        padded[i, place], mask[i, place] = torch.tensor(row), 1
    logits = last_token_logits(model, padded, mask)
    expected = [true_score(model, row) for row in rows]
    assert logits[:, 0].tolist() == pytest.approx(expected, abs=1e-5)
    assert model.config.pad_token_id == pad
    logits.sum().backward()
    batched = model.score.weight.grad.clone()
    model.score.weight.grad = None
    sum(
        last_token_logits(model, torch.tensor([row]), torch.ones(1, len(row))).sum() for row in rows
    ).backward()
    assert torch.allclose(batched, model.score.weight.grad, atol=1e-5)
