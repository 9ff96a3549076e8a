"""A plan: the calls that a run will make, of whom, and what they cost, before the first of them.

Its bounds hold if every call is answered as it should be. ``low``: every answer is one token long, no
critique finds a fault, a filter of hard principles leaves nothing to the judges, and verdicts lead to the
fewest comparisons and calls: the first judge of a cascade is sure, the first order decisive. ``high``: every
answer is as long as ``max_tokens`` allows, every critique finds a fault, a filter leaves all to the judges,
and verdicts lead to the most of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from jurist.planning.bounds import Bounds
from jurist.planning.labelling_cost import Labelling
from jurist.prices import Price
from jurist.recipe import Human, Recipe
from jurist.records import Record, content_id

Verdict = Literal["fits", "may not fit", "does not fit", "not known", "refused"]
"""``refused``: a run with this cap is not begun, since a chat model has no price."""


class Cost(Record):
    """US dollars: if calls are made one by one, in batches of the provider, and ``usd`` as the recipe has it.

    ``batches`` is None where the provider has none.
    """

    usd: Bounds
    online: Bounds
    batches: Bounds | None = None

    @classmethod
    def of(
        cls, price: Price, prompt: Bounds, completion: Bounds, *, batches: bool = False, batched: bool = False
    ) -> Cost:
        """What tokens cost; ``batches``: whether there are any, ``batched``: whether the recipe uses them."""
        batches = batches and price.batch is not None
        online, in_batches = (
            Bounds(
                low=price.usd(prompt.low, completion.low, batch=batch),
                high=price.usd(prompt.high, completion.high, batch=batch),
            )
            for batch in (False, True)
        )
        usd = in_batches if batches and batched else online
        return cls(usd=usd, online=online, batches=in_batches if batches else None)

    def __add__(self, other: Cost) -> Cost:
        """What has no batches is called one by one beside those of others."""
        batches = None
        if self.batches is not None or other.batches is not None:
            batches = (self.batches or self.online) + (other.batches or other.online)
        return Cost(usd=self.usd + other.usd, online=self.online + other.online, batches=batches)

    def unbounded(self) -> Cost:
        """The same of any number of calls."""
        batches = None if self.batches is None else self.batches.unbounded()
        return Cost(usd=self.usd.unbounded(), online=self.online.unbounded(), batches=batches)


NO_COST = Cost(usd=Bounds(), online=Bounds())


class ComponentPlan(Record):
    """What one component will be asked for in one role, in one stage.

    Tokens are None where nobody can know them: of components that are no chat models, yet not free.
    ``counted`` says how prompt tokens were counted, ``cost`` is None where there is no price, and ``seconds``
    where nothing is known: of local models, and of ``batched`` calls, whose batches may take a day each.
    """

    component: str
    role: str
    where: tuple[str, ...]
    calls: Bounds
    prompt_tokens: Bounds | None
    completion_tokens: Bounds | None
    counted: Literal["tokenizer", "estimate"] | None
    cost: Cost | None
    batched: bool
    seconds: Bounds | None

    def unbounded(self) -> ComponentPlan:
        """The same where nobody knows how many calls there will be."""
        bounds = {
            name: None if value is None else value.unbounded()
            for name in ("prompt_tokens", "completion_tokens", "cost", "seconds")
            for value in [getattr(self, name)]
        }
        return self.model_copy(update={"calls": self.calls.unbounded(), **bounds})


class Total(Record):
    """A sum over components; ``unpriced``, ``uncounted`` and ``untimed`` name those it is without."""

    calls: Bounds
    prompt_tokens: Bounds
    completion_tokens: Bounds
    cost: Cost
    seconds: Bounds
    unpriced: tuple[str, ...]
    uncounted: tuple[str, ...]
    untimed: tuple[str, ...]

    @classmethod
    def of(cls, components: Iterable[ComponentPlan], seconds: Bounds) -> Total:
        """The sum; how long it takes in all is for the caller to say."""
        each = list(components)
        return cls(
            calls=Bounds.sum(one.calls for one in each),
            prompt_tokens=Bounds.sum(one.prompt_tokens or Bounds() for one in each),
            completion_tokens=Bounds.sum(one.completion_tokens or Bounds() for one in each),
            cost=sum((one.cost or NO_COST for one in each), NO_COST),
            seconds=seconds,
            unpriced=_names(one for one in each if one.cost is None),
            uncounted=_names(one for one in each if one.prompt_tokens is None),
            untimed=_names(one for one in each if one.seconds is None),
        )


class StagePlan(Record):
    """What one stage will ask for.

    ``noun`` says what its ``items`` are: prompts, or comparisons that it is given. ``rehearsed`` of them were
    gone through to count; the others are taken to be like them. ``comparisons`` are those it labels.
    """

    stage: str
    kind: str
    noun: str = "prompts"
    items: int = 0
    rehearsed: int = 0
    comparisons: int = 0
    components: tuple[ComponentPlan, ...] = ()
    trainer: str | None = None

    @property
    def seconds(self) -> Bounds:
        """How long its calls take: at least as long as one component's, at most all of them in turn."""
        known = [one.seconds for one in self.components if one.seconds is not None]
        low = max((bounds.low for bounds in known), default=0)
        return Bounds(low=low, high=sum(bounds.high for bounds in known))


class CapPlan(Record):
    """A cap of the recipe's budget, and whether the run stays under it."""

    of: Literal["usd", "tokens"]
    cap: float
    verdict: Verdict


class Plan(Record):
    """What all stages of a recipe will ask for, and what people would cost instead.

    ``settings`` is the content id of the recipe's settings: a run of others is not what was planned.
    ``notices`` are the names of stages with something that should be known of them.
    """

    recipe: str
    settings: str
    stages: tuple[StagePlan, ...]
    total: Total
    budget: tuple[CapPlan, ...]
    labelling: Labelling | None
    notices: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, recipe: Recipe, stages: Iterable[StagePlan], notices: tuple[tuple[str, str], ...] = ()
    ) -> Plan:
        """Add up the stages, and hold the sum against the recipe's budget and against people."""
        each, budget = tuple(stages), recipe.budget
        seconds = Bounds.sum(stage.seconds for stage in each)
        total = Total.of((one for stage in each for one in stage.components), seconds)
        caps = []
        if budget.usd is not None:
            models = (one for stage in each for one in stage.components if one.counted is not None)
            refused = any(one.cost is None for one in models)
            verdict = _verdict(total.cost.usd, budget.usd, known=not total.unpriced)
            caps.append(CapPlan(of="usd", cap=budget.usd, verdict="refused" if refused else verdict))
        if budget.tokens is not None:
            tokens = total.prompt_tokens + total.completion_tokens
            verdict = _verdict(tokens, budget.tokens, known=not total.uncounted)
            caps.append(CapPlan(of="tokens", cap=budget.tokens, verdict=verdict))
        return cls(
            recipe=recipe.name,
            settings=content_id(recipe),
            stages=each,
            total=total,
            budget=tuple(caps),
            labelling=_labelling(each, recipe.human),
            notices=notices,
        )


def _labelling(stages: Iterable[StagePlan], human: Human) -> Labelling | None:
    """The labels of the stages that make some: what judges cost, and critics for the filter."""
    making = [stage for stage in stages if stage.comparisons]
    if not making:
        return None
    parts = [one for stage in making for one in stage.components if one.role in ("judge", "critic")]
    ai = Bounds.sum(one.cost.usd for one in parts if one.cost is not None)
    unpriced = _names(one for one in parts if one.cost is None)
    return Labelling.of(sum(stage.comparisons for stage in making), ai, human, unpriced)


def _verdict(bounds: Bounds, cap: float, *, known: bool) -> Verdict:
    if bounds.low > cap:
        return "does not fit"
    if not known:
        return "not known"
    return "fits" if bounds.high <= cap else "may not fit"


def _names(components: Iterable[ComponentPlan]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.component for one in components))
