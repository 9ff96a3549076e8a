"""Plans: against what a run then asks, against sums done by hand, and against published figures."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from jurist.chat import ChatReply, ChatRequest
from jurist.constitution import Constitution
from jurist.contracts import BatchChatModel, BatchState, ChatModel
from jurist.errors import ProviderError, UsageError
from jurist.options import Operational, Options
from jurist.planning.bounds import Bounds
from jurist.planning.labelling_cost import Labelling
from jurist.planning.plan import ComponentPlan, Cost, Plan
from jurist.planning.planner import plan
from jurist.prices import FREE, Price
from jurist.recipe import Human, Recipe
from jurist.records import Prompt, Usage
from jurist.run import run
from jurist.testing import ConstantJudge, ScriptedChatModel
from jurist.tokens import estimate_tokens

Write = Callable[..., str]

PRINCIPLES = {
    "name": "tiny",
    "principles": [
        {"name": "clean", "description": "Say nothing bad, neither in words nor between the lines."},
        {"name": "short", "description": "Be brief."},
    ],
}
COMPARE = {"stage": "compare", "samples": 3, "sampling": {"max_tokens": 7}, "principles": "all"}


class WordOptions(Options):
    """``says``: how many words it answers with; ``tokens``: what it counts, whatever it is asked."""

    says: int = 1
    tokens: int | None = None
    price: Annotated[Price | None, Operational] = Price(input=2, output=10)
    choices: bool = False
    version: int = 0


class WordModel(ChatModel):
    """Words are tokens. Every answer is another one; what it was asked is kept."""

    Options = WordOptions
    options: WordOptions
    asked: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, options: WordOptions) -> None:
        super().__init__(options)
        if options.choices:
            vars(self).update(capabilities=frozenset({"logprobs"}))

    async def complete(self, request: ChatRequest) -> ChatReply:
        prompt = await self.prompt_tokens(request)
        words = min(self.options.says, request.sampling.max_tokens)
        chosen = request.choices if self.options.choices else ()
        first = chosen[0] if chosen else f"w{len(self.asked)}"
        text = " ".join([first, *["w"] * (words - 1)])
        self.asked.append((prompt, words))
        usage = Usage(prompt_tokens=prompt, completion_tokens=words)
        logprobs = (-1.0,) * len(chosen) or None
        return ChatReply(text=text, usage=usage, choice_logprobs=logprobs)

    async def prompt_tokens(self, request: ChatRequest) -> int:
        await asyncio.sleep(0)  # as one that counts in a thread, while other requests come
        if self.options.tokens is not None:
            return self.options.tokens
        return sum(len(message.content.split()) for message in request.messages)

    def price(self) -> Price | None:
        return self.options.price


class SilentModel(WordModel):
    """Must not be asked."""

    async def complete(self, request: ChatRequest) -> ChatReply:
        raise AssertionError("a plan asked a provider")


class UntokenizedModel(SilentModel):
    """Has no tokenizer."""

    async def prompt_tokens(self, request: ChatRequest) -> Any:
        return None


class BrokenTokenizerModel(SilentModel):
    """Its tokenizer cannot be loaded."""

    async def prompt_tokens(self, request: ChatRequest) -> int:
        raise ProviderError("no vocabulary here")


class BatchModel(BatchChatModel):
    """Has batches."""

    Options = WordOptions
    complete = SilentModel.complete
    prompt_tokens = WordModel.prompt_tokens

    def price(self) -> Price | None:
        return self.options.price

    async def submit(self, name: str, requests: Any) -> str:
        raise AssertionError

    async def find(self, name: str, request_ids: Any, since: float) -> str | None:
        raise AssertionError

    async def state(self, batch: str) -> BatchState:
        raise AssertionError

    async def results(self, batch: str, choices: Any) -> Any:
        raise AssertionError
        yield


@pytest.fixture
def words(source: Any) -> Iterator[Any]:
    """The fakes, and the models above."""
    for name, model in {
        "words": WordModel,
        "mute": SilentModel,
        "untokenized": UntokenizedModel,
        "broken": BrokenTokenizerModel,
        "batch": BatchModel,
    }.items():
        source.offer("chat_model", name, f"{__name__}:{model.__name__}")
    WordModel.asked.clear()
    yield source
    WordModel.asked.clear()


def recipe(prompts: str, *stages: dict[str, Any], **settings: Any) -> Recipe:
    policy = {"use": "words", "name": "policy"}
    return Recipe.of(
        {"prompts": prompts, "constitution": PRINCIPLES, "policy": policy, "stages": stages, **settings}
    )


def roles(planned: Plan, stage: int = 0) -> dict[str, ComponentPlan]:
    """The components of a stage by what they are called and what they do."""
    return {f"{one.component} {one.role}": one for one in planned.stages[stage].components}


def ends(bounds: Bounds | None) -> tuple[float, float]:
    assert bounds is not None
    return bounds.low, bounds.high


def pairs(write_rows: Write, count: int = 3) -> str:
    rows = [
        {"prompt": f"question {n}" + " why" * n, "response_a": "yes " * (n + 1), "response_b": f"no {n}"}
        for n in range(count)
    ]
    return write_rows(*rows, name="pairs.jsonl")


# --- against a run -----------------------------------------------------------------------------------


def spent(folder: Path, name: str) -> tuple[int, int, int]:
    """Calls, prompt tokens and completion tokens of a component in a run."""
    total = json.loads((folder / "run.json").read_text())["totals"][name]
    return total["calls"], total["prompt_tokens"], total["completion_tokens"]


@pytest.mark.parametrize("orders", ["both", "one"])
@pytest.mark.parametrize("principles", ["all", "sampled", "none"])
def test_judging_given_pairs_asks_exactly_what_was_planned(
    orders: str, principles: str, words: Any, write_rows: Write, tmp_path: Path
) -> None:
    judge = {"use": "words", "name": "judge", "choices": True, "says": 5}
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": [judge]}
    wanted = recipe(write_rows("p"), {**stage, "orders": orders, "principles": principles})
    planned = roles(plan(wanted, words))["judge judge"]
    run(wanted, tmp_path / "run", words)
    calls, prompt, completion = spent(tmp_path / "run", "judge")
    assert calls == {"both": 6, "one": 3}[orders]
    assert ends(planned.calls) == (calls, calls)
    assert ends(planned.prompt_tokens) == (prompt, prompt)
    assert completion == 5 * calls
    assert ends(planned.completion_tokens) == (calls, 1024 * calls)
    assert planned.counted == "tokenizer"


@pytest.mark.parametrize("says", [1, 4, 7])
@pytest.mark.parametrize("pairing", ["all", "adjacent"])
def test_sampling_and_judging_stay_within_the_bounds_and_reach_them(
    says: int, pairing: str, words: Any, write_rows: Write, tmp_path: Path
) -> None:
    judges = [{"use": "words", "name": "first", "choices": True}, {"use": "words", "name": "second"}]
    policy = {"use": "words", "name": "policy", "says": says}
    judges[1] |= {"choices": True, "system": "You judge."}
    stage = {**COMPARE, "judges": judges, "pairing": pairing, "generator": policy}
    wanted = recipe(write_rows("why", "what is it", "how " * 9), stage)
    planned = roles(plan(wanted, words))
    run(wanted, tmp_path / "run", words)
    made = {"all": 3, "adjacent": 2}[pairing]
    for name, role, count in (
        ("policy", "generator", 9),
        ("first", "judge", 6 * made),
        ("second", "judge", 6 * made),
    ):
        calls, prompt, completion = spent(tmp_path / "run", name)
        one = planned[f"{name} {role}"]
        assert ends(one.calls) == (calls, calls) == (count, count)
        low, high = ends(one.prompt_tokens)
        assert low <= prompt <= high
        assert prompt == {1: low, 7: high}.get(says, prompt)
        if role == "generator":
            assert low == high
            assert ends(one.completion_tokens) == (9, 63)
            assert completion == 9 * says
        else:
            assert high - low == count * 2 * 6  # two responses of seven words instead of one


@pytest.mark.parametrize("says", [1, 5])
@pytest.mark.parametrize("principles", ["all", "sampled"])
def test_the_revise_loop_reaches_both_bounds(
    says: int, principles: str, words: Any, write_rows: Write, tmp_path: Path
) -> None:
    """With free critiques every round is done, whatever is said, so a run can reach either end."""
    speaker = {"use": "words", "says": says, "max_tokens": 5}
    stage = {
        "stage": "revise",
        "generator": {**speaker, "name": "policy"},
        "critic": {**speaker, "name": "critic", "mode": "free"},
        "reviser": {**speaker, "name": "reviser"},
        "rounds": 2,
        "principles": principles,
    }
    wanted = recipe(write_rows("why is that", "hm"), stage)
    planned = roles(plan(wanted, words))
    run(wanted, tmp_path / "run", words)
    end = says > 1
    asked = {"policy generator": 2, "critic critic": 8 if principles == "all" else 4, "reviser reviser": 4}
    for name, count in asked.items():
        calls, prompt, completion = spent(tmp_path / "run", name.split()[0])
        assert ends(planned[name].calls) == (count, count)
        assert (calls, completion) == (count, ends(planned[name].completion_tokens)[end])
        assert prompt == ends(planned[name].prompt_tokens)[end]


def test_evaluation_asks_what_was_planned_of_every_policy(
    words: Any, write_rows: Write, tmp_path: Path
) -> None:
    policy = {"use": "words", "name": "policy", "choices": True, "says": 9}
    stage = {
        "stage": "evaluate",
        "policies": {"base": "base", "other": {**policy, "name": "other", "version": 1}},
        "scorers": [{"use": "words", "name": "scorer", "choices": True}, "length"],
        "samples": 2,
        "sampling": {"max_tokens": 9},
        "kl_to": "base",
    }
    wanted = recipe(write_rows("why", "what is it"), stage, policy=policy)
    planned = plan(wanted, words)
    found = roles(planned)
    run(wanted, tmp_path / "run", words)
    by_policy = ("generator", "kl")
    for name, asked in (("policy", by_policy), ("other", by_policy), ("scorer", ("scorer",))):
        calls, prompt, _ = spent(tmp_path / "run", name)
        rows = [found[f"{name} {role}"] for role in asked]
        assert sum(one.calls.high for one in rows) == calls
        assert sum(ends(one.prompt_tokens)[1] for one in rows) == prompt
    assert ends(found["policy kl"].calls) == (4, 4)
    assert ends(found["length scorer"].calls) == (8, 8)
    assert planned.stages[0].comparisons == 0
    assert planned.labelling is None


# --- by hand -----------------------------------------------------------------------------------------


def test_calls_of_the_whole_loop(words: Any, write_rows: Write) -> None:
    revise = {"stage": "revise", "generator": "echo", "critic": "rules", "reviser": "append", "rounds": 2}
    compare = {**COMPARE, "samples": 4, "judges": ["constant"]}
    evaluate = {"stage": "evaluate", "scorers": ["length"], "policies": {"chat": "policy"}}
    planned = plan(recipe(write_rows("p", "q"), revise, compare, evaluate), words)
    assert [{name: ends(one.calls) for name, one in roles(planned, n).items()} for n in range(3)] == [
        {"echo generator": (2, 2), "rules critic": (2, 4), "append reviser": (0, 4)},
        {"policy generator": (8, 8), "constant judge": (24, 24)},
        {"policy generator": (2, 2), "length scorer": (2, 2)},
    ]
    assert ends(planned.total.calls) == (40, 46)
    assert [stage.comparisons for stage in planned.stages] == [0, 12, 0]


def test_the_papers_form_asks_again_only_about_another_principle_while_nothing_is_revised(
    words: Any, write_rows: Write
) -> None:
    stage = {"stage": "revise", "generator": "echo", "critic": "rules", "reviser": "append", "rounds": 3}
    prompts = [f"p{number}" for number in range(8)]
    found = roles(plan(recipe(write_rows(*prompts), {**stage, "principles": "sampled"}), words))
    constitution = Constitution.of(PRINCIPLES)
    drawn = {
        (prompt, constitution.sample(f"0:{Prompt.of(prompt).id}:{number}").name)
        for prompt in prompts
        for number in (1, 2, 3)
    }
    assert 8 < len(drawn) < 24
    assert ends(found["rules critic"].calls) == (len(drawn), 24)
    assert ends(found["append reviser"].calls) == (0, 24)


def test_a_filter_may_leave_nothing_to_the_judges_and_its_critic_sees_every_response_once(
    words: Any, write_rows: Write
) -> None:
    firm = {"name": "firm", "principles": [{"name": "f", "description": "Be firm.", "hard": True}]}
    critic = {"use": "mute", "name": "critic", "max_tokens": 30}
    stage = {**COMPARE, "judges": [{"use": "mute", "name": "judge"}], "critic": critic}
    stage |= {"aggregate": ["constitution-filter", "majority"]}
    found = roles(plan(recipe(write_rows("p", "q"), stage, constitution=firm), words))
    assert ends(found["judge judge"].calls) == (0, 12)
    assert ends(found["critic critic"].calls) == (6, 6)  # three responses, each in two of three pairs
    assert ends(found["critic critic"].completion_tokens) == (6, 180)


def test_reasoning_before_a_choice_takes_two_calls_and_is_part_of_the_second(
    words: Any, write_rows: Write
) -> None:
    judge = {"use": "mute", "choices": True, "labels": "logprobs", "max_tokens": 40, "name": "judge"}
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": [{**judge, "chain_of_thought": True}]}
    (one,) = roles(plan(recipe(write_rows("p"), stage), words)).values()
    assert ends(one.calls) == (12, 12)
    assert ends(one.completion_tokens) == (12, 12 * 40)
    low, high = ends(one.prompt_tokens)
    assert high - low == 6 * 39


@pytest.mark.parametrize("name", ["untokenized", "broken"])
def test_without_a_tokenizer_tokens_are_estimated_and_the_plan_says_so(
    name: str, words: Any, write_rows: Write
) -> None:
    prompts = ["why is the sky blue?", "为什么天空是蓝色的?"]
    generator = {"use": name, "name": "speaker"}
    stage = {**COMPARE, "generator": generator, "judges": ["constant"], "sampling": {"max_tokens": 7}}
    one = roles(plan(recipe(write_rows(*prompts), stage), words))["speaker generator"]
    assert one.counted == "estimate"
    assert ends(one.prompt_tokens) == (3 * (5 + 10), 3 * (5 + 10))
    assert estimate_tokens(()) == 0


def test_tokens_of_answers_are_counted_as_tokens_where_they_are_quoted(words: Any, write_rows: Write) -> None:
    scorer = {"use": "untokenized", "name": "scorer", "template": "{response}"}
    stage = {"stage": "evaluate", "scorers": [scorer], "sampling": {"max_tokens": 300}}
    found = roles(plan(recipe(write_rows("p"), stage), words))
    assert ends(found["scorer scorer"].prompt_tokens) == (1, 300)


def test_long_files_are_sampled_and_scaled_up(words: Any, write_rows: Write) -> None:
    lengths = [1 + n % 7 for n in range(2300)]
    path = write_rows(*(f"{n} " + "x " * length for n, length in enumerate(lengths)))
    stage = {**COMPARE, "generator": {"use": "mute", "name": "g"}, "judges": [{"use": "mute", "name": "j"}]}
    planned = plan(recipe(path, {**stage, "samples": 2}), words)
    found = roles(planned)
    assert (planned.stages[0].items, planned.stages[0].rehearsed) == (2300, 1000)
    assert ends(found["g generator"].calls) == (4600, 4600)
    assert ends(found["j judge"].calls) == (4600, 4600)
    exact = 2 * sum(1 + length for length in lengths)
    assert ends(found["g generator"].prompt_tokens)[0] == pytest.approx(exact, rel=0.005)
    assert planned.stages[0].comparisons == 2300


def test_a_thousand_rows_are_all_counted(words: Any, write_rows: Write) -> None:
    path = write_rows(*(f"{n}" + " x" * (n % 11) for n in range(1000)))
    stage = {**COMPARE, "generator": {"use": "mute", "name": "g"}, "judges": ["constant"], "samples": 2}
    planned = plan(recipe(path, stage), words)
    assert planned.stages[0].rehearsed == 1000
    exact = 2 * sum(1 + n % 11 for n in range(1000))
    assert ends(roles(planned)["g generator"].prompt_tokens) == (exact, exact)


# --- prices ------------------------------------------------------------------------------------------


def one_judge(write_rows: Write, judge: dict[str, Any], rows: int = 1, **settings: Any) -> Recipe:
    """A recipe in which one judge labels some pairs, in both orders where nothing else is said."""
    stage = {"stage": "compare", "pairs": pairs(write_rows, rows), "judges": [{"name": "judge", **judge}]}
    return recipe(write_rows("unused"), {**stage, **settings.pop("stage", {})}, **settings)


def test_the_cost_of_an_example_in_the_rlaif_paper(words: Any, write_rows: Write) -> None:
    """arXiv 2309.00267, appendix L: both orders, 830 tokens in and 61 out, $0.03 and $0.06 a thousand."""
    judge = {"use": "mute", "tokens": 830, "max_tokens": 61, "price": {"input": 30, "output": 60}}
    planned = plan(one_judge(write_rows, judge), words)
    assert planned.total.cost.usd.high == pytest.approx(2 * (830 * 0.03 + 61 * 0.06) / 1000)
    assert planned.total.cost.usd.high == pytest.approx(0.05712)


def test_fifty_thousand_pairs_by_ai_and_by_people() -> None:
    """500 tokens a pair at $0.03 a thousand, against two minutes of a person at $30 an hour."""
    ai = Cost.of(Price(input=30, output=30), Bounds.of(50_000 * 400), Bounds.of(50_000 * 100))
    assert ends(ai.usd) == pytest.approx((750, 750))
    people, machine, both = Labelling.of(50_000, ai.usd, Human()).scenarios
    assert (round(people.hours), ends(people.usd)) == (1667, pytest.approx((50_000, 50_000)))
    assert (machine.hours, ends(machine.usd)) == (0, pytest.approx((750, 750)))
    assert (both.hours, ends(both.usd)) == (pytest.approx(166.67, abs=0.01), pytest.approx((5750, 5750)))


def test_the_same_through_a_recipe_of_a_thousandth(words: Any, write_rows: Write) -> None:
    judge = {"use": "mute", "tokens": 400, "max_tokens": 100, "price": {"input": 30, "output": 30}}
    wanted = one_judge(write_rows, judge, rows=50, stage={"orders": "one"})
    labelling = plan(wanted, words).labelling
    assert labelling is not None
    assert labelling.comparisons == 50
    assert [one.usd.high for one in labelling.scenarios] == pytest.approx([50, 0.75, 5.75])
    changed = wanted.model_copy(update={"human": Human(usd_per_hour=12, minutes_per_item=5, check=0.5)})
    labelling = plan(changed, words).labelling
    assert labelling is not None
    assert [one.usd.high for one in labelling.scenarios] == pytest.approx([50, 0.75, 25.75])
    assert [one.hours for one in labelling.scenarios] == pytest.approx([50 / 12, 0, 50 / 24])


def test_what_the_compared_responses_cost_is_no_part_of_the_labels(words: Any, write_rows: Write) -> None:
    judge = {"use": "mute", "name": "j", "tokens": 100, "max_tokens": 1, "price": {"input": 5, "output": 0}}
    generator = {"use": "mute", "name": "g", "price": {"input": 1000, "output": 1000}}
    stage = {**COMPARE, "samples": 2, "generator": generator, "judges": [judge]}
    planned = plan(recipe(write_rows("p"), stage), words)
    assert planned.labelling is not None
    expected = 2 * (100 + 2) * 5e-6, 2 * (100 + 14) * 5e-6  # two orders, each with two responses
    assert ends(planned.labelling.scenarios[1].usd) == pytest.approx(expected)
    assert planned.total.cost.usd.low > 0.004


@pytest.mark.parametrize(("batch", "share"), [(None, 1.0), (True, 0.5)])
def test_batches_are_priced_beside_single_calls(
    batch: bool | None, share: float, words: Any, write_rows: Write
) -> None:
    judge: dict[str, Any] = {"use": "batch", "tokens": 1000, "max_tokens": 100}
    judge |= {"price": {"input": 1, "output": 10, "batch": 0.5}, "batch": batch}
    planned = plan(one_judge(write_rows, judge), words)
    (one,) = roles(planned).values()
    assert one.cost is not None
    assert ends(one.cost.online) == pytest.approx((2 * (1000 + 10) * 1e-6, 2 * (1000 + 1000) * 1e-6))
    assert ends(one.cost.batches) == pytest.approx((1010e-6, 2000e-6))
    assert one.cost.usd.high == pytest.approx(share * 4000e-6)
    assert planned.total.cost.usd == one.cost.usd
    assert (one.batched, one.seconds is None) == (bool(batch), bool(batch))


def test_a_price_without_batches_and_a_model_without_them_have_no_price_of_batches(
    words: Any, write_rows: Write
) -> None:
    for judge in (
        {"use": "batch", "price": {"input": 1, "output": 1}},
        {"use": "mute", "price": {"input": 1, "output": 1, "batch": 0.5}},
    ):
        (one,) = roles(plan(one_judge(write_rows, judge), words)).values()
        assert one.cost is not None
        assert one.cost.batches is None


def test_an_unknown_price_is_named_and_left_out_of_the_sums(words: Any, write_rows: Write) -> None:
    judges = [
        {"use": "mute", "name": "known", "tokens": 100, "max_tokens": 10, "price": {"input": 1, "output": 1}},
        {"use": "mute", "name": "dark", "price": None},
        "constant",
    ]
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": judges}
    planned = plan(recipe(write_rows("p"), stage), words)
    assert planned.total.unpriced == ("dark", "constant")
    assert planned.total.uncounted == ("constant",)
    assert planned.total.cost.usd.high == pytest.approx(6 * 110e-6)
    assert planned.labelling is not None
    assert planned.labelling.unpriced == ("dark", "constant")
    assert ends(roles(planned)["dark judge"].calls) == (6, 6)


@pytest.mark.parametrize(
    ("budget", "verdict"),
    [
        ({"usd": 0.00405}, "fits"),
        ({"usd": 0.0039}, "may not fit"),
        ({"usd": 0.0019}, "does not fit"),
        ({"tokens": 2200}, "fits"),
        ({"tokens": 2199}, "may not fit"),
        ({"tokens": 2001}, "does not fit"),
    ],
)
def test_the_plan_says_whether_the_run_stays_under_its_caps(
    budget: dict[str, float], verdict: str, words: Any, write_rows: Write
) -> None:
    judge = {"use": "mute", "tokens": 1000, "max_tokens": 100, "price": {"input": 1, "output": 10}}
    (cap,) = plan(one_judge(write_rows, judge, budget=budget), words).budget
    assert cap.verdict == verdict


def test_caps_that_nobody_can_be_sure_of(words: Any, write_rows: Write) -> None:
    budget = {"usd": 1, "tokens": 10**9}
    verdicts = {
        name: [cap.verdict for cap in plan(one_judge(write_rows, judge, budget=budget), words).budget]
        for name, judge in {"dark": {"use": "mute", "price": None}, "own": {"use": "constant"}}.items()
    }
    assert verdicts == {"dark": ["refused", "fits"], "own": ["not known", "not known"]}


@pytest.mark.parametrize("how", ["recipe", "argument"])
def test_a_cap_in_dollars_on_models_without_a_price_is_refused_before_anything_is_spent(
    how: str, words: Any, write_rows: Write, tmp_path: Path
) -> None:
    dark: dict[str, Any] = {"use": "mute", "price": None}
    judges = [{**dark, "name": "one"}, {"use": "words", "name": "two"}, {**dark, "name": "three"}]
    stage = {**COMPARE, "generator": "policy", "judges": judges}
    policy = {**dark, "name": "policy"}
    wanted = recipe(write_rows("p"), stage, policy=policy, budget={"usd": 5} if how == "recipe" else {})
    with pytest.raises(UsageError, match=r"a cap of \$5 cannot be held: 3 faults") as caught:
        run(wanted, tmp_path / "run", words, max_usd=None if how == "recipe" else 5)
    text = str(caught.value)
    for part in (
        "stages.compare.generator: the price of 'policy' is not known",
        "stages.compare.judges.0: the price of 'one'",
        "stages.compare.judges.2: the price of 'three'",
        "price: {input: …, output: …}",
        "--max-tokens",
    ):
        assert part in text
    assert not (tmp_path / "run").exists()
    assert WordModel.asked == []


def test_a_cap_in_tokens_needs_no_price(words: Any, write_rows: Write, tmp_path: Path) -> None:
    judge = {"use": "words", "price": None, "choices": True}
    done = run(one_judge(write_rows, judge, budget={"tokens": 10**6}), tmp_path / "run", words)
    assert done.stages[0].summary["comparisons"] == 1


# --- time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"concurrency": 4}, (5, 50)),
        ({"concurrency": 4, "requests_per_minute": 60}, (20, 50)),
        ({"concurrency": 4, "requests_per_minute": 12}, (100, 100)),
        ({"concurrency": 4, "tokens_per_minute": 20_000}, (60.06, 66)),
        ({"concurrency": 100}, (1, 10)),
    ],
)
def test_time_follows_from_the_limits(
    limits: dict[str, int], seconds: tuple[float, float], words: Any, write_rows: Write
) -> None:
    judge = {"use": "mute", "tokens": 1000, "max_tokens": 100, "limits": limits}
    planned = plan(one_judge(write_rows, judge, rows=10), words)
    (one,) = roles(planned).values()
    assert ends(one.seconds) == pytest.approx(seconds)
    assert ends(planned.total.seconds) == pytest.approx(seconds)


def test_of_local_models_and_free_components_no_time_and_no_money_is_known_or_needed(
    words: Any, write_rows: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedChatModel, "price", lambda self: FREE)
    judges = [{"use": "chat", "name": "local"}]
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": judges}
    evaluate = {"stage": "evaluate", "scorers": ["length"], "policies": {"chat": {"use": "chat"}}}
    planned = plan(recipe(write_rows("p"), stage, evaluate), words)
    local, length = roles(planned)["local judge"], roles(planned, 1)["length scorer"]
    assert local.cost is not None
    assert ends(local.cost.usd) == (0, 0)
    assert local.seconds is None
    assert ends(local.prompt_tokens)[0] > 100
    assert length.cost is not None
    assert (ends(length.cost.usd), ends(length.seconds), ends(length.prompt_tokens)) == ((0, 0),) * 3
    assert planned.total.untimed == ("local", "chat")


def test_stages_follow_each_other_and_components_of_one_work_side_by_side(
    words: Any, write_rows: Write
) -> None:
    judges = [
        {"use": "mute", "name": name, "version": n, "limits": {"concurrency": n}}
        for name, n in (("a", 1), ("b", 2))
    ]
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": judges}
    planned = plan(recipe(write_rows("p"), {**stage, "name": "x"}, {**stage, "name": "y"}), words)
    assert ends(planned.stages[0].seconds) == (6, 90)
    assert ends(planned.total.seconds) == (12, 180)


# --- and nothing else --------------------------------------------------------------------------------


def test_a_plan_can_be_written_and_read(words: Any, write_rows: Write) -> None:
    planned = plan(one_judge(write_rows, {"use": "mute"}, budget={"usd": 1}), words)
    assert Plan.model_validate_json(planned.model_dump_json()) == planned


def test_equal_calls_of_judges_that_differ_in_name_alone_are_made_once_and_told(
    words: Any, write_rows: Write, tmp_path: Path
) -> None:
    one, two = ({"use": "words", "name": name, "choices": True} for name in ("one", "two"))
    other = {**one, "name": "other", "version": 1}
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": [one, two, other]}
    wanted = recipe(write_rows("p"), stage)
    planned = plan(wanted, words)
    run(wanted, tmp_path / "run", words)
    totals = json.loads((tmp_path / "run/run.json").read_text())["totals"]
    assert {name: total["calls"] for name, total in totals.items()} == {"one": 6, "other": 6}
    assert [ends(each.calls) for each in planned.stages[0].components] == [(6, 6), (0, 0), (6, 6)]
    assert planned.notices == (
        (
            "compare",
            "judges 'one' and 'two' ask the same: their votes are one opinion; give them other settings, or "
            "'repeat' one of them",
        ),
    )
    warm = {**one, "temperature": 1.0}
    judges = [warm, {"use": "repeat", "name": "two", "judge": warm}]
    assert plan(recipe(write_rows("p"), {**stage, "judges": judges}), words).notices == ()


def test_a_judge_that_an_artifact_is_may_become_another(words: Any, write_rows: Write) -> None:
    words.offer("chat_model", "trained", f"{__name__}:TrainableModel")
    policy = {"use": "trained", "model": "m"}
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": [{**policy, "name": "now"}, "policy"]}
    train = {"stage": "train", "trainer": "memory"}
    revise = {"stage": "revise", "generator": "policy", "critic": "rules", "reviser": "append"}
    planned = plan(recipe(write_rows("p"), revise, train, stage, policy=policy), words)
    assert [ends(one.calls) for one in planned.stages[2].components] == [(6, 6), (6, 6)]
    assert planned.notices == ()


def test_policies_of_the_same_settings_are_planned_each(words: Any, write_rows: Write) -> None:
    """After a training they are different models, and the plan is made before."""
    stage = {"stage": "evaluate", "scorers": ["length"], "policies": {"a": "policy", "b": "base"}}
    (one, _) = roles(plan(recipe(write_rows("p", "q"), stage), words)).values()
    assert ends(one.calls) == (4, 4)
    assert one.where == ("stages.evaluate.policies.a", "stages.evaluate.policies.b")


def test_a_stage_before_a_training_asks_the_policy_of_that_time(words: Any, write_rows: Write) -> None:
    words.offer("chat_model", "trained", f"{__name__}:TrainableModel")
    stages = (
        {"stage": "revise", "generator": "policy", "critic": "rules", "reviser": "append"},
        {"stage": "train", "trainer": "memory", "model": {"use": "trained", "model": "m"}},
        {"stage": "evaluate", "scorers": ["length"]},
    )
    planned = plan(recipe(write_rows("p"), *stages), words)
    asked = [
        [one.component for one in stage.components if one.role == "generator"] for stage in planned.stages
    ]
    assert asked == [["policy"], [], ["trained"]]
    assert planned.stages[1].trainer == "memory"


class TrainableOptions(WordOptions):
    model: str


class TrainableModel(SilentModel):
    """Can be trained."""

    Options = TrainableOptions


class OpenModel(SilentModel):
    """Counts how many of it there are and how many were closed."""

    count: ClassVar[Counter[str]] = Counter()

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.count["made"] += 1

    async def close(self) -> None:
        self.count["closed"] += 1


def test_models_are_built_once_and_closed(words: Any, write_rows: Write) -> None:
    OpenModel.count.clear()
    words.offer("chat_model", "open", f"{__name__}:OpenModel")
    judges: Sequence[Any] = [{"use": "open", "name": name} for name in ("a", "b")]
    stage = {"stage": "compare", "pairs": pairs(write_rows), "judges": judges}
    plan(recipe(write_rows("p"), stage), words)
    assert OpenModel.count == {"made": 1, "closed": 1}


class SymmetricOptions(Options):
    strength: float = Field(default=0.5)


class SymmetricJudge(ConstantJudge):
    """Does not care for the order."""

    Options = SymmetricOptions
    capabilities = frozenset({"symmetric"})


def test_a_symmetric_judge_is_asked_once(words: Any, write_rows: Write) -> None:
    words.offer("judge", "even", f"{__name__}:SymmetricJudge")
    (one,) = roles(plan(one_judge(write_rows, {"use": "even"}, rows=3), words)).values()
    assert ends(one.calls) == (3, 3)
