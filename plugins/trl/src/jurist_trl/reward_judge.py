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

from jurist.constitution import Principle
from jurist.contracts import Contract, Judge, Scorer
from jurist.engine.batcher import Batcher
from jurist.errors import ProviderError, UsageError
from jurist.options import Operational, Options
from jurist.records import Comparison, JudgeOutcome, Judgment, Prompt, Response, Score, ScoreOutcome
from jurist_trl.tokens import messages

if TYPE_CHECKING:
    from jurist_trl.reward_model import RewardModel

PROVIDED_BY = "jurist-trl (trl-reward-model)"
HINT = "give the folder of a reward model, such as the stage's model folder under runs/"


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
        folder = self._folder()
        from jurist_trl.reward_model import RewardModel

        try:
            return RewardModel(folder, batch_size=self.options.batch_size)
        except UsageError as error:
            raise _unusable(error.what, error.cause, error.hint) from error
        except Exception as error:  # whatever Transformers raises: without the model no call can succeed
            raise _unusable(f"the reward model {folder} cannot be loaded", error, HINT) from error

    def _folder(self) -> Path:
        """The checkpoint folder.

        Raises:
            ProviderError: there is none; fatal.
        """
        folder = self.options.model
        if not (folder / "config.json").is_file():
            cause = "it holds no config.json" if folder.is_dir() else "there is no such folder"
            raise _unusable(f"there is no reward model at {folder}", cause, HINT)
        return folder

    @cached_property
    def _batcher(self) -> Batcher[tuple[Prompt, str], float | None]:
        return Batcher(self._score_all, max_size=self.options.batch_size)

    async def _score(self, prompt: Prompt, response: Response) -> float:
        """The score of a response.

        Raises:
            ProviderError: there is none.
        """
        score = await self._batcher.submit((prompt, response.text))
        if score is None:
            what = (
                f"prompt and response have more tokens than {self.options.model} takes, {self._model.longest}"
            )
            raise ProviderError(
                what, provided_by=PROVIDED_BY, hint="take a reward model with a longer context"
            )
        return score

    def _score_all(self, items: list[tuple[Prompt, str]]) -> list[float | None]:
        model = self._model
        try:
            return model.score(
                [messages(prompt.messages) for prompt, _ in items], [text for _, text in items]
            )
        except UsageError as error:  # of these texts; others may be scored
            raise ProviderError(
                error.what, provided_by=PROVIDED_BY, cause=error.cause, hint=error.hint
            ) from error

    async def close(self) -> None:
        """End the worker thread, if scoring began."""
        if "_batcher" in vars(self):
            await self._batcher.close()

    def identity(self) -> JsonValue:
        """The options, and what the weights are.

        Raises:
            ProviderError: there is no such model; fatal.
        """
        digest = hashlib.sha256()
        for file in sorted(self._folder().glob("*")):
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
        return Score(value=await self._score(prompt, response))


class RewardModelJudge(_Loaded, Judge):
    """Compares two responses by their scores: P(A is better) = s(std (score of A - score of B)).

    std is what the scores were divided by when the model was normalised, so that it is as sure as it
    was trained to be.
    """

    capabilities = frozenset({"symmetric"})

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """A judgment from the difference of the two scores."""
        prompt = comparison.prompt
        a, b = await asyncio.gather(
            self._score(prompt, comparison.response_a), self._score(prompt, comparison.response_b)
        )
        deviation = float(getattr(self._model.model.config, "jurist_reward_std", 1.0))
        return Judgment(preference=_sigmoid(deviation * (a - b)), method="model")


def _unusable(what: str, cause: BaseException | str | None, hint: str | None) -> ProviderError:
    return ProviderError(what, fatal=True, provided_by=PROVIDED_BY, cause=cause, hint=hint)


def _sigmoid(margin: float) -> float:
    small = math.exp(-abs(margin))  # never overflows
    return 1 / (1 + small) if margin >= 0 else small / (1 + small)
