import itertools
import json
import os
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jurist import builtin
from jurist.aggregators import Chain, ConfidenceThreshold, ConstitutionFilter, MajorityVote, WeightedMean
from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.records import (
    Abstention,
    Comparison,
    Critique,
    Decision,
    Failure,
    Finding,
    Judgment,
    Prompt,
    Response,
)

PAIR = Comparison(prompt=Prompt.of("q"), response_a=Response(text="a"), response_b=Response(text="b"))
ABSTAINED = Abstention(reason="unparsed")
FAILED = Failure(error="reset")


def votes(*preferences):
    return [Judgment(preference=p) if isinstance(p, float) else p for p in preferences]


def majority(*preferences, **options):
    return MajorityVote(MajorityVote.Options(**options)).decide(PAIR, votes(*preferences))


def confidence(*preferences, **options):
    return ConfidenceThreshold(ConfidenceThreshold.Options(**options)).decide(PAIR, votes(*preferences))


def critique(*violated, unknown=()):
    names = {"r1": "r1" not in violated, "r2": "r2" not in violated} | dict.fromkeys(unknown)
    return Critique(findings=tuple(Finding(principle=n, satisfied=s) for n, s in names.items()))


def held(critique_a, critique_b):
    return PAIR.model_copy(update={"critique_a": critique_a, "critique_b": critique_b})


def test_majority_gives_the_mean_preference_of_the_winning_side():
    assert majority(0.9, 0.8, 0.3).probability == pytest.approx(2.0 / 3)
    assert majority(0.1, 0.2, 0.7).probability == pytest.approx(1.0 / 3)


def test_majority_never_gives_a_probability_against_its_winner():
    assert majority(0.6, 0.6, 0.0).probability == 0.5
    assert majority(0.4, 0.4, 1.0).probability == 0.5


def test_majority_can_give_the_share_of_votes():
    assert majority(0.6, 0.6, 0.0, probability="share").probability == pytest.approx(2 / 3)
    assert majority(0.4, 0.4, 1.0, probability="share").probability == pytest.approx(1 / 3)


def test_abstentions_and_failures_are_counted_and_never_votes():
    decision = majority(ABSTAINED, 1.0, FAILED, FAILED)
    assert decision.probability == 1.0
    undecided = majority(ABSTAINED, 1.0, FAILED, 0.0)
    assert undecided.detail == "1 for A, 1 for B, 0 ties; 1 abstained, 1 failed"


@pytest.mark.parametrize(
    ("preferences", "options", "reason"),
    [
        ([], {}, "no_votes"),
        ([ABSTAINED, FAILED], {}, "no_votes"),
        ([0.5], {}, "tie"),
        ([0.5, 0.5, 1.0], {}, "tie"),
        ([0.5, 1.0], {}, "tie"),
        ([1.0, 0.0], {}, "no_majority"),
        ([1.0, 1.0, 0.0], {"min_agreement": 0.7}, "no_majority"),
        ([1.0, ABSTAINED], {"min_votes": 2}, "no_majority"),
    ],
)
def test_majority_leaves_undecided_with_the_reason(preferences, options, reason):
    decision = majority(*preferences, **options)
    assert (decision.status, decision.reason) == ("undecided", reason)


def test_agreement_is_the_share_of_the_votes_cast():
    assert majority(1.0, 1.0, 0.0, min_agreement=2 / 3).status == "decided"
    assert majority(1.0, 1.0, ABSTAINED, min_agreement=1.0).status == "decided"
    assert majority(1.0, 1.0, 0.5, min_agreement=0.7).status == "undecided"


def test_majority_against_counting_by_hand_for_every_small_jury():
    levels = (0.0, 0.25, 0.5, 1.0, ABSTAINED, FAILED)
    for jury in itertools.chain.from_iterable(itertools.product(levels, repeat=n) for n in range(5)):
        cast = [p for p in jury if isinstance(p, float)]
        a, b, ties = sum(p > 0.5 for p in cast), sum(p < 0.5 for p in cast), cast.count(0.5)
        decision = majority(*jury)
        if a != b and max(a, b) > ties:
            mean = sum(cast) / len(cast)
            assert decision.probability == pytest.approx(max(mean, 0.5) if a > b else min(mean, 0.5))
        else:
            assert decision.status == "undecided"


@pytest.mark.parametrize(
    ("preferences", "threshold", "probability"),
    [
        ([0.9, 0.7], 0.8, 0.8),
        ([0.1, 0.3], 0.8, 0.2),
        ([0.75, ABSTAINED, FAILED], 0.75, 0.75),
        ([0.6], 0.5, 0.6),
    ],
)
def test_confidence_decides_by_the_mean(preferences, threshold, probability):
    assert confidence(*preferences, threshold=threshold).probability == pytest.approx(probability)


@pytest.mark.parametrize(
    ("preferences", "reason"),
    [([0.6], "low_confidence"), ([1.0, 0.0], "low_confidence"), ([0.5, 0.5], "tie"), ([FAILED], "no_votes")],
)
def test_confidence_leaves_undecided_with_the_reason(preferences, reason):
    assert confidence(*preferences, threshold=0.7).reason == reason
    assert confidence(*preferences, threshold=0.7).status == "undecided"


def test_filter_decides_for_the_only_clean_response():
    decide = ConstitutionFilter().decide
    assert decide(held(critique("r1"), critique()), ()).probability == 0.0
    decision = decide(held(critique(), critique("r1", "r2")), votes(0.0))
    assert decision.probability == 1.0
    assert decision.detail == "B violates r1, r2"


def test_filter_sets_aside_two_violations_and_passes_on_two_clean_responses():
    both = ConstitutionFilter().decide(held(critique("r1"), critique("r2")), ())
    assert (both.status, both.reason) == ("set_aside", "filtered")
    assert both.detail == "A violates r1; B violates r2"
    clean = held(critique(), critique())
    passed_on = ConstitutionFilter().decide(clean, ())
    assert (passed_on.status, passed_on.reason) == ("undecided", "undecided")
    alone = Chain([ConstitutionFilter()]).decide(clean, ())  # nobody said that they are equally good
    assert (alone.status, alone.reason) == ("set_aside", "undecided")
    assert Chain([ConstitutionFilter(), MajorityVote()]).decide(clean, votes(1.0)).probability == 1.0


@pytest.mark.parametrize("gap", [None, ABSTAINED, FAILED, critique(unknown=["r2"])])
@pytest.mark.parametrize("other", [critique(), critique("r1"), None])
def test_an_unknown_critique_is_never_a_pass(gap, other):
    for comparison in (held(gap, other), held(other, gap)):
        decision = ConstitutionFilter().decide(comparison, ())
        assert (decision.status, decision.reason) == ("set_aside", "missing")
        assert decision.detail


class Fixed(Aggregator):
    def __init__(self, decision, early=False):
        super().__init__()
        self.decision = decision
        self.before_judging = early

    def decide(self, comparison, outcomes):
        return self.decision


DECIDED = Decision(status="decided", probability=0.8)
ASIDE = Decision(status="set_aside", reason="filtered", aggregator="mine")
TIE = Decision(status="undecided", reason="tie")
UNSURE = Decision(status="undecided", reason="low_confidence")


def test_the_first_that_decides_or_sets_aside_ends_the_chain():
    assert Chain([Fixed(TIE), Fixed(DECIDED), Fixed(ASIDE)]).decide(PAIR, ()).probability == 0.8
    assert Chain([Fixed(TIE), Fixed(ASIDE), Fixed(DECIDED)]).decide(PAIR, ()) == ASIDE


def test_what_nobody_decides_is_set_aside_with_the_last_reason():
    decision = Chain([Fixed(TIE), Fixed(UNSURE)]).decide(PAIR, ())
    assert (decision.status, decision.reason) == ("set_aside", "low_confidence")
    assert decision.aggregator == "Fixed"


def test_only_what_leads_the_chain_decides_early():
    early, late = Fixed(DECIDED, early=True), Fixed(ASIDE)
    assert Chain([early, late]).decide_early(PAIR).probability == 0.8
    assert Chain([Fixed(TIE, early=True), early, late]).decide_early(PAIR).probability == 0.8
    assert Chain([late]).decide_early(PAIR) is None
    assert Chain([Fixed(TIE, early=True), late]).decide_early(PAIR) is None
    assert Chain([early, late]).before_judging
    assert not Chain([late]).before_judging


def test_what_decides_before_judging_cannot_stand_behind_others():
    with pytest.raises(UsageError, match="wrong order: MajorityVote, ConstitutionFilter, Fixed") as caught:
        Chain([MajorityVote(), ConstitutionFilter(), Fixed(TIE)])
    assert "in this order: ConstitutionFilter, MajorityVote, Fixed" in str(caught.value)


def test_an_empty_chain_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Chain([])


PREFERENCES = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([ABSTAINED, FAILED])), max_size=6)


@given(PREFERENCES)
def test_swapping_every_vote_swaps_the_decision(preferences):
    swapped = [1 - p if isinstance(p, float) else p for p in preferences]
    chains = (majority, confidence, lambda *p: majority(*p, probability="share"))
    for decide in chains:
        one, other = decide(*preferences), decide(*swapped)
        if any(isinstance(p, float) and 0 < abs(p - 0.5) < 1e-9 for p in preferences):
            continue  # 1 - p is not exact there
        if one.probability is not None and abs(one.probability - 0.7) > 1e-9:
            assert other.probability == pytest.approx(1 - one.probability)


@given(st.lists(st.sampled_from([ABSTAINED, FAILED]), max_size=6), st.floats(0, 1))
def test_failures_and_abstentions_alone_never_make_a_label(jury, agreement):
    chain = Chain([MajorityVote(MajorityVote.Options(min_agreement=agreement)), ConfidenceThreshold()])
    decision = chain.decide(PAIR, jury)
    assert (decision.status, decision.probability, decision.reason) == ("set_aside", None, "no_votes")


def test_core_offers_them_as_components():
    offered = {c.name: c.collected("aggregator", "jurist-core").load() for c in builtin.jurist_aggregators()}
    assert offered == {
        "majority": MajorityVote,
        "confidence": ConfidenceThreshold,
        "weighted": WeightedMean,
        "constitution-filter": ConstitutionFilter,
    }


def weighted(*preferences, weights=(2.0, 1.0, 1.0, 0.0), **options):
    names = dict(zip("abcd", weights, strict=True))
    jury = [
        vote.model_copy(update={"source": name})
        for name, vote in zip("abcd", votes(*preferences), strict=False)
    ]
    return WeightedMean(WeightedMean.Options(weights=names, **options)).decide(PAIR, jury)


@pytest.mark.parametrize(
    ("preferences", "probability"),
    [
        ([1.0, 0.0, 0.5, 0.0], 2.5 / 4),
        ([0.0, 1.0, 0.5, 1.0], 1.5 / 4),
        ([ABSTAINED, 1.0, 0.8, 0.0], 0.9),
        ([0.9, FAILED, ABSTAINED, 0.0], 0.9),
    ],
)
def test_weighted_takes_the_mean_of_the_votes_cast(preferences, probability):
    assert weighted(*preferences).probability == pytest.approx(probability)


@pytest.mark.parametrize(
    ("preferences", "options", "reason"),
    [
        ([ABSTAINED, FAILED, ABSTAINED, 1.0], {}, "no_votes"),
        ([0.5, 0.5, ABSTAINED, 1.0], {}, "tie"),
        ([1.0, 0.0, 0.0, 1.0], {}, "low_confidence"),
        ([0.8, 0.7, 0.7, 1.0], {"threshold": 0.76}, "low_confidence"),
        ([1.0, 1.0, 0.0], {"weights": (0.1, 0.2, 0.3, 0.0)}, "low_confidence"),  # 0.1 + 0.2 is not 0.3 here
    ],
)
def test_weighted_leaves_undecided_with_the_reason(preferences, options, reason):
    decision = weighted(*preferences, **options)
    assert (decision.status, decision.reason) == ("undecided", reason)


def test_weights_and_judges_must_match():
    aggregator = WeightedMean(WeightedMean.Options(weights={"gpt": 1, "cluade": 2}))
    aggregator.check_judges({"gpt": "1", "cluade": "2"})
    with pytest.raises(UsageError) as error:
        aggregator.check_judges({"gpt": "1", "claude": "2"})
    assert "weights.cluade: no judge has this name; did you mean 'claude'?" in str(error.value)
    assert "weights: judge 'claude' has none; give it one, or 0 to leave it out" in str(error.value)


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": -1}, {"a": float("nan")}, {"a": float("inf")}])
def test_weights_that_weigh_nothing_are_refused(weights):
    with pytest.raises(ValidationError):
        WeightedMean.Options(weights=weights)


def test_weighted_gives_the_published_accuracy_of_peers_that_rate_each_other():
    data = Path(os.environ.get("JURIST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    file = data / "prd" / "ratings.jsonl"
    if not file.exists():
        pytest.skip(f"PRD is not at hand: {file}")
    sides = {1: 1.0, 2: 0.0, 3: 0.5}
    people, peers = defaultdict(list), defaultdict(list)
    for row in map(json.loads, file.read_text().splitlines()):
        pair, side = (row["q"], row["a"], row["b"]), sides[row["score"]]
        if row["reviewer"] == "human":
            people[pair].append(side)
            people[row["q"], row["b"], row["a"]].append(1 - side)
        else:
            peers[pair].append(Judgment(preference=side, source=row["reviewer"]))
    names = ("gpt4", "claude", "gpt35", "bard", "vicuna-13b")
    weights = dict(zip(names, (0.48844, 0.37666, 0.08181, 0.05308, 0), strict=True))
    jury = WeightedMean(WeightedMean.Options(weights=weights))

    def side_of(probability):
        return 0 if probability in (None, 0.5) else 1 if probability > 0.5 else -1

    right = [
        side_of(jury.decide(PAIR, peers[pair]).probability) == side_of(fmean(votes))
        for pair, votes in people.items()
    ]
    assert len(right) == 1600
    assert sum(right) / len(right) == 0.673125
