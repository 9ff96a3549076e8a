"""Votes are only ever added, are on disk before anybody hears of it, and do not overwrite each other."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jurist_review.app.votes import Action, Event, StaleError, Votes


def action(kind: Any = "vote", label: Any = "A", **changes: Any) -> Action:
    values: dict[str, Any] = {"request": str(uuid.uuid4()), "tab": "1", "reviewer": "ann", "item": "i"}
    return Action(**{**values, "stage": "s", "kind": kind, "shown": "ab", "label": label, **changes})


@pytest.fixture
def votes(tmp_path: Path) -> Votes:
    return Votes(tmp_path)


def standing(votes: Votes) -> list[tuple[str, str, str, Any]]:
    return [(e.reviewer, e.item, e.kind, e.label) for e in votes.standing("s")]


def test_the_newest_vote_stands_and_an_undo_brings_back_the_one_before(votes: Votes) -> None:
    first = votes.add(action(label="A"), 0)
    second = votes.add(action(label="B"), first.sequence)
    votes.add(action(reviewer="bob", label="tie"), 0)
    assert standing(votes) == [("ann", "i", "vote", "B"), ("bob", "i", "vote", "tie")]
    undo = votes.add(action("undo", None, undoes=second.sequence), second.sequence)
    assert standing(votes) == [("ann", "i", "vote", "A"), ("bob", "i", "vote", "tie")]
    votes.add(action("undo", None, undoes=first.sequence), undo.sequence)
    assert standing(votes) == [("bob", "i", "vote", "tie")]
    assert [e.kind for e in votes.history("s")] == ["vote", "vote", "vote", "undo", "undo"]


def test_a_second_page_that_knew_nothing_of_the_first_vote_changes_nothing(votes: Votes) -> None:
    votes.add(action(label="A", tab="1"), 0)
    with pytest.raises(StaleError) as caught:
        votes.add(action(label="B", tab="2"), 0)
    assert [(e.label, e.tab) for e in caught.value.events] == [("A", "1")]
    assert standing(votes) == [("ann", "i", "vote", "A")]


def test_an_action_sent_twice_counts_once(votes: Votes) -> None:
    vote = action()
    kept = votes.add(vote, 0)
    assert votes.add(vote, 0) == kept
    assert len(votes.history("s")) == 1


def test_a_page_out_of_the_browsers_memory_does_not_vote_anew(votes: Votes) -> None:
    vote = action(label="A")
    kept = votes.add(vote, 0)
    with pytest.raises(StaleError):
        votes.add(action(label="B", request=vote.request), 0)
    votes.add(action("undo", None, undoes=kept.sequence), kept.sequence)
    with pytest.raises(StaleError):
        votes.add(vote, 0)
    assert standing(votes) == []


@pytest.mark.parametrize("who", [{"reviewer": "bob"}, {"item": "other"}, {"undoes": 99}])
def test_only_ones_own_standing_vote_can_be_undone(votes: Votes, who: dict[str, Any]) -> None:
    kept = votes.add(action(), 0)
    with pytest.raises(StaleError):
        votes.add(action("undo", None, **{"undoes": kept.sequence, **who}), kept.sequence)
    assert standing(votes) == [("ann", "i", "vote", "A")]


def test_of_many_at_once_one_is_first_and_the_others_hear_of_it(votes: Votes) -> None:
    results: list[Event | StaleError] = []

    def vote(label: str) -> None:
        try:
            results.append(votes.add(action(label=label), 0))
        except StaleError as error:
            results.append(error)

    threads = [threading.Thread(target=vote, args=("AB"[n % 2],)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [each for each in results if isinstance(each, Event)]
    assert len(kept) == 1
    assert len(results) == 12
    assert standing(votes) == [("ann", "i", "vote", kept[0].label)]


def test_what_was_kept_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from jurist_review.app.votes import Action, Votes\n"
        "votes = Votes(Path(sys.argv[1]))\n"
        "for n in range(50):\n"
        "    action = Action(str(n), '', 'ann', 's', f'i{n}', 'vote', 'ab', 'A')\n"
        "    print(votes.add(action, 0).sequence, flush=True)\n"
        "    if n == 20:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = [int(line) for line in done.stdout.split()]
    assert done.returncode == -9
    assert told == list(range(1, 22))
    assert [event.sequence for event in Votes(tmp_path).history("s")] == told


def test_a_commit_waits_for_the_disk(votes: Votes) -> None:
    with votes._connected() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 3  # EXTRA


@pytest.mark.parametrize("statement", ["UPDATE events SET label = 'B'", "DELETE FROM events"])
def test_the_file_itself_refuses_to_forget(votes: Votes, statement: str) -> None:
    votes.add(action(), 0)
    connection = sqlite3.connect(votes.path)
    with pytest.raises(sqlite3.IntegrityError, match="only added"):
        connection.execute(statement)
    connection.close()


def test_a_note_stays_beside_the_vote(votes: Votes) -> None:
    kept = votes.add(action(note="first"), 0)
    votes.add(action("note", None, note="second"), kept.sequence)
    assert standing(votes) == [("ann", "i", "vote", "A")]
    assert [event.note for event in votes.history("s", "i")] == ["first", "second"]


def test_a_vote_that_stands_cannot_be_skipped_away(votes: Votes) -> None:
    kept = votes.add(action(label="B"), 0)
    with pytest.raises(StaleError) as caught:
        votes.add(action("skip", None), kept.sequence)
    assert caught.value.events == [kept]
    votes.add(action("skip", None, reviewer="bob"), 0)
    undo = votes.add(action("undo", None, undoes=kept.sequence), kept.sequence)
    votes.add(action("skip", None), undo.sequence)
    assert standing(votes) == [("bob", "i", "skip", None), ("ann", "i", "skip", None)]


def test_another_note_in_an_action_sent_again_is_kept_once(votes: Votes) -> None:
    vote = action(note="one")
    kept = votes.add(vote, 0)
    for note in ("one", "one, and a long thought", "one, and a long thought", "one"):
        assert votes.add(replace(vote, note=note), 0) == kept
    assert [(e.kind, e.note) for e in votes.history("s")] == [
        ("vote", "one"),
        ("note", "one, and a long thought"),
    ]
    newer = votes.add(action(label="B"), votes.history("s")[-1].sequence)
    with pytest.raises(StaleError) as caught:
        votes.add(replace(vote, note="a third"), 0)
    assert newer in caught.value.events
