import pytest

from jurist.pairing import PAIRINGS, adjacent, all_pairs


@pytest.mark.parametrize("count", range(7))
def test_all_pairs_are_each_unordered_pair_once(count):
    pairs = all_pairs(count)
    assert len(pairs) == count * (count - 1) // 2
    assert {frozenset(pair) for pair in pairs} == {
        frozenset((a, b)) for a in range(count) for b in range(count) if a != b
    }


def test_adjacent_pairs_link_each_response_to_the_next():
    assert adjacent(4) == [(0, 1), (1, 2), (2, 3)]
    assert adjacent(1) == []
    assert adjacent(0) == []


def test_recipes_know_both_by_name():
    assert dict(PAIRINGS) == {"all": all_pairs, "adjacent": adjacent}
