"""The queue is a spot check's sample; what it finds is what the spot check finds of the same labels."""

from __future__ import annotations

import itertools
import json
import random
import re
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import UsageError
from jurist.validation.spot_check import SpotCheck
from jurist_review.app.agreement import among_reviewers, consensus, labels_by_item, with_jury
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.exporting import export_labels, label_rows
from jurist_review.app.queue import Queue, shown_order
from jurist_review.app.votes import Action


def queue_of(desk: Desk) -> Queue:
    queue = desk.queue()
    assert queue is not None
    return queue


def vote(desk: Desk, reviewer: str, item: str, label: Any, kind: Any = "vote") -> None:
    seen = [e.sequence for e in desk.votes.history("compare", item) if e.reviewer == reviewer]
    order = shown_order(item, reviewer)
    action = Action(str(uuid.uuid4()), "", reviewer, "compare", item, kind, order, label)
    desk.votes.add(action, max(seen, default=0))


def test_the_sample_is_a_spot_checks_with_disagreements_first(run: Path, desk: Desk) -> None:
    drawn = queue_of(desk).drawn()
    wanted = {row.item: (row.stratum, row.probability) for row in SpotCheck(run).sample(20, 0)}
    assert {each.item: (each.stratum, each.probability) for each in drawn} == wanted
    strata = [each.stratum for each in drawn]
    assert [name for name, _ in itertools.groupby(strata)] == ["contested", "mostly", "unanimous"]
    assert min(Counter(strata).values()) >= 5


def test_the_sample_outlives_the_server_and_can_grow(run: Path, desk: Desk) -> None:
    before = queue_of(desk).drawn()
    again = Desk(run, Sampling(size=20, seed=5))
    again.catch_up()
    assert queue_of(again).drawn() == before
    larger = Desk(run, Sampling(size=45))
    larger.catch_up()
    grown = queue_of(larger).drawn()
    assert len(grown) == 45
    assert {each.item for each in before} < {each.item for each in grown}
    assert [name for name, _ in itertools.groupby(e.stratum for e in grown)] == [
        "contested",
        "mostly",
        "unanimous",
    ]


def test_a_sample_too_small_for_the_strata_is_said(run: Path) -> None:
    desk = Desk(run, Sampling(size=2))
    desk.catch_up()
    assert desk.queue() is None
    assert "cannot look at each of 3 strata" in desk.trouble


def test_what_was_skipped_comes_last_and_votes_leave_the_queue(desk: Desk) -> None:
    queue = queue_of(desk)
    items = [each.item for each in queue.drawn()]
    vote(desk, "ann", items[0], None, "skip")
    vote(desk, "ann", items[1], "tie")
    assert queue.waiting("ann") == [*items[2:], items[0]]
    assert queue.waiting("bob") == items
    progress = queue.progress("ann")
    assert (progress.drawn, progress.voted, progress.skipped, progress.waiting) == (20, 1, 1, 19)


def test_sides_are_as_good_as_random_and_another_for_each_reviewer() -> None:
    items = [f"{n:016x}" for n in range(2000)]
    ann = [shown_order(item, "ann") for item in items]
    bob = [shown_order(item, "bob") for item in items]
    assert ann == [shown_order(item, "ann") for item in items]
    assert 900 < ann.count("ba") < 1100
    assert 900 < sum(one == other for one, other in zip(ann, bob, strict=True)) < 1100


def test_the_page_of_an_item_is_the_same_whatever_the_jury_said(
    make_run: Any, make_judged: Any, make_client: Any
) -> None:
    pages = []
    for flipped in (False, True):
        desk = Desk(make_run(make_judged(120, flipped=flipped), name=f"run-{flipped}"), Sampling(size=20))
        desk.catch_up()
        item = queue_of(desk).drawn()[0].item
        page = make_client(desk).get(f"/review?item={item}").text
        pages.append(re.sub(r"[0-9a-f-]{36}", "UUID", page))
    assert pages[0] == pages[1]
    assert "Which response is better?" in pages[0]
    assert not re.search(r"contested|unanimous|mostly|because|refused", pages[0])


def test_live_agreement_is_what_the_import_of_the_same_labels_finds(run: Path, desk: Desk) -> None:
    queue = queue_of(desk)
    people = random.Random(1)
    for each in queue.drawn():
        vote(desk, "ann", each.item, people.choice(["A", "A", "B", "tie"]))
    labels = consensus(labels_by_item(desk.votes.standing("compare")))
    live = with_jury(desk.index, "compare", labels)
    done = export_labels(queue, desk.votes, run, run / "labels.jsonl")
    assert live.estimate is not None
    assert done.found.accuracy is not None
    assert live.estimate.model_dump() == pytest.approx(done.found.accuracy.model_dump(), rel=1e-12)
    assert (live.covered, live.checked, live.labels) == (1.0, 20, done.found.labels)
    assert [(s.stratum, s.labels, s.checked, s.right) for s in live.strata] == [
        (s.stratum, s.labels, s.checked, s.right) for s in done.found.strata
    ]


def test_before_every_stratum_was_seen_the_estimate_is_of_those_that_were(desk: Desk) -> None:
    first = queue_of(desk).drawn()[0]
    live = with_jury(desk.index, "compare", {})
    assert (live.estimate, live.covered, live.checked) == (None, 0.0, 0)
    live = with_jury(desk.index, "compare", {first.item: "tie"})
    size = next(each.labels for each in live.strata if each.stratum == "contested")
    assert live.covered == size / live.labels
    assert live.estimate is not None
    assert live.estimate.mean == 0.5


def test_a_label_is_what_most_reviewers_gave_and_none_where_they_are_even(run: Path, desk: Desk) -> None:
    queue = queue_of(desk)
    items = [each.item for each in queue.drawn()][:3]
    for reviewer, labels in {"ann": "AAB", "bob": "ABB", "eve": "BTB"}.items():
        for item, label in zip(items, labels, strict=True):
            vote(desk, reviewer, item, "tie" if label == "T" else label)
    agreed = consensus(labels_by_item(desk.votes.standing("compare")))
    assert agreed == {items[0]: "A", items[1]: None, items[2]: "B"}
    rows, undecided = label_rows(queue, desk.votes)
    assert ({row.item: row.label for row in rows}, undecided) == ({items[0]: "A", items[2]: "B"}, 1)


def test_nothing_to_export_is_an_error(run: Path, desk: Desk) -> None:
    with pytest.raises(UsageError, match="no labels to export"):
        export_labels(queue_of(desk), desk.votes, run, run / "labels.jsonl")


def krippendorff(units: list[list[str]]) -> float:
    """Krippendorff (2011), "Computing Krippendorff's alpha-reliability", nominal data, by coincidences."""
    values = sorted({value for unit in units for value in unit})
    together = dict.fromkeys(itertools.product(values, values), 0.0)
    for unit in units:
        for one, other in itertools.permutations(range(len(unit)), 2):
            together[unit[one], unit[other]] += 1 / (len(unit) - 1)
    totals = {value: sum(together[value, other] for other in values) for value in values}
    n = sum(totals.values())
    observed = sum(count for (one, other), count in together.items() if one != other)
    expected = sum(totals[a] * totals[b] for a in values for b in values if a != b) / (n - 1)
    return 1 - observed / expected


def test_agreement_among_reviewers_against_brute_force() -> None:
    draw = random.Random(2)
    labels: Any = {
        f"i{n}": {
            name: draw.choice(["A", "A", "B", "tie"]) for name in ("ann", "bob", "eve") if draw.random() < 0.8
        }
        for n in range(40)
    }
    found = among_reviewers(labels)
    shared = [list(given.values()) for given in labels.values() if len(given) > 1]
    assert found.items == len(shared)
    assert found.alpha == pytest.approx(krippendorff(shared))
    assert [pair.reviewers for pair in found.pairs] == [("ann", "bob"), ("ann", "eve"), ("bob", "eve")]
    both = [[g["ann"], g["eve"]] for g in labels.values() if {"ann", "eve"} <= g.keys()]
    pair = found.pairs[1]
    assert pair.same.mean == pytest.approx(sum(one == other for one, other in both) / len(both))
    assert pair.same.n == len(both)
    assert pair.alpha == pytest.approx(krippendorff(both))


def test_agreement_is_not_defined_where_nobody_gave_another_label() -> None:
    found = among_reviewers({"i": {"ann": "A", "bob": "A"}, "j": {"ann": "B"}})
    assert (found.items, found.alpha, found.pairs[0].same.mean) == (1, None, 1.0)
    assert among_reviewers({}).items == 0


def test_labels_that_were_exported_are_read_by_what_reads_labels(run: Path, desk: Desk) -> None:
    queue = queue_of(desk)
    for each in queue.drawn():
        vote(desk, "ann", each.item, "A")
    done = export_labels(queue, desk.votes, run, run / "labels.jsonl")
    rows = [json.loads(line) for line in done.labels_file.read_text().splitlines()]
    assert {row["item"] for row in rows} == {each.item for each in queue.drawn()}
    assert all(row["label"] == "A" and len(row["votes"]) == 3 for row in rows)
    more = SpotCheck(run).sample(20, 0)
    assert not {row.item for row in more} & {each.item for each in queue.drawn()}
