"""The contracts: what a component must do, one class and one main method each.

One item in, one outcome out, async. A component never sees batches of the engine, retries, rate
limits or the ledger: it makes one call and returns the outcome, or raises
:class:`jurist.errors.ProviderError` saying whether a retry can help. Components that want batches
(local models) wrap their batch function in :class:`jurist.engine.batcher.Batcher`.

What a component that answers (all but aggregators and trainers) may raise, and what comes of it:

    ProviderError(retryable=True)   the call is made again, up to ``limits.attempts`` times, then it is final
    ProviderError()                 final: the item gets a Failure, the others go on
    ProviderError(fatal=True)       ends the run: no call of this component can succeed
    TimeoutError                    like a retryable ProviderError
    ContractError, UsageError       end the run, as does an outcome of the wrong type
    any other exception             a bug: it ends the run, which names the component

Whatever an aggregator raises ends the run; of trainers, see :class:`Trainer`.

To write one: subclass, give it an ``Options`` model, and name it in a hook (see
:mod:`jurist.hookspecs`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import JsonValue

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.engine.limits import Limits
from jurist.errors import ProviderError
from jurist.options import Options
from jurist.prices import Price
from jurist.records import (
    Comparison,
    CritiqueOutcome,
    Decision,
    JudgeOutcome,
    Prompt,
    Record,
    Response,
    ResponseOutcome,
    ScoreOutcome,
)
from jurist.train_jobs import (
    Artifact,
    ArtifactKind,
    JobOutline,
    Samples,
    ScoreResponses,
    TrainJob,
    TrainProgress,
)

if TYPE_CHECKING:
    from jurist.validation.labelled import LabelledItem


class Contract(ABC):  # noqa: B024 - its subclasses have the abstract methods
    """What all contracts share: options, an identity, and an end.

    ``Options``: the pydantic model of the component's settings; the constructor gets an instance.
    ``capabilities``: what it can do beyond the minimum, as words that the contract names.
    ``free``: calls cost neither money nor noticeable time, so the ledger does not keep them. Nor are they
    retried, paced or held to the budget: it is wrong for whatever asks a service or runs a model by
    itself, and for whatever may answer differently when it is asked again, since a resumed run asks again.
    ``limits``: how it may be called where a recipe says nothing else.
    """

    Options: ClassVar[type[Options]] = Options
    capabilities: ClassVar[frozenset[str]] = frozenset()
    free: ClassVar[bool] = False
    limits: ClassVar[Limits] = Limits()

    def __init__(self, options: Any = None) -> None:
        self.options = options if options is not None else self.Options()

    def identity(self) -> JsonValue:
        """Everything of this component that can change its answers; part of every ledger key.

        The default is the options without secrets and operational settings. A component that reads
        files (weights, recorded verdicts) adds a fingerprint of their content. The version of a plugin is
        no part of a key, on purpose: an update asks nothing anew that was paid for. So an author who
        changes what a component answers adds a number of its own here, and raises it with each such change.
        """
        identity: JsonValue = self.options.identity()
        return identity

    async def close(self) -> None:  # noqa: B027 - most components hold nothing
        """Release what the component holds. Called once, at the end."""


class ChatModel(Contract):
    """A chat model: the one class a provider plugin needs.

    Core builds a generator, critic, reviser, judge and scorer of any chat model. Capability
    ``logprobs``: honours ``ChatRequest.choices``. A chat model that can be trained has an option
    ``model``, which core points at the new checkpoint; ``not_trained`` names options that a trainer
    knows nothing of, so that a policy which sets one is refused before training.
    """

    not_trained: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request.

        Raises:
            ProviderError: the call failed.
        """

    def check_access(self) -> None:
        """See to it that it can be called at all: that it has its key. Makes no call.

        A run asks this before it begins, unless it has replies already, which may be all it needs.

        Raises:
            ProviderError: it lacks something; the hint says how to give it that.
        """

    async def misfit(self, request: ChatRequest) -> str | None:
        """Why this request can never be answered (it exceeds the context), or None; makes no call.

        A run asks this of its prompts before it spends anything. The default knows of no reason.
        """
        return None

    def price(self) -> Price | None:
        """What its tokens cost, or None where that is not known: a run with a cap in dollars then refuses it.

        A model on one's own machine, whose calls cost no money, returns ``jurist.prices.FREE``.
        """
        return None

    async def prompt_tokens(self, request: ChatRequest) -> int | None:
        """How many tokens the messages of ``request`` have, without a call; None where nobody here can count.

        ``jurist plan`` asks this; the default leaves it to be estimated from the characters.
        """
        return None

    def most_tokens(self, request: ChatRequest) -> int:
        """How many tokens a reply may be billed for; more than ``max_tokens`` where thinking comes on top."""
        return request.sampling.max_tokens


class BatchState(Record):
    """How far a provider is with a batch: requests done of ``total``, and whether it has ended.

    ``failure`` says why nothing at all came of it, where nothing did: then its requests are given up.
    """

    done: int
    total: int
    ended: bool
    failure: str = ""


class BatchChatModel(ChatModel):
    """A chat model whose provider also answers whole batches, later and for less.

    The engine gathers requests into batches, keeps book of them, waits for them and stores what comes
    back. Each request of a batch has an id of the engine's (letters, digits, ``-``, at most 48).
    ``batch_size`` is the most requests that the provider takes in one batch.
    """

    batch_size: ClassVar[int] = 50_000

    @abstractmethod
    async def submit(self, name: str, requests: Mapping[str, ChatRequest]) -> str:
        """Hand a batch in under ``name``, which no other batch has; returns the provider's id of it.

        Raises:
            ProviderError: the provider did not take it.
        """

    @abstractmethod
    async def find(self, name: str, request_ids: Collection[str], since: float) -> str | None:
        """The provider's id of the batch ``name``, or None if it was never handed in.

        Asked when a process died, or the connection broke, while the batch was handed in. ``since`` is when,
        in seconds since 1970.
        """

    @abstractmethod
    async def state(self, batch: str) -> BatchState:
        """How far the batch with this provider's id is."""

    @abstractmethod
    def results(
        self, batch: str, choices: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        """Each request's id with its reply, or with why it has none (expired: ``retryable``).

        ``choices`` holds the choices of each request that asked for log-probabilities, by its id. Requests
        that the provider says nothing of are taken for expired.
        """


class Generator(Contract):
    """Writes responses to prompts."""

    @abstractmethod
    async def generate(self, prompt: Prompt, sampling: Sampling) -> ResponseOutcome:
        """One response. The same prompt and sampling (with its seed) may give the same response."""


class Critic(Contract):
    """Holds a response against principles. Capability ``verdicts``: says satisfied or violated."""

    @abstractmethod
    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        """One finding for each of ``principles``, in their order."""


class Reviser(Contract):
    """Rewrites a response so that it heeds a critique."""

    @abstractmethod
    async def revise(
        self,
        prompt: Prompt,
        response: Response,
        critique: CritiqueOutcome,
        principles: Sequence[Principle],
        sampling: Sampling,
    ) -> ResponseOutcome:
        """The revised response."""


class Judge(Contract):
    """Compares two responses, as shown: A first, B second.

    The engine shows both orders by swapping the comparison, so a judge knows nothing of orders.
    Capability ``symmetric``: the verdict does not depend on the order, so one is enough.
    """

    @abstractmethod
    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """P(A is better) as a Judgment, or an Abstention, or a Failure; never a guess."""


class Scorer(Contract):
    """Scores one response. ``Score.metrics`` may hold any number of named numbers beside it."""

    @abstractmethod
    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> ScoreOutcome:
        """The score as a Score, or an Abstention, or a Failure."""


class Aggregator(Contract):
    """Makes one decision of a jury's outcomes.

    ``before_judging``: decides from the comparison alone, so the stage asks it with no outcomes
    before it spends anything on judges.
    """

    free: ClassVar[bool] = True
    before_judging: ClassVar[bool] = False

    @abstractmethod
    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decide, set aside, or leave undecided for the next aggregator in the chain.

        ``outcomes`` holds one outcome per judge, in the order of the recipe; where both orders were
        shown, its ``parts`` hold the outcome of each.
        """

    def check_judges(self, versions: Mapping[str, str]) -> None:
        """Told before any judge is asked who will be, by name, with a fingerprint of each one's settings.

        Raises:
            UsageError: it cannot decide for these judges.
        """


class LearntAggregator(Aggregator):
    """An aggregator that is learnt from labelled items before it decides.

    Its option ``model`` is the folder that a learnt one was saved in; without it, it is to be fitted first.
    """

    @property
    def is_learnt(self) -> bool:
        """Whether it was saved before, so that it decides as it is."""
        return getattr(self.options, "model", None) is not None

    def learnt_prompts(self) -> frozenset[str] | None:
        """The ids of the prompts of all items it learnt from; None where it does not know them.

        Whoever measures a saved one says on how many of these it was measured.
        """
        return None

    @abstractmethod
    def fit(self, items: Sequence[LabelledItem]) -> None:
        """Learn from the votes and labels of ``items``; what was learnt before is forgotten.

        Raises:
            UsageError: nothing can be learnt from them.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was learnt, and for which judges, so that the option ``model`` finds it."""


class Trainer(Contract):
    """Turns a dataset into a checkpoint. Runs in a worker process of its own, or in several.

    ``consumes`` names the dataset it reads; ``produces`` what it makes. A ``labeler`` answers as the judge
    that has the trainer's name, which has an option ``model``.

    Core sets ``score`` and ``measure`` before :meth:`train`, where the stage names scorers: ``score`` gives
    rewards for responses to ``prompts``, ``measure`` another measure of responses to the job's held-out
    prompts. Both go through the run's ledger and budget, and block until all are answered: hand over whole
    batches, since the responses of one call are scored at the same time. What a scorer could not say is None,
    never a number. When the run stops, they do not return, and the process is ended.

    Where the recipe says ``processes: N``, the trainer runs in N processes that ``torchrun`` starts: it must
    join them with ``torch.distributed``. Each has ``score`` and ``measure`` of its own, and may call them as
    often as it likes. Only the progress and the artifact of rank 0 count.
    """

    consumes: ClassVar[Literal["revisions", "preferences", "prompts"]]
    produces: ClassVar[ArtifactKind]
    score: ScoreResponses | None = None
    measure: ScoreResponses | None = None

    @abstractmethod
    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        """Train to the end, calling ``progress`` from time to time.

        Raises:
            TrainingError: it cannot go on (bad data, NaN loss); names the last good checkpoint.
        """

    def faults(self, outline: JobOutline) -> Sequence[str]:
        """Why no job of this outline can succeed, and what to do, a line each.

        This is asked when a recipe is checked: go by the options and by what is installed, and load nothing.
        """
        return ()

    def samples(self, prompts: int, processes: int) -> Samples | None:
        """What ``score`` will be asked in all, with so many prompts to train on; None if that is not known.

        ``jurist plan`` asks this.
        """
        return None

    def measurements(self, held_out: int, prompts: int, processes: int) -> Samples | None:
        """The same of ``measure``, with so many ``held_out`` prompts."""
        return None


CONTRACTS: dict[str, type[Contract]] = {
    "chat_model": ChatModel,
    "generator": Generator,
    "critic": Critic,
    "reviser": Reviser,
    "judge": Judge,
    "scorer": Scorer,
    "aggregator": Aggregator,
    "trainer": Trainer,
}
"""Kind of component → its contract. The hook ``jurist_<kind>s`` offers components of that kind."""
