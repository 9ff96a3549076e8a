"""What is wrong with a jury before anybody is asked: its filter, its names, its samples, its cascades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from jurist.aggregators.aggregation import learns
from jurist.artifacts import Artifacts
from jurist.constitution import Constitution
from jurist.contracts import Aggregator
from jurist.errors import PluginError, UsageError
from jurist.judges import Cascade, Criteria, Repeat, Route
from jurist.judges.cascade import CascadeOptions
from jurist.judges.orders import is_sure
from jurist.records import Comparison, Judgment, Message, Prompt, Response
from jurist.roles.judge_options import JudgeOptions
from jurist.selection import ComponentSource, Selection, fingerprint_of, select
from jurist.stage_settings import Reference
from jurist.stages.compare import CompareStage
from jurist.stages.judging import JudgingStage

Places = Mapping[str, Selection]
"""Judges by their places in the recipe."""

_SINGLE = (1.0, 0.51, 0.49, 0.0)
"""What one judge may say, as P(A is better): for either side, surely or hardly."""


def jury_faults(
    stage: JudgingStage, constitution: Constitution | None, artifacts: Artifacts, source: ComponentSource
) -> list[str]:
    """The faults of a stage's jury; what is wrong with one component by itself is told elsewhere."""
    where = f"stages.{stage.name}"
    judges = {
        f"{where}.judges.{number}": judge
        for number, judge in enumerate(_selected("judge", stage.settings.judges, artifacts, source))
        if judge is not None
    }
    faults = [
        *_name_faults(judges, f"{where}.judges"),
        *_sampling_faults(judges),
        *_certainty_faults(judges, stage.settings.orders),
    ]
    aggregators = _selected("aggregator", stage.settings.aggregate, artifacts, source)
    chosen = [each for each in aggregators if each is not None]
    if isinstance(stage, CompareStage) and stage.settings.ask == "in_turn" and len(judges) > 1:
        faults += _turn_faults(aggregators, next(iter(judges.values())), stage, artifacts)
    if isinstance(stage, CompareStage) and constitution is not None and len(chosen) == len(aggregators):
        faults += _filter_faults(chosen, stage, constitution)
    return faults


def _selected(
    kind: str, references: Sequence[Reference], artifacts: Artifacts, source: ComponentSource
) -> list[Selection | None]:
    """What each refers to; None where it has faults of its own."""
    found: list[Selection | None] = []
    for reference in references:
        try:
            found.append(select(kind, artifacts.component(reference), source))
        except (UsageError, PluginError):
            found.append(None)
    return found


def _within(judges: Places) -> Iterator[tuple[str, Selection]]:
    """All judges and those inside them, with their places."""
    for place, judge in judges.items():
        yield from judge.within(place)


def _name_faults(judges: Places, where: str) -> Iterator[str]:
    """Names that two judges have, or one and another inside: they would be counted as one."""
    names = Counter(judge.label for judge in judges.values())
    for name, times in names.items():
        if times > 1:
            yield f"{where}: {times} judges are called '{name}'; give each its own 'name:'"
    known: dict[str, JsonValue] = {}
    for place, each in _within(judges):
        settings = fingerprint_of(each)
        is_told = place in judges and names[each.label] > 1
        if known.setdefault(each.label, settings) != settings and not is_told:
            yield f"{place}: another judge is called '{each.label}' too; give each its own 'name:'"


def _sampling_faults(judges: Places) -> Iterator[str]:
    """Repeated samples that are paid for again and again, and are all alike."""
    repeats = {place: each for place, each in _within(judges) if issubclass(each.implementation, Repeat)}
    for place, each in dict(_within(repeats)).items():
        options = each.role_options
        if not isinstance(options, JudgeOptions):
            continue
        if not options.temperature:
            yield f"{place}: at temperature 0 all samples are alike; give '{each.label}' a 'temperature:'"
        elif _labels(each) == "logprobs" and not options.chain_of_thought:
            yield (
                f"{place}: log-probabilities are alike in all samples, and say how sure it is already; leave "
                f"out the repeat, or give '{each.label}' 'labels: verdict' or 'chain_of_thought: true'"
            )


def _certainty_faults(judges: Places, orders: str) -> Iterator[str]:
    """Judges of which a cascade cannot tell whether they are sure: it never goes on from them, or always."""
    for above, cascade in _within(judges):
        if issubclass(cascade.implementation, Cascade):
            sure = cast(CascadeOptions, cascade.options).sure
            for inner, judge in list(cascade.judges.items())[:-1]:
                for place, each, is_mean in _speakers(f"{above}.{inner}", judge):
                    in_one_order = orders == "one" and not is_mean
                    yield from _uncertain(place, each, sure, in_one_order=in_one_order)


def _uncertain(place: str, judge: Selection, sure: float, *, in_one_order: bool) -> Iterator[str]:
    """Why a chat judge cannot say that it is ``sure``, or that it is not."""
    options = cast(JudgeOptions, judge.role_options)
    low, high = options.extremes(judge.implementation.capabilities)
    most = max(high, 1 - low)
    if in_one_order and _labels(judge) == "verdict":
        yield (
            f"{place}: '{judge.label}' writes verdicts, which in one order do not say how sure it is, so "
            "nobody after it would be asked; give it 'labels: stated' or 'labels: logprobs', put a 'repeat' "
            "around it, or set 'orders: both'"
        )
    elif not is_sure(most, sure):
        yield (
            f"{place}: '{judge.label}' gives no side more than {most:g}, so it is never as 'sure' as "
            f"{sure:g} and would be asked in vain; lower 'sure', or set {_what_bounds(options)} for it"
        )


def _speakers(
    place: str, judge: Selection, *, is_mean: bool = False
) -> Iterator[tuple[str, Selection, bool]]:
    """The chat judges whose word a judge hands on, and whether it is a mean of several of their answers."""
    if isinstance(judge.role_options, JudgeOptions):
        yield place, judge, is_mean
    elif issubclass(judge.implementation, (Cascade, Criteria, Repeat, Route)):
        averages = issubclass(judge.implementation, (Criteria, Repeat))
        for inner, each in judge.judges.items():
            yield from _speakers(f"{place}.{inner}", each, is_mean=is_mean or averages)


def _labels(judge: Selection) -> str:
    return cast(JudgeOptions, judge.role_options).labels_by(judge.implementation.capabilities)


def _what_bounds(options: JudgeOptions) -> str:
    if options.labels != "stated":
        return "'clamp: null'"
    return "'word_probabilities' higher" if options.confidence == "words" else "'labels' otherwise"


def _turn_faults(
    aggregators: Sequence[Selection | None], judge: Selection, stage: CompareStage, artifacts: Artifacts
) -> Iterator[str]:
    """An aggregator that decides by whatever one judge says, so that no second one has its turn.

    A jury that an earlier stage is yet to learn cannot be tried.
    """
    for number, (selection, reference) in enumerate(zip(aggregators, stage.settings.aggregate, strict=True)):
        if selection is not None and cast(type[Aggregator], selection.implementation).before_judging:
            continue
        handed = isinstance(reference, str) and artifacts.find(reference) is not None
        if selection is None or handed or learns(selection) or not _is_content(selection, judge.label):
            return
        yield (
            f"stages.{stage.name}.aggregate.{number}: '{selection.label}' decides by any single judgment, so "
            "with 'ask: in_turn' a second judge would never be asked after one that sides; give 'majority' "
            "'min_votes: 2', put an aggregator before it that asks for more, or leave out 'ask'"
        )
        return


def _is_content(selection: Selection, judge: str) -> bool:
    """Whether an aggregator decides by one judgment, whichever it is."""
    comparison = Comparison(
        prompt=Prompt(messages=(Message(role="user", content="Which?"),)),
        response_a=Response(text="A"),
        response_b=Response(text="B"),
    )
    try:
        aggregator = cast(Aggregator, selection.implementation(selection.options))
        decisions = [
            aggregator.decide(comparison, (Judgment(preference=each, source=judge, order="ab"),))
            for each in _SINGLE
        ]
    except UsageError:
        return False  # what it says of these judges is told elsewhere
    return all(decision.status == "decided" for decision in decisions)


def _filter_faults(chosen: list[Selection], stage: CompareStage, constitution: Constitution) -> list[str]:
    """What a filter by hard principles lacks: principles that are hard, and somebody to hold them up."""
    before = [cast(type[Aggregator], each.implementation).before_judging for each in chosen]
    if not any(before):
        return []
    where = f"stages.{stage.name}.aggregate"
    if before != sorted(before, reverse=True):
        return [f"{where}: what decides before the judges are asked must come first: {_ordered(chosen)}"]
    if not constitution.hard:
        return [
            f"{where}: constitution '{constitution.name}' has no principle with 'hard: true' to filter by"
        ]
    unchecked = [principle.name for principle in constitution.hard if not principle.checks]
    if unchecked and stage.settings.critic is None:
        names = ", ".join(unchecked)
        return [f"{where}: hard principles without checks ({names}) need a 'critic:' in this stage"]
    return []


def _ordered(chosen: list[Selection]) -> str:
    """The aggregators in an order that works."""
    first = sorted(chosen, key=lambda each: not cast(type[Aggregator], each.implementation).before_judging)
    return f"[{', '.join(each.label for each in first)}]"
