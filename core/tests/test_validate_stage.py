"""The stage that measures a jury: what is asked, written, learnt, handed on, and what ends the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pluggy
import pytest
from pydantic import Field

from jurist import hookspecs
from jurist.aggregators.aggregation import Aggregation, measured_beside
from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import Aggregator, ChatModel, Judge, LearntAggregator
from jurist.errors import ContractError, GateStop, UsageError
from jurist.events import Events
from jurist.hookspecs import hookimpl
from jurist.intervals import estimate
from jurist.options import Options
from jurist.planning.planner import plan
from jurist.preflight import check
from jurist.prices import FREE, Price
from jurist.recipe import Recipe
from jurist.records import (
    Abstention,
    Comparison,
    Decision,
    Failure,
    JudgeOutcome,
    Judgment,
    Usage,
    content_id,
)
from jurist.run import run
from jurist.selection import versions_of
from jurist.validation.labelled import LabelledItem, load_labelled
from jurist.validation.measurement import validate
from jurist.validation.result import Thresholds, Validation

Write = Callable[..., str]
Rows = Callable[[Path], list[Any]]

PAIRS = {"stage": "compare", "orders": "one", "principles": "none"}


class KnowingOptions(Options):
    """P(A is better) is ``sure`` where "good" stands in A alone; wrong on prompts with one of ``traps``."""

    sure: float = Field(default=0.9, ge=0, le=1)
    traps: tuple[str, ...] = ()
    bias: float = 0.0


class Knowing(Judge):
    """A judge that knows the label; ``bias`` is added for what is shown first."""

    Options = KnowingOptions
    options: KnowingOptions
    asked = 0

    async def judge(self, comparison: Comparison, principles: Sequence[Any]) -> JudgeOutcome:
        Knowing.asked += 1
        question = comparison.prompt.messages[-1].content
        if "silent" in question:
            return Abstention(reason="refused")
        if "broken" in question:
            return Failure(error="out of order")
        right = "good" in comparison.response_a.text
        trapped = any(trap in question for trap in self.options.traps)
        preference = self.options.sure if right != trapped else 1 - self.options.sure
        return Judgment(preference=min(1.0, max(0.0, preference + self.options.bias)), usage=Usage(usd=0.001))


class MoodyOptions(Options):
    """``mood``: a file with the preference for what is shown first."""

    mood: str


class Moody(Judge):
    """A judge whose mind is in a file, as that of a provider's model is elsewhere."""

    Options = MoodyOptions
    options: MoodyOptions
    capabilities = frozenset({"symmetric"})

    def identity(self) -> Any:
        return "always the same"

    async def judge(self, comparison: Comparison, principles: Sequence[Any]) -> JudgeOutcome:
        right = "good" in comparison.response_a.text
        sure = float(Path(self.options.mood.removeprefix("at ")).read_text())
        return Judgment(preference=sure if right else 1 - sure)


class TunedOptions(Options):
    """``model``: the checkpoint."""

    model: str


class Tuned(ChatModel):
    """A chat model that can be trained."""

    Options = TunedOptions

    async def complete(self, request: ChatRequest) -> ChatReply:
        return ChatReply(text="Yes.")


class Priced(Tuned):
    """One whose calls cost nothing."""

    def price(self) -> Price:
        return FREE


class Literal(Judge):
    """A judge whose verdicts hang on the names of the principles it is given."""

    capabilities = frozenset({"symmetric"})

    async def judge(self, comparison: Comparison, principles: Sequence[Any]) -> JudgeOutcome:
        names = [principle.name for principle in principles]
        drawn = int(content_id(names, comparison.prompt.id), 16) % 2
        return Judgment(preference=0.9 if drawn else 0.1)


class FlagOptions(Options):
    """``model`` is where it was saved."""

    model: str | None = None
    weight: float = 1.0


class Flag(LearntAggregator):
    """Learns who is wrong more often than right, and turns those round; refuses judges it does not know."""

    Options = FlagOptions
    options: FlagOptions

    def __init__(self, options: FlagOptions) -> None:
        super().__init__(options)
        self.learnt: dict[str, Any] | None = None
        if options.model is not None:
            self.learnt = json.loads((Path(options.model) / "flag.json").read_text())

    def fit(self, items: Sequence[LabelledItem]) -> None:
        right: dict[str, list[bool]] = {}
        for item in items:
            for outcome in item.outcomes:
                if isinstance(outcome, Judgment):
                    right.setdefault(outcome.source, []).append(
                        (outcome.preference > 0.5) == (item.label == "A")
                    )
        self.learnt = {
            "fitted_on": sorted(item.item for item in items),
            "wrong": sorted(name for name, said in right.items() if sum(said) * 2 < len(said)),
            "versions": {vote.judge: vote.version for item in items for vote in item.votes},
        }

    def save(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "flag.json").write_text(json.dumps(self.learnt))

    def check_judges(self, versions: Mapping[str, str]) -> None:
        assert self.learnt is not None
        if versions != self.learnt["versions"]:
            raise UsageError("it was learnt from other judges")

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        assert self.learnt is not None
        if comparison.prompt.messages[0].content in self.learnt["fitted_on"]:
            raise AssertionError("it is measured on what it was fitted on")
        said = [o for o in outcomes if isinstance(o, Judgment)]
        if not said:
            return Decision(status="undecided", reason="no_votes")
        turned = [1 - o.preference if o.source in self.learnt["wrong"] else o.preference for o in said]
        return Decision(status="decided", probability=sum(turned) / len(turned))


class Measure:
    """Measures the share of right labels, with two folds for what learns; ties are wrong."""

    calls: list[dict[str, Any]]

    def __init__(self) -> None:
        self.calls = []

    @hookimpl
    def jurist_validation(
        self,
        items: Sequence[LabelledItem],
        aggregators: Mapping[str, Callable[[], Aggregator]],
        subject: str,
        thresholds: Thresholds,
        seed: int,
    ) -> Validation:
        self.calls.append({"items": list(items), "names": list(aggregators), "seed": seed})
        shares = {name: self._right(make, items) for name, make in aggregators.items()}
        for judge in {vote.judge for item in items for vote in item.votes}:
            outcomes = [next((o for o in i.outcomes if o.source == judge), None) for i in items]
            shares[judge] = [
                isinstance(o, Judgment) and o.preference != 0.5 and (o.preference > 0.5) == (i.label == "A")
                for o, i in zip(outcomes, items, strict=True)
            ]
        accuracy = estimate([float(right) for right in shares[subject]])
        word = "trust" if accuracy.mean >= thresholds.trust else "warn"
        return Validation(
            recommendation=word if accuracy.mean >= thresholds.warn else "distrust",
            reason=f"{accuracy.mean:.2f} of the labels of {subject} are right",
            subject=subject,
            accuracy=accuracy,
            text="\n".join(f"{name}: {sum(right) / len(right):.3f}" for name, right in shares.items()),
            report={name: sum(right) / len(right) for name, right in shares.items()},
        )

    def _right(self, make: Callable[[], Aggregator], items: Sequence[LabelledItem]) -> list[bool]:
        right: list[bool] = []
        for fold in (0, 1):
            aggregator = make()
            if isinstance(aggregator, LearntAggregator):
                aggregator.fit(items[1 - fold :: 2])
            for item in items[fold::2]:
                decided = aggregator.decide(item.comparison, item.outcomes).probability
                right.append(
                    decided is not None and decided != 0.5 and (decided > 0.5) == (item.label == "A")
                )
        return right


@pytest.fixture
def measure() -> Measure:
    return Measure()


@pytest.fixture
def offered(source: Any, measure: Measure) -> Any:
    """The source with a judge, an aggregator that learns, and a plugin that measures."""
    source.offer("judge", "knowing", f"{__name__}:Knowing")
    source.offer("judge", "moody", f"{__name__}:Moody")
    source.offer("chat_model", "tuned", f"{__name__}:Tuned")
    source.offer("aggregator", "flag", f"{__name__}:Flag")
    manager = pluggy.PluginManager("jurist")
    manager.add_hookspecs(hookspecs)
    manager.register(measure)
    source.hooks = manager.hook
    return source


@pytest.fixture
def labelled(write_rows: Write) -> str:
    """Twenty items, every second one labelled B; two have a trap."""
    return write_rows(*items(20), name="labelled.jsonl")


def items(count: int) -> Iterable[dict[str, Any]]:
    for number in range(count):
        texts = (f"good {number}", f"bad {number}")
        first, second = texts if number % 2 == 0 else texts[::-1]
        yield {
            "item": f"{'trap ' if number in (3, 8) else ''}{number}?",
            "label": "AB"[number % 2],
            "prompt": f"{'trap ' if number in (3, 8) else ''}{number}?",
            "response_a": first,
            "response_b": second,
            "tags": ["odd"] if number % 2 else [],
        }


def validation(labelled: str, *more: dict[str, Any], **settings: Any) -> Recipe:
    stage = {"stage": "validate", "labelled": labelled, "judges": ["knowing"], "principles": "none"}
    return Recipe.of({"stages": [{**stage, **settings}, *more]})


def test_every_verdict_is_written_measured_and_told(
    offered: Any, measure: Measure, labelled: str, rows: Rows, tmp_path: Path
) -> None:
    judges = [{"use": "knowing", "traps": ["trap"]}, {"use": "knowing", "name": "leaning", "bias": 0.9}]
    notices: list[tuple[str, str]] = []

    class Watch(Events):
        def notice(self, component: str, text: str) -> None:
            notices.append((component, text))

    recipe = validation(labelled, judges=judges, aggregate=["confidence"])
    done = run(recipe, tmp_path / "run", offered, events=Watch())
    folder = done.stages[0].folder
    verdicts = rows(folder / "verdicts.jsonl")
    assert [row["item"] for row in verdicts] == [row["item"] for row in items(20)]
    right, wrong = verdicts[0], verdicts[3]
    assert [(v["judge"], v["order"], v["verdict"]) for v in right["votes"]] == [
        *(("knowing", "ab", "A"), ("knowing", "ba", "A")),
        *(("leaning", "ab", "A"), ("leaning", "ba", "B")),
    ]
    assert [v["verdict"] for v in wrong["votes"]][:2] == ["A", "A"]
    asked = "both orders, average; no principles"
    versions = {name: f"{version}: {asked}" for name, version in versions_of(judges, offered).items()}
    assert {(v["judge"], v["version"], v["usd"]) for row in verdicts for v in row["votes"]} == {
        (name, version, 0.001) for name, version in versions.items()
    }
    assert measure.calls[0]["items"] == load_labelled(folder / "verdicts.jsonl")
    assert measure.calls[0]["names"] == ["confidence", "majority"]
    summary = done.stages[0].summary
    assert (summary["items"], summary["recommendation"], summary["subject"]) == (20, "trust", "confidence")
    assert summary["accuracy"]["mean"] == 0.9
    assert summary["judges"]["leaning"]["flips"] == 20
    assert notices == [("validate", "trust: 0.90 of the labels of confidence are right")]
    assert "leaning: 0.000" in (folder / "validation.txt").read_text()
    assert json.loads((folder / "validation.json").read_text())["report"]["knowing"] == 0.9


@pytest.mark.parametrize("on_flip", ["average", "abstain"])
def test_recorded_verdicts_give_the_same_numbers_as_the_judges_did(
    on_flip: str, offered: Any, labelled: str, tmp_path: Path
) -> None:
    judges = [{"use": "knowing", "traps": ["trap"]}, {"use": "knowing", "name": "leaning", "bias": 0.45}]
    recipe = validation(labelled, judges=judges, on_flip=on_flip, aggregate=["confidence"])
    folder = run(recipe, tmp_path / "run", offered).stages[0].folder
    live = Validation.model_validate_json((folder / "validation.json").read_text())
    jury = Aggregation.of(["confidence"], offered)
    recorded = validate(
        load_labelled(folder / "verdicts.jsonl"), measured_beside(jury, offered), offered, seed=0
    )
    assert recorded == live
    assert recorded.report["leaning"] == (1.0 if on_flip == "average" else 0.0)


def test_a_jury_that_is_not_good_enough_ends_the_run_before_it_trains_and_again_when_it_is_repeated(
    offered: Any, labelled: str, tmp_path: Path
) -> None:
    recipe = Recipe.of(
        {
            "prompts": labelled,
            "policy": {"use": "tuned", "model": "base"},
            "stages": [
                {
                    "stage": "validate",
                    "labelled": labelled,
                    "judges": [{"use": "knowing", "traps": ["trap", "1"]}],
                    "require": "trust",
                },
                {"stage": "revise", "generator": "echo", "critic": "rules", "reviser": "append"},
                {"stage": "train", "trainer": "memory"},
            ],
        }
    )
    with pytest.raises(GateStop) as stop:
        run(recipe, tmp_path / "run", offered)
    assert stop.value.exit_code == 4
    assert "'majority' is not good enough: the recommendation is 'distrust'" in str(stop.value)
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "gate"
    assert [path.name for path in (tmp_path / "run/stages").iterdir()] == ["01-validate"]
    asked = Knowing.asked
    with pytest.raises(GateStop):
        run(recipe, tmp_path / "run", offered)
    assert Knowing.asked == asked


@pytest.mark.parametrize(
    ("thresholds", "require", "ends"),
    [
        ({"warn": 0.5, "trust": 0.95}, "warn", False),
        ({"warn": 0.5, "trust": 0.95}, "trust", True),
        ({"warn": 0.95, "trust": 0.99}, "warn", True),
        ({"warn": 0.95, "trust": 0.99}, "none", False),
    ],
)
def test_thresholds_and_what_is_required_make_the_gate(
    thresholds: Any, require: str, ends: bool, offered: Any, labelled: str, tmp_path: Path
) -> None:
    judges = [{"use": "knowing", "traps": ["trap"]}]
    recipe = validation(labelled, judges=judges, thresholds=thresholds, require=require)
    if ends:
        with pytest.raises(GateStop):
            run(recipe, tmp_path / "run", offered)
    else:
        run(recipe, tmp_path / "run", offered)


def test_a_stopped_stage_asks_no_judge_again(offered: Any, labelled: str, tmp_path: Path) -> None:
    Knowing.asked = 0

    class Stop(Events):
        def stage_finished(self, stage: str, summary: dict[str, object], skipped: bool) -> None:
            raise KeyError(stage)

        def outcome(self, stage: str, outcome: str) -> None:
            if Knowing.asked > 20:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        run(validation(labelled), tmp_path / "run", offered, events=Stop())
    run(validation(labelled), tmp_path / "run", offered)
    assert Knowing.asked == 40


def test_a_learnt_jury_is_measured_on_other_items_saved_and_handed_to_a_compare_stage(
    offered: Any, measure: Measure, write_rows: Write, labelled: str, rows: Rows, tmp_path: Path
) -> None:
    judges = [{"use": "knowing", "name": "liar", "sure": 0.1}]
    pairs = write_rows({"prompt": "new?", "response_a": "good", "response_b": "bad"}, name="pairs.jsonl")
    compare = {**PAIRS, "pairs": pairs, "judges": judges, "aggregate": ["jury"]}
    recipe = validation(labelled, compare, judges=judges, aggregate=["flag"], orders="one")
    done = run(recipe, tmp_path / "run", offered)
    assert measure.calls[0]["names"] == ["flag", "majority", "confidence"]
    assert done.stages[0].summary["accuracy"]["mean"] == 1.0
    saved = json.loads((done.stages[0].folder / "jury/flag.json").read_text())
    assert (saved["wrong"], len(saved["fitted_on"])) == (["liar"], 20)
    (judged,) = rows(done.stages[1].folder / "judgments.jsonl")
    assert judged["decision"]["probability"] == 0.9
    assert done.stages[1].summary["versions"] == saved["versions"]
    assert [stage.skipped for stage in run(recipe, tmp_path / "run", offered).stages] == [True, True]

    saved_in = str(done.stages[0].folder / "jury")
    other = {**compare, "judges": [{"use": "knowing", "name": "liar", "sure": 0.2}]}
    asked = Knowing.asked
    for aggregate, message in (
        ("jury", r"aggregate\.0: the jury learns from other judges"),
        ({"use": "flag", "model": saved_in}, r"aggregate\.0: it was learnt from other judges"),
    ):
        again = {**other, "aggregate": [aggregate]}
        with pytest.raises(UsageError, match=message):
            run(validation(labelled, again, judges=judges, aggregate=["flag"]), tmp_path / "again", offered)
    assert Knowing.asked == asked


def test_a_learnt_jury_is_measured_as_it_is_on_items_it_has_not_seen(
    offered: Any, measure: Measure, labelled: str, write_rows: Write, tmp_path: Path
) -> None:
    judges = [{"use": "knowing", "name": "liar", "sure": 0.1}]
    new = ({**row, "item": f"new {row['item']}", "prompt": f"new {row['prompt']}"} for row in items(10))
    unseen = write_rows(*new, name="unseen.jsonl")
    stage = {"stage": "validate", "judges": judges, "principles": "none", "labelled": unseen}
    heldout = {**stage, "name": "heldout", "aggregate": ["jury"]}
    recipe = validation(labelled, heldout, judges=judges, aggregate=["flag"])
    first, second = run(recipe, tmp_path / "run", offered).stages
    assert second.summary["accuracy"] == {**second.summary["accuracy"], "mean": 1.0, "n": 10}
    assert "artifact" not in second.summary
    assert not (second.folder / "jury").exists()
    assert measure.calls[1]["names"] == ["flag", "majority", "confidence"]
    saved = {"use": "flag", "model": str(first.folder / "jury")}
    again = Recipe.of({"stages": [{**stage, "aggregate": [saved]}]})
    assert run(again, tmp_path / "saved", offered).stages[0].summary["accuracy"]["mean"] == 1.0
    # What is handed on has learnt already, so another one can still be learnt beside it.
    both = validation(labelled, {**heldout, "aggregate": ["jury", "flag"]}, judges=judges, aggregate=["flag"])
    done = run(both, tmp_path / "both", offered)
    assert done.stages[1].summary["artifact"]["judges"] == first.summary["artifact"]["judges"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"judges": [{"use": "knowing", "name": "other"}]},
            "judge 'knowing', one of the jury's, is not asked\n",
        ),
        (
            {"judges": [{"use": "knowing", "sure": 0.8}]},
            "'knowing' is another than the jury's: other settings of the judge itself\n",
        ),
        (
            {"orders": "one"},
            r"jury's: asked in one order, learnt in both orders, average\n",
        ),
        ({"on_flip": "abstain"}, "asked in both orders, abstain, learnt in both orders, average\n"),
        ({"principles": "all"}, r"jury's: asked with all principles, learnt with no principles\n"),
        ({}, ""),
    ],
)
def test_a_jury_yet_to_be_learnt_is_refused_what_it_will_not_have_learnt_before_anybody_is_asked(
    changed: Any, message: str, offered: Any, write_rows: Write, labelled: str, tmp_path: Path
) -> None:
    pairs = write_rows({"prompt": "new?", "response_a": "good", "response_b": "bad"}, name="pairs.jsonl")
    compare = {"stage": "compare", "principles": "none", "pairs": pairs, "judges": ["knowing"]}
    recipe = validation(labelled, {**compare, "aggregate": ["jury"], **changed}, aggregate=["flag"])
    if not message:
        assert check(recipe, offered).stages
        return
    with pytest.raises(UsageError, match=message):
        check(recipe, offered)


def test_a_judge_that_is_trained_first_may_be_any_until_then(
    offered: Any, write_rows: Write, labelled: str, tmp_path: Path
) -> None:
    pairs = write_rows({"prompt": "new?", "response_a": "good", "response_b": "bad"}, name="pairs.jsonl")
    compare = {"stage": "compare", "pairs": pairs, "judges": ["policy"], "aggregate": ["jury"]}
    recipe = validation(labelled, compare, judges=["policy"], aggregate=["flag"], principles="sampled")
    with_policy = Recipe.of({**recipe.model_dump(), "policy": {"use": "tuned", "model": "base"}})
    assert check(with_policy, offered).stages
    other = {**compare, "judges": ["knowing"]}
    recipe = validation(labelled, other, judges=["policy"], aggregate=["flag"])
    with pytest.raises(UsageError, match="'tuned', one of the jury's, is not asked"):
        check(Recipe.of({**recipe.model_dump(), "policy": {"use": "tuned", "model": "base"}}), offered)


@pytest.mark.parametrize(
    ("judges", "aggregate", "message"),
    [
        (["knowing"], ["jury"], r"aggregate\.0: no earlier stage makes 'jury'\n.*a stage 'validate'"),
        (["labeler"], ["majority"], r"judges\.0: no earlier stage makes 'labeler'\n.*a stage 'train'"),
        (["policy"], ["majority"], r"judges\.0: no earlier stage makes 'policy'\n.*set 'policy:'"),
        (
            [{"use": "repeat", "samples": 2, "judge": "policy"}],
            ["majority"],
            "'policy' is an artifact, which has no place inside",
        ),
    ],
)
def test_an_artifact_that_nobody_makes_is_said_to_be_one(
    judges: Any, aggregate: Any, message: str, offered: Any, write_rows: Write, tmp_path: Path
) -> None:
    pairs = write_rows({"prompt": "new?", "response_a": "good", "response_b": "bad"}, name="pairs.jsonl")
    stage = {"stage": "compare", "pairs": pairs, "judges": judges, "aggregate": aggregate}
    with pytest.raises(UsageError, match=message):
        check(Recipe.of({"stages": [stage]}), offered)
    with pytest.raises(UsageError, match="'compare' stands for preferences, which cannot be asked"):
        check(
            Recipe.of(
                {
                    "stages": [
                        {**stage, "judges": ["knowing"], "aggregate": ["majority"]},
                        {**stage, "name": "second", "judges": ["compare"], "aggregate": ["majority"]},
                    ]
                }
            ),
            offered,
        )


def test_a_saved_jury_is_refused_other_judges_before_anything_is_asked(
    offered: Any, labelled: str, tmp_path: Path
) -> None:
    recipe = validation(labelled, judges=[{"use": "knowing", "name": "liar"}], aggregate=["flag"])
    saved = run(recipe, tmp_path / "run", offered).stages[0].folder / "jury"
    asked = Knowing.asked
    with pytest.raises(UsageError, match="cannot run: 1 fault"):
        run(
            validation(labelled, aggregate=[{"use": "flag", "model": str(saved)}]),
            tmp_path / "other",
            offered,
        )
    assert Knowing.asked == asked


def test_what_has_yet_to_learn_cannot_decide(offered: Any, write_rows: Write, tmp_path: Path) -> None:
    pairs = write_rows({"prompt": "new?", "response_a": "good", "response_b": "bad"}, name="pairs.jsonl")
    stage = {**PAIRS, "pairs": pairs, "judges": ["knowing"], "aggregate": ["flag"]}
    with pytest.raises(UsageError, match=r"aggregate\.0: 'flag' has yet to learn .*\n.*aggregate: \[jury\]"):
        run(Recipe.of({"stages": [stage]}), tmp_path / "run", offered)


def test_silence_is_no_verdict_and_failures_are_told_apart(
    offered: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    texts = {"label": "A", "response_a": "good", "response_b": "bad"}
    path = write_rows(*({"item": w, "prompt": w, **texts} for w in ("silent", "broken", "plain")))
    done = run(validation(path, require="none", orders="one"), tmp_path / "run", offered)
    silent, broken, plain = (row["votes"] for row in rows(done.stages[0].folder / "verdicts.jsonl"))
    assert [(v["verdict"], v["reason"]) for v in silent] == [(None, "refused")]
    assert [(v["verdict"], v["reason"]) for v in broken] == [(None, "failure")]
    assert [v["verdict"] for v in plain] == ["A"]


def test_a_stage_in_which_every_call_failed_came_to_nothing(
    offered: Any, write_rows: Write, tmp_path: Path
) -> None:
    row = {"item": 1, "label": "A", "prompt": "broken", "response_a": "good", "response_b": "bad"}
    with pytest.raises(UsageError, match=r"knowing: .*out of order"):
        run(validation(write_rows(row)), tmp_path / "run", offered)


def test_tags_and_limit_choose_the_items(offered: Any, labelled: str, tmp_path: Path) -> None:
    done = run(validation(labelled, tags=["odd"], limit=3), tmp_path / "run", offered)
    assert [item.item for item in load_labelled(done.stages[0].folder / "verdicts.jsonl")] == [
        *("1?", "trap 3?", "5?")
    ]


def test_a_plan_counts_what_the_judges_are_asked(offered: Any, labelled: str) -> None:
    asked = Knowing.asked
    (stage,) = plan(validation(labelled), offered).stages
    (judge,) = stage.components
    assert (stage.items, stage.noun, stage.comparisons) == (20, "labelled items", 0)
    assert (judge.component, judge.calls.low, judge.calls.high) == ("knowing", 40, 40)
    assert Knowing.asked == asked


def test_every_fault_is_found_before_anybody_is_asked(
    offered: Any, write_rows: Write, tmp_path: Path
) -> None:
    path = write_rows({"item": 1, "label": "A"}, {"item": 2, "label": "C"})
    with pytest.raises(UsageError, match=r"prompts.jsonl:2\.label"):
        run(validation(path), tmp_path / "run", offered)
    path = write_rows({"item": 1, "label": "A"}, {"item": 2, "label": "B"})
    with pytest.raises(UsageError) as error:
        run(
            validation(
                path,
                judges=["knowing", "knowing"],
                aggregate=["constitution-filter", "flag", "flag", "majority"],
            ),
            tmp_path / "run",
            offered,
        )
    for fault in (
        "2 judges are called 'knowing'",
        "2 of 2 items lack prompt, response_a or response_b, the first of them '1'",
        "'constitution-filter' decides before judges are asked",
        "flag and flag are to be learnt, and only one can be",
    ):
        assert fault in str(error.value)
    with pytest.raises(UsageError, match=r"thresholds: .*'warn' \(0.9\) is above 'trust' \(0.8\)"):
        validation(path, thresholds={"warn": 0.9})
    with pytest.raises(UsageError, match="jury"):
        validation(path, name="jury")


def test_without_a_plugin_that_measures_nobody_is_asked(offered: Any, labelled: str, tmp_path: Path) -> None:
    asked = Knowing.asked
    del offered.hooks
    with pytest.raises(UsageError, match="pip install jurist-validate"):
        run(validation(labelled), tmp_path / "run", offered)
    empty = pluggy.PluginManager("jurist")
    empty.add_hookspecs(hookspecs)
    offered.hooks = empty.hook
    with pytest.raises(UsageError, match="pip install jurist-validate"):
        run(validation(labelled), tmp_path / "run", offered)
    assert Knowing.asked == asked


def test_votes_are_needed_and_the_subject_must_be_there(offered: Any, write_rows: Write) -> None:
    jury = [Aggregation.of(["majority"], offered)]
    bare = load_labelled(Path(write_rows({"item": 1, "label": "A"})))
    with pytest.raises(UsageError, match="no votes"):
        validate(bare, jury, offered)
    voted = load_labelled(
        Path(write_rows({"item": 1, "label": "A", "votes": [{"judge": "x", "verdict": "A"}]}))
    )
    assert validate(voted, jury, offered, subject="x").subject == "x"


def test_whoever_voted_must_be_whom_an_aggregator_can_decide_for(
    offered: Any, write_rows: Write, labelled: str, tmp_path: Path
) -> None:
    votes = [{"judge": "gpt", "verdict": "A", "version": "v1"}, {"judge": "claude", "verdict": "B"}]
    voted = load_labelled(Path(write_rows({"item": 1, "label": "A", "votes": votes})))
    wrong = [
        Aggregation.of([{"use": "weighted", "weights": {"gtp": 1, "claude": 1}}], offered),
        Aggregation.of(["majority"], offered),
    ]
    with pytest.raises(UsageError, match=r"weights\.gtp: no judge has this name; did you mean 'gpt'"):
        validate(voted, wrong, offered)
    right = Aggregation.of([{"use": "weighted", "weights": {"gpt": 2, "claude": 1}}], offered)
    assert validate(voted, [right], offered).accuracy.mean == 1

    saved = run(validation(labelled, aggregate=["flag"]), tmp_path / "run", offered).stages[0].folder
    jury = Aggregation.of([{"use": "flag", "model": str(saved / "jury")}], offered)
    with pytest.raises(UsageError, match="it was learnt from other judges"):
        validate(voted, [jury], offered)
    (fitted, *rest) = load_labelled(saved / "verdicts.jsonl")
    late = tuple(vote.model_copy(update={"version": "v2"}) for vote in fitted.votes)
    with pytest.raises(UsageError, match="it was learnt from other judges"):
        validate([*rest, fitted.model_copy(update={"votes": late})], [jury], offered)


def test_what_nobody_knows_the_price_of_is_not_free(
    offered: Any, labelled: str, rows: Rows, tmp_path: Path
) -> None:
    offered.offer("chat_model", "priced", f"{__name__}:Priced")
    judges = [
        {"use": "tuned", "model": "a"},
        {"use": "priced", "model": "a"},
        {
            "use": "repeat",
            "name": "inside",
            "samples": 2,
            "judge": {"use": "tuned", "model": "b", "name": "b"},
        },
        "knowing",
    ]
    judges[2]["judge"]["temperature"] = 1  # type: ignore[index]
    done = run(validation(labelled, judges=judges, limit=2), tmp_path / "run", offered)
    votes = rows(done.stages[0].folder / "verdicts.jsonl")[0]["votes"]
    found = {vote["judge"]: vote["usd"] for vote in votes}
    assert found == {"tuned": None, "priced": 0.0, "inside": None, "knowing": 0.001}


def test_what_the_user_changed_is_no_drift(offered: Any, labelled: str, rows: Rows, tmp_path: Path) -> None:
    offered.offer("judge", "literal", f"{__name__}:Literal")
    first = validation(labelled, judges=["literal"], principles="sampled", require="none")
    verdicts = run(first, tmp_path / "first", offered).stages[0].folder / "verdicts.jsonl"
    assert {vote["seed"] for row in rows(verdicts) for vote in row["votes"]} == {0}

    def found(number: int, recipe: dict[str, Any], **settings: Any) -> tuple[str, bool]:
        stage = {**first.stages[0].model_dump(), "anchors": str(verdicts), **settings}
        guarded = Recipe.of({**recipe, "stages": [stage]})
        (judge,) = run(guarded, tmp_path / str(number), offered).stages[0].summary["drift"]["judges"]
        return judge["settings"], judge["changed"] > 0

    assert found(0, {}) == ("same", False)
    assert found(1, {"seed": 1}) == ("changed", True)
    assert found(2, {}, principles="none") == ("changed", True)
    assert found(3, {}, principles="all") == ("changed", True)
    principles = [{"name": name, "description": f"Be {name}."} for name in ("kind", "brief", "plain", "warm")]
    assert found(4, {"constitution": {"name": "mine", "principles": principles}}) == ("changed", True)
    assert found(5, {}, orders="one") == ("changed", False)
    assert found(6, {}, on_flip="abstain") == ("changed", False)


def test_a_plugin_that_returns_something_else_is_named(offered: Any, write_rows: Write) -> None:
    class Wrong:
        @hookimpl(tryfirst=True)
        def jurist_validation(self) -> str:
            return "fine"

    manager = pluggy.PluginManager("jurist")
    manager.add_hookspecs(hookspecs)
    manager.register(Wrong())
    offered.hooks = manager.hook
    voted = load_labelled(
        Path(write_rows({"item": 1, "label": "A", "votes": [{"judge": "x", "verdict": "A"}]}))
    )
    with pytest.raises(ContractError, match="returned str"):
        validate(voted, [Aggregation.of(["majority"], offered)], offered)


def test_a_chain_learns_what_is_to_be_learnt_in_it(offered: Any, labelled: str, tmp_path: Path) -> None:
    jury = Aggregation.of(["flag", "majority"], offered)
    assert jury.name == "flag > majority"
    assert jury.learnt_component == {"use": "flag"}
    jury.learn(load_labelled(Path(labelled))).save(tmp_path / "saved")
    learnt = Aggregation.of([{"use": "flag", "model": str(tmp_path / "saved")}], offered)
    assert learnt.learnt_component is None
    assert not isinstance(learnt.build(), LearntAggregator)
    with pytest.raises(UsageError, match="'majority' is not learnt"):
        Aggregation.of(["majority"], offered).learn([])
    with pytest.raises(UsageError, match=r"'flag' comes learnt \(model: .*saved\).*") as told:
        learnt.learn([])
    assert told.value.hint == "leave out 'model' to learn it anew"


def test_what_cannot_be_learnt_ends_the_run_only_where_it_is_handed_on(
    offered: Any, labelled: str, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = Flag.fit

    def only_half(flag: Flag, items: Sequence[LabelledItem]) -> None:
        if len(items) > 10:
            raise UsageError("it cannot be learnt", cause="too much")
        fit(flag, items)

    monkeypatch.setattr(Flag, "fit", only_half)
    done = run(validation(labelled, aggregate=["flag"]), tmp_path / "alone", offered)
    (stage,) = done.stages
    assert stage.summary["not_learnt"] == "it cannot be learnt: too much"
    assert stage.summary["recommendation"] == "trust"
    assert len(rows(stage.folder / "verdicts.jsonl")) == 20
    assert not (stage.folder / "jury").exists()
    handed = validation(
        labelled,
        {**PAIRS, "pairs": labelled, "judges": ["knowing"], "aggregate": ["jury"]},
        aggregate=["flag"],
        orders="one",
    )
    with pytest.raises(UsageError, match="it cannot be learnt"):
        run(handed, tmp_path / "handed", offered)
    assert not (tmp_path / "handed/stages/01-validate/summary.json").exists()


def test_a_judge_that_changed_its_mind_ends_the_run_before_more_is_asked(
    offered: Any, labelled: str, tmp_path: Path
) -> None:
    mood = tmp_path / "mood"
    mood.write_text("0.9")
    judges = [
        "knowing",
        {"use": "moody", "mood": f"at {mood}"},
    ]  # no path by itself, so no part of the settings
    first = run(validation(labelled, judges=judges), tmp_path / "first", offered).stages[0].folder
    guarded = validation(labelled, judges=judges, anchors=str(first / "verdicts.jsonl"))
    done = run(guarded, tmp_path / "same", offered)
    changes = {each["judge"]: each["changed"] for each in done.stages[0].summary["drift"]["judges"]}
    assert changes == {"knowing": 0, "moody": 0}

    mood.write_text("0.2")
    notices: list[str] = []

    class Watch(Events):
        def notice(self, component: str, text: str) -> None:
            notices.append(text)

    with pytest.raises(GateStop, match="moody drifted: more than 5% of the verdicts on the anchors changed"):
        run(guarded, tmp_path / "other", offered, events=Watch())
    folder = tmp_path / "other/stages/01-validate"
    found = {each["judge"]: each for each in json.loads((folder / "drift.json").read_text())["judges"]}
    assert (found["moody"]["compared"], found["moody"]["changed"], found["knowing"]["changed"]) == (20, 20, 0)
    assert (found["moody"]["settings"], found["moody"]["lost"]) == ("same", 20)
    assert not (folder / "verdicts.jsonl").exists()
    assert any(text.startswith("anchors: moody: 20 of 20 verdicts changed, 100.0%") for text in notices)

    other = validation(labelled, judges=[{"use": "knowing", "sure": 0.2}], require="none")
    again = Recipe.of(
        {"stages": [{**other.stages[0].model_dump(), "anchors": str(first / "verdicts.jsonl")}]}
    )
    done = run(again, tmp_path / "settings", offered)
    (judge,) = done.stages[0].summary["drift"]["judges"]
    assert (judge["settings"], judge["changed"]) == ("changed", 20)


def test_anchors_are_checked_planned_and_not_of_the_same_run(
    offered: Any, write_rows: Write, labelled: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"validate\.anchors: there are no votes in it"):
        run(validation(labelled, anchors=labelled), tmp_path / "run", offered)
    bare = write_rows({"item": 1, "label": "A", "votes": [{"judge": "x", "verdict": "A"}]}, name="bare.jsonl")
    with pytest.raises(UsageError, match=r"validate\.anchors: 1 of 1 items lack prompt"):
        run(validation(labelled, anchors=bare), tmp_path / "run", offered)
    verdicts = run(validation(labelled), tmp_path / "run", offered).stages[0].folder / "verdicts.jsonl"
    others = validation(
        labelled, judges=[{"use": "knowing", "name": name} for name in ("x", "y")], anchors=str(verdicts)
    )
    with pytest.raises(UsageError, match="its votes are of knowing, and none is of x, y;"):
        run(others, tmp_path / "others", offered)
    assert not (tmp_path / "others").exists()
    guarded = validation(labelled, anchors=str(verdicts), limit=5)
    (judge,) = plan(guarded, offered).stages[0].components
    assert judge.calls.high == 2 * 20  # of the anchors, among which the five are
    state = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    for name in ("validate", "later"):
        with pytest.raises(UsageError, match="verdicts of this run, which asks nothing twice"):
            run(validation(labelled, name=name, anchors=str(verdicts)), tmp_path / "run", offered)
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert after == state  # nothing was moved aside either
