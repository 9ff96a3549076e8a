"""The task of ppo.py: a policy and a reward model made by the demo's recipe, and what a policy is worth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROLLOUT = 64
"""Samples between two updates of the policy."""
LENGTH = 48
"""Tokens of a response at most."""
_RECIPE = "package:jurist_demo/recipes/demo.yaml"
_HELD_OUT = "package:jurist_demo/prompts/test.jsonl"
_TRAINED_ON = "package:jurist_demo/prompts/train.jsonl"


@dataclass(frozen=True)
class Task:
    """A policy to start from, the reward model it learns from, and prompts in conversational form."""

    policy: Path
    reward_model: Path
    prompts: Path

    def settings(self) -> dict[str, Any]:
        """All of it as plain values."""
        paths = {
            "policy": str(self.policy),
            "reward_model": str(self.reward_model),
            "prompts": str(self.prompts),
        }
        return {**paths, "rollout": ROLLOUT, "length": LENGTH}

    def worth(self, policy: Path, device: str) -> dict[str, float]:
        """Gold metric, reward model's score and KL to the start, of one response to each held-out prompt."""
        import torch
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32).to(device).eval()
        torch.manual_seed(0)
        scores, golds, divergences = [], [], []
        for start in range(0, len(self._held_out), ROLLOUT):
            prompts = self._held_out[start : start + ROLLOUT]
            texts, kl = self._sampled(model, prompts)
            divergences += kl
            golds += [self._oracle.truth(p, t).value for p, t in zip(prompts, texts, strict=True)]
            conversations = [[message.model_dump() for message in prompt.messages] for prompt in prompts]
            scores += self._rewards.score(conversations, texts)
        count = len(golds)
        return {"gold": sum(golds) / count, "reward": sum(scores) / count, "kl": sum(divergences) / count}

    def _sampled(self, model: Any, prompts: list[Any]) -> tuple[list[str], list[float]]:
        import torch

        rendered = self._tokenizer.apply_chat_template(
            [[message.model_dump() for message in prompt.messages] for prompt in prompts],
            add_generation_prompt=True,
            return_dict=True,
            padding=True,
            return_tensors="pt",
        ).to(model.device)
        ids = model.generate(**rendered, do_sample=True, temperature=1.0, top_k=0, max_new_tokens=LENGTH)
        responses = ids[:, rendered["input_ids"].shape[1] :]
        ended = (responses == self._tokenizer.eos_token_id).cumsum(1)
        mask = (ended - (responses == self._tokenizer.eos_token_id).long()) == 0
        attention = torch.cat([rendered["attention_mask"], mask.long()], dim=1)
        with torch.no_grad():
            ours, theirs = (self._logps(each, ids, attention, responses) for each in (model, self._start))
        kl = ((ours - theirs) * mask).sum(1).tolist()
        return self._tokenizer.batch_decode(responses, skip_special_tokens=True), kl

    def _logps(self, model: Any, ids: Any, attention: Any, responses: Any) -> Any:
        logits = model.to(ids.device)(
            input_ids=ids, attention_mask=attention, position_ids=(attention.cumsum(1) - 1).clamp(min=0)
        ).logits[:, -responses.shape[1] - 1 : -1]
        return logits.log_softmax(-1).gather(-1, responses[..., None]).squeeze(-1)

    @cached_property
    def _held_out(self) -> list[Any]:
        from jurist.files.prompts import load_prompts
        from jurist.recipe import resolve_path

        return list(load_prompts(resolve_path(_HELD_OUT)))

    @cached_property
    def _oracle(self) -> Any:
        from jurist_demo.oracle import Oracle

        return Oracle(Oracle.Options())

    @cached_property
    def _rewards(self) -> Any:
        from jurist_trl.reward_model import RewardModel

        return RewardModel(self.reward_model, batch_size=ROLLOUT)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.policy, padding_side="left")

    @cached_property
    def _start(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(self.policy).float().eval()


def prepare(folder: Path) -> Task:
    """Run the demo's recipe up to its reward model, once."""
    from jurist import Recipe
    from jurist.recipe import resolve_path
    from jurist.run import run
    from jurist_registry.registry import Registry

    written = Recipe.load(_RECIPE).model_dump(mode="json", exclude_unset=True)
    names = ("revise", "sft", "compare", "reward")
    recipe = Recipe.of(
        {**written, "stages": [s for s in written["stages"] if s.get("name", s["stage"]) in names]}
    )
    run(recipe, folder / "run", Registry.discover(disabled=("review",)))
    prompts = folder / "prompts.jsonl"
    rows = (json.loads(line) for line in resolve_path(_TRAINED_ON).open(encoding="utf-8"))
    prompts.write_text(
        "".join(json.dumps({"prompt": _messages(row)}) + "\n" for row in rows), encoding="utf-8"
    )
    stages = folder / "run" / "stages"
    return Task(stages / "02-sft" / "model", stages / "04-reward" / "model", prompts)


def _messages(row: dict[str, Any]) -> list[dict[str, str]]:
    text = row.get("prompt")
    return [{"role": "user", "content": text}] if isinstance(text, str) else text or row["messages"]
