"""Reading prompts and comparisons."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jurist.errors import UsageError
from jurist.files.prompts import load_comparisons, load_prompts, selected
from jurist.records import Prompt

Write = Callable[..., str]


def test_every_form_of_a_row_gives_the_same_prompt(write_rows: Write) -> None:
    message = {"role": "user", "content": "Hi"}
    forms = ["Hi", {"prompt": "Hi"}, {"prompt": [message]}, {"messages": [message], "id": "kept out"}]
    for form in forms:
        assert [p.id for p in load_prompts(Path(write_rows(form)))] == [Prompt.of("Hi").id]


def test_duplicates_are_left_out_and_order_is_kept(write_rows: Write) -> None:
    prompts = load_prompts(Path(write_rows("b", "a", "b")))
    assert [prompt.messages[0].content for prompt in prompts] == ["b", "a"]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps("Hi") + "\n\n")
    assert len(load_prompts(path)) == 1


def test_all_faulty_rows_are_listed_by_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('"fine"\n{oops\n{"promt": "x"}\n\n{"prompt": "  "}\n3\n'
                    '{"prompt": [{"role": "usr", "content": "x"}]}\n{"prompt": "x", "tags": "t"}\n'
                    '{"prompt": [{"role": "assistant", "content": "x"}]}\n')  # fmt: skip
    with pytest.raises(UsageError) as caught:
        load_prompts(path)
    text = str(caught.value)
    assert "7 faults" in text
    for part in (":2: not JSON", ":3: 'prompt' is not given; did you mean 'promt'?",
                 ":5: the prompt is empty", ":6: a row is", ":7.role", ":8: 'tags'",
                 ":9: the prompt is empty"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("role", ["assistant", "system"])
def test_a_prompt_that_waits_for_no_answer_is_refused(role: str, write_rows: Write) -> None:
    row = {"prompt": [{"role": "user", "content": "x"}, {"role": role, "content": "y"}]}
    with pytest.raises(UsageError, match=f"ends with the {role}'s turn; it must end with the user's"):
        load_prompts(Path(write_rows(row)))


@pytest.mark.parametrize(
    "row",
    [
        r'"cut \ud83d"',
        r'{"messages": [{"role": "user", "content": "\ude00"}]}',
        r'{"prompt": "x", "tags": ["\ud83d"]}',
        r'{"prompt": "x", "metadata": {"deep": [{"\ud83d": 1}]}}',
    ],
)
def test_half_a_character_is_refused_before_anything_is_paid(row: str, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(f'"whole \\ud83d\\ude00"\n{row}\n')
    with pytest.raises(
        UsageError, match=r"p\.jsonl:2: holds half a character \(a lone surrogate\)"
    ) as caught:
        load_prompts(path)
    assert "1 fault" in str(caught.value)


def test_half_a_character_in_a_response_is_refused(write_rows: Write) -> None:
    path = Path(write_rows({"prompt": "q", "response_a": "1", "response_b": "\ud83d"}))
    with pytest.raises(UsageError, match=":1: holds half a character"):
        load_comparisons(path)


def test_many_faults_are_counted_not_all_printed(write_rows: Write) -> None:
    with pytest.raises(UsageError, match=r": 100 faults\n(.|\n)*… and 80 more"):
        load_prompts(Path(write_rows(*range(100))))


@pytest.mark.parametrize("name", ["missing.jsonl", "empty.jsonl", "torn.jsonl.gz"])
def test_missing_empty_and_broken_files_are_usage_errors(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "empty.jsonl":
        path.write_text("\n")
    elif name == "torn.jsonl.gz":
        path.write_bytes(gzip.compress(b'"x"\n' * 1000)[:-20])
    with pytest.raises(UsageError, match=name):
        load_prompts(path)


def test_tags_select() -> None:
    prompts = [Prompt.of("a", tags=("x",)), Prompt.of("b", tags=("x", "y")), Prompt.of("c")]
    assert [p.messages[0].content for p in prompts if selected(p, ["x"], [])] == ["a", "b"]
    assert [p.messages[0].content for p in prompts if selected(p, [], ["y"])] == ["a", "c"]
    assert [p.messages[0].content for p in prompts if selected(p, ["x"], ["y"])] == ["a"]


def test_comparisons_are_read_with_their_faults(write_rows: Write) -> None:
    good = {"prompt": "q", "response_a": "1", "response_b": {"text": "2"}, "label": "A"}
    (comparison,) = load_comparisons(Path(write_rows(good)))
    assert (comparison.response_a.text, comparison.response_b.text) == ("1", "2")
    with pytest.raises(UsageError, match="'response_b' must be a text"):
        load_comparisons(Path(write_rows({"prompt": "q", "response_a": "1", "response_b": 2})))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"prompt": "q", "response_a": "1"}, "'response_b' is not given"),
        (
            {"prompt": "q", "response_a": "1", "response_bb": "2", "id": 7},
            "'response_b' is not given; did you mean 'response_bb'?",
        ),
        (
            {"promt": "q", "response_a": "1", "response_b": "2"},
            "'prompt' is not given; did you mean 'promt'?",
        ),
    ],
)
def test_a_field_that_is_not_given_is_named_with_the_near_one(
    row: dict[str, object], fault: str, write_rows: Write
) -> None:
    path = Path(write_rows(row))
    with pytest.raises(UsageError) as caught:
        load_comparisons(path)
    assert caught.value.faults == (f"{path.name}:1: {fault}",)
