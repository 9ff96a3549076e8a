"""A trained reward model as a scorer and as a judge."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, JsonValue

from jurist.batcher import Batcher
from jurist.constitution import Principle
from jurist.contracts import Contract, Judge, Scorer
from jurist.options import Operational, Options
from jurist.records import Comparison, JudgeOutcome, Judgment, Prompt, Response, Score, ScoreOutcome

if TYPE_CHECKING:
    from jurist_trl.scoring import RewardModel


class RewardModelOptions(Options):
    """Options of the scorer and the judge ``trl-reward-model``: the checkpoint folder."""

    model: Path
    batch_size: Annotated[int, Operational] = Field(default=32, ge=1)


class _Loaded(Contract):
    """What both share: the model, loaded at the first call, scoring in batches; its fingerprint."""

    Options = RewardModelOptions
    options: RewardModelOptions

    @cached_property
    def _model(self) -> RewardModel:
        from jurist_trl.scoring import RewardModel

        return RewardModel(self.options.model, batch_size=self.options.batch_size)

    @cached_property
    def _batcher(self) -> Batcher[tuple[Prompt, str], float]:
        return Batcher(self._score_all, max_size=self.options.batch_size)

    def _score_all(self, items: list[tuple[Prompt, str]]) -> list[float]:
        prompts = [[{"role": turn.role, "content": turn.content} for turn in p.messages] for p, _ in items]
        return self._model.score(prompts, [text for _, text in items])

    async def close(self) -> None:
        """End the worker thread, if scoring began."""
        if "_batcher" in vars(self):
            await self._batcher.close()

    def identity(self) -> JsonValue:
        """The options, and what the weights are."""
        digest = hashlib.sha256()
        for file in sorted(self.options.model.glob("*")):
            if file.suffix in {".safetensors", ".json"}:
                digest.update(file.name.encode())
                with file.open("rb") as content:
                    while block := content.read(1 << 20):
                        digest.update(block)
        return {**self.options.identity(), "weights": digest.hexdigest()[:16]}


class RewardModelScorer(_Loaded, Scorer):
    """Scores a response by a reward model; principles play no part."""

    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> ScoreOutcome:
        """The reward model's score."""
        return Score(value=await self._batcher.submit((prompt, response.text)))


class RewardModelJudge(_Loaded, Judge):
    """Compares two responses by their scores: P(A is better) = s(score of A - score of B)."""

    capabilities = frozenset({"symmetric"})

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """A judgment from the difference of the two scores."""
        prompt = comparison.prompt
        a, b = await asyncio.gather(
            self._batcher.submit((prompt, comparison.response_a.text)),
            self._batcher.submit((prompt, comparison.response_b.text)),
        )
        return Judgment(preference=_sigmoid(a - b), method="model")


def _sigmoid(margin: float) -> float:
    small = math.exp(-abs(margin))  # never overflows
    return 1 / (1 + small) if margin >= 0 else small / (1 + small)
