"""Files appear whole or not at all."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from jurist.errors import UsageError
from jurist.files.jsonl import read_rows, write_json, write_lines


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with write_lines(path) as lines:
        lines.write('{"a": 1}')
        lines.write('"zwei"')
        assert not path.exists()
    assert list(read_rows(path)) == [(1, {"a": 1}), (2, "zwei")]
    assert lines.count == 2


def test_a_byte_order_mark_is_no_part_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n2\n')
    assert list(read_rows(path)) == [(1, {"a": 1}), (2, 2)]


def test_a_line_that_is_not_json_says_in_which_column(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('1\n{"a": oops}\n')
    assert str(list(read_rows(path))[1][1]) == "not JSON: Expecting value (column 7)"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('[\n  {"prompt": "a"},\n  {"prompt": "b"}\n]\n', "it is one JSON array"),
        ('\n[{"prompt": "a"}, {"prompt": "b"}]', "it is one JSON array"),
        ("prompt,response_a\nWhat?,this\n", "it looks like CSV"),
        ('"prompt";"response a"\n"What?";"this"\n', "it looks like CSV"),
        ("prompt\tresponse_a\nWhat?\tthis\n", "it looks like CSV"),
    ],
)
def test_a_file_of_another_form_is_refused_at_once(text: str, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        list(read_rows(path))
    assert (caught.value.cause, caught.value.hint) == (cause, "write one JSON object per line")


@pytest.mark.parametrize("line", ['"one, two"', r'"a \"b\", c"', '"a"', "{oops, 1", "7"])
def test_a_first_line_with_commas_makes_no_table(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line)
    assert len(list(read_rows(path))) == 1


def test_bytes_that_are_not_utf8_are_told_with_their_line(tmp_path: Path) -> None:
    cut, utf16, latin = (tmp_path / name for name in ("cut.jsonl", "utf16.jsonl", "latin.jsonl.gz"))
    cut.write_bytes('"é"\n\n"é"\n"'.encode() + "😀".encode()[:2])
    utf16.write_text('"a"\n', encoding="utf-16")
    latin.write_bytes(gzip.compress(b'"a"\n' * 20_000 + '"é"\n'.encode("latin-1")))
    for path, line in ((cut, 4), (utf16, 1), (latin, 20_001)):
        with pytest.raises(UsageError) as caught:
            list(read_rows(path))
        assert caught.value.cause == f"line {line} is not UTF-8"
        assert caught.value.hint == "save the file as UTF-8"


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with pytest.raises(TypeError), write_lines(path) as lines:
        lines.write(None)  # type: ignore[arg-type]
    assert path.read_text() == "old"


def test_an_error_of_the_block_is_not_taken_for_one_of_writing(tmp_path: Path) -> None:
    def line() -> str:
        raise ConnectionResetError("peer")

    with pytest.raises(ConnectionResetError, match="peer"), write_lines(tmp_path / "a") as lines:
        lines.write(line())
    assert not (tmp_path / "a").exists()


def test_a_file_that_cannot_be_put_in_place_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        write_json(tmp_path / "a", {})


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_json(tmp_path / "missing" / "a.json", {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_says_that_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.part").symlink_to("/dev/full")
    with pytest.raises(UsageError, match="nothing that was paid for is lost"):
        write_json(tmp_path / "a.jsonl", "x" * 100_000)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_only_at_the_end_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.part").symlink_to("/dev/full")
    with pytest.raises(UsageError, match="nothing that was paid for is lost"):
        write_json(tmp_path / "a.jsonl", "small enough to wait in memory")
