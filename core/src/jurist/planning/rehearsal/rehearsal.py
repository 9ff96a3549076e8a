"""Rehearsal: what a stage does its work with while nothing is asked of anybody."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any, cast

from jurist.artifacts import Artifacts
from jurist.constitution import Constitution
from jurist.contracts import Aggregator, Contract, Critic, Judge
from jurist.judges.orders import AdaptiveOrders, InOrders
from jurist.planning.bounds import Bounds
from jurist.planning.rehearsal.answers import Answers
from jurist.planning.rehearsal.models import UnmeteredModels
from jurist.planning.rehearsal.recorder import Recorder
from jurist.planning.rehearsal.stand_ins import (
    RehearsedCritic,
    RehearsedJudge,
    StandIn,
    StandInAggregator,
    StandInCritic,
    StandInGenerator,
    StandInJudge,
    StandInReviser,
    StandInScorer,
)
from jurist.planning.rehearsal.tally import Tally
from jurist.records import Response
from jurist.roles import ROLES, ChatJudge
from jurist.selection import ComponentSource, Selection, select
from jurist.stage_settings import Reference

_STAND_INS: MappingProxyType[str, type[StandIn]] = MappingProxyType(
    {
        "generator": StandInGenerator,
        "critic": StandInCritic,
        "reviser": StandInReviser,
        "judge": StandInJudge,
        "scorer": StandInScorer,
    }
)

_ALMOST = 1e-9
"""How near a soft label is to 0 or 1 that is neither."""


class Rehearsal:
    """Builds the components of a stage, and has a tally of each by its place in the recipe and its role.

    Roles of chat models are the real ones, so that requests are made of the real templates. What is asked may
    depend on the answers; then ``by_fortune`` is set, and the ``fortunate`` ones lead to the fewest calls.
    """

    def __init__(
        self,
        source: ComponentSource,
        constitution: Constitution,
        artifacts: Artifacts,
        models: UnmeteredModels,
        *,
        fortunate: bool,
    ) -> None:
        self.constitution = constitution
        self.artifacts = artifacts
        self.tallies: list[Tally] = []
        self.by_fortune = False
        self._source = source
        self._models = models
        self._answers = Answers(fortunate=fortunate)
        self._asked: dict[str, set[int]] = {}

    @property
    def assembly(self) -> Rehearsal:
        """Where the components come from."""
        return self

    def response(self, max_tokens: int) -> Response:
        """What stands for a response of at most so many tokens that another process will give."""
        return Response(text=self._answers.text(Bounds(low=1, high=max_tokens)))

    def build(
        self, kind: str, reference: Reference, where: str = "", orders: InOrders | None = None
    ) -> Contract:
        """A component that plays the role ``kind``, a judge in these presentation orders."""
        selection = select(kind, reference, self._source, where)
        return self._build(selection, where, orders, is_artifact=self.artifacts.stands_for(reference))

    def _build(
        self, selection: Selection, where: str, orders: InOrders | None, *, is_artifact: bool = False
    ) -> Contract:
        if selection.kind == "aggregator":
            aggregator = cast(type[Aggregator], selection.implementation)
            self.by_fortune |= aggregator.before_judging
            return StandInAggregator(aggregator, self._answers)
        if selection.asks_others:
            self.by_fortune = True
            inside = {
                place: self._build(each, f"{where}.{place}", orders)
                for place, each in selection.judges.items()
            }
            judge: Contract = cast(Any, selection.implementation)(selection.options, inside)
            return judge
        component = self._component(selection, self._tally(selection, where, is_artifact))
        if isinstance(component, Judge):
            is_adaptive = orders is not None and isinstance(orders(component), AdaptiveOrders)
            least, most = _extremes(component, is_adaptive=is_adaptive)
            rehearsed = RehearsedJudge(component, self._answers, least, most)
            return rehearsed if orders is None else orders(rehearsed)
        if not isinstance(component, Critic):
            return component
        self.by_fortune |= "verdicts" in component.capabilities
        return RehearsedCritic(component, self._answers)

    def _component(self, selection: Selection, tally: Tally) -> Contract:
        if tally.model is None:
            return _STAND_INS[selection.kind](tally, self._answers)
        recorder = Recorder(tally.model, tally, self._answers)
        if selection.role_options is None:
            return recorder
        options = selection.role_options
        if "reasks" in type(options).model_fields:  # a placeholder cannot be read, whoever asks again
            options = options.model_copy(update={"reasks": 0})
        role: Contract = cast(Any, ROLES[selection.kind])(recorder, options)
        return role

    def _tally(self, selection: Selection, where: str, is_artifact: bool) -> Tally:
        """One for each place; of those that are the same but for their names, one makes an equal call."""
        model = self._models.of(selection)
        # The policies before and after a training have the same settings here, and are not the same. What is
        # free is asked anew each time.
        owner = where if is_artifact or selection.implementation.free else ""
        key = json.dumps([owner, selection.component.target, selection.options.identity()], sort_keys=True)
        asked = self._asked.setdefault(key, set())
        tally = Tally(selection, where, model, None if model is None else model.price(), asked)
        self.tallies.append(tally)
        return tally


def _extremes(judge: Judge, *, is_adaptive: bool) -> tuple[float, float]:
    """The lowest and the highest preference it may give, and so how few calls it may take.

    In adaptive orders 0 and 1 are written verdicts, which are never decisive: soft labels are not quite that.
    """
    least, most, is_written = 0.0, 1.0, False
    if isinstance(judge, ChatJudge):
        least, most = judge.options.extremes(judge.model.capabilities)
        is_written = judge.options.labels_by(judge.model.capabilities) == "verdict"
    if is_written or not is_adaptive:
        return least, most
    return max(least, _ALMOST), min(most, 1 - _ALMOST)
