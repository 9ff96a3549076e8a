"""Best-of-n: which response is kept, against brute force; what is left out, and what a plan says of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import pytest

from jurist.chat import Sampling
from jurist.contracts import Generator, Scorer
from jurist.errors import BudgetStop, ProviderError, UsageError
from jurist.events import Events
from jurist.files.training_data import RevisionRow, read_training_data
from jurist.planning.planner import plan
from jurist.preflight import check
from jurist.recipe import Recipe
from jurist.records import Abstention, Prompt, Response, Score, Usage, content_id
from jurist.run import run
from jurist.stage_records import Candidate, Candidates
from jurist.stages.best_of import best_response

Write = Callable[..., str]
Rows = Callable[[Path], list[Any]]

PRINCIPLES = {
    "name": "tiny",
    "principles": [
        {"name": name, "description": f"Be {name}."} for name in ("kind", "brief", "true", "calm")
    ],
}
BEST = {"stage": "best_of", "generator": "seeded", "scorers": ["hashed"], "samples": 5}


def recipe(prompts: str, *stages: dict[str, Any], **settings: Any) -> Recipe:
    return Recipe.of({"prompts": prompts, "constitution": PRINCIPLES, "stages": stages, **settings})


class SeededGenerator(Generator):
    """Answers with its seed; to prompts with 'cut' every second answer is cut, to those with 'void' empty."""

    async def generate(self, prompt: Prompt, sampling: Sampling) -> Response:
        text, asked = str(sampling.seed), prompt.messages[-1].content
        assert sampling.seed is not None
        odd = sampling.seed % 2 == 1
        usage = Usage(completion_tokens=1, usd=0.01)
        if "void" in asked:
            return Response(text=" \n", usage=usage)
        return Response(text=text, finish_reason="length" if "cut" in asked and odd else "stop", usage=usage)


class HashedScorer(Scorer):
    """A number from 0 to 9 by the text; abstains from those that end in 1, and fails for those in 2."""

    asked: ClassVar[list[tuple[str, tuple[str, ...]]]] = []

    async def score(self, prompt: Prompt, response: Response, principles: Any) -> Any:
        self.asked.append((prompt.id, tuple(principle.name for principle in principles)))
        if response.text.endswith("1"):
            return Abstention(reason="unparsed")
        if response.text.endswith("2"):
            raise ProviderError("out of order", retryable=False)
        return Score(value=points(response.text), usage=Usage(completion_tokens=1, usd=0.01))


class LastDigitScorer(Scorer):
    """The last digit."""

    free = True

    async def score(self, prompt: Prompt, response: Response, principles: Any) -> Score:
        return Score(value=float(response.text[-1]))


def points(text: str) -> float:
    return float(int(content_id(text), 16) % 10)


class Recorder(Events):
    """Keeps which calls were replayed, and the outcomes of items."""

    def __init__(self) -> None:
        super().__init__()
        self.replayed: list[bool] = []
        self.outcomes: list[str] = []

    def call(self, component: str, usage: Any, replayed: bool) -> None:
        self.replayed.append(replayed)

    def outcome(self, stage: str, outcome: str) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(autouse=True)
def components(source: Any) -> None:
    source.offer("generator", "seeded", f"{__name__}:SeededGenerator")
    source.offer("scorer", "hashed", f"{__name__}:HashedScorer")
    source.offer("scorer", "digit", f"{__name__}:LastDigitScorer")
    HashedScorer.asked.clear()


def test_the_best_response_of_each_prompt_is_kept(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    prompts = write_rows(*({"prompt": f"p{n}", "tags": ["odd"] if n % 2 else []} for n in range(30)))
    wanted = recipe(prompts, {**BEST, "scorers": ["hashed", "digit"]})
    (stage,) = check(wanted, source).stages
    done = run(wanted, tmp_path / "run", source)
    folder = done.stages[0].folder
    found = rows(folder / "revisions.jsonl")
    firsts, bests, expected = [], [], []
    for number in range(30):
        prompt = Prompt.of(f"p{number}")
        texts = [str(stage.seed("best_of", prompt.id, sample)) for sample in range(5)]
        scores = [None if t[-1] in "12" else fmean([points(t), float(t[-1])]) for t in texts]
        if all(score is None for score in scores):
            continue
        best = max(score for score in scores if score is not None)
        expected.append((prompt.id, texts[scores.index(best)], scores.index(best), best, scores))
        if scores[0] is not None:
            firsts.append(scores[0])
            bests.append(best)
    assert [
        (row["prompt_id"], row["completion"][0]["content"], row["sample"], row["score"], row["scores"])
        for row in found
    ] == expected
    assert len(expected) > 25
    assert {row["completion"][0]["role"] for row in found} == {"assistant"}
    assert [row["tags"] for row in found[:2]] == [[], ["odd"]]
    summary = done.stages[0].summary
    assert (summary["prompts"], summary["revisions"]) == (30, len(expected))
    assert summary["without_score"] == 30 - len(expected)
    assert summary["score"]["n"] == len(firsts) < 30
    assert summary["score"]["first"] == pytest.approx(fmean(firsts))
    assert summary["score"]["gain"] == pytest.approx(fmean(bests) - fmean(firsts))
    assert summary["score"]["gain"] > 0.5
    assert summary["responses"] == {"response": 150}
    assert summary["scores"]["digit"] == {"score": 150}
    kinds = summary["scores"]["hashed"]
    assert sum(kinds.values()) == 150
    assert min(kinds["abstention"], kinds["failure"]) > 5
    assert done.artifacts.get("revisions", "").path == folder / "revisions.jsonl"
    assert len(read_training_data(folder / "revisions.jsonl", RevisionRow)) == len(expected)


def candidates(*scores: float | None) -> Candidates:
    """Responses a, b, c … with these scores; None where its scorer abstained."""
    given = [
        Candidate(
            response=Response(text=text),
            scores={"s": Abstention(reason="unparsed") if value is None else Score(value=value)},
        )
        for text, value in zip("abcdef", scores, strict=False)
    ]
    return Candidates.of(Prompt.of("p"), given)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ((1.0, 3.0, 3.0, 2.0), 1),  # of equals the first
        ((None, -5.0, -7.0), 1),  # no score is none, not zero
        ((math.nan, 1.0), 1),
        ((-math.inf, 1.0, math.inf), 1),
        ((None, None), None),
    ],
)
def test_ties_and_missing_scores(scores: tuple[float | None, ...], best: int | None) -> None:
    found = candidates(*scores)
    row = best_response(found)
    assert found.best == best
    assert (row and row.completion[0].content) == (None if best is None else "abcdef"[best])


def test_a_response_that_one_of_its_scorers_did_not_score_is_no_candidate() -> None:
    half = {"s": Score(value=9), "t": Abstention(reason="unparsed")}
    whole = {"s": Score(value=1), "t": Score(value=2)}
    given = [
        Candidate(response=Response(text=text), scores=scores) for text, scores in (("a", half), ("b", whole))
    ]
    row = best_response(Candidates.of(Prompt.of("p"), given))
    assert row is not None
    assert (row.sample, row.score, row.scores) == (1, 1.5, (None, 1.5))


def test_texts_that_are_cut_or_empty_are_neither_scored_nor_learnt(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    prompts = write_rows("void", *(f"cut {n}" for n in range(8)))
    log = Recorder()
    done = run(recipe(prompts, {**BEST, "scorers": ["digit"]}), tmp_path / "run", source, events=log)
    kept = rows(done.stages[0].folder / "revisions.jsonl")
    assert all(int(row["completion"][0]["content"]) % 2 == 0 for row in kept)
    summary = done.stages[0].summary
    counts = summary["responses"]
    assert counts["empty"] == 5
    assert counts["cut at max_tokens"] + counts["response"] == 40
    assert summary["scores"] == {"digit": {"score": counts["response"]}}
    assert log.outcomes[0] == "no_score"
    assert log.outcomes.count("kept") == len(kept) == summary["prompts"] - summary["without_score"]


@pytest.mark.parametrize(("principles", "count"), [("sampled", 1), ("all", 4), ("none", 0)])
def test_all_responses_to_a_prompt_are_scored_by_the_same_principles(
    principles: str, count: int, source: Any, write_rows: Write, tmp_path: Path
) -> None:
    stage = {**BEST, "principles": principles}
    run(recipe(write_rows(*(f"p{n}" for n in range(20))), stage), tmp_path / "run", source)
    by_prompt: dict[str, set[tuple[str, ...]]] = {}
    for prompt, names in HashedScorer.asked:
        by_prompt.setdefault(prompt, set()).add(names)
    assert all(len(names) == 1 and len(next(iter(names))) == count for names in by_prompt.values())
    assert len(set.union(*by_prompt.values())) == (4 if principles == "sampled" else 1)


def test_a_plan_counts_every_response_and_every_score(source: Any, write_rows: Write) -> None:
    stage = {**BEST, "scorers": ["hashed", {"use": "hashed", "name": "again"}, "digit"]}
    planned = plan(recipe(write_rows(*(f"p{n}" for n in range(7))), stage), source)
    calls = {(one.component, one.role): one.calls for one in planned.stages[0].components}
    assert {(key, bounds.low, bounds.high) for key, bounds in calls.items()} == {
        (("seeded", "generator"), 35, 35),
        (("hashed", "scorer"), 35, 35),
        (("again", "scorer"), 0, 0),  # it asks what the first one asks
        (("digit", "scorer"), 35, 35),
    }


def test_what_was_answered_before_a_stop_is_not_asked_again(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    wanted = recipe(write_rows(*(f"p{n}" for n in range(20))), {**BEST, "principles": "sampled"})
    with pytest.raises(BudgetStop):
        run(wanted, tmp_path / "run", source, max_tokens=60)
    log = Recorder()
    done = run(wanted, tmp_path / "run", source, events=log)
    assert log.replayed.count(True) >= 60
    fresh = run(wanted, tmp_path / "fresh", source)
    paths = [each.stages[0].folder / "revisions.jsonl" for each in (done, fresh)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_stage_without_any_score_says_why(source: Any, write_rows: Write, tmp_path: Path) -> None:
    source.offer("scorer", "broken", f"{__name__}:BrokenScorer")
    wanted = recipe(write_rows("p"), {**BEST, "scorers": ["broken"]})
    with pytest.raises(UsageError, match=r"came to nothing: 1 fault(.|\n)*broken: .*no credit"):
        run(wanted, tmp_path / "run", source)


class BrokenScorer(HashedScorer):
    async def score(self, prompt: Prompt, response: Response, principles: Any) -> Any:
        raise ProviderError("no credit", retryable=False)


def test_scorers_need_names_that_differ(source: Any, write_rows: Write) -> None:
    with pytest.raises(UsageError, match=r"stages\.best_of\.scorers: give each its own 'name:'"):
        check(recipe(write_rows("p"), {**BEST, "scorers": ["digit", "digit"]}), source)
