"""Components to test with: deterministic, without a model, and counting their calls.

Those that stand for a model that costs money are not ``free``, so the ledger keeps their calls like
any other. All take their options as keywords: ``ConstantJudge(preference=0.8)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Field, JsonValue

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import ChatModel, Contract, Critic, Generator, Judge, Reviser, Scorer, Trainer
from jurist.errors import ProviderError, TrainingError
from jurist.options import Operational, Options
from jurist.prices import Price
from jurist.records import (
    Abstention,
    Comparison,
    Critique,
    CritiqueOutcome,
    Finding,
    JudgeOutcome,
    Judgment,
    Prompt,
    Reason,
    Response,
    ResponseOutcome,
    Score,
    ScoreOutcome,
    Usage,
)
from jurist.train_jobs import Artifact, TrainJob, TrainProgress

Line = str | ChatReply | ProviderError
Script = Sequence[Line] | Callable[[ChatRequest], Line]


class Fake(Contract):
    """What the fakes share: options as keywords, and ``calls``, how often they were asked."""

    options: Any

    def __init__(self, options: Any = None, /, **settings: Any) -> None:
        super().__init__(options if options is not None else self.Options(**settings))
        self.calls = 0


class ScriptedChatModelOptions(Options):
    """``replies`` are given in turn; the first is given again after the last."""

    replies: tuple[str, ...] = Field(default=("Yes.",), min_length=1)


class ScriptedChatModel(Fake, ChatModel):
    """A chat model that says what a script says: lines in turn, or what a function makes of the request.

    A line is a text, a whole ChatReply, or a ProviderError to raise. Texts are cut at
    ``max_tokens`` words and before the first stop; words count as tokens, at a dollar per million.
    """

    Options = ScriptedChatModelOptions

    def __init__(self, options: Any = None, /, script: Script | None = None, **settings: Any) -> None:
        super().__init__(options, **settings)
        self.script: Script = self.options.replies if script is None else script
        self.requests: list[ChatRequest] = []

    def identity(self) -> JsonValue:
        """The lines, or the name of the function."""
        if callable(self.script):
            return f"{self.script.__module__}.{self.script.__qualname__}"
        return [str(line) for line in self.script]

    def price(self) -> Price:
        """A dollar per million words."""
        return Price(input=1, output=1)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """The script's line for this request."""
        line = self.script(request) if callable(self.script) else self.script[self.calls % len(self.script)]
        self.calls += 1
        self.requests.append(request)
        if isinstance(line, ProviderError):
            raise line
        return line if isinstance(line, ChatReply) else _spoken(line, request)


class EchoGeneratorOptions(Options):
    """``prefix`` is put before the prompt's last message."""

    prefix: str = ""


class EchoGenerator(Fake, Generator):
    """A generator that answers with the prompt's last message."""

    Options = EchoGeneratorOptions

    async def generate(self, prompt: Prompt, sampling: Sampling) -> ResponseOutcome:
        """The prompt's last message, cut as ``sampling`` says."""
        self.calls += 1
        reply = _spoken(
            self.options.prefix + prompt.messages[-1].content,
            ChatRequest(messages=prompt.messages, sampling=sampling),
        )
        reason = "length" if reply.finish_reason == "length" else "stop"
        return Response(text=reply.text, finish_reason=reason, usage=reply.usage)


class ConstantJudgeOptions(Options):
    """``preference`` is the P(A is better) given to every comparison."""

    preference: float = Field(default=0.5, ge=0, le=1)


class ConstantJudge(Fake, Judge):
    """A judge of one opinion: below or above 0.5 it prefers a position, whatever is shown there."""

    Options = ConstantJudgeOptions

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The same preference for every comparison."""
        self.calls += 1
        return Judgment(preference=self.options.preference, usage=_usage(_shown(comparison), "A"))


class FlakyJudgeOptions(ConstantJudgeOptions):
    """Every ``every``-th call fails, with a ``retryable`` error or one for good."""

    every: Annotated[int, Operational, Field(ge=1)] = 3
    retryable: Annotated[bool, Operational] = True


class FlakyJudge(ConstantJudge):
    """A constant judge whose calls fail: with ``errors``, first each of them; else every n-th call."""

    Options = FlakyJudgeOptions

    def __init__(
        self, options: Any = None, /, errors: Sequence[ProviderError] | None = None, **settings: Any
    ) -> None:
        super().__init__(options, **settings)
        self.errors = errors

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The constant preference, unless this call is one that fails."""
        answer = await super().judge(comparison, principles)
        if self.errors is not None:
            if self.calls <= len(self.errors):
                raise self.errors[self.calls - 1]
        elif self.calls % self.options.every == 0:
            raise ProviderError(
                f"call {self.calls} fails, as FlakyJudge was told", retryable=self.options.retryable
            )
        return answer


class AbstainingJudgeOptions(Options):
    """``reason`` is given for every comparison."""

    reason: Reason = "unparsed"


class AbstainingJudge(Fake, Judge):
    """A judge that never says."""

    Options = AbstainingJudgeOptions

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """An abstention."""
        self.calls += 1
        return Abstention(reason=self.options.reason, usage=_usage(_shown(comparison), "?"))


class RuleCriticOptions(Options):
    """A response with one of ``forbid`` in it, in any case, violates every principle."""

    forbid: tuple[str, ...] = ("bad",)


class RuleCritic(Fake, Critic):
    """A critic that looks for forbidden words."""

    Options = RuleCriticOptions
    capabilities = frozenset({"verdicts"})
    free = True

    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        """Every principle violated if the response has a forbidden word, else every one satisfied."""
        self.calls += 1
        found = [word for word in self.options.forbid if word.casefold() in response.text.casefold()]
        told = f"It says {', '.join(found)}." if found else "It says nothing forbidden."
        return Critique(
            findings=tuple(
                Finding(principle=principle.name, satisfied=not found, explanation=told)
                for principle in principles
            )
        )


class AppendReviserOptions(Options):
    """``text`` is put after the response."""

    text: str = " (revised)"


class AppendReviser(Fake, Reviser):
    """A reviser that appends a text."""

    Options = AppendReviserOptions

    async def revise(
        self,
        prompt: Prompt,
        response: Response,
        critique: CritiqueOutcome,
        principles: Sequence[Principle],
        sampling: Sampling,
    ) -> ResponseOutcome:
        """The response with the text appended; what ``sampling`` says does not matter."""
        self.calls += 1
        text = response.text + self.options.text
        return Response(text=text, usage=_usage(response.text, text))


class LengthScorer(Fake, Scorer):
    """A scorer that counts characters."""

    free = True

    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> ScoreOutcome:
        """The length of the response in characters, and as metric ``words`` in words."""
        self.calls += 1
        words = float(len(response.text.split()))
        return Score(value=float(len(response.text)), metrics={"words": words})


class MemoryTrainer(Fake, Trainer):
    """A trainer that learns by heart: the checkpoint is a folder with the data in it."""

    consumes = "revisions"
    produces = "policy"

    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        """Write ``output``/model/memory.json, one step per line of data."""
        self.calls += 1
        lines = job.data.read_text(encoding="utf-8").splitlines()
        if not lines:
            raise TrainingError(f"{job.data} has no data.", hint="look at the stage that wrote it")
        for step in range(1, len(lines) + 1):
            progress(TrainProgress(step=step, total=len(lines), metrics={"loss": 1 / step}))
        folder = job.output / "model"
        folder.mkdir(parents=True, exist_ok=True)
        memory = {"model": str(job.model), "seed": job.seed, "data": [json.loads(line) for line in lines]}
        (folder / "memory.json").write_text(json.dumps(memory, ensure_ascii=False), encoding="utf-8")
        return Artifact(kind="policy", path=folder, metrics={"loss": 1 / len(lines)})


def _spoken(text: str, request: ChatRequest) -> ChatReply:
    """``text`` as a model would have said it under the request's sampling."""
    sampling = request.sampling
    text = text[: min((text.find(stop) for stop in sampling.stop if stop in text), default=len(text))]
    words = text.split()
    cut = len(words) > sampling.max_tokens
    said = " ".join(words[: sampling.max_tokens]) if cut else text
    shown = " ".join(message.content for message in request.messages)
    return ChatReply(text=said, finish_reason="length" if cut else "stop", usage=_usage(shown, said))


def _shown(comparison: Comparison) -> str:
    texts = [message.content for message in comparison.prompt.messages]
    return " ".join([*texts, comparison.response_a.text, comparison.response_b.text])


def _usage(shown: str, said: str) -> Usage:
    read, written = len(shown.split()) + 1, len(said.split())
    return Usage(prompt_tokens=read, completion_tokens=written, usd=(read + written) * 1e-6)
