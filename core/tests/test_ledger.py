from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from jurist.engine.ledger import Ledger
from jurist.errors import UsageError
from jurist.records import Usage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "ledger.sqlite"


def test_a_reply_comes_back_as_it_was(path: Path):
    text = '{"text": "zäh \\" 你好 \\u0000"}'
    with Ledger.open(path) as ledger:
        assert ledger.get("k") is None
        ledger.put("k", "judge", text, Usage())
        assert ledger.get("k") == text
    with Ledger.open(path) as ledger:
        assert ledger.get("k") == text


def test_a_put_is_committed_when_it_returns(path: Path):
    with Ledger.open(path) as ledger:
        ledger.put("k", "judge", "{}", Usage())
        other = sqlite3.connect(path)
        assert other.execute("SELECT reply FROM replies WHERE key = 'k'").fetchall() == [("{}",)]
        other.close()


def test_totals_and_tallies_add_up(path: Path):
    with Ledger.open(path) as ledger:
        assert ledger.totals() == Usage()
        ledger.put("a", "x", "{}", Usage(prompt_tokens=1, completion_tokens=20, usd=0.5, seconds=2))
        ledger.put("b", "x", "{}", Usage(prompt_tokens=10, completion_tokens=2, usd=0.75, seconds=1))
        ledger.put("c", "y", "{}", Usage(prompt_tokens=100))
        assert ledger.totals() == Usage(prompt_tokens=111, completion_tokens=22, usd=1.25, seconds=3)
        tallies = ledger.tallies()
    assert sorted(tallies) == ["x", "y"]
    assert tallies["x"].calls == 2
    assert tallies["x"].usage == Usage(prompt_tokens=11, completion_tokens=22, usd=1.25, seconds=3)
    assert (tallies["x"].largest_usd, tallies["x"].largest_tokens) == (0.75, 21)


def test_a_failure_is_kept_and_answers_nothing(path: Path):
    with Ledger.open(path) as ledger:
        ledger.log_failure("k", "judge", "503")
        ledger.log_failure("k", "judge", "504")
        assert ledger.get("k") is None
        assert ledger.failures() == [("judge", "503"), ("judge", "504")]
        assert ledger.totals() == Usage()


def test_a_second_process_is_refused_and_let_in_after_close(path: Path):
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from jurist.errors import UsageError
        from jurist.engine.ledger import Ledger
        try:
            Ledger.open(Path(sys.argv[1])).close()
        except UsageError as error:
            print(error)
            sys.exit(2)
    """)
    command = [sys.executable, "-c", program, str(path)]
    with Ledger.open(path):
        refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2, refused.stderr
    assert refused.stdout.startswith(f"{path} is in use by another process.")
    assert subprocess.run(command, timeout=60).returncode == 0


def test_the_same_process_cannot_open_it_twice_either(path: Path):
    with Ledger.open(path), pytest.raises(UsageError, match="in use"):
        Ledger.open(path)


def test_a_full_disk_is_said_and_loses_nothing(path: Path):
    with Ledger.open(path) as ledger:
        ledger.put("before", "judge", "kept", Usage())
        ledger._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(UsageError) as caught:
            ledger.put("big", "judge", "x" * 100_000, Usage())
        assert ledger.get("before") == "kept"
    assert str(path) in str(caught.value)
    assert "disk is full" in str(caught.value)
    with Ledger.open(path) as ledger:
        assert ledger.get("before") == "kept"
        assert ledger.get("big") is None
        ledger.put("big", "judge", "x" * 100_000, Usage())


def test_a_file_that_is_no_ledger_is_refused_by_name(path: Path):
    path.parent.mkdir()
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(UsageError, match=r"ledger\.sqlite could not be opened") as caught:
        Ledger.open(path)
    assert "not a database" in str(caught.value)
    path.unlink()
    Ledger.open(path).close()  # the failed attempt holds no lock


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="could not be made"):
        Ledger.open(tmp_path / "file" / "ledger.sqlite")
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(UsageError, match="unable to open"):
        Ledger.open(tmp_path / "folder.sqlite")


def test_a_link_to_a_ledger_is_locked_with_it(path: Path, tmp_path: Path):
    with Ledger.open(path):
        link = tmp_path / "elsewhere.sqlite"
        link.symlink_to(path)
        with pytest.raises(UsageError, match="in use"):
            Ledger.open(link)
    Ledger.open(link).close()


def test_what_a_failure_cost_is_kept_beside_it(path: Path):
    with Ledger.open(path) as ledger:
        ledger.log_failure("a", "judge", "timed out", Usage(usd=0.5, prompt_tokens=3, completion_tokens=4))
        ledger.log_failure("b", "judge", "503")
    with Ledger.open(path) as ledger:
        assert ledger.charged() == Usage(usd=0.5, prompt_tokens=7)
        assert ledger.totals() == Usage()


def test_a_ledger_of_an_earlier_version_opens_and_keeps_its_failures(path: Path):
    path.parent.mkdir()
    old = sqlite3.connect(path)
    old.execute(
        "CREATE TABLE failures (at REAL NOT NULL, key TEXT NOT NULL, component TEXT NOT NULL, error TEXT)"
    )
    old.execute("INSERT INTO failures VALUES (1, 'k', 'judge', '503')")
    old.commit()
    old.close()
    for _ in range(2):
        with Ledger.open(path) as ledger:
            ledger.log_failure("k", "judge", "504", Usage(usd=0.25))
    with Ledger.open(path) as ledger:
        assert ledger.failures() == [("judge", "503"), ("judge", "504"), ("judge", "504")]
        assert ledger.charged() == Usage(usd=0.5)


def test_a_ledger_with_amounts_that_cannot_be_right_opens(path: Path):
    with Ledger.open(path) as ledger:
        ledger.put("sound", "judge", "{}", Usage(prompt_tokens=3, completion_tokens=2, usd=0.5, seconds=1))
        for key, usage in {
            "sum too large": Usage(prompt_tokens=2**62, completion_tokens=2**62),
            "so is this": Usage(prompt_tokens=2**63 - 1, usd=math.inf, seconds=math.inf),
            "negative": Usage(prompt_tokens=-7, usd=-1.0),
        }.items():
            ledger.put(key, "judge", "{}", usage)
    with Ledger.open(path) as ledger:
        tally = ledger.tallies()["judge"]
    assert tally.calls == 4
    assert tally.usage == Usage(prompt_tokens=3, completion_tokens=2, usd=0.5, seconds=1)
    assert (tally.largest_usd, tally.largest_tokens) == (0.5, 5)


def test_a_second_reply_changes_nothing_and_one_that_cannot_be_stored_is_an_error(path: Path):
    with Ledger.open(path) as ledger:
        ledger.put("k", "judge", "first", Usage())
        ledger.put("k", "judge", "second", Usage())
        assert ledger.get("k") == "first"
        with pytest.raises(UsageError, match="NOT NULL"):
            ledger.put("other", "judge", "{}", Usage(usd=math.nan))
