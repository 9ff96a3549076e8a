from __future__ import annotations

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
