"""Judges that ask other judges: what they make of them, and what recipes, plans and runs know of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, SecretStr, ValidationError

from jurist import builtin
from jurist.assembly import Assembly
from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import Contract, Judge
from jurist.engine.budget import Budget
from jurist.engine.engine import Engine
from jurist.engine.ledger import Ledger
from jurist.errors import UsageError
from jurist.judges import Cascade, Criteria, JudgeOfJudges, JudgeReference, Repeat, Route
from jurist.judges.of_judges import inner_references
from jurist.judges.orders import BothOrders, inside
from jurist.options import LocalPath, Options
from jurist.planning.planner import plan
from jurist.preflight import check, check_start
from jurist.recipe import Recipe
from jurist.records import (
    Abstention,
    Comparison,
    Failure,
    JudgeOutcome,
    Judgment,
    Prompt,
    Response,
    Usage,
    content_id,
)
from jurist.roles import ChatJudge
from jurist.run import run
from jurist.selection import select, versions_of
from jurist.testing import ConstantJudge, JudgeContract, ScriptedChatModel

Write = Callable[..., str]
Rows = Callable[[Path], list[Any]]
PAIR = Comparison(prompt=Prompt.of("q"), response_a=Response(text="one"), response_b=Response(text="two"))
SILENT = Abstention(reason="unparsed", source="j", usage=Usage(usd=0.25))
FAILED = Failure(error="reset", retryable=True, source="j", usage=Usage(usd=0.25))


class Says(Judge):
    """Gives outcomes in turn, and remembers what it was asked."""

    def __init__(self, *outcomes: float | JudgeOutcome) -> None:
        super().__init__()
        self.outcomes = [
            Judgment(preference=o, source="j", usage=Usage(usd=0.25)) if isinstance(o, float) else o
            for o in outcomes
        ]
        self.asked: list[tuple[Comparison, tuple[str, ...]]] = []

    async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
        self.asked.append((comparison, tuple(principle.name for principle in principles)))
        return self.outcomes[(len(self.asked) - 1) % len(self.outcomes)]


def judged(judge: Judge, comparison: Comparison = PAIR) -> JudgeOutcome:
    """The outcome, which must survive being written and read."""
    outcome = asyncio.run(judge.judge(comparison, ()))
    assert type(outcome).model_validate_json(outcome.to_json()) == outcome
    return outcome


def cascade(*judges: Judge, sure: float = 0.8) -> Cascade:
    options = Cascade.Options(judges=["x"] * max(len(judges), 2), sure=sure)  # type: ignore[arg-type]
    return Cascade(options, {f"judges.{number}": judge for number, judge in enumerate(judges)})


# --- what each makes of its judges ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "preference", "asked"),
    [
        ([0.8, 0.1], 0.8, 1),  # exactly sure is sure
        ([0.2, 0.9], 0.2, 1),
        ([0.7, 0.1], 0.1, 2),  # who is sure speaks alone
        ([0.5, 0.6, 0.9], 0.9, 3),
        ([0.7, 0.6, 0.5], 0.7, 3),  # nobody is: who is surest
        ([0.6, 0.25, 0.7], 0.25, 3),
        ([0.6, 0.4, 0.5], 0.4, 3),  # of equals the last
        ([SILENT, 0.9], 0.9, 2),
        ([FAILED, 0.7], 0.7, 2),
    ],
)
def test_a_cascade_asks_until_somebody_is_sure(said: list[Any], preference: float, asked: int) -> None:
    judges = [Says(outcome) for outcome in said]
    outcome = judged(cascade(*judges))
    assert isinstance(outcome, Judgment)
    assert outcome.preference == pytest.approx(preference)
    assert sum(len(judge.asked) for judge in judges) == len(outcome.parts) == asked
    assert outcome.usage.usd == 0.25 * asked


def test_a_cascade_in_both_orders_goes_on_where_a_judges_orders_contradict_each_other() -> None:
    first, second = Says(1.0), Says(1.0, 0.0)  # the first sees the position alone
    outcome = judged(cascade(BothOrders(first), BothOrders(second)))
    assert isinstance(outcome, Judgment)
    assert outcome.preference == 1.0
    assert [part.preference for part in inside(outcome) if isinstance(part, Judgment)] == [0.5, 1.0]
    assert [part.order for part in outcome.parts] == ["ab", "ba"]
    assert [len(part.parts) for part in outcome.parts] == [2, 2]


@pytest.mark.parametrize("last", [SILENT, FAILED])
def test_where_the_last_judge_of_a_cascade_is_silent_those_before_it_do_not_speak_for_it(last: Any) -> None:
    outcome = judged(cascade(Says(0.6), Says(last)))
    assert isinstance(outcome, type(last))
    assert len(outcome.parts) == 2
    assert outcome.usage.usd == 0.5


@pytest.mark.parametrize(
    ("said", "kind", "text"),
    [([SILENT, SILENT], Abstention, "unparsed"), ([SILENT, FAILED], Failure, "j: reset")],
)
def test_where_nobody_judges_there_is_no_judgment(said: list[Any], kind: type, text: str) -> None:
    outcome = judged(cascade(*(Says(each) for each in said)))
    assert isinstance(outcome, kind)
    assert text in outcome.to_json()
    assert len(outcome.parts) == 2
    assert outcome.usage.usd == 0.5


def test_repeat_takes_the_mean_of_samples_that_differ_in_their_number_alone() -> None:
    inner = Says(1.0, 0.0, 1.0, SILENT)
    judge = Repeat(Repeat.Options(judge="x", samples=4), {"judge": inner})
    outcome = judged(judge)
    assert isinstance(outcome, Judgment)
    assert outcome.preference == pytest.approx(2 / 3)
    assert len(outcome.parts) == 4
    assert [comparison.sample for comparison, _ in inner.asked] == [0, 1, 2, 3]
    assert {comparison.id for comparison, _ in inner.asked} == {PAIR.id}
    nested = PAIR.model_copy(update={"sample": 2})
    judged(judge, nested)
    assert [comparison.sample for comparison, _ in inner.asked[4:]] == [8, 9, 10, 11]
    assert nested.swapped().sample == 2


def test_repeat_abstains_where_more_than_half_of_the_samples_do() -> None:
    def repeated(*said: Any) -> JudgeOutcome:
        options = Repeat.Options(judge="x", samples=len(said))
        return judged(Repeat(options, {"judge": Says(*said)}))

    assert isinstance(repeated(1.0, SILENT), Judgment)
    assert isinstance(repeated(1.0, SILENT, SILENT), Abstention)
    assert isinstance(repeated(1.0, FAILED, SILENT), Failure)


def test_samples_of_a_chat_model_are_other_requests_with_other_seeds_that_reasks_never_meet() -> None:
    model = ScriptedChatModel(script=lambda request: "hm" if request.sample % 4 < 2 else "Verdict: A")
    inner = ChatJudge(model, ChatJudge.Options(temperature=1.0))
    outcome = judged(Repeat(Repeat.Options(judge="x", samples=3), {"judge": inner}))
    assert isinstance(outcome, Judgment)
    assert outcome.preference == 1.0
    samples = sorted(request.sample for request in model.requests)
    assert samples == [0, 1, 2, 1000, 1001, 1002, 2000, 2001, 2002]  # twice asked again each
    seeds = {request.sampling.seed for request in model.requests}
    assert len(seeds) == 9
    assert len({request.messages for request in model.requests}) == 1


def test_a_question_asked_once_is_written_as_before_there_were_samples() -> None:
    assert "sample" not in PAIR.to_json()
    third = PAIR.model_copy(update={"sample": 3})
    assert json.loads(third.to_json())["sample"] == 3
    assert Comparison.model_validate_json(third.to_json()) == third


@pytest.mark.parametrize(
    ("tags", "asked"), [(("code",), "code"), (("zh", "code"), "code"), (("zh",), "zh"), ((), "otherwise")]
)
def test_route_asks_the_judge_of_the_first_tag_that_fits(tags: tuple[str, ...], asked: str) -> None:
    judges = {"by_tag.code": Says(1.0), "by_tag.zh": Says(0.0), "otherwise": Says(0.5)}
    route = Route(Route.Options(by_tag={"code": "x", "zh": "y"}, otherwise="z"), judges)
    tagged = PAIR.model_copy(update={"prompt": Prompt.of("q", tags=tags)})
    outcome = judged(route, tagged)
    assert [place.rpartition(".")[2] for place, judge in judges.items() if judge.asked] == [asked]
    assert outcome.parts == (next(judge for judge in judges.values() if judge.asked).outcomes[0],)


def test_criteria_ask_about_one_principle_at_a_time_and_weigh_them() -> None:
    inner = Says(0.9, 0.1, SILENT)
    options = Criteria.Options(judge="x", weights={"harmlessness": 2.0, "honesty": 0.0})
    outcome = judged(Criteria(options, {"judge": inner}))
    assert isinstance(outcome, Judgment)
    assert outcome.preference == pytest.approx((0.9 + 2 * 0.1) / 3)
    names = ["helpfulness", "harmlessness"]  # what counts for nothing is not asked about
    assert [asked for _, asked in inner.asked] == [(name,) for name in names]
    assert [part.source for part in outcome.parts] == [f"j/{name}" for name in names]


def test_criteria_speak_the_language_of_the_prompt_or_ones_own() -> None:
    seen: list[str] = []

    class Reads(Judge):
        async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
            seen.extend(principle.description for principle in principles)
            return Judgment(preference=1.0)

    chinese = PAIR.model_copy(update={"prompt": Prompt.of("请解释光合作用。")})
    judged(Criteria(Criteria.Options(judge="x", criteria=("honesty",)), {"judge": Reads()}), chinese)
    own = Criteria.Options(judge="x", criteria={"brevity": "The response is brief."})
    judged(Criteria(own, {"judge": Reads()}), chinese)
    assert seen == ["回答不含虚假的说法，对不确定之处如实说明。", "The response is brief."]


def test_a_criterion_without_a_judgment_leaves_none() -> None:
    outcome = judged(Criteria(Criteria.Options(judge="x"), {"judge": Says(1.0, SILENT, 1.0)}))
    assert isinstance(outcome, Abstention)
    assert outcome.detail == "j/harmlessness"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"criteria": ["helpfulnes"]}, "did you mean 'helpfulness'"),
        ({"criteria": []}, "at least one criterion"),
        ({"criteria": ["honesty", "honesty"]}, "'honesty' stands there more than once"),
        ({"weights": {"honest": 1}}, "no criterion 'honest'; did you mean 'honesty'"),
        ({"criteria": ["honesty"], "weights": {"honesty": 0}}, "not all of them 0"),
        ({"criteria": {"a": " "}}, "at least 1 character"),
    ],
)
def test_criteria_that_cannot_be_judged_are_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Criteria.Options(judge="x", **options)


def test_options_in_which_nobody_could_find_the_judges_are_refused_with_the_class() -> None:
    class Odd(Options):
        by_tag: dict[str, list[JudgeReference]]

    with pytest.raises(TypeError, match=r"Asks\.Options\.by_tag: judges stand in an option of the type"):
        type("Asks", (JudgeOfJudges,), {"Options": Odd})


def test_judges_are_found_in_all_types_that_may_hold_them_and_where_an_option_has_them_by_default() -> None:
    class Many(Options):
        one: JudgeReference = "constant"
        none: JudgeReference | None = None
        by_tag: dict[str, JudgeReference] | None = None
        by_name: Mapping[str, JudgeReference] = {"x": "silent"}
        row: Sequence[JudgeReference] = ()
        queue: list[JudgeReference] = Field(default=[])

    given = {"by_tag": {"use": "flaky"}, "row": [{"use": "chat"}], "queue": ["x"]}  # a tag may have any name
    assert list(inner_references(Many, given)) == [
        ("one", "constant"),
        ("by_tag.use", "flaky"),
        ("by_name.x", "silent"),
        ("row.0", {"use": "chat"}),
        ("queue.0", "x"),
    ]


def test_a_judge_of_symmetric_judges_is_symmetric() -> None:
    class Symmetric(Says):
        capabilities = frozenset({"symmetric"})

    assert cascade(Symmetric(1.0), Symmetric(1.0)).capabilities == {"symmetric"}
    assert cascade(Symmetric(1.0), Says(1.0)).capabilities == frozenset()


# --- in recipes ----------------------------------------------------------------------------------------

CHEAP = {"use": "constant", "name": "cheap", "preference": 0.6}
STRONG = {"use": "constant", "name": "strong", "preference": 0.9}
CASCADE = {"use": "cascade", "judges": [CHEAP, STRONG]}


class CountingOptions(Options):
    """``left`` is how the first response is liked."""

    api_key: SecretStr | None = None
    left: float = 1.0


class Closing(ConstantJudge):
    """Counts how often one of its kind was closed."""

    closed: ClassVar[int] = 0

    async def close(self) -> None:
        type(self).closed += 1


class ReadingOptions(Options):
    """Files that an answer depends on."""

    path: Path | None = None
    may_be: Annotated[str | None, LocalPath] = None


class Reading(Says):
    """A judge that would read files."""

    Options = ReadingOptions


class DefaultedOptions(Options):
    """A judge that need not be named."""

    judge: JudgeReference = "constant"


class Defaulted(JudgeOfJudges):
    """What the judge inside says."""

    Options = DefaultedOptions

    async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
        return await self.judges["judge"].judge(comparison, principles)


class SecondOpinionOptions(Options):
    """Two judges, one of which may be left out."""

    first: JudgeReference
    second: JudgeReference | None = None


class SecondOpinion(JudgeOfJudges):
    """What a plugin may bring: the first judge's preference, unless the second contradicts it."""

    Options = SecondOpinionOptions

    async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
        return await self.judges["first"].judge(comparison, principles)


def offer(
    source: Any, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, component: type[Contract]
) -> None:
    """Make a class of a test known, as if it were one of the fakes."""
    monkeypatch.setattr(f"jurist.testing.fakes.{component.__name__}", component, raising=False)
    source.offer(kind, name, f"jurist.testing.fakes:{component.__name__}")


def recipe(path: str, *judges: Any, **stage: Any) -> Recipe:
    stage = {"stage": "compare", "pairs": path, "judges": list(judges), "principles": "none", **stage}
    return Recipe.of({"stages": [stage]})


def pairs(write: Write, *tags: str) -> str:
    rows = [
        {"prompt": f"q{number}", "response_a": "one", "response_b": "two", "tags": list(tags)}
        for number in range(6)
    ]
    return write(*rows, name="pairs.jsonl")


def test_core_offers_them_as_components() -> None:
    offered = {c.name: c.collected("judge", "jurist-core").load() for c in builtin.jurist_judges()}
    assert offered == {"cascade": Cascade, "repeat": Repeat, "route": Route, "criteria": Criteria}


def test_faults_of_judges_inside_are_told_all_at_once_with_their_places(
    source: Any, write_rows: Write
) -> None:
    bad = {
        "use": "cascade",
        "sure": 2,
        "limits": {"concurrency": 1},
        "judges": [
            {"use": "constant", "preferense": 1},
            {"use": "route", "by_tag": {"code": "nobody"}, "otherwise": {"use": "flaky", "every": 0}},
            {"use": "repeat", "judge": {"use": "constant", "api_key": "x"}, "samples": 1},
        ],
    }
    with pytest.raises(UsageError) as error:
        check(recipe(pairs(write_rows), bad), source)
    text = str(error.value)
    for fault in (
        "stages.compare.judges.0.sure: ",
        "stages.compare.judges.0.limits: it makes no calls of its own",
        "stages.compare.judges.0.judges.0.preferense: unknown option; did you mean 'preference'?",
        "stages.compare.judges.0.judges.1.by_tag.code: no judge 'nobody'",
        "stages.compare.judges.0.judges.1.otherwise.every: ",
        "stages.compare.judges.0.judges.2.samples: ",
        "stages.compare.judges.0.judges.2.judge.api_key: unknown option",
    ):
        assert fault in text, text


def test_secrets_of_judges_inside_are_neither_written_out_nor_kept(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithKey(Judge):
        Options = CountingOptions

        async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
            raise NotImplementedError

    offer(source, monkeypatch, "judge", "keyed", WithKey)
    monkeypatch.setenv("KEY", "canary")
    selection = select("judge", {"use": "repeat", "judge": {"use": "keyed", "api_key": "${KEY}"}}, source)
    assert selection.judges["judge"].options.api_key.get_secret_value() == "canary"
    assert "canary" not in repr(selection.options)
    with pytest.raises(UsageError, match=r"judge\.judge\.api_key: a secret does not belong in a recipe"):
        select("judge", {"use": "repeat", "judge": {"use": "keyed", "api_key": "canary"}}, source)


def test_the_version_of_a_judge_changes_with_those_inside_and_with_the_files_they_name(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(judge: dict[str, Any]) -> str:
        return versions_of([judge], source)["cascade"]

    assert version(CASCADE) == version(
        {**CASCADE, "judges": [{**CHEAP, "limits": {"concurrency": 2}}, STRONG]}
    )
    assert version(CASCADE) != version({**CASCADE, "judges": [{**CHEAP, "preference": 0.61}, STRONG]})
    offer(source, monkeypatch, "judge", "reading", Reading)
    file = tmp_path / "weights.txt"
    for option in ("path", "may_be"):
        reading = {"use": "reading", option: str(file), "name": "cheap"}
        file.write_text("one")
        before = version({**CASCADE, "judges": [reading, STRONG]})
        file.write_text("two")
        assert version({**CASCADE, "judges": [reading, STRONG]}) != before


def test_a_file_that_is_called_like_a_word_of_an_option_changes_no_version(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example = {"prompt": "q", "response_a": "x", "response_b": "y", "verdict": "A"}
    chat = {"use": "chat", "system": "Judge.", "stop": ["x"], "examples": [example]}
    before = versions_of([chat], source)
    for name in ("A", "q", "x", "Judge.", "auto"):
        (tmp_path / name).write_text("something else")
    assert versions_of([chat], source) == before


def test_the_version_of_a_judge_changes_with_the_order_of_those_inside(source: Any) -> None:
    def route(*tags: str) -> dict[str, Any]:
        return {"use": "route", "by_tag": {tag: {**CHEAP, "name": tag} for tag in tags}, "otherwise": STRONG}

    one, other = (versions_of([route(*tags)], source)["route"] for tags in (("x", "y"), ("y", "x")))
    assert one != other  # of two tags that fit, the first is asked
    judges = {f"by_tag.{tag}": Says(1.0) for tag in ("x", "y")} | {"otherwise": Says(1.0)}
    turned = dict(reversed(judges.items()))
    options = Route.Options(by_tag={"x": "x", "y": "y"}, otherwise="z")
    assert content_id(Route(options, judges).identity()) != content_id(Route(options, turned).identity())


async def test_judges_inside_are_metered_shared_and_closed_once(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(source, monkeypatch, "judge", "closing", Closing)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assembly = Assembly(source, Engine(ledger, budget=Budget()))
        inner = {"use": "closing", "name": "inner", "preference": 0.75}
        once = assembly.build("judge", {"use": "repeat", "judge": inner, "samples": 3}, orders=BothOrders)
        other = assembly.build("judge", {"use": "cascade", "judges": [inner, inner]}, orders=BothOrders)
        outcome = await once.judge(PAIR, ())  # type: ignore[attr-defined]
        assert [part.source for part in outcome.parts] == ["repeat", "repeat"]  # in one order and the other
        assert [part.source for part in inside(outcome)] == ["inner"] * 3
        assert [part.order for part in inside(outcome)] == ["both"] * 3
        assert ledger.tallies()["inner"].calls == 6
        await other.judge(PAIR, ())  # type: ignore[attr-defined]
        assert ledger.tallies()["inner"].calls == 6  # asked before: the first sample, in both orders
        await assembly.close()
    assert Closing.closed == 1


def test_a_run_keeps_what_judges_inside_said_and_counts_them(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    done = run(recipe(pairs(write_rows), CASCADE), tmp_path / "run", source)
    row = rows(done.stages[0].folder / "judgments.jsonl")[0]
    halves = row["outcomes"][0]["parts"]
    assert [(half["source"], half["order"]) for half in halves] == [("cascade", "ab"), ("cascade", "ba")]
    for half in halves:
        assert [part["source"] for part in half["parts"]] == ["cheap", "strong"]
        assert {part["order"] for part in half["parts"]} == {half["order"]}
    counts = done.stages[0].summary["judges"]
    assert {name: each["asked"] for name, each in counts.items()} == {
        "cascade": 12,
        "cheap": 12,
        "strong": 12,
    }
    # Both see the position alone, and prefer what is shown first.
    assert counts["strong"]["flips"] == counts["strong"]["flips_to_first"] == 6
    assert counts["cascade"]["flips"] == counts["cascade"]["flips_to_first"] == 6
    assert done.totals["cheap"]["calls"] == done.totals["strong"]["calls"] == 12
    assert done.stages[0].summary["decisions"] == {"tie": 6}
    again = run(recipe(pairs(write_rows), CASCADE), tmp_path / "run", source)
    assert again.stages[0].skipped


def test_a_cascade_that_is_sure_at_once_costs_its_first_judge_alone(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    sure = {"use": "cascade", "judges": [STRONG, CHEAP]}
    done = run(recipe(pairs(write_rows), sure, orders="one"), tmp_path / "run", source)
    assert {name: total["calls"] for name, total in done.totals.items()} == {"strong": 6}


@pytest.mark.parametrize("judge", ["defaulted", {"use": "defaulted"}])
def test_a_judge_inside_that_is_the_default_is_built_like_any_other(
    judge: Any, source: Any, write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(source, monkeypatch, "judge", "defaulted", Defaulted)
    done = run(recipe(pairs(write_rows), judge), tmp_path / "run", source)
    assert done.totals["constant"]["calls"] == 12


def test_criteria_are_counted_one_by_one(source: Any, write_rows: Write, tmp_path: Path) -> None:
    judge = {"use": "criteria", "judge": STRONG, "criteria": ["honesty", "helpfulness"]}
    done = run(recipe(pairs(write_rows), judge, orders="one"), tmp_path / "run", source)
    counts = done.stages[0].summary["judges"]
    assert {name: each["votes"] for name, each in counts.items()} == {
        "criteria": 6,
        "strong/honesty": 6,
        "strong/helpfulness": 6,
    }


@pytest.mark.parametrize(
    ("judge", "orders", "calls"),
    [
        (CASCADE, "both", {"cheap": (12, 12), "strong": (0, 12)}),
        (CASCADE, "one", {"cheap": (6, 6), "strong": (0, 6)}),
        ({**CASCADE, "sure": 1}, "both", {"cheap": (12, 12), "strong": (0, 12)}),
        (CHEAP, "adaptive", {"cheap": (6, 12)}),
        ({"use": "chat", "labels": "verdict"}, "adaptive", {"chat": (12, 12)}),  # never decisive
        ({"use": "chat", "labels": "stated"}, "adaptive", {"chat": (6, 12)}),
        (
            {"use": "chat", "labels": "stated", "confidence": "words", "word_probabilities": [0.6, 0.7, 0.8]},
            "adaptive",
            {"chat": (12, 12)},
        ),
        ({"use": "repeat", "judge": CHEAP, "samples": 3}, "both", {"cheap": (36, 36)}),
        ({"use": "criteria", "judge": CHEAP}, "one", {"cheap": (18, 18)}),
        (
            {"use": "route", "by_tag": {"code": CHEAP}, "otherwise": STRONG},
            "both",
            {"cheap": (12, 12), "strong": (0, 0)},
        ),
    ],
)
def test_a_plan_counts_the_judges_inside(
    judge: dict[str, Any], orders: str, calls: Mapping[str, Any], source: Any, write_rows: Write
) -> None:
    planned = plan(recipe(pairs(write_rows, "code"), judge, orders=orders), source)
    found = {one.component: (one.calls.low, one.calls.high) for one in planned.stages[0].components}
    assert found == calls


async def test_a_cap_in_dollars_asks_for_the_prices_of_chat_models_inside(
    source: Any, write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Priceless(ScriptedChatModel):
        def price(self) -> Any:
            return None

        async def complete(self, request: ChatRequest) -> ChatReply:
            raise NotImplementedError

    offer(source, monkeypatch, "chat_model", "priceless", Priceless)
    judge = {"use": "cascade", "judges": ["chat", {"use": "priceless", "name": "p"}]}
    checked = check(recipe(pairs(write_rows), judge), source)
    with pytest.raises(UsageError, match=r"judges\.0\.judges\.1: the price of 'p' is not known"):
        await check_start(checked, source, tmp_path, 1.0)


# --- the contract --------------------------------------------------------------------------------------


class TestCascade(JudgeContract):
    component = Cascade
    options: ClassVar = {"judges": ["x", "y"]}


class TestRepeat(JudgeContract):
    component = Repeat
    options: ClassVar = {"judge": "x"}


class TestRoute(JudgeContract):
    component = Route
    options: ClassVar = {"by_tag": {"zh": "x"}, "otherwise": "y"}


class TestCriteria(JudgeContract):
    component = Criteria
    options: ClassVar = {"judge": "x"}


class TestDefaulted(JudgeContract):
    component = Defaulted


class TestSecondOpinion(JudgeContract):
    component = SecondOpinion
    options: ClassVar = {"first": {"use": "x"}}
