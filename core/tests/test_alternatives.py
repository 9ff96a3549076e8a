import math

import pytest

from jurist.alternatives import choice_logprobs, exclusive


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


NUMBERS = tuple(map(str, range(1, 11)))
SHARES = [0.05, 0.02, 0.03, 0.05, 0.1, 0.1, 0.15, 0.2, 0.1, 0.2]
"""P(1) to P(10) of an imagined scorer."""


def written_digit_by_digit(first: str) -> list[dict[str, float]]:
    """What a provider lists whose tokens are digits, where ``first`` was written first."""
    digits = [SHARES[0] + SHARES[9], *SHARES[1:9]]
    listed = {str(n): math.log(share) for n, share in enumerate(digits, 1)}
    zero, end = math.log(SHARES[9] / digits[0]), math.log(SHARES[0] / digits[0])
    second = {"0": zero, "<|end|>": end} if first == "1" else {"<|end|>": -0.01, "0": -9.0}
    return [{first: listed[first], **listed}, second]


def expectation(logprobs: tuple[float, ...] | None) -> float:
    weights = [math.exp(logprob) for logprob in logprobs or ()]
    return sum(n * weight for n, weight in enumerate(weights, 1)) / sum(weights)


def test_scores_are_right_where_10_is_one_token_and_where_it_is_two() -> None:
    expected = sum(n * share for n, share in enumerate(SHARES, 1))
    whole = [{n: math.log(share) for n, share in zip(NUMBERS, SHARES, strict=True)}]
    assert expectation(choice_logprobs(whole, NUMBERS)) == pytest.approx(expected)
    split = choice_logprobs(written_digit_by_digit("1"), NUMBERS)
    assert split == pytest.approx([math.log(share) for share in SHARES])
    assert expectation(split) == pytest.approx(expected)


def test_nothing_is_invented_where_another_digit_was_written() -> None:
    assert choice_logprobs(written_digit_by_digit("8"), NUMBERS) is None


def test_a_first_digit_that_is_hardly_ever_written_does_not_matter() -> None:
    tokens = {"8": math.log(0.6), "1": math.log(1e-4)} | {
        str(n): math.log(0.05) for n in (2, 3, 4, 5, 6, 7, 9)
    }
    found = choice_logprobs([tokens], NUMBERS)
    low = sum(n * math.exp(tokens[str(n)]) for n in range(1, 10)) / sum(map(math.exp, tokens.values()))
    assert expectation(found) == pytest.approx(low, abs=1e-2)
    assert all(map(math.isfinite, found or ()))


def test_choices_exclude_the_longer_ones_that_begin_with_them() -> None:
    logprobs = [math.log(p) for p in (0.5, 0.3, 0.1, 0.2)]
    left = exclusive(logprobs, [[1], [1, 0], [1, 0, 0], [2]])
    assert [math.exp(each) for each in left] == pytest.approx([0.2, 0.2, 0.1, 0.2])
    assert all(map(math.isfinite, exclusive([-1.0, -1.0], [[1], [1, 0]])))


def test_choices_that_look_alike_are_not_told_apart() -> None:
    assert choice_logprobs([{"A": -0.1, " A": -3.0}], ("A", " A")) is None


def test_rounding_never_makes_more_than_certain() -> None:
    assert choice_logprobs([{"A": 0.0, " A": -17.0, "B": -18.0}], ("A", "B")) == (0.0, -18.0)
