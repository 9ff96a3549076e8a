"""Rankings: published values, sums done by hand, and what must not fail."""

from __future__ import annotations

import json
import math
import os
import random
from itertools import combinations, permutations
from pathlib import Path

import pytest

from jurist.errors import UsageError
from jurist_calibrate.ranking import Ranking, rank

DATA = Path(os.environ.get("JURIST_DATA") or Path(__file__).parents[4] / "shared" / "data")

# Stigler (1994), "Citation patterns in the journals of statistics and probability": how often a journal (row)
# was cited by another (column), 1987-1989.
CITED = {
    "Biometrika": {"Comm. Statist.": 730, "JASA": 498, "JRSS-B": 221},
    "Comm. Statist.": {"Biometrika": 33, "JASA": 68, "JRSS-B": 17},
    "JASA": {"Biometrika": 320, "Comm. Statist.": 813, "JRSS-B": 142},
    "JRSS-B": {"Biometrika": 284, "Comm. Statist.": 276, "JASA": 325},
}


def abilities(ranking: Ranking) -> dict[str, float]:
    return {item.name: item.ability for item in ranking.items}


def test_journals_are_ranked_as_published() -> None:
    citations = [
        (cited, citing, 1.0)
        for cited, row in CITED.items()
        for citing, times in row.items()
        for _ in range(times)
    ]
    ranking = rank(citations, prior=1e-6)
    assert [item.name for item in ranking.items] == ["JRSS-B", "Biometrika", "JASA", "Comm. Statist."]
    for journal, published in {"Comm. Statist.": -2.94907, "JASA": -0.47957, "JRSS-B": 0.26895}.items():
        assert ranking.difference(journal, "Biometrika") == pytest.approx(published, abs=5e-6)
    assert (ranking.triads, ranking.cycles) == (4, 0)


def test_five_models_judged_by_each_other_are_ranked_as_before() -> None:
    """PRD (arXiv 2307.02762): 8,000 verdicts of five judges on five models' answers, in both orders."""
    file = DATA / "prd" / "ratings.jsonl"
    if not file.exists():
        pytest.skip(f"PRD is not at hand: {file}")
    verdicts = [json.loads(line) for line in file.read_text().splitlines()]
    shares = {1: 1.0, 2: 0.0, 3: 0.5}
    ranking = rank((v["a"], v["b"], shares[v["score"]]) for v in verdicts if v["reviewer"] != "human")
    assert sum(item.comparisons for item in ranking.items) == 2 * 8000
    known = {"claude": -0.347, "vicuna-13b": -1.307, "gpt35": -1.371, "bard": -1.578}
    assert [item.name for item in ranking.items] == ["gpt4", *known]
    for model, ability in known.items():
        assert ranking.difference(model, "gpt4") == pytest.approx(ability, abs=6e-4)


def test_two_items_by_hand() -> None:
    """3 wins to 1: the log-odds are log 3, with the variance 1/3 + 1/1; each ability is half of that away."""
    ranking = rank([("a", "b", 1.0)] * 3 + [("b", "a", 1.0)], prior=1e-9)
    assert ranking.difference("a", "b") == pytest.approx(math.log(3))
    assert ranking.items[0].ability == -ranking.items[1].ability == pytest.approx(math.log(3) / 2)
    assert [item.standard_error for item in ranking.items] == pytest.approx([math.sqrt(1 / 3 + 1) / 2] * 2)
    assert [item.comparisons for item in ranking.items] == [4, 4]


def test_the_prior_is_that_many_wins_of_each_over_each() -> None:
    assert rank([("a", "b", 1.0)], prior=0.25).difference("a", "b") == pytest.approx(math.log(1.25 / 0.25))


def test_soft_labels_are_shares_of_wins_and_their_direction_does_not_matter() -> None:
    soft = rank([("a", "b", 0.75)] * 4 + [("b", "c", 0.5)] * 2)
    hard = rank([("a", "b", 1)] * 3 + [("b", "a", 1), ("c", "b", 1), ("b", "c", 1)])
    assert abilities(soft) == pytest.approx(abilities(hard))
    assert abilities(rank([("b", "a", 0.25)] * 4 + [("c", "b", 0.5)] * 2)) == pytest.approx(abilities(hard))


def test_abilities_solve_the_equations_of_the_likelihood() -> None:
    """Of each item: wins, with those of the prior, are what the abilities lead to expect (Hunter 2004)."""
    rng = random.Random(1)
    compared = [(*rng.sample("abcdefg", 2), rng.random()) for _ in range(40)]
    found = abilities(rank(compared, prior=0.3))
    assert sum(found.values()) == pytest.approx(0)
    for item in found:
        won = sum(p if item == one else 1 - p for one, other, p in compared if item in (one, other))
        expected = 0.0
        for one, other in permutations(found, 2):
            if item == one:
                met = 0.6 + sum({one, other} == {a, b} for a, b, _ in compared)
                expected += met / (1 + math.exp(found[other] - found[one]))
        assert won + 0.3 * (len(found) - 1) == pytest.approx(expected)


def test_strangers_and_winners_of_everything_are_finite_and_uncertain() -> None:
    ranking = rank([("a", "b", 1.0)] * 50 + [("c", "d", 1.0)] * 50)
    by_name = {item.name: item for item in ranking.items}
    assert by_name["a"].ability == pytest.approx(by_name["c"].ability)
    assert by_name["a"].ability > 0 > by_name["b"].ability
    assert all(math.isfinite(item.ability) and 2 < item.standard_error < 100 for item in ranking.items)


def test_more_comparisons_are_surer() -> None:
    few, many = ([("a", "b", 0.7), ("b", "c", 0.6), ("a", "c", 0.8)] * n for n in (10, 1000))
    for less, more in zip(rank(few).items, rank(many).items, strict=True):
        assert more.standard_error == pytest.approx(less.standard_error / 10, rel=0.01)


def test_a_long_one_sided_ranking_is_exact() -> None:
    names = [f"item {n}" for n in range(30)]
    ranking = rank([(one, other, 1.0) for one, other in combinations(names, 2)] * 10)
    assert [item.name for item in ranking.items] == names


def test_cycles_are_counted_among_majorities() -> None:
    ring = [("a", "b", 1.0), ("b", "c", 0.8), ("c", "a", 0.6)]
    assert (rank(ring).triads, rank(ring).cycles) == (1, 1)
    assert [item.name for item in rank([*ring, ("a", "c", 1.0)]).items] == ["a", "b", "c"]
    assert (rank([*ring, ("a", "c", 1.0)]).triads, rank([*ring, ("a", "c", 1.0)]).cycles) == (1, 0)
    tied = [*ring, ("a", "c", 0.6)]  # a with c: 0.4 + 0.6 to 0.6 + 0.4
    assert (rank(tied).triads, rank(tied).cycles) == (0, 0)


def test_a_tie_that_floating_point_blurs_is_a_tie() -> None:
    ring = [("a", "b", 1.0), ("b", "c", 1.0)]
    assert rank([*ring, *[("a", "c", 0.1)] * 3, *[("c", "a", 0.1)] * 3]).triads == 0


def test_nothing_compared_is_an_empty_ranking() -> None:
    assert rank([]) == Ranking(items=(), triads=0, cycles=0)


@pytest.mark.parametrize(
    ("compared", "prior", "part"),
    [
        ([("a", "a", 1.0)], 0.01, "'a' is compared with itself"),
        ([("a", "b", 1.5)], 0.01, "is 1.5"),
        ([("a", "b", math.nan)], 0.01, "is nan"),
        ([("a", "b", 1.0)], 0.0, "above 0"),
        ([("a", "b", 1.0)], math.nan, "above 0"),
    ],
)
def test_what_is_no_comparison_is_refused(
    compared: list[tuple[str, str, float]], prior: float, part: str
) -> None:
    with pytest.raises(UsageError, match=part):
        rank(compared, prior=prior)
