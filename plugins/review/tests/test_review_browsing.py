"""What the page's filters go through: right, bounded, and the same in every report of the same data."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jurist.records import Failure, Prompt, Response
from jurist_review.browsing import ADDED, REMOVED, BrowsedRow, Browser, Section, room_for, script_json
from jurist_review.report import write_report
from jurist_review.selection import Fitting

PageOf = Callable[[Path], Any]


def entry(number: int, text: str, outcome: str = "kept", tags: tuple[str, ...] = ()) -> BrowsedRow:
    prompt = Prompt.of(f"{number} {text}", tags=tags)
    return BrowsedRow(prompt.id, prompt, outcome, "", lambda: [Section.text("Response", text)])


def test_every_comparison_of_a_run_is_in_the_page(run_folder: Path, page_of: PageOf) -> None:
    revised, compared = page_of(run_folder).data()
    assert len(revised["rows"]) == 40
    ended = Counter(revised["outcomes"][row[1]] for row in revised["rows"])
    assert ended == {
        "ended: satisfied": 36, "ended: rounds": 2, "ended: abstention": 1, "ended: failure": 1
    }  # fmt: skip
    tagged = [
        row for row in revised["rows"] if row[2] == [revised["tags"].index(t) for t in ("privacy", "en")]
    ]
    assert len(tagged) == 30
    assert all(row[0].startswith("What is the phone number") and row[3] == "1" for row in tagged)
    decided = Counter(compared["outcomes"][row[1]] for row in compared["rows"])
    assert decided == {"A is better": 35, "B is better": 1, "set aside: no majority": 4}
    assert [bool(row[3]) for row in compared["rows"]] == [n % 10 != 9 for n in range(40)]
    judges = compared["details"]["4"][-1]
    assert judges[0] == "Judges"
    assert "terse: abstention, refused" in judges[1]


def test_an_opened_trajectory_shows_what_changed_in_its_whole_texts(
    run_folder: Path, page_of: PageOf
) -> None:
    revised = page_of(run_folder).data()[0]
    sections = {heading: pieces for heading, *pieces in revised["details"]["7"]}
    old, new = sections["Response"], sections["Last revision"]
    assert "".join(p if isinstance(p, str) else p[1] for p in old) == "Of course, you fool: it is 555-0107."
    assert "".join(p if isinstance(p, str) else p[1] for p in new).startswith("I cannot share it")
    assert {p[0] for p in old if not isinstance(p, str)} == {REMOVED}
    assert {p[0] for p in new if not isinstance(p, str)} == {ADDED}
    assert sections["Critique 1"] == ["violated: privacy, respect"]
    assert sections["Critique 2"] == ["violated: nothing"]


def test_outcomes_and_tags_can_be_chosen_by_labelled_controls(run_folder: Path, page_of: PageOf) -> None:
    page = page_of(run_folder)
    parts = [attributes for tag, attributes in page.tags if tag in ("select", "input")]
    assert [each["data-part"] for each in parts] == ["outcome", "tag", "words", "outcome", "words"]
    count = [tag for tag, _ in page.tags].count
    assert count("label") == 5
    assert count("fieldset") == count("legend") == 2
    assert count("option") == (1 + 4) + (1 + 3) + (1 + 3)


def test_hostile_text_stays_text() -> None:
    text = "</script><!-- \u202e\x00 \ud800 ![x](https://evil.example) {{ 7*7 }}"
    browser = Browser(10_000, "prompts", "Gain")
    browser.add(entry(1, text, tags=(text, "y" * 10_000)))
    data = browser.data()
    assert "<" not in data
    data.encode("utf-8")
    read = json.loads(data)
    assert read["rows"][0][0].startswith("1 </script><!-- ⟨U+202E⟩⟨U+0000⟩ ⟨U+D800⟩ ![x](https")
    assert read["details"]["0"][1] == ["Response", read["tags"][0]]
    assert len(read["tags"][1]) < 200
    assert script_json("</script>") == '"\\u003c/script>"'


def test_failures_are_said_and_long_texts_are_cut_visibly() -> None:
    assert Section.of("Response", Failure(error="429")).pieces == ["failed: 429"]
    (shown,) = Section.of("Response", Response(text="x" * 1_000_000), "score 1.000").pieces
    assert shown == "x" * 1200 + " … 998,800 more characters"


@pytest.mark.parametrize("letter", ["a", "下", "<"])
def test_a_page_has_room_for_bounded_data_whatever_is_in_it(letter: str) -> None:
    browser = Browser(200_000, "comparisons", "P(A)")
    for number in range(1500):
        tags = tuple(f"{letter}{number % 300}-{n}" for n in range(3))
        browser.add(entry(number, letter * 700, "rare" if number % 100 == 0 else "common", tags))
    data = browser.data()
    names = len(script_json(list(browser.tags)).encode())
    assert len(data.encode()) < 200_000 + names + 10_000, "indexes and commas come on top"
    assert len(browser.tags) == 200
    read = json.loads(data)
    assert len(read["rows"]) == browser.shown
    assert len(read["details"]) == browser.opened > 0
    numbers = [int(row[0].split()[0]) for row in read["rows"]]
    assert numbers == sorted(numbers)
    rare = [n for n in read["details"] if read["outcomes"][read["rows"][int(n)][1]] == "rare"]
    in_page = [row for row in read["rows"] if read["outcomes"][row[1]] == "rare"]
    assert len(rare) == len(in_page), "what is rare can be opened although most rows cannot"


def test_small_files_get_what_they_need_and_large_ones_the_rest() -> None:
    assert room_for({"a": 10, "b": 1000, "c": 5000}, 2020) == {"a": 20, "b": 1000, "c": 1000}
    assert room_for({"a": 10, "b": 20}, 2020) == {"a": 20, "b": 40}
    assert room_for({"a": 100, "b": 100}, 0) == {"a": 0, "b": 0}
    assert room_for({}, 100) == {}


@pytest.mark.slow
def test_a_page_of_ten_thousand_comparisons_stays_under_seven_megabytes(run_folder: Path) -> None:
    draw = random.Random(0)
    line = (run_folder / "stages/03-compare/judgments.jsonl").read_text().splitlines()[1]
    with (run_folder / "stages/03-compare/judgments.jsonl").open("w") as file:
        for number in range(10_000):
            row = json.loads(line)
            row["comparison"]["prompt"]["messages"][0]["content"] = (
                f"{number} {draw.random()} {'下雨天' * 90}"
            )
            row["comparison"]["prompt"]["tags"] = [f"t{number % 7}"]
            for name in ("response_a", "response_b"):
                row["comparison"][name]["text"] = f"{number} {name} {'word ' * 140}"
            file.write(json.dumps(row) + "\n")
    page = write_report(run_folder, run_folder / "report.html")
    assert 5_500_000 < page.stat().st_size < 7_000_000


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=40, unique_by=lambda x: x),
    st.integers(0, 300),
    st.randoms(),
)
def test_what_fits_is_bounded_and_of_one_group_does_not_depend_on_the_order(
    items: list[tuple[str, int]], most: int, shuffler: random.Random
) -> None:
    def fitted(group: str, rows: list[tuple[str, int]]) -> dict[str, str]:
        fitting = Fitting(most)
        for name, size in rows:
            if name in group:
                fitting.offer(name, f"{name}{size}", "x" * size)
        return fitting.texts()

    assert sum(map(len, fitted("ab", items).values())) <= most
    shuffled = list(items)
    shuffler.shuffle(shuffled)
    assert fitted("a", items) == fitted("a", shuffled)
    whole = sum(size for name, size in items if name == "a")
    assert (len(fitted("a", items)) == sum(name == "a" for name, _ in items)) == (whole <= most)
