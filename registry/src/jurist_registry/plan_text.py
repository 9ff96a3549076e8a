"""The text of a plan: a table for each stage, then what all of it comes to, in about 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from jurist.planning.pace import FASTEST, SLOWEST
from jurist_registry.quantities import count_text, range_text, time_text, tokens_text, usd_text

if TYPE_CHECKING:
    from jurist.planning.bounds import Bounds
    from jurist.planning.labelling_cost import Labelling
    from jurist.planning.plan import CapPlan, ComponentPlan, Plan, StagePlan, Total

_NOTHING = "-"
_UNKNOWN = "unknown"
_VERDICTS = {
    "fits": "the upper bound is under it",
    "may not fit": "it is between the bounds, so the run may end there",
    "does not fit": "it is under the lower bound, so the run will end there",
    "not known": "nobody knows whether the run stays under it",
    "refused": "the run will not begin, since without every price it could not be held",
}
_SCENARIOS = {"people": "people label all", "ai": "AI labels all"}


def plan_text(plan: Plan) -> str:
    """The whole plan."""
    blocks = [_stage_text(stage) for stage in plan.stages]
    blocks.append(_total_text(plan.total, plan.budget))
    if plan.labelling is not None:
        blocks.append(_labelling_text(plan.labelling))
    return "\n\n".join([*blocks, "\n".join(_notes(plan))])


def _stage_text(stage: StagePlan) -> str:
    if stage.trainer is not None:
        head = f"{stage.stage}: trains with {stage.trainer}; its time is not known"
        return "\n".join([head, *(_table(stage.components) if stage.components else ())])
    head = f"{stage.stage}: {stage.items:,} {stage.noun}"
    if stage.comparisons and stage.noun == "prompts":
        head += f", {stage.comparisons:,} comparisons"
    if stage.rehearsed < stage.items:
        head += f"; counted on {stage.rehearsed:,} of them"
    return "\n".join([head, *_table(stage.components)])


def _table(components: Sequence[ComponentPlan]) -> list[str]:
    """A line for each component below the names of the columns; columns with nothing in them are left out."""
    columns: list[tuple[str, Callable[[ComponentPlan], str]]] = [
        ("component", lambda one: one.component),
        ("role", lambda one: one.role),
        ("calls", lambda one: range_text(one.calls, count_text)),
        ("prompt tokens", lambda one: _tokens(one.prompt_tokens, one)),
        ("answer tokens", lambda one: _tokens(one.completion_tokens, one)),
        ("USD online", lambda one: _UNKNOWN if one.cost is None else _usd(one.cost.online)),
        ("USD batch", _batch_usd),
        ("time", _time),
    ]
    filled = [[name, *map(cell, components)] for name, cell in columns]
    shown = [column for column in filled if set(column[1:]) != {_NOTHING}]
    widths = [max(map(len, column)) for column in shown]
    lines = []
    for row in zip(*shown, strict=True):
        names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  " + "  ".join([*names, *numbers]))
    return lines


def _tokens(bounds: Bounds | None, component: ComponentPlan) -> str:
    if bounds is None:
        return _UNKNOWN
    return range_text(bounds, tokens_text) if component.counted else _NOTHING


def _batch_usd(component: ComponentPlan) -> str:
    cost = component.cost
    return _NOTHING if cost is None or cost.batches is None else _usd(cost.batches)


def _time(component: ComponentPlan) -> str:
    if component.batched:
        return "up to 24 h"
    if component.seconds is None or not component.seconds.high:
        return _NOTHING
    return range_text(component.seconds, time_text)


def _usd(bounds: Bounds) -> str:
    return range_text(bounds, usd_text)


def _total_text(total: Total, budget: Iterable[CapPlan]) -> str:
    prompt, answers = (
        range_text(bounds, tokens_text) for bounds in (total.prompt_tokens, total.completion_tokens)
    )
    usd = [f"{_usd(total.cost.usd)}"]
    if total.cost.batches is not None:
        usd = [f"{_usd(total.cost.online)} online", f"{_usd(total.cost.batches)} in batches"]
        if total.cost.usd not in (total.cost.online, total.cost.batches):
            usd.append(f"{_usd(total.cost.usd)} as the recipe has it")
    lines = [
        ("calls", range_text(total.calls, count_text)),
        ("tokens", f"{prompt} in prompts, {answers} in answers{_without(total.uncounted)}"),
        ("USD", f"{', '.join(usd)}{_without(total.unpriced, 'whose price is not known')}"),
    ]
    if total.seconds.high:
        lines.append(("time", f"{range_text(total.seconds, time_text)}{_without(total.untimed)}"))
    lines += [("cap", _cap_text(cap)) for cap in budget]
    return "\n".join(["in all", *(f"  {name:<8}{text}" for name, text in lines)])


def _without(names: Sequence[str], why: str = "") -> str:
    return f", without {', '.join(names)}{f', {why}' if why else ''}" if names else ""


def _cap_text(cap: CapPlan) -> str:
    amount = f"${cap.cap:g}" if cap.of == "usd" else f"{cap.cap:,.0f} tokens"
    return f"{amount}: {_VERDICTS[cap.verdict]}"


def _labelling_text(labelling: Labelling) -> str:
    checking = f"AI labels all, people check {labelling.checked:.0%}"
    lines = [
        (
            _SCENARIOS.get(scenario.name, checking),
            time_text(scenario.hours * 3600) if scenario.hours else _NOTHING,
            f"${_usd(scenario.usd)}",
        )
        for scenario in labelling.scenarios
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        [
            f"{labelling.comparisons:,} labels, in hours of people and dollars"
            + _without(labelling.unpriced, "whose price is not known"),
            *(f"  {what:<{widths[0]}}  {h:>{widths[1]}}  {usd:>{widths[2]}}" for what, h, usd in lines),
        ]
    )


def _notes(plan: Plan) -> list[str]:
    components = [one for stage in plan.stages for one in stage.components]
    names = {
        how: ", ".join(dict.fromkeys(one.component for one in components if one.counted == how))
        for how in ("tokenizer", "estimate")
    }
    counted = [f"counted by the tokenizer of {names['tokenizer']}"] if names["tokenizer"] else []
    counted += [f"estimated from characters for {names['estimate']}"] if names["estimate"] else []
    notes = [f"Prompt tokens: {'; '.join(counted)}."] if counted else []
    notes += [
        "Low: every answer is one token long, no critique finds a fault, and the first judge is sure.",
        "High: every answer is max_tokens long (and a model that reasons thinks as long as it may),",
        "every critique finds a fault, and no judge is sure. Left out: calls that are made again, since",
        "they failed or could not be read; what prompt caches save.",
    ]
    if plan.total.seconds.high:
        notes.append(f"Time: for calls of {FASTEST:g} to {SLOWEST:g} s, within the limits.")
    return notes + [f"{stage}: {text}" for stage, text in plan.notices]
