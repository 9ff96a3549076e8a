import math

import pytest

from jurist.alternatives import choice_logprobs


def test_spellings_that_differ_in_blanks_add_up() -> None:
    positions = [{"A": math.log(0.5), " A": math.log(0.2), "B": math.log(0.1), "a": math.log(0.1)}]
    assert choice_logprobs(positions, ("A", "B")) == pytest.approx((math.log(0.7), math.log(0.1)))


def test_blank_tokens_before_the_answer_are_passed_over() -> None:
    positions = [{"\n\n": -0.1, "A": -3.0, "B": -4.0}, {"A": -0.5, "B": -1.0}, {"B": -0.1, "A": -9.0}]
    assert choice_logprobs(positions, ("B", "A")) == pytest.approx((-1.0, -0.5))


@pytest.mark.parametrize(
    "positions",
    [
        [],
        [{" ": -0.1, "A": -1.0, "B": -1.0}],
        [{"A": -0.1, "C": -3.0}],
        [{"A": -0.1, "b": -3.0}],
        [{"A": -0.1, "B": -9999.0}],
        [{"The": -0.1, "A": -3.0}],
    ],
    ids=["none", "only blanks", "one missing", "another case", "sentinel", "a sentence"],
)
def test_nothing_is_invented_for_a_choice_that_is_not_listed(positions: list[dict[str, float]]) -> None:
    assert choice_logprobs(positions, ("A", "B")) is None


def test_a_longer_choice_is_not_taken_for_its_first_token() -> None:
    assert choice_logprobs([{"1": -0.1, "2": -3.0}], ("1", "2", "10")) is None


def test_choices_that_look_alike_are_not_told_apart() -> None:
    assert choice_logprobs([{"A": -0.1, " A": -3.0}], ("A", " A")) is None


def test_rounding_never_makes_more_than_certain() -> None:
    assert choice_logprobs([{"A": 0.0, " A": -17.0, "B": -18.0}], ("A", "B")) == (0.0, -18.0)
