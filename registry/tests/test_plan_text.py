"""The text of a plan, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from jurist.planning.bounds import Bounds
from jurist.planning.plan import NO_COST, ComponentPlan, Cost, Plan, StagePlan
from jurist.prices import Price
from jurist.recipe import Recipe
from jurist_registry.plan_text import plan_text
from jurist_registry.quantities import count_text, range_text, time_text, tokens_text, usd_text


def component(name: str, role: str, calls: Bounds, **changes: Any) -> ComponentPlan:
    """A chat model of a service, with 1,000 tokens in each prompt and up to 500 in each answer."""
    prompt, answers = calls * 1000, Bounds(low=calls.low, high=calls.high * 500)
    price = Price(input=1, output=10, batch=0.5)
    return ComponentPlan.model_validate(
        {
            "component": name,
            "role": role,
            "where": (f"stages.compare.{role}",),
            "calls": calls,
            "prompt_tokens": prompt,
            "completion_tokens": answers,
            "counted": "tokenizer",
            "cost": Cost.of(price, prompt, answers, batches=True),
            "batched": False,
            "seconds": Bounds(low=calls.low / 20, high=calls.high),
            **changes,
        }
    )


LOCAL = {"cost": NO_COST, "seconds": None, "counted": "estimate"}
OWN = {"cost": None, "prompt_tokens": None, "completion_tokens": None, "counted": None}
FREE = {"cost": NO_COST, "prompt_tokens": Bounds(), "completion_tokens": Bounds(), "counted": None}


def recipe(**budget: float) -> Recipe:
    return Recipe.of({"budget": budget, "stages": [{"stage": "compare", "pairs": "x", "judges": ["j"]}]})


def test_everything_that_a_plan_can_say() -> None:
    many = Bounds.of(36_000)
    components = (
        component("hf", "generator", Bounds.of(12_000), **LOCAL),
        component("gpt", "judge", many),
        component("claude", "judge", many, batched=True, seconds=None),
        component("rest", "judge", many, **OWN),
        component("rules", "critic", many, seconds=Bounds(), **FREE),
    )
    stages = [
        StagePlan(stage="sft", kind="train", trainer="trl-sft"),
        StagePlan(
            stage="compare",
            kind="compare",
            items=3000,
            rehearsed=1000,
            comparisons=18_000,
            components=components,
        ),
    ]
    text = plan_text(Plan.of(recipe(usd=400, tokens=10**9), stages))
    assert text == TEXT
    assert max(map(len, text.splitlines())) <= 100


TEXT = """\
sft: trains with trl-sft; its time is not known

compare: 3,000 prompts, 18,000 comparisons; counted on 1,000 of them
  component  role        calls  prompt tokens  answer tokens  USD online  USD batch         time
  hf         generator  12,000            12M         12k–6M           0          -            -
  gpt        judge      36,000            36M        36k–18M    36.4–216   18.2–108  30 min–10 h
  claude     judge      36,000            36M        36k–18M    36.4–216   18.2–108   up to 24 h
  rest       judge      36,000        unknown        unknown     unknown          -  30 min–10 h
  rules      critic     36,000              -              -           0          -            -

in all
  calls   156,000
  tokens  84M in prompts, 84k–42M in answers, without rest
  USD     72.7–432 online, 36.4–216 in batches, without rest, whose price is not known
  time    30 min–20 h, without hf, claude
  cap     $400: nobody knows whether the run stays under it
  cap     1,000,000,000 tokens: nobody knows whether the run stays under it

18,000 labels, in hours of people and dollars, without rest, whose price is not known
  people label all                 600 h       $18,000
  AI labels all                        -     $72.7–432
  AI labels all, people check 10%   60 h  $1,873–2,232

Prompt tokens: counted by the tokenizer of gpt, claude; estimated from characters for hf.
Low: every answer is one token long, no critique finds a fault, and the first judge is sure.
High: every answer is max_tokens long (and a model that reasons thinks as long as it may),
every critique finds a fault, and no judge is sure. Left out: calls that are made again, since
they failed or could not be read; what prompt caches save.
Time: for calls of 1 to 10 s, within the limits."""


@pytest.mark.parametrize(
    ("cap", "price", "says"),
    [
        (5.0, 1, "$5: the upper bound is under it"),
        (0.5, 1, "$0.5: it is between the bounds, so the run may end there"),
        (0.05, 1, "$0.05: it is under the lower bound, so the run will end there"),
        (0.05, None, "$0.05: the run will not begin, since without every price it could not be held"),
    ],
)
def test_the_text_says_what_becomes_of_a_cap(cap: float, price: float | None, says: str) -> None:
    tokens = Bounds(low=100_000, high=1_000_000)
    cost = None if price is None else Cost.of(Price(input=price, output=0), tokens, Bounds())
    judge = component("gpt", "judge", Bounds.of(10), cost=cost)
    stage = StagePlan(stage="compare", kind="compare", items=10, rehearsed=10, components=(judge,))
    lines = plan_text(Plan.of(recipe(usd=cap), [stage])).splitlines()
    assert f"  cap     {says}" in lines


def test_a_plan_without_calls_is_short() -> None:
    plan = Plan.of(recipe(), [StagePlan(stage="sft", kind="train", trainer="trl-sft")])
    first, *_ = plan_text(plan).splitlines()
    assert first == "sft: trains with trl-sft; its time is not known"
    assert "Prompt tokens" not in plan_text(plan)


@pytest.mark.parametrize(
    ("unit", "number", "text"),
    [
        (count_text, 999_999, "999,999"),
        (count_text, 12_345_678, "12.3M"),
        (tokens_text, 0, "0"),
        (tokens_text, 999, "999"),
        (tokens_text, 1000, "1k"),
        (tokens_text, 1234, "1.23k"),
        (tokens_text, 12_345, "12.3k"),
        (tokens_text, 99_960, "100k"),
        (tokens_text, 999_400, "999k"),
        (tokens_text, 999_600, "1M"),
        (tokens_text, 61_400_000, "61.4M"),
        (tokens_text, 2.5e9, "2.5B"),
        (usd_text, 0, "0"),
        (usd_text, 0.00312, "0.0031"),
        (usd_text, 1.254, "1.25"),
        (usd_text, 12.345, "12.3"),
        (usd_text, 99.96, "100"),
        (usd_text, 1234.5, "1,234"),
        (time_text, 5, "5 s"),
        (time_text, 60, "1.0 min"),
        (time_text, 596, "9.9 min"),
        (time_text, 599, "10 min"),
        (time_text, 400, "6.7 min"),
        (time_text, 4000, "1.1 h"),
        (time_text, 6_000_000, "1,667 h"),
    ],
)
def test_numbers_are_short(unit: Any, number: float, text: str) -> None:
    assert unit(number) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(60, 90, "1.0–1.5 min"), (30, 90, "30 s–1.5 min"), (90, 90, "1.5 min"), (0, 7200, "0 s–2.0 h")],
)
def test_a_unit_that_both_bounds_share_is_said_once(low: float, high: float, text: str) -> None:
    assert range_text(Bounds(low=low, high=high), time_text) == text
