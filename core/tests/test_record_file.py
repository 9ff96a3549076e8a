"""Files of records: gone through again and again, in memory that does not grow with them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jurist.errors import UsageError
from jurist.files.prompts import load_comparisons, load_prompts, selected
from jurist.files.record_file import RecordFile
from jurist.records import Prompt

Write = Callable[..., str]


def texts(prompts: RecordFile[Prompt]) -> list[str]:
    return [prompt.messages[0].content for prompt in prompts]


def test_it_is_read_anew_each_time_and_knows_its_length(write_rows: Write) -> None:
    prompts = load_prompts(Path(write_rows("a", "b", "a", "c")))
    first, second = iter(prompts), iter(prompts)
    assert [next(first).messages[0].content, next(second).messages[0].content] == ["a", "a"]
    assert texts(prompts) == texts(prompts) == ["a", "b", "c"]
    assert len(prompts) == 3


def test_of_equal_prompts_the_first_counts_with_its_tags(write_rows: Write) -> None:
    rows = [{"prompt": "a", "tags": ["x"]}, {"prompt": "a", "tags": ["y"]}]
    (prompt,) = load_prompts(Path(write_rows(*rows)))
    assert prompt.tags == ("x",)
    assert len(load_prompts(Path(write_rows(*rows)), keep=lambda p: selected(p, ["y"], []))) == 0


def test_the_limit_takes_the_first_that_are_left_after_all_filters(write_rows: Write) -> None:
    rows = [{"prompt": str(n), "tags": ["odd"] if n % 2 else []} for n in (1, 1, 2, 3, 4, 5, 7)]
    prompts = load_prompts(Path(write_rows(*rows)), keep=lambda p: "odd" in p.tags, limit=3)
    assert texts(prompts) == ["1", "3", "5"]
    assert len(prompts) == 3


def test_rows_beyond_the_limit_are_checked_too(write_rows: Write) -> None:
    with pytest.raises(UsageError, match=r"prompts\.jsonl:3: a row is a string"):
        load_prompts(Path(write_rows("a", "b", 3)), limit=1)


@pytest.mark.parametrize("most", [1, 3, 4, 7, 10, 11])
def test_a_sample_is_spread_over_the_whole_file(most: int, write_rows: Write) -> None:
    prompts = load_prompts(Path(write_rows(*map(str, range(10)))))
    chosen = [int(prompt.messages[0].content) for prompt in prompts.spread(most)]
    assert len(chosen) == min(most, 10)
    assert chosen == sorted(set(chosen))
    assert abs(sum(chosen) / len(chosen) - 4.5) <= 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ('"a"\n"B"\n"c"\n', "line 2 is not what it was"),
        ('"a"\n{torn\n"c"\n', "line 2 is not what it was"),
        ('"a"\n"\\ud83d"\n"c"\n', "line 2 is not what it was"),
        ('{"prompt": "a", "tags": ["new"]}\n"b"\n"c"\n', "line 1 is not what it was"),
        ('"a"\n"b"\n', "it had 3 rows and now has 2"),
        ('"a"\n"b"\n"c"\n"d"\n', "line 4 is not what it was"),
    ],
)
def test_a_file_that_changed_since_it_was_checked_is_an_error(
    changed: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('"a"\n"b"\n"c"\n')
    prompts = load_prompts(path)
    path.write_text(changed)
    with pytest.raises(UsageError, match="changed while it was in use") as caught:
        list(prompts)
    assert says in str(caught.value)


def test_no_row_that_changed_is_handed_out(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('"a"\n"b"\n')
    prompts = load_prompts(path)
    path.write_text('"a"\n"X"\n')
    rows = iter(prompts)
    assert next(rows).messages[0].content == "a"
    with pytest.raises(UsageError, match="changed"):
        next(rows)


def test_rows_after_the_limit_are_nobodys_business(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('"a"\n"b"\n"c"\n')
    prompts = load_prompts(path, limit=2)
    path.write_text('"a"\n"b"\n"X"\n"Y"\n')
    assert texts(prompts) == ["a", "b"]


def test_white_space_between_rows_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a"}\n"b"\n')
    prompts = load_prompts(path)
    path.write_text('\n{"prompt": "a"}  \n\n"b"')
    assert texts(prompts) == ["a", "b"]


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('"a"\n')
    prompts = load_prompts(path)
    path.unlink()
    with pytest.raises(UsageError, match="cannot read"):
        list(prompts)


def test_compressed_comparisons_are_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    rows = [{"prompt": "q", "response_a": str(n % 3), "response_b": "b"} for n in range(6)]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(map(json.dumps, rows)))
    comparisons = load_comparisons(path)
    assert [c.response_a.text for c in comparisons] == [c.response_a.text for c in comparisons]
    assert len(comparisons) == 3


PROGRAM = """
import sys
from pathlib import Path
from jurist.files.prompts import load_comparisons
found = load_comparisons(Path(sys.argv[1]))
assert sum(1 for _ in found) == len(found) == int(sys.argv[2])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs the peak of /proc")
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path) -> None:
    peaks = []
    for count in (1_000, 15_000):
        path = tmp_path / f"{count}.jsonl"
        filler = "word " * 95
        with path.open("w") as file:
            for number in range(count):
                row = {"prompt": f"{number} {filler}", "response_a": f"a {filler}", "response_b": filler}
                file.write(json.dumps(row) + "\n")
        command = [sys.executable, "-c", PROGRAM, str(path), str(count)]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert peaks[1] < 1.05 * peaks[0]  # the rows alone are 21 MB, half of what the process takes
