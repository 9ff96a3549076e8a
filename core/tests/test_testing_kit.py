"""The contract kit on the public fakes, and on components that break one promise each."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import ConfigDict, SecretStr

from jurist.aggregators.confidence import ConfidenceThreshold
from jurist.aggregators.constitution_filter import ConstitutionFilter
from jurist.aggregators.majority import MajorityVote
from jurist.aggregators.weighted import WeightedMean
from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import Aggregator, Contract, Critic, Judge
from jurist.errors import ContractError, ProviderError
from jurist.judges.orders import BothOrders
from jurist.options import Operational, Options
from jurist.records import (
    Abstention,
    Comparison,
    Critique,
    Decision,
    Finding,
    Judgment,
    Message,
    Response,
    Score,
    Usage,
)
from jurist.roles.critic import ChatCritic
from jurist.roles.generator import ChatGenerator
from jurist.roles.judge import ChatJudge
from jurist.roles.reviser import ChatReviser
from jurist.testing import (
    AbstainingJudge,
    AggregatorContract,
    AppendReviser,
    ChatModelContract,
    ComponentContract,
    ConstantJudge,
    CriticContract,
    EchoGenerator,
    FlakyJudge,
    GeneratorContract,
    JudgeContract,
    LengthScorer,
    MemoryTrainer,
    ReviserContract,
    RuleCritic,
    ScorerContract,
    ScriptedChatModel,
    TrainerContract,
    contract_test,
)
from jurist.testing.kit import CONTRACT_TESTS
from jurist.testing.kit.samples import PRINCIPLES, sample_comparisons
from jurist.train_jobs import Artifact, JobOutline, Samples, TrainJob, TrainProgress

pytest_plugins = ["pytester"]


# --- the fakes keep every promise -----------------------------------------------------------------


class TestScriptedChatModel(ChatModelContract):
    component = ScriptedChatModel
    options: ClassVar = {"replies": ["Yes it is so"]}


class LogprobChatModel(ScriptedChatModel):
    """Finds longer choices less likely."""

    capabilities = frozenset({"logprobs"})

    async def complete(self, request: ChatRequest) -> ChatReply:
        reply = await super().complete(request)
        if not request.choices:
            return reply
        scores = tuple(-float(len(choice)) for choice in request.choices)
        return reply.model_copy(update={"text": min(request.choices, key=len), "choice_logprobs": scores})


class TestLogprobChatModel(ChatModelContract):
    component = LogprobChatModel


class TestEchoGenerator(GeneratorContract):
    component = EchoGenerator
    options: ClassVar = {"prefix": "You said: "}


class TestConstantJudge(JudgeContract):
    component = ConstantJudge
    options: ClassVar = {"preference": 0.8}


class TestFlakyJudge(JudgeContract):
    component = FlakyJudge
    options: ClassVar = {"every": 4}


class TestAbstainingJudge(JudgeContract):
    component = AbstainingJudge

    @pytest.mark.xfail(reason="it never answers, and that is what it is for", strict=True)
    def test_answers(self) -> None:
        super().test_answers()


class LengthJudge(ConstantJudge):
    """Prefers the longer response, wherever it is shown."""

    capabilities = frozenset({"symmetric"})

    async def judge(self, comparison: Any, principles: Any) -> Any:
        a, b = len(comparison.response_a.text), len(comparison.response_b.text)
        return Judgment(preference=(a + 1) / (a + b + 2))


class TestLengthJudge(JudgeContract):
    component = LengthJudge


class TestRuleCritic(CriticContract):
    component = RuleCritic
    options: ClassVar = {"forbid": ["harmless", "不知道"]}


class TestAppendReviser(ReviserContract):
    component = AppendReviser


class TestLengthScorer(ScorerContract):
    component = LengthScorer


class MeanAggregator(Aggregator):
    """The mean of what was said."""

    def decide(self, comparison: Any, outcomes: Any) -> Decision:
        said = [outcome.preference for outcome in outcomes if isinstance(outcome, Judgment)]
        if not said:
            return Decision(status="undecided", reason="no_votes")
        return Decision(status="decided", probability=sum(said) / len(said))


class TestMeanAggregator(AggregatorContract):
    component = MeanAggregator


def tiny_job(folder: Path) -> TrainJob:
    data = folder / "data.jsonl"
    data.write_text('{"prompt": "a"}\n{"prompt": "b"}\n', encoding="utf-8")
    return TrainJob(model=folder / "base", data=data, output=folder / "out")


class TestMemoryTrainer(TrainerContract):
    component = MemoryTrainer

    def job(self, tmp_path: Path) -> TrainJob:
        return tiny_job(tmp_path)


class SamplingTrainer(MemoryTrainer):
    """Asks about two responses to each prompt, and measures once."""

    consumes = "prompts"
    asks: ClassVar[tuple[str, ...]] = ("score", "score", "measure")

    def samples(self, prompts: int, processes: int) -> Samples:
        return Samples(responses=2 * prompts, max_tokens=1)

    def measurements(self, held_out: int, prompts: int, processes: int) -> Samples:
        return Samples(responses=held_out, max_tokens=1)

    def train(self, job: TrainJob, progress: Any) -> Artifact:
        for which in self.asks:
            ask, path = getattr(self, which), job.held_out if which == "measure" else job.data
            if ask is not None and path is not None:
                prompts = [json.loads(line)["prompt"] for line in path.read_text().splitlines()]
                asked = [[{"role": "user", "content": prompt}] for prompt in prompts]
                assert ask(asked, ["abc"] * len(asked)) == [3.0] * len(asked)
        return super().train(job, progress)


class TestSamplingTrainer(TrainerContract):
    component = SamplingTrainer

    def job(self, tmp_path: Path) -> TrainJob:
        return tiny_job(tmp_path)


# --- one component per broken promise --------------------------------------------------------------


class LaxOptions(Options):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LaxJudge(ConstantJudge):
    Options = LaxOptions


class NamedOptions(Options):
    limits: int = 3


class NamedJudge(ConstantJudge):
    Options = NamedOptions


class OpenKeyOptions(Options):
    api_key: str = ""


class OpenKeyJudge(ConstantJudge):
    Options = OpenKeyOptions


class KeyOptions(Options):
    api_key: SecretStr = SecretStr("")
    batch_size: Annotated[int, Operational] = 4


class LeakyJudge(ConstantJudge):
    Options = KeyOptions

    def identity(self) -> Any:
        return {"key": self.options.api_key.get_secret_value()}


class BatchIdentityJudge(ConstantJudge):
    Options = KeyOptions

    def identity(self) -> Any:
        return self.options.model_dump(mode="json", exclude={"api_key"})


class HashedKeyJudge(ConstantJudge):
    Options = KeyOptions

    def identity(self) -> Any:
        return hash(self.options.api_key.get_secret_value())


class ForgetfulJudge(ConstantJudge):
    def __init__(self, options: Any = None) -> None:
        super().__init__()


class RestlessIdentityJudge(ConstantJudge):
    def identity(self) -> Any:
        return id(self)


class MisspeltJudge(ConstantJudge):
    capabilities = frozenset({"symetric"})


class AbstractJudge(Judge):
    pass


class NumberJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        return 0.5


class CrashingJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        raise KeyError("winner")


class EmptyCrashJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        comparison.response_a.text.split()[0]
        return await super().judge(comparison, principles)


class TemplateCrashJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        comparison.response_a.text.format()
        return await super().judge(comparison, principles)


class OutOfRangeJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        return Judgment.model_construct(preference=float("nan"), usage=Usage(), source="", raw=None)


class DebtJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        return Judgment(preference=0.5, usage=Usage(usd=-1))


class UnstorableJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        return Judgment(preference=0.5).model_copy(update={"rationale": 7})


class MoodyJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        return Judgment(preference=random.random())


class MixingJudge(ConstantJudge):
    """Answers the newest question instead of its own."""

    newest: Any = None

    async def judge(self, comparison: Any, principles: Any) -> Any:
        self.newest = comparison
        await asyncio.sleep(0)
        return Judgment(preference=min(1, len(self.newest.response_a.text) / 100))


class LopsidedJudge(ConstantJudge):
    capabilities = frozenset({"symmetric"})

    async def judge(self, comparison: Any, principles: Any) -> Any:
        return Judgment(preference=0.8)


class ShuffledCritic(RuleCritic):
    async def critique(self, prompt: Any, response: Any, principles: Any) -> Any:
        return await super().critique(prompt, response, principles[::-1])


class SilentVerdictCritic(RuleCritic):
    async def critique(self, prompt: Any, response: Any, principles: Any) -> Any:
        return Critique(findings=tuple(Finding(principle=p.name, satisfied=None) for p in principles))


class VerboseGenerator(EchoGenerator):
    async def generate(self, prompt: Any, sampling: Any) -> Any:
        return Response(text="on and on", usage=Usage(completion_tokens=3))


class InfiniteScorer(LengthScorer):
    async def score(self, prompt: Any, response: Any, principles: Any) -> Any:
        return Score(value=1.0, metrics={"perplexity": float("inf")})


class TextReviser(AppendReviser):
    async def revise(self, *arguments: Any) -> Any:
        return "a text"


class GuessingAggregator(MeanAggregator):
    def decide(self, comparison: Any, outcomes: Any) -> Decision:
        decision = super().decide(comparison, outcomes)
        return decision if decision.status == "decided" else Decision(status="decided", probability=0.5)


class DividingAggregator(MeanAggregator):
    def decide(self, comparison: Any, outcomes: Any) -> Decision:
        return Decision(status="decided", probability=sum(o.preference for o in outcomes) / len(outcomes))


class PartialAggregator(MeanAggregator):
    def decide(self, comparison: Any, outcomes: Any) -> Decision:
        decision = super().decide(comparison, outcomes)
        return decision if decision.probability != 0.5 else Decision(status="decided", probability=0.6)


class MoodyAggregator(MeanAggregator):
    def decide(self, comparison: Any, outcomes: Any) -> Decision:
        return Decision(status="decided", probability=random.random())


class ShyAggregator(MeanAggregator):
    def decide(self, comparison: Any, outcomes: Any) -> Decision:
        return Decision(status="undecided", reason="no_majority")


class SamplingNameOptions(Options):
    temperature: float = 0


class SamplingNameModel(ScriptedChatModel):
    Options = SamplingNameOptions


class ChangedReplyModel(ScriptedChatModel):
    """Base of chat models whose replies are changed on the way."""

    changes: ClassVar[dict[str, Any]] = {}

    async def complete(self, request: ChatRequest) -> ChatReply:
        return (await super().complete(request)).model_copy(update=self.changes)


class TextModel(ScriptedChatModel):
    async def complete(self, request: ChatRequest) -> Any:
        return "Yes."


class UnstorableModel(ChangedReplyModel):
    changes: ClassVar = {"served_model": 7}


class CutModel(ChangedReplyModel):
    changes: ClassVar = {"text": "cut in the", "finish_reason": "stop"}


class DearModel(ChangedReplyModel):
    changes: ClassVar = {"usage": Usage(prompt_tokens=5, completion_tokens=1, usd=0.1)}


class UncountedModel(ChangedReplyModel):
    changes: ClassVar = {"usage": Usage()}


class UnstoppableModel(ChangedReplyModel):
    changes: ClassVar = {"text": "on and on"}


class PickyModel(ScriptedChatModel):
    async def complete(self, request: ChatRequest) -> ChatReply:
        if request.messages[-1].role == "assistant" or request.sampling.seed is None:
            raise ValueError("not supported")
        return await super().complete(request)


class TemplateCrashModel(ScriptedChatModel):
    async def complete(self, request: ChatRequest) -> ChatReply:
        request.messages[-1].content.format()
        return await super().complete(request)


class MoodyModel(ScriptedChatModel):
    async def complete(self, request: ChatRequest) -> ChatReply:
        return ChatReply(text=str(random.random()))


class MixingModel(ScriptedChatModel):
    newest = ""

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.newest = request.messages[-1].content
        await asyncio.sleep(0)
        return ChatReply(text=self.newest)


class DeclaringModel(ScriptedChatModel):
    capabilities = frozenset({"logprobs"})


class SortingModel(LogprobChatModel):
    async def complete(self, request: ChatRequest) -> ChatReply:
        reply = await super().complete(request)
        return reply.model_copy(update={"choice_logprobs": tuple(sorted(reply.choice_logprobs or ()))})


class UndeclaredTrainer(MemoryTrainer):
    consumes = "texts"  # type: ignore[assignment]


class OtherKindTrainer(MemoryTrainer):
    def train(self, job: TrainJob, progress: Any) -> Artifact:
        return super().train(job, progress).model_copy(update={"kind": "reward_model"})


class PicklingTrainer(MemoryTrainer):
    def train(self, job: TrainJob, progress: Any) -> Artifact:
        artifact = super().train(job, progress)
        (artifact.path / "pytorch_model.bin").write_bytes(b"")
        return artifact


class QuietTrainer(MemoryTrainer):
    def train(self, job: TrainJob, progress: Any) -> Artifact:
        artifact = super().train(job, lambda _: None)
        progress(TrainProgress(step=1, total=2))
        return artifact


class WanderingTrainer(MemoryTrainer):
    def train(self, job: TrainJob, progress: Any) -> Artifact:
        artifact = super().train(job, progress)
        return artifact.model_copy(update={"path": artifact.path.rename(job.output / str(random.random()))})


class FussyTrainer(MemoryTrainer):
    def faults(self, outline: JobOutline) -> list[str]:
        return ["it is too warm today"]


class DeafTrainer(SamplingTrainer):
    asks: ClassVar = ("measure",)


class BlindTrainer(SamplingTrainer):
    asks: ClassVar = ("score", "score")


class MiscountingTrainer(SamplingTrainer):
    asks: ClassVar = ("score", "measure")


BROKEN: list[tuple[type[Contract], str]] = [
    (AbstractJudge, "test_class_fulfils_its_contract"),
    (LaxJudge, "test_options_are_strict"),
    (NamedJudge, "test_options_have_free_names"),
    (SamplingNameModel, "test_options_have_free_names"),
    (OpenKeyJudge, "test_secrets_are_typed"),
    (ForgetfulJudge, "test_constructor_takes_the_options"),
    (RestlessIdentityJudge, "test_identity_is_stable_json"),
    (LeakyJudge, "test_identity_has_no_secrets"),
    (HashedKeyJudge, "test_identity_has_no_secrets"),
    (BatchIdentityJudge, "test_identity_ignores_operational_options"),
    (MisspeltJudge, "test_capabilities_are_known"),
    (NumberJudge, "test_answers"),
    (AbstainingJudge, "test_answers"),
    (CrashingJudge, "test_answers"),
    (TextReviser, "test_answers"),
    (UnstorableJudge, "test_outcomes_survive_json"),
    (DebtJudge, "test_usage_is_plausible"),
    (MoodyJudge, "test_same_question_same_answer"),
    (MixingJudge, "test_concurrent_calls_keep_their_questions"),
    (EmptyCrashJudge, "test_empty_text_is_handled"),
    (TemplateCrashJudge, "test_hostile_text_is_handled"),
    (OutOfRangeJudge, "test_preferences_are_probabilities"),
    (LopsidedJudge, "test_symmetric_judges_are_symmetric"),
    (ShuffledCritic, "test_one_finding_per_principle_in_order"),
    (SilentVerdictCritic, "test_verdicts_are_given"),
    (VerboseGenerator, "test_sampling_is_taken"),
    (InfiniteScorer, "test_scores_are_finite"),
    (GuessingAggregator, "test_no_label_from_silence"),
    (PartialAggregator, "test_swapping_responses_swaps_the_decision"),
    (MoodyAggregator, "test_same_jury_same_decision"),
    (ShyAggregator, "test_some_jury_is_decided"),
    (TextModel, "test_replies"),
    (UnstorableModel, "test_replies_survive_json"),
    (CutModel, "test_finish_reason_is_true"),
    (UncountedModel, "test_usage_is_reported"),
    (DearModel, "test_costs_are_said_beforehand"),
    (UnstoppableModel, "test_stop_ends_the_text"),
    (PickyModel, "test_sampling_is_taken"),
    (PickyModel, "test_assistant_turns_are_continued"),
    (TemplateCrashModel, "test_hostile_text_is_handled"),
    (MoodyModel, "test_same_request_same_reply"),
    (MixingModel, "test_concurrent_requests_keep_their_replies"),
    (DeclaringModel, "test_choices_are_scored"),
    (SortingModel, "test_choices_keep_their_order"),
    (UndeclaredTrainer, "test_consumes_and_produces_are_declared"),
    (OtherKindTrainer, "test_artifact_is_a_checkpoint"),
    (PicklingTrainer, "test_weights_are_no_pickles"),
    (QuietTrainer, "test_progress_reaches_the_end"),
    (WanderingTrainer, "test_finished_job_can_be_repeated"),
    (FussyTrainer, "test_job_has_no_faults"),
    (DeafTrainer, "test_scores_are_rewards"),
    (BlindTrainer, "test_held_out_prompts_are_measured"),
    (MiscountingTrainer, "test_scored_responses_are_foretold"),
]
ELSEWHERE = {"test_module_imports_light", "test_empty_jury_is_handled"}
"""Clauses with a test of their own below."""


@pytest.mark.parametrize(("component", "clause"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_broken_promise_is_caught(component: type[Contract], clause: str, tmp_path: Path) -> None:
    options = {"preference": 0.8} if component is ForgetfulJudge else {}
    tests: Any = contract_test(component, options=options)()
    arguments = []
    if isinstance(tests, TrainerContract) and clause != "test_consumes_and_produces_are_declared":
        scored = "scored" in inspect.signature(getattr(tests, clause)).parameters
        arguments = [(tests.train_scored if scored else tests.train)(tiny_job(tmp_path))]
    with pytest.raises(AssertionError):
        getattr(tests, clause)(*arguments)


def test_every_clause_has_a_component_that_breaks_it() -> None:
    clauses = {name for tests in CONTRACT_TESTS for name in dir(tests) if name.startswith("test_")}
    assert clauses == {clause for _, clause in BROKEN} | ELSEWHERE


def test_clause_of_the_empty_jury_catches_a_division_by_zero() -> None:
    tests: Any = contract_test(DividingAggregator)()
    with pytest.raises(ZeroDivisionError):
        tests.test_empty_jury_is_handled()


def test_heavy_module_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "import numpy\nfrom jurist.testing.fakes import ConstantJudge\nclass Heavy(ConstantJudge): pass\n"
    )
    (tmp_path / "heavy_judge_package.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    heavy = type("Heavy", (ConstantJudge,), {"__module__": "heavy_judge_package"})
    with pytest.raises(AssertionError, match="numpy"):
        contract_test(heavy)().test_module_imports_light()


def test_trainer_without_a_job_is_told_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"needs a method job\(tmp_path\)"):
        contract_test(MemoryTrainer)().job(tmp_path)  # type: ignore[attr-defined]


# --- the guard ----------------------------------------------------------------------------------------


def test_overriding_a_clause_is_refused() -> None:
    with pytest.raises(ContractError, match=r"TestCheat\.test_answers overrides a contract test"):

        class TestCheat(JudgeContract):
            component = NumberJudge

            def test_answers(self) -> None:
                pass


def test_overriding_a_clause_in_a_mixin_or_by_none_is_refused() -> None:
    class Mixin:
        test_answers = None

    with pytest.raises(ContractError, match=r"Mixin\.test_answers"):
        type("TestCheat", (Mixin, JudgeContract), {"__module__": __name__, "component": NumberJudge})


def test_xfail_without_a_reason_is_refused() -> None:
    def test_answers(self: Any) -> None:
        pass

    members = {"__module__": __name__, "test_answers": pytest.mark.xfail(test_answers)}
    with pytest.raises(ContractError):
        type("TestCheat", (JudgeContract,), members)


def test_component_of_no_kind_is_refused() -> None:
    with pytest.raises(ContractError, match="Options is a component of no kind"):
        contract_test(Options)  # type: ignore[arg-type]


# --- as an author sees it --------------------------------------------------------------------------------

AUTHORS_TEST = """
from jurist.contracts import Judge
from jurist.records import Judgment
from jurist.testing import JudgeContract

class MyJudge(Judge):
    async def judge(self, comparison, principles):
        return {answer}

class TestMyJudge(JudgeContract):
    component = MyJudge
"""


def test_authors_whole_test_passes_without_asyncio_plugins(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(AUTHORS_TEST.format(answer="Judgment(preference=0.5)"))
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:cacheprovider", "-W", "error")
    clauses = sum(name.startswith("test_") for name in dir(JudgeContract))
    result.assert_outcomes(passed=clauses - 1, skipped=1)  # the judge is not symmetric


def test_failing_clause_shows_values_and_how_to_fix_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(AUTHORS_TEST.format(answer="Judgment(preference=0.5, usage={'usd': -3})"))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-k", "test_usage_is_plausible")
    result.assert_outcomes(failed=1, deselected=sum(n.startswith("test_") for n in dir(JudgeContract)) - 1)
    result.stdout.fnmatch_lines(
        ["*Report tokens, money and seconds as finite numbers*", "E*assert -3.0 >= 0"]
    )


def test_pytest_plugin_loads_no_kit() -> None:
    program = (
        "import sys, jurist.testing.pytest_plugin\n"
        "print(*sorted(m for m in sys.modules if m.startswith('jurist.testing')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["jurist.testing", "jurist.testing.pytest_plugin"]


# --- what the fakes do ------------------------------------------------------------------------------------


def request(text: str, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), **fields)


async def test_scripted_model_says_its_lines_in_turn() -> None:
    model = ScriptedChatModel(script=["one", ChatReply(text="two"), ProviderError("three", retryable=True)])
    assert (await model.complete(request("a"))).text == "one"
    assert await model.complete(request("b")) == ChatReply(text="two")
    with pytest.raises(ProviderError, match="three"):
        await model.complete(request("c"))
    assert (await model.complete(request("d"))).text == "one"
    assert [asked.messages[0].content for asked in model.requests] == ["a", "b", "c", "d"]


async def test_scripted_model_counts_and_cuts() -> None:
    model = ScriptedChatModel(script=lambda asked: asked.messages[0].content * 2)
    reply = await model.complete(request("a b ", sampling={"max_tokens": 3}))
    assert (reply.text, reply.finish_reason, reply.usage.completion_tokens) == ("a b a", "length", 3)
    assert reply.usage.usd == pytest.approx(6e-6)
    stopped = await model.complete(request("a b ", sampling={"stop": ["b"]}))
    assert (stopped.text, stopped.finish_reason) == ("a ", "stop")


async def test_flaky_judge_fails_when_told() -> None:
    async def answers(judge: FlakyJudge, calls: int) -> list[object]:
        found: list[object] = []
        for _ in range(calls):
            try:
                found.append((await judge.judge(sample_comparisons()[0], ())).preference)
            except ProviderError as error:
                found.append(error.retryable)
        return found

    assert await answers(FlakyJudge(preference=0.7, every=3), 6) == [0.7, 0.7, True, 0.7, 0.7, True]
    errors = [ProviderError("first", retryable=True), ProviderError("second")]
    assert await answers(FlakyJudge(errors=errors), 3) == [True, False, 0.5]


def test_memory_trainer_remembers(tmp_path: Path) -> None:
    artifact = MemoryTrainer().train(tiny_job(tmp_path), lambda _: None)
    memory = json.loads((artifact.path / "memory.json").read_text(encoding="utf-8"))
    assert memory["data"] == [{"prompt": "a"}, {"prompt": "b"}]


@pytest.mark.parametrize("fake", [ScriptedChatModel, EchoGenerator, ConstantJudge, FlakyJudge, AppendReviser])
def test_fakes_of_paid_components_are_not_free(fake: type[Contract]) -> None:
    assert not fake.free


def test_contract_test_names_its_component() -> None:
    tests = contract_test(ConstantJudge, options={"preference": 0.8})
    assert issubclass(tests, JudgeContract)
    assert issubclass(tests, ComponentContract)
    assert tests.__name__ == "TestConstantJudge"
    assert tests().new().options.preference == 0.8


def test_symmetric_clause_is_skipped_for_other_judges() -> None:
    with pytest.raises(pytest.skip.Exception, match="does not declare"):
        contract_test(ConstantJudge)().test_symmetric_judges_are_symmetric()  # type: ignore[attr-defined]


def test_sampling_judge_is_not_asked_to_repeat_itself() -> None:
    class WarmOptions(Options):
        temperature: float = 1.0

    warm: Any = type("Warm", (MoodyJudge,), {"Options": WarmOptions})
    with pytest.raises(pytest.skip.Exception, match=r"temperature 1\.0"):
        contract_test(warm)().test_same_question_same_answer()  # type: ignore[attr-defined]


def test_critic_contract_is_of_critics() -> None:
    assert issubclass(contract_test(RuleCritic), CriticContract)
    assert CriticContract.contract is Critic


def test_identity_is_the_same_with_and_without_an_optional_secret() -> None:
    class OptionalKeyOptions(Options):
        api_key: SecretStr | None = None
        model: str = "small"

    given = OptionalKeyOptions.model_validate({"api_key": "canary"})
    assert given.identity() == OptionalKeyOptions().identity() == {"model": "small"}


# --- core's own components keep their promises ------------------------------------------------------------


class TestMajorityVote(AggregatorContract):
    component = MajorityVote


class TestConfidenceThreshold(AggregatorContract):
    component = ConfidenceThreshold


class TestWeightedMean(AggregatorContract):
    component = WeightedMean
    options: ClassVar[dict[str, Any]] = {"weights": {"first": 0.5, "second": 0.3, "third": 0}}


class TestConstitutionFilter(AggregatorContract):
    component = ConstitutionFilter

    def samples(self) -> Sequence[Comparison]:
        found = [
            Critique(findings=(Finding(principle="harmless", satisfied=satisfied),))
            for satisfied in (True, False, None)
        ]
        return [
            sample.model_copy(update={"critique_a": a, "critique_b": b})
            for sample in sample_comparisons()[:1]
            for a in (*found, None)
            for b in (*found, Abstention(reason="refused"), None)
        ]


def asked(request: ChatRequest) -> str:
    """What a model says that finds the longer of two requests the better."""
    return "Final verdict: A" if len(request.messages[-1].content) % 2 else "Final verdict: B"


class TestChatJudge(JudgeContract):
    component = ChatJudge

    def make(self, options: Any) -> ChatJudge:
        return ChatJudge(ScriptedChatModel(script=asked), options)


class TestChatJudgeByLogprobs(JudgeContract):
    component = ChatJudge

    def make(self, options: Any) -> ChatJudge:
        return ChatJudge(LogprobChatModel(), options)


class TestBothOrders(JudgeContract):
    component = BothOrders

    def make(self, options: Any) -> BothOrders:
        return BothOrders(ConstantJudge(preference=0.8), options)


def found(request: ChatRequest) -> str:
    """What a model says that finds every principle it is asked about satisfied."""
    text = request.messages[-1].content
    return "\n".join(f"{p.name}: satisfied" for p in PRINCIPLES if p.name in text)


class TestChatCritic(CriticContract):
    component = ChatCritic

    def make(self, options: Any) -> ChatCritic:
        return ChatCritic(ScriptedChatModel(script=found), options)


class TestChatReviser(ReviserContract):
    component = ChatReviser

    def make(self, options: Any) -> ChatReviser:
        return ChatReviser(ScriptedChatModel(script=lambda r: r.messages[-1].content[-40:]), options)


class TestChatGenerator(GeneratorContract):
    component = ChatGenerator

    def make(self, options: Any) -> ChatGenerator:
        return ChatGenerator(ScriptedChatModel(script=lambda r: r.messages[-1].content), options)
