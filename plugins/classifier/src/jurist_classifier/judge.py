"""The judge ``classifier``: a labeler that the trainer of this name made."""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, JsonValue

from jurist.constitution import Principle
from jurist.contracts import Judge
from jurist.engine.batcher import Batcher
from jurist.engine.limits import Limits
from jurist.errors import ProviderError, UsageError
from jurist.options import Operational, Options
from jurist.records import Comparison, JudgeOutcome, Judgment, Usage
from jurist_classifier.facts import FILE
from jurist_classifier.pairs import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jurist_classifier.labeler import Labeler

PROVIDED_BY = "jurist-classifier (classifier)"
HINT = "give the folder of a labeler, such as the stage's model folder under runs/"

_GATHERED_BATCHES = 4
"""How many batches are gathered before they are sorted by length and cut."""


class ClassifierJudgeOptions(Options):
    """Options of the judge ``classifier``: the folder of a labeler, and how it is computed."""

    model: Path
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Annotated[str, Operational] = "auto"
    batch_size: Annotated[int, Operational] = Field(default=16, ge=1)


class ClassifierJudge(Judge):
    """Compares two responses as the people would whose preferences its labeler has learnt.

    P(A is better) is calibrated. Principles play no part. The labeler is loaded on the first call, in the
    thread that runs it; comparisons that are in flight together are read together.
    """

    Options = ClassifierJudgeOptions
    options: ClassifierJudgeOptions
    capabilities = frozenset({"symmetric"})
    # Calls wait for each other in batches, and nobody else refuses them for rate.
    limits = Limits(concurrency=256, attempts=2, timeout=3600)

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """A judgment; 0.5, a tie, where the responses are equal."""
        return await self._batcher.submit(comparison)

    async def close(self) -> None:
        """End the worker thread, if judging began."""
        if "_batcher" in vars(self):
            await self._batcher.close()

    def identity(self) -> JsonValue:
        """The options, with the content of the folder in place of its path.

        Raises:
            ProviderError: there is no such labeler; fatal.
        """
        digest = hashlib.sha256()
        for file in sorted(self._folder().glob("*")):
            if file.suffix in {".safetensors", ".json", ".jinja"}:
                with file.open("rb") as content:
                    digest.update(f"{file.name}\0".encode())
                    while block := content.read(1 << 20):
                        digest.update(block)
        return {**self.options.identity(), "model": digest.hexdigest()[:32]}

    @cached_property
    def _batcher(self) -> Batcher[Comparison, Judgment]:
        return Batcher(self._judge_all, max_size=_GATHERED_BATCHES * self.options.batch_size)

    def _judge_all(self, comparisons: list[Comparison]) -> list[Judgment]:
        labeler = self._labeler
        started = time.monotonic()
        try:
            found = labeler.probabilities([Pair.of(comparison) for comparison in comparisons])
        except UsageError as error:  # of these texts; other comparisons may be read
            raise ProviderError(error.what, provided_by=PROVIDED_BY, cause=error.cause) from error
        usage = Usage(seconds=(time.monotonic() - started) / len(comparisons))
        return [Judgment(preference=preference, method="model", usage=usage) for preference in found]

    @cached_property
    def _labeler(self) -> Labeler:
        folder, options = self._folder(), self.options
        from jurist_classifier.labeler import Labeler

        try:
            return Labeler.load(
                folder, dtype=options.dtype, device=options.device, batch_size=options.batch_size
            )
        except Exception as error:  # whatever Transformers raises: without the model no call can succeed
            raise _unusable(f"the labeler {folder} cannot be loaded", error) from error

    def _folder(self) -> Path:
        folder = self.options.model
        if not folder.is_dir():
            raise _unusable(f"there is no labeler at {folder}", "there is no such folder")
        if not (folder / FILE).is_file():
            hint = f"{HINT}; for a reward model: use: trl-reward-model"
            raise _unusable(f"{folder} is not a labeler", f"it holds no {FILE}", hint)
        return folder


def _unusable(what: str, cause: BaseException | str, hint: str = HINT) -> ProviderError:
    return ProviderError(what, fatal=True, provided_by=PROVIDED_BY, cause=cause, hint=hint)
