"""Drift: what counts as a change, and when it is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from jurist.validation.drift import Drift
from jurist.validation.labelled import LabelledItem, Vote

Said = str | None


def items(
    *said: Said | Sequence[Said], judge: str = "j", version: str = "v1", label: Any = "A"
) -> list[LabelledItem]:
    """One item for each verdict, or for each pair of them in both orders."""
    found = []
    for number, verdicts in enumerate(said):
        each = [verdicts] if verdicts is None or isinstance(verdicts, str) else verdicts
        votes = tuple(
            Vote(judge=judge, order=order, verdict=None, reason="failure", version=version)
            if verdict == "failure"
            else Vote(
                judge=judge,
                order=order,
                verdict=verdict,
                reason="" if verdict else "refused",
                version=version,
            )  # type: ignore[arg-type]
            for order, verdict in zip(("ab", "ba"), each, strict=False)
        )
        found.append(LabelledItem(item=str(number), label=label, votes=votes))
    return found


def drift(before: Any, now: Any, tolerated: float = 0.05) -> Any:
    return Drift.between(before, now, tolerated).judges[0]


def test_an_abstention_is_another_verdict_and_a_failure_is_none() -> None:
    found = drift(items("A", "A", "A", "tie", None, "A"), items("A", "B", None, "tie", None, "failure"))
    assert (found.compared, found.changed) == (5, 2)
    assert found.moved == pytest.approx(1 / 3)
    assert (found.lost, found.won) == (2, 0)


def test_chances_are_exact() -> None:
    found = drift(items(*"AAAAAAAAAA"), items(*"BBBAAAAAAA"))
    assert found.chance == pytest.approx(0.0115036, rel=1e-5)  # P(X >= 3), n = 10, p = 0.05
    found = drift(items(*"AAAAAAAAB"), items(*"BBBBBBBBA"))
    assert (found.lost, found.won) == (8, 1)
    assert found.right_chance == pytest.approx(20 / 512)
    assert drift(items(*"A" * 3000), items(*"A" * 3000)).chance == 1
    assert drift(items(*"A" * 3000), items(*"B" * 3000)).chance < 1e-9


@pytest.mark.parametrize(("changed", "drifts"), [(0, False), (5, False), (9, False), (10, True), (40, True)])
def test_more_than_is_tolerated_is_more_than_chance(changed: int, drifts: bool) -> None:
    before, now = items(*"A" * 100), items(*("B" * changed + "A" * (100 - changed)))
    assert bool(Drift.between(before, now, 0.05).drifting) is drifts


def test_where_nothing_is_tolerated_one_change_is_too_much() -> None:
    assert not Drift.between(items("A", "B"), items("A", "B"), 0).drifting
    assert Drift.between(items("A", "B"), items("A", "A"), 0).drifting


def test_another_judge_under_the_same_name_has_not_drifted() -> None:
    before, now = items(*"A" * 50), items(*"B" * 50, version="v2")
    found = Drift.between(before, now, 0.05)
    assert (found.judges[0].settings, found.judges[0].changed, found.drifting) == ("changed", 50, ())
    assert "or how it was asked, were others before" in found.judges[0].text()
    unknown = Drift.between(items(*"A" * 50, version=""), now, 0.05)
    assert unknown.judges[0].settings == "unknown"
    assert unknown.drifting


def test_only_orders_that_both_times_were_shown_are_compared() -> None:
    found = drift(items(("A", "B"), ("A", "A")), items("A", "A"))
    assert (found.compared, found.changed) == (2, 0)
    assert drift(items(("A", "B")), items(("A", "A"))).changed == 1


def test_several_judges_are_each_held_to_less_chance() -> None:
    one, two = items(*"A" * 100), items(*"A" * 100, judge="k")
    both = [a.model_copy(update={"votes": a.votes + b.votes}) for a, b in zip(one, two, strict=True)]
    now = items(*("B" * 10 + "A" * 90))
    assert Drift.between(one, now, 0.05).drifting  # P(X >= 10) is 0.028
    changed = [a.model_copy(update={"votes": a.votes + b.votes}) for a, b in zip(now, two, strict=True)]
    assert not Drift.between(both, changed, 0.05).drifting


def test_a_judge_without_verdicts_of_before_is_said_to_have_none() -> None:
    found = Drift.between(items("A", judge="other"), items("A"), 0.05)
    assert found.judges[0].text() == "j: nothing to compare, since the anchors have no verdicts of it"
    assert not found.drifting
