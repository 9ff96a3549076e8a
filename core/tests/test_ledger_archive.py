"""The ledger from outside: counted, exported and pruned, also while a run has it open."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from jurist.chat import ChatReply
from jurist.engine import ledger_stats
from jurist.engine.ledger import BatchEntry, Ledger
from jurist.engine.ledger_archive import LedgerArchive, Removal
from jurist.engine.ledger_stats import BatchCounts, CallTimes, FailureGroup, failure_text
from jurist.errors import ProviderError, UsageError
from jurist.events import Events
from jurist.recipe import Recipe
from jurist.records import Usage
from jurist.run import run

HOLDER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from jurist.engine.ledger import Ledger
    from jurist.records import Usage
    with Ledger(Path(sys.argv[1], "ledger.sqlite")) as ledger:
        ledger.put("late", "judge", '{"text": "late"}', Usage(usd=8))
        print("held", flush=True)
        sys.stdin.read()
""")


def chat_reply(text: str, usage: Usage, **said: Any) -> tuple[str, Usage]:
    return ChatReply(text=text, usage=usage, **said).model_dump_json(), usage


def refused(number: int, status: int = 429) -> str:
    return str(
        ProviderError(
            f"The service refused (HTTP status {status}).",
            provided_by=f"jurist-x 0.{number} (x:X)",
            cause=f"try again in {number}.5s, request req_011CQaBcDeFgHiJkLmNo{number}",
            hint="wait",
        )
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run of which every call is known."""
    with Ledger.open(tmp_path / "run" / "ledger.sqlite") as ledger:
        for number in range(1, 21):
            usage = Usage(prompt_tokens=10, completion_tokens=number, usd=0.5, seconds=number)
            model = {"served_model": "big-2", "fingerprint": f"fp{number % 2}"} if number > 17 else {}
            ledger.put(f"j{number}", "judge", *chat_reply(f"zäh {number}\n你好", usage, **model))
        for number in range(2):
            usage = Usage(prompt_tokens=1, usd=0.25)
            ledger.put(f"g{number}", "generator", *chat_reply("fine", usage, served_model="small"))
        for number in range(3):
            ledger.log_failure("j1", "judge", refused(number))
        ledger.log_failure("g1", "generator", refused(7))
        ledger.log_failure("g1", "generator", refused(7, status=503))
        for _ in range(2):
            ledger.log_failure("c1", "critic", "no\nslots 17")
        for name in ("one", "two", "three"):
            entry = BatchEntry(name=name, owner="o", begun=1.0, keys={"a": "x", "b": "y"}, choices={})
            ledger.begin_batch(entry)
        ledger.end_batch("two", "judge", {})
    return tmp_path / "run"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Another process has the ledger open, and has put a reply ("late") into it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], text=True, **pipes) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate()
    assert holder.returncode == 0


def test_calls_are_counted_by_component(folder: Path) -> None:
    critic, generator, judge = LedgerArchive(folder).stats().components
    assert [critic.component, generator.component, judge.component] == ["critic", "generator", "judge"]
    assert (critic.calls, critic.failed_tries, critic.usage, critic.times) == (0, 2, Usage(), None)
    assert (generator.calls, generator.failed_tries) == (2, 2)
    assert generator.usage == Usage(prompt_tokens=2, usd=0.5)
    assert generator.times is None  # nobody measured: no zero in its place
    assert (judge.calls, judge.failed_tries) == (20, 3)
    assert judge.usage == Usage(prompt_tokens=200, completion_tokens=210, usd=10.0, seconds=210.0)
    assert judge.times == CallTimes(timed=20, mean=10.5, median=10.5, p95=19.0)


def test_the_counts_are_those_of_the_ledger_itself(folder: Path) -> None:
    stats = LedgerArchive(folder).stats()
    with Ledger(folder / "ledger.sqlite") as ledger:
        tallies = ledger.tallies()
    assert {c.component: (c.calls, c.usage) for c in stats.components if c.calls} == {
        name: (tally.calls, tally.usage) for name, tally in tallies.items()
    }


def test_failures_of_one_cause_are_one_group(folder: Path) -> None:
    cause = "(try again in #s, request req_#)"
    assert LedgerArchive(folder).stats().failures == (
        FailureGroup(
            text=f"The service refused (HTTP status 429). {cause}",
            tries=4,
            components=("generator", "judge"),
        ),
        FailureGroup(text="no slots #", tries=2, components=("critic",)),
        FailureGroup(
            text=f"The service refused (HTTP status 503). {cause}", tries=1, components=("generator",)
        ),
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("took 1.25s of 30", "took #s of #"),
        ("at 2026-11-25T10:42:17.5Z and 10:42", "at # and #"),
        ("limit 40,000: used 39,999, asked 1,024.", "limit #: used #, asked #."),
        ("id 123e4567-e89b-12d3-a456-426614174000!", "id #!"),
        ("chatcmpl-AbC3dEfGhIjKlMnOpQrStU9 of jurist-0a1b2c3d4e5f6071-17", "chatcmpl-# of jurist-#"),
        ("object at 0x7f3a9c", "object at #"),
        ("gpt-4o-mini-2024-07-18, Llama3ForCausalLM, fp8", "gpt-4o-mini-2024-07-18, Llama3ForCausalLM, fp8"),
        ("Error code: 400 at line 400", "Error code: 400 at line #"),
        ("status_code=503 and status 99999", "status_code=503 and status #"),
        ("loss 1.5e-05", "loss #"),
        ("two\n\n  lines", "two lines"),
        ("the cause is\n  cause        that\n  try          4 more", "the cause is (that)"),
    ],
)
def test_what_differs_from_try_to_try_is_left_out_of_a_failure(error: str, text: str) -> None:
    assert failure_text(error) == text


def test_models_that_served_are_counted_by_what_the_replies_say(folder: Path) -> None:
    found = {(m.component, m.model, m.fingerprint): m.calls for m in LedgerArchive(folder).stats().models}
    assert found == {
        ("generator", "small", None): 2,
        ("judge", "big-2", "fp0"): 2,
        ("judge", "big-2", "fp1"): 1,
    }


def test_batches_and_the_size_are_counted(folder: Path) -> None:
    stats = LedgerArchive(folder).stats()
    assert stats.batches == BatchCounts(open=2, ended=1, waiting=4)
    assert stats.bytes == (folder / "ledger.sqlite").stat().st_size > 20_000


def test_a_ledger_from_before_there_were_batches_can_be_read(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        connection.executescript("DROP TABLE batches; DROP TABLE batch_requests;")
    stats = LedgerArchive(folder).stats()
    assert stats.batches == BatchCounts(open=0, ended=0, waiting=0)
    assert [component.calls for component in stats.components] == [0, 2, 20]


def test_an_export_is_what_was_put_oldest_first(folder: Path) -> None:
    archive = LedgerArchive(folder)
    rows = list(archive.replies())
    assert [row["key"] for row in rows] == [*(f"j{n}" for n in range(1, 21)), "g0", "g1"]
    usage = Usage(prompt_tokens=10, completion_tokens=3, usd=0.5, seconds=3.0)
    assert rows[2]["component"] == "judge"
    assert Usage.model_validate(rows[2]["usage"]) == usage
    assert ChatReply.model_validate(rows[2]["reply"]) == ChatReply(text="zäh 3\n你好", usage=usage)
    assert [row["key"] for row in archive.replies("generator")] == ["g0", "g1"]
    assert [(row["key"], row["error"]) for row in archive.failures("critic")] == [("c1", "no\nslots 17")] * 2
    assert len(list(archive.failures())) == 7
    assert list(archive.replies("critic")) == []  # known, by its failure


def test_an_exported_ledger_put_into_another_answers_the_same(folder: Path, tmp_path: Path) -> None:
    with Ledger(tmp_path / "copy.sqlite") as copy, Ledger(folder / "ledger.sqlite") as ledger:
        for row in LedgerArchive(folder).replies():
            reply = json.dumps(row["reply"], ensure_ascii=False, separators=(",", ":"))
            copy.put(row["key"], row["component"], reply, Usage.model_validate(row["usage"]))
        assert copy.tallies() == ledger.tallies()
        assert [copy.get(f"j{n}") for n in range(1, 21)] == [ledger.get(f"j{n}") for n in range(1, 21)]


def test_an_export_is_read_row_by_row(folder: Path) -> None:
    replies = LedgerArchive(folder).replies()
    assert next(replies)["key"] == "j1"
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.put("later", "judge", "{}", Usage())
    assert [row["key"] for row in replies][-1] == "g1"  # as it was when it began


def test_a_reply_that_is_no_json_is_named_and_counted(folder: Path) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.put("odd", "judge", "Infinity?", Usage())
    archive = LedgerArchive(folder)
    assert archive.stats().components[2].calls == 21
    with pytest.raises(UsageError, match="the reply odd is no JSON"):
        list(archive.replies())


def test_it_is_read_while_another_process_has_it_open(folder: Path) -> None:
    with held(folder):
        archive = LedgerArchive(folder)
        judge = archive.stats().components[2]
        assert (judge.calls, judge.usage.usd) == (21, 18.0)
        assert [row["reply"] for row in archive.replies("judge")][-1] == {"text": "late"}


def test_all_counts_are_of_one_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:

        def meanwhile(error: str) -> str:
            ledger.put(f"new {error}", "judge", "{}", Usage())
            return error

        monkeypatch.setattr(ledger_stats, "failure_text", meanwhile)
        assert LedgerArchive(folder).stats().components[2].calls == 20
        assert LedgerArchive(folder).stats().components[2].calls > 20


def test_it_is_not_pruned_while_another_process_has_it_open(folder: Path) -> None:
    asked: list[Removal] = []
    with held(folder), pytest.raises(UsageError, match=r"ledger\.sqlite is in use by another process"):
        LedgerArchive(folder).prune(component="judge", sure=lambda removal: not asked.append(removal))
    assert asked == []
    assert LedgerArchive(folder).stats().components[2].calls == 21


def test_reading_leaves_no_file_behind(folder: Path) -> None:
    before = sorted(os.listdir(folder))
    archive = LedgerArchive(folder)
    archive.stats()
    list(archive.replies())
    assert sorted(os.listdir(folder)) == before == ["ledger.sqlite", "ledger.sqlite.lock"]


def read_only(archive: LedgerArchive, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let SQLite fail as it does in a folder where we may not write; gives how it was opened."""
    real, opened = LedgerArchive._begun, []

    def begun(self: LedgerArchive, how: str) -> sqlite3.Connection:
        opened.append(how)
        if how != "immutable=1":
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorname = "SQLITE_READONLY_DIRECTORY"
            raise error
        return real(self, how)

    monkeypatch.setattr(LedgerArchive, "_begun", begun)
    return opened


def test_a_folder_where_we_may_not_write_can_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = LedgerArchive(folder)
    opened = read_only(archive, monkeypatch)
    assert [component.calls for component in archive.stats().components] == [0, 2, 20]
    assert opened == ["mode=rw", "immutable=1"]


def test_what_is_written_while_nothing_watches_over_it_is_not_trusted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = LedgerArchive(folder)
    read_only(archive, monkeypatch)
    replies = archive.replies()
    next(replies)
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.put("new", "judge", "{}", Usage())
        with pytest.raises(UsageError, match="was written while it was read"):
            list(replies)
        with pytest.raises(UsageError, match="could not be read") as caught:
            archive.stats()
    assert "readonly" in str(caught.value)


def test_a_folder_without_a_ledger_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError) as caught:
            LedgerArchive(folder)
        assert str(caught.value) == f"{folder} is not the folder of a run: it has no ledger.sqlite."
    assert list(tmp_path.iterdir()) == []  # least of all was one made


@pytest.mark.parametrize("content", [b"", b"this is not a database at all" * 100])
def test_a_file_that_is_no_ledger_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(content)
    with pytest.raises(UsageError, match=r"ledger\.sqlite could not be read"):
        LedgerArchive(tmp_path).stats()
    assert (tmp_path / "ledger.sqlite").read_bytes() == content


def test_an_unknown_component_gets_the_near_miss(folder: Path) -> None:
    archive = LedgerArchive(folder)
    for ask in (
        lambda: list(archive.replies("jugde")),
        lambda: list(archive.failures("jugde")),
        lambda: archive.prune(component="jugde"),
        lambda: archive.prune(component="jugde", failures=True),
    ):
        with pytest.raises(UsageError, match="'jugde'; did you mean 'judge'") as caught:
            ask()
        assert "(known: critic, generator, judge)" in str(caught.value)


def test_pruning_needs_something_to_go_by(folder: Path) -> None:
    with pytest.raises(UsageError, match="Nothing says what to prune"):
        LedgerArchive(folder).prune()
    assert [c.calls for c in LedgerArchive(folder).stats().components] == [0, 2, 20]


def test_pruning_a_component_forgets_its_replies_and_nothing_else(folder: Path) -> None:
    archive = LedgerArchive(folder)
    before = archive.stats()
    usage = Usage(prompt_tokens=200, completion_tokens=210, usd=10.0, seconds=210.0)
    removed = archive.prune(component="judge")
    assert removed == Removal("replies", "judge", 20, usage)
    after = archive.stats()
    assert [row["key"] for row in archive.replies()] == ["g0", "g1"]
    assert [(c.component, c.calls, c.failed_tries) for c in after.components] == [
        ("critic", 0, 2),
        ("generator", 2, 2),
        ("judge", 0, 3),
    ]
    assert (after.failures, after.batches) == (before.failures, before.batches)
    assert archive.prune(component="judge") == Removal("replies", "judge", 0, Usage())


def test_pruning_failures_forgets_all_or_those_of_one_component(folder: Path) -> None:
    archive = LedgerArchive(folder)
    assert archive.prune(component="judge", failures=True) == Removal("failures", "judge", 3, Usage())
    assert [row["component"] for row in archive.failures()] == ["generator"] * 2 + ["critic"] * 2
    assert archive.prune(failures=True) == Removal("failures", None, 4, Usage())
    assert list(archive.failures()) == []
    assert len(list(archive.replies())) == 22


def test_what_failed_tries_cost_is_counted_exported_and_told_before_they_are_forgotten(folder: Path) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log_failure("g1", "generator", "cut", Usage(usd=0.25, prompt_tokens=30, completion_tokens=4))
        ledger.log_failure("j1", "judge", "cut", Usage(usd=0.5, prompt_tokens=6))
        charged = ledger.charged()
    archive = LedgerArchive(folder)
    assert archive.stats().charged == charged == Usage(usd=0.75, prompt_tokens=40)
    costs = [(row["usd"], row["tokens"]) for row in archive.failures("generator")]
    assert costs == [(0, 0), (0, 0), (0.25, 34)]
    removed = archive.prune(component="generator", failures=True)
    assert removed == Removal("failures", "generator", 3, Usage(usd=0.25, prompt_tokens=34))
    assert archive.stats().charged == Usage(usd=0.5, prompt_tokens=6)


def test_failed_tries_of_an_earlier_version_cost_nothing_that_is_known(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        for column in ("usd", "tokens"):
            connection.execute(f"ALTER TABLE failures DROP COLUMN {column}")
        connection.execute("INSERT INTO failures VALUES (1, 'k', 'judge', '503')")
        connection.commit()
    archive = LedgerArchive(tmp_path)
    assert archive.stats().charged == Usage()
    assert list(archive.failures()) == [{"at": 1, "key": "k", "component": "judge", "error": "503"}]


def test_pruning_asks_first_and_keeps_everything_at_a_no(folder: Path) -> None:
    archive = LedgerArchive(folder)
    asked: list[Removal] = []

    def no(removal: Removal) -> bool:
        asked.append(removal)
        with pytest.raises(UsageError, match="in use"):  # so that what is removed is what was told
            Ledger(folder / "ledger.sqlite")
        return False

    assert archive.prune(component="generator", sure=no) is None
    assert asked == [Removal("replies", "generator", 2, Usage(prompt_tokens=2, usd=0.5))]
    assert len(list(archive.replies("generator"))) == 2


def test_amounts_that_cannot_be_right_are_left_out_and_can_be_pruned(folder: Path) -> None:
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        for number in range(2):
            ledger.put(f"x{number}", "generator", "{}", Usage(prompt_tokens=2**63 - 1, usd=-1.0))
    archive = LedgerArchive(folder)
    assert {each.component: each.calls for each in archive.stats().components}["generator"] == 4
    assert archive.prune(component="generator") == Removal(
        "replies", "generator", 4, Usage(prompt_tokens=2, usd=0.5)
    )


def test_pruning_gives_the_space_back(folder: Path) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        for number in range(50):
            ledger.put(f"big{number}", "verbose", json.dumps("x" * 20_000), Usage())
    archive = LedgerArchive(folder)
    assert archive.stats().bytes > 1_000_000
    archive.prune(component="verbose")
    assert archive.stats().bytes < 100_000


def test_space_that_an_earlier_pruning_could_not_give_back_is_given_back(folder: Path) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        for number in range(50):
            ledger.put(f"big{number}", "critic", json.dumps("x" * 20_000), Usage())
    archive = LedgerArchive(folder)
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection, connection:
        connection.execute("DELETE FROM replies WHERE component = 'critic'")
    assert archive.stats().bytes > 1_000_000
    assert archive.prune(component="critic", sure=lambda removal: False) == Removal(
        "replies", "critic", 0, Usage()
    )
    assert archive.stats().bytes < 100_000


class Recorder(Events):
    """Counts the calls by component and by whether they were replayed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[tuple[str, bool]] = Counter()

    def call(self, component: str, usage: Any, replayed: bool) -> None:
        self.calls[component, replayed] += 1


def test_a_run_after_pruning_asks_exactly_the_pruned_calls_anew(
    source: Any, write_rows: Callable[..., str], tmp_path: Path
) -> None:
    judges = [{"use": "constant", "name": name, "preference": p} for name, p in (("a", 0.8), ("b", 0.7))]
    generator = {"use": "chat", "replies": ["one", "two", "three"]}
    stage = {"stage": "compare", "samples": 2, "generator": generator, "judges": judges, "orders": "one"}
    recipe = Recipe.of(
        {
            "prompts": write_rows("p", "q", "r"),
            "constitution": {"name": "tiny", "principles": [{"name": "short", "description": "Be brief."}]},
            "stages": [stage],
        }
    )
    done = run(recipe, tmp_path / "run", source)
    asked = {name: total["calls"] for name, total in done.totals.items()}
    assert asked == {"chat": 6, "a": 3, "b": 3}
    archive = LedgerArchive(tmp_path / "run")
    preferences = (done.stages[0].folder / "preferences.jsonl").read_bytes()
    keys = {row["key"] for row in archive.replies()}

    removed = archive.prune(component="a")
    assert removed is not None
    assert (removed.count, removed.usage.usd) == (3, pytest.approx(done.totals["a"]["usd"]))
    finished = Recorder()
    assert run(recipe, tmp_path / "run", source, events=finished).stages[0].skipped
    assert finished.calls == {}

    shutil.rmtree(done.stages[0].folder)
    again = Recorder()
    done = run(recipe, tmp_path / "run", source, events=again)
    assert again.calls == {("chat", True): 6, ("a", False): 3, ("b", True): 3}
    assert (done.stages[0].folder / "preferences.jsonl").read_bytes() == preferences
    assert {row["key"] for row in archive.replies()} == keys
