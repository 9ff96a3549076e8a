"""Scores responses by a trained reward model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from jurist.errors import UsageError
from jurist_trl.score_head import reward_mean
from jurist_trl.tokens import ChatMessages, conversation_ids, load_tokenizer


class RewardModel:
    """A reward model in a checkpoint folder, any that Transformers loads with one label.

    Responses are tokenised exactly as in training: through the chat template, ending in the
    end-of-sequence token, whatever tokenizer the policy has. Scores are normalised when the model is.
    """

    def __init__(self, path: Path, *, batch_size: int = 32) -> None:
        self.tokenizer = load_tokenizer(path)
        model = AutoModelForSequenceClassification.from_pretrained(path)
        if model.config.num_labels != 1:
            raise UsageError(
                f"{path} is not a reward model: it has {model.config.num_labels} labels instead of 1",
                hint="give a checkpoint made by a reward trainer",
            )
        self.batch_size = batch_size
        self.model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval().requires_grad_(False)
        config = self.model.config.get_text_config()
        config.pad_token_id = self.tokenizer.pad_token_id
        self.longest = getattr(config, "max_position_embeddings", None)

    def score(self, prompts: Sequence[ChatMessages], completions: Sequence[str]) -> list[float | None]:
        """One score per prompt (a list of chat messages) and completion (a text).

        It is None where both have more tokens than the model has positions: what it says there is noise.
        """
        ids = [
            conversation_ids(self.tokenizer, [*prompt, {"role": "assistant", "content": text}])
            for prompt, text in zip(prompts, completions, strict=True)
        ]
        fit = [place for place, row in enumerate(ids) if len(row) <= (self.longest or len(row))]
        scores = score_ids(self.model, [ids[i] for i in fit], self.tokenizer.pad_token_id, self.batch_size)
        found = dict(zip(fit, (scores - reward_mean(self.model)).tolist(), strict=True))
        return [found.get(place) for place in range(len(ids))]


def score_ids(model: Any, sequences: Sequence[list[int]], pad: int, batch_size: int) -> Tensor:
    """The logit of each token sequence, shape (sequences,); sorted by length to pad little."""
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    scores = torch.empty(len(sequences))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        rows = [torch.tensor(sequences[i]) for i in chosen]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        with torch.no_grad():
            logits = last_token_logits(model, ids.to(model.device), mask.to(model.device))
        scores[chosen] = logits[:, 0].float().cpu()
    return scores


def last_token_logits(model: Any, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """What a sequence classifier says at each row's last token that the mask has, (rows, labels)."""
    with last_token_pooling(model, input_ids, attention_mask) as ids:
        logits: Tensor = model(input_ids=ids, attention_mask=attention_mask).logits
    return logits


@contextmanager
def last_token_pooling(model: Any, input_ids: Tensor, attention_mask: Tensor) -> Iterator[Tensor]:
    """Within it, ``model`` reads its logits at the last token that the mask has; gives the ids to hand it.

    Transformers reads them at the last token that is not the padding token: one too early where a row ends
    in the end token and the end token pads, too. Then padding is written as a token that no row ends in,
    which changes nothing else, since nothing attends to it.
    """
    config = extract_model_from_parallel(model).config.get_text_config()
    pad = config.pad_token_id
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    last = (places * attention_mask).argmax(dim=1, keepdim=True)
    ends = set(input_ids.gather(1, last).flatten().tolist())
    if pad not in ends:
        yield input_ids
        return
    config.pad_token_id = next(token for token in range(len(ends) + 1) if token not in ends)
    try:
        yield input_ids.masked_fill(attention_mask == 0, config.pad_token_id)
    finally:
        config.pad_token_id = pad
