"""Metered: components whose calls go through the engine.

A metered component keeps the contract of the one inside, so nobody who uses it can tell: a chat
model still raises a final :class:`ProviderError`; every other component gives it as a
:class:`Failure`. All outcomes carry the component's label as their source.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from pydantic import JsonValue, TypeAdapter

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import BatchChatModel, ChatModel, Contract, Critic, Generator, Judge, Reviser, Scorer
from jurist.engine.batches import Batches, Batching
from jurist.engine.budget import Cost
from jurist.engine.callee import Callee, Returned, guarded
from jurist.engine.engine import Engine
from jurist.engine.keys import call_key
from jurist.engine.limits import Limits
from jurist.engine.replies import Reply
from jurist.errors import ContractError, ProviderError, UsageError
from jurist.prices import FREE, Price
from jurist.records import (
    NO_USAGE,
    Abstention,
    Comparison,
    Critique,
    CritiqueOutcome,
    Failure,
    JudgeOutcome,
    Judgment,
    Outcome,
    Prompt,
    Response,
    ResponseOutcome,
    Score,
    ScoreOutcome,
    canonical_json,
)
from jurist.tokens import estimate_tokens

Answer = TypeVar("Answer", bound=Outcome)

_RESPONSE: TypeAdapter[ResponseOutcome] = TypeAdapter(ResponseOutcome)
_CRITIQUE: TypeAdapter[CritiqueOutcome] = TypeAdapter(CritiqueOutcome)
_JUDGE: TypeAdapter[JudgeOutcome] = TypeAdapter(JudgeOutcome)
_SCORE: TypeAdapter[ScoreOutcome] = TypeAdapter(ScoreOutcome)


def metered(
    inner: Contract,
    *,
    engine: Engine,
    label: str,
    provided_by: str,
    limits: Limits,
    batching: Batching | None = None,
) -> Contract:
    """A component of the same contract as ``inner`` whose calls go through ``engine``.

    With ``batching`` the calls of a :class:`BatchChatModel` go in the provider's batches.

    Calls are known by what they ask, not by ``label`` nor by the version in ``provided_by`` (see
    ``Component.provided_by``), so renaming a component or updating its plugin asks nothing anew.
    """
    meter = Meter(inner, engine, Callee(label, provided_by, engine.limiter(limits, label)))
    if isinstance(inner, BatchChatModel):
        if batching is None:
            return UnbatchedChatModel(meter, engine)
        return BatchedChatModel(meter, engine, batching)
    for contract, wrapper in _WRAPPERS.items():
        if isinstance(inner, contract):
            return wrapper(meter)
    raise TypeError(f"{type(inner).__name__} implements no contract whose calls can be metered")


class Meter:
    """Makes the calls of one component."""

    def __init__(self, inner: Contract, engine: Engine, callee: Callee) -> None:
        self.inner: Any = inner
        self.callee = callee
        self._engine = engine

    @cached_property
    def identity(self) -> JsonValue:
        """The identity of the component inside; asked once, since it may read whole files."""
        identity: JsonValue = self.inner.identity()
        return identity

    @cached_property
    def owner(self) -> str:
        """Whose batches are whose in a ledger: the same for the same model, whatever it is called."""
        return hashlib.sha256(self.asked_of).hexdigest()[:32]

    def seen(self, reply: ChatReply) -> ChatReply:
        """The same reply, when it was noted who wrote it."""
        self._engine.served.saw(self.callee.label, self.owner, reply)
        return reply

    async def call_in_batch(self, batches: Batches, request: ChatRequest, bound: Cost) -> ChatReply:
        """The same call as :meth:`call` makes of ``complete``, as part of a provider's batch."""
        key, (request,) = call_key(self.asked_of, "complete", (request,))
        return await self._engine.call(
            key,
            lambda: batches.complete(key, request, bound),
            callee=self.callee,
            read=ChatReply.model_validate_json,
            stored=True,
            bound=bound,
        )

    async def call(
        self,
        method: Callable[..., Awaitable[Reply]],
        arguments: tuple[Any, ...],
        kinds: tuple[type[Reply], ...],
        read: Callable[[str], Reply],
        broken: Callable[[Any], str | None] = lambda reply: None,
    ) -> Reply:
        """Call ``method`` of the component inside; the reply is of one of ``kinds``.

        ``broken`` says which promise of the contract a reply of the right kind breaks, if it breaks one.

        Raises:
            ProviderError: the call failed for good.
            ContractError: the component gave something else.
        """

        async def perform() -> Reply:
            reply = await method(*arguments)
            if isinstance(reply, Failure):
                raise Returned(reply)
            if not isinstance(reply, kinds):
                raise self._wrong_kind(method, kinds, reply)
            if (what := broken(reply)) is not None:  # before it is stored: the ledger keeps no such reply
                raise self._broken(what, "report this to the author of the component")
            return reply

        if self.inner.free:
            # Nothing to keep or pace: what it waits for, if anything, are metered calls inside it.
            return await guarded(perform, self.callee)
        key, arguments = call_key(self.asked_of, method.__name__, arguments)
        return await self._engine.call(key, perform, callee=self.callee, read=read)

    async def ask(
        self,
        method: Callable[..., Awaitable[Answer]],
        arguments: tuple[Any, ...],
        answer: type[Outcome],
        adapter: TypeAdapter[Answer],
        broken: Callable[[Any], str | None] = lambda reply: None,
    ) -> Answer | Failure:
        """Like :meth:`call`, for outcomes: a final error becomes a Failure; the source is filled in."""
        outcome: Answer | Failure
        try:
            kinds: Any = (answer, Abstention)
            outcome = await self.call(method, arguments, kinds, adapter.validate_json, broken)
        except ProviderError as error:
            if error.fatal:
                raise
            outcome = _failure(error)
        return outcome.model_copy(update={"source": self.callee.label})

    @cached_property
    def asked_of(self) -> bytes:
        """The beginning of every key: who is asked."""
        return canonical_json([self._origin, self.identity])

    @cached_property
    def _origin(self) -> str:
        """The distribution and the class, without the version."""
        return re.sub(r" \d\S* \(", " (", self.callee.provided_by, count=1)

    def _wrong_kind(
        self, method: Callable[..., Any], kinds: tuple[type, ...], reply: object
    ) -> ContractError:
        names = [kind.__name__ for kind in kinds]
        if ChatReply not in kinds:
            names.append("Failure")
        what = f"gave {type(reply).__name__} from {method.__name__}(), not {' or '.join(names)}"
        return self._broken(what, "return one of these, or raise ProviderError")

    def _broken(self, what: str, hint: str) -> ContractError:
        return ContractError(f"'{self.callee.label}' {what}.", provided_by=self.callee.provided_by, hint=hint)


def _failure(error: ProviderError) -> Failure:
    if isinstance(error, Returned):
        return error.failure.model_copy(update={"usage": error.usage or NO_USAGE})
    text = f"{error.what} ({error.cause})" if error.cause else error.what
    return Failure(error=text, retryable=error.retryable)


class _Metered(Contract):
    """What all metered components share: they pass for the component inside."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter.inner.options)
        vars(self).update(capabilities=meter.inner.capabilities, free=meter.inner.free)
        self._meter = meter

    def identity(self) -> JsonValue:
        return self._meter.identity

    async def close(self) -> None:
        await self._meter.inner.close()


class MeteredChatModel(_Metered, ChatModel):
    """A chat model whose requests go through the engine."""

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request."""
        reply = await self._meter.call(
            self._meter.inner.complete, (request,), (ChatReply,), ChatReply.model_validate_json
        )
        return self._meter.seen(reply)

    def check_access(self) -> None:
        """See to it that it can be called at all."""
        self._meter.inner.check_access()

    async def misfit(self, request: ChatRequest) -> str | None:
        """Why this request can never be answered, or None."""
        reason: str | None = await self._meter.inner.misfit(request)
        return reason

    def price(self) -> Price | None:
        """What its tokens cost."""
        price: Price | None = self._meter.inner.price()
        return price

    async def prompt_tokens(self, request: ChatRequest) -> int | None:
        """How many tokens the messages of ``request`` have."""
        count: int | None = await self._meter.inner.prompt_tokens(request)
        return count

    def most_tokens(self, request: ChatRequest) -> int:
        """How many tokens a reply may be billed for."""
        most: int = self._meter.inner.most_tokens(request)
        return most


class BatchedChatModel(MeteredChatModel):
    """A chat model whose requests go through the engine in batches of the provider."""

    def __init__(self, meter: Meter, engine: Engine, batching: Batching) -> None:
        super().__init__(meter)
        if meter.owner not in engine.batches:
            engine.batches[meter.owner] = Batches(
                meter.inner,
                owner=meter.owner,
                callee=meter.callee,
                engine=engine,
                settings=batching,
            )
        self._batches = engine.batches[meter.owner]
        self._price = meter.inner.price() or FREE

    async def complete(self, request: ChatRequest) -> ChatReply:
        """The reply from the batch that the request is or will be in."""
        prompt, most = estimate_tokens(request.messages), self.most_tokens(request)
        bound = Cost(self._price.usd(prompt, most, batch=True), prompt + most)
        return self._meter.seen(await self._meter.call_in_batch(self._batches, request, bound))


class UnbatchedChatModel(MeteredChatModel):
    """A chat model that could be asked in batches, and is not.

    A request that is in a batch of an earlier run is refused: asked by itself it would be paid for twice.
    """

    def __init__(self, meter: Meter, engine: Engine) -> None:
        super().__init__(meter)
        self._engine = engine

    @cached_property
    def _under_way(self) -> dict[str, str]:
        """The key of each request in a batch that has not ended → the name of the batch."""
        entries = self._engine.ledger.open_batches(self._meter.owner)
        return {key: entry.name for entry in entries for key in entry.keys.values()}

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request."""
        if self._under_way and self._meter.owner not in self._engine.batches:
            key, _ = call_key(self._meter.asked_of, "complete", (request,))
            self._check_not_under_way(key)
        return await super().complete(request)

    def _check_not_under_way(self, key: str) -> None:
        if key not in self._under_way or self._engine.ledger.get(key) is not None:
            return
        names = set(self._under_way.values())
        raise UsageError(
            f"'{self._meter.callee.label}' has {len(names)} {'batch' if len(names) == 1 else 'batches'} under"
            " way, and a run without 'batch' would pay for the same requests again.",
            hint="set 'batch' again, and what came of them is taken; or give them up, so that all of it is"
            " asked and paid for anew: jurist ledger prune RUN --batches",
        )


class MeteredGenerator(_Metered, Generator):
    """A generator whose calls go through the engine."""

    async def generate(self, prompt: Prompt, sampling: Sampling) -> ResponseOutcome:
        """One response."""
        return await self._meter.ask(self._meter.inner.generate, (prompt, sampling), Response, _RESPONSE)


class MeteredCritic(_Metered, Critic):
    """A critic whose calls go through the engine."""

    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        """One finding for each of ``principles``, in their order; a gap would pass for a clean response."""
        asked = [principle.name for principle in principles]

        def broken(outcome: Critique | Abstention) -> str | None:
            found = [f.principle for f in outcome.findings] if isinstance(outcome, Critique) else asked
            if found == asked:
                return None
            return f"was asked about {', '.join(asked)} and gave findings about {', '.join(found)}"

        arguments = (prompt, response, principles)
        return await self._meter.ask(self._meter.inner.critique, arguments, Critique, _CRITIQUE, broken)


class MeteredReviser(_Metered, Reviser):
    """A reviser whose calls go through the engine."""

    async def revise(
        self,
        prompt: Prompt,
        response: Response,
        critique: CritiqueOutcome,
        principles: Sequence[Principle],
        sampling: Sampling,
    ) -> ResponseOutcome:
        """The revised response."""
        arguments = (prompt, response, critique, principles, sampling)
        return await self._meter.ask(self._meter.inner.revise, arguments, Response, _RESPONSE)


class MeteredJudge(_Metered, Judge):
    """A judge whose calls go through the engine."""

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """P(A is better), or an Abstention, or a Failure."""
        outcome = await self._meter.ask(self._meter.inner.judge, (comparison, principles), Judgment, _JUDGE)
        if outcome.order != "both":
            return outcome
        halves = tuple(part.model_copy(update={"source": outcome.source}) for part in outcome.parts)
        return outcome.model_copy(update={"parts": halves})


class MeteredScorer(_Metered, Scorer):
    """A scorer whose calls go through the engine."""

    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> ScoreOutcome:
        """The score, or an Abstention, or a Failure."""
        arguments = (prompt, response, principles)
        return await self._meter.ask(self._meter.inner.score, arguments, Score, _SCORE)


_WRAPPERS: dict[type[Contract], type[_Metered]] = {
    ChatModel: MeteredChatModel,
    Generator: MeteredGenerator,
    Critic: MeteredCritic,
    Reviser: MeteredReviser,
    Judge: MeteredJudge,
    Scorer: MeteredScorer,
}
