"""What the index finds is what going through all rows finds, also while files grow and after they change."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jurist.records import Judgment, Prompt, Response
from jurist.stage_records import Judged, outcome_of
from jurist.stages.jury import SAME_TEXT
from jurist.validation.strata import stratum_of
from jurist_review.app import index as index_module
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.index import Index
from jurist_review.app.listing import EVERYTHING, Filters, Hidden, Listing, match
from jurist_review.app.sources import sources_of


def listed(listing: Listing, filters: Filters) -> list[str]:
    """The items of all pages, gone through one after the other."""
    found: list[str] = []
    page = listing.page(filters)
    while True:
        found += [item.item for item in page.items]
        if page.later is None:
            return found
        page = listing.page(replace(filters, after=page.later))


def with_text(judged: list[Judged], word: str) -> list[str]:
    return [
        each.comparison.id
        for each in judged
        if word in each.comparison.prompt.messages[0].content.lower()
        or word in each.comparison.response_a.text.lower()
        or any(isinstance(o, Judgment) and word in (o.rationale or "") for o in each.outcomes)
    ]


def test_what_the_judges_inside_a_judge_wrote_is_found_and_shown(
    make_run: Any, make_judged: Any, make_client: Any
) -> None:
    inner = Judgment(source="inner", preference=0.9, order="ab", rationale="because of the moon")
    half = Judgment(source="repeat", preference=0.9, order="ab", parts=(inner,))
    whole = Judgment(source="repeat", preference=0.9, order="both", parts=(half, half))
    rows = make_judged(40)
    rows[9] = rows[9].model_copy(update={"outcomes": (whole,)})  # it was set aside, so it is not hidden
    desk = Desk(make_run(rows), Sampling(size=20))
    desk.catch_up()
    assert listed(desk.listing, Filters(q="moon")) == [rows[9].comparison.id]
    row = desk.rows.compared("compare", rows[9].comparison.id)
    assert row is not None
    assert make_client(desk).get(f"/item/{row.id}").text.count("because of the moon") == 1


def ids(judged: list[Judged], keep: Callable[[Judged], bool]) -> list[str]:
    return [each.comparison.id for each in judged if keep(each)]


def test_filters_and_search_find_what_going_through_all_rows_finds(desk: Desk, make_judged: Any) -> None:
    judged = make_judged(120)
    stage = {"stage": "compare"}
    search = {
        word: listed(desk.listing, Filters(q=word, **stage)) for word in ("tea", "rain", "雨天", "no", "sun")
    }
    assert search == {word: with_text(judged, word) for word in search}
    assert all(0 < len(found) < 120 for word, found in search.items() if word != "sun")
    assert listed(desk.listing, Filters(outcome="no_majority")) == ids(
        judged, lambda each: outcome_of(each.decision) == "no_majority"
    )
    assert listed(desk.listing, Filters(stratum="contested")) == ids(
        judged, lambda each: each.decision.probability is not None and stratum_of(each) == "contested"
    )
    assert listed(desk.listing, Filters(tag="t1", q="answer tea")) == [
        item
        for item in with_text(judged, "tea")
        if item in ids(judged, lambda each: each.comparison.prompt.tags == ("t1",))
    ]
    assert listed(desk.listing, Filters(judge="y", said="abstained")) == ids(
        judged, lambda each: each.outcomes[1].kind == "abstention"
    )
    assert listed(desk.listing, Filters(judge="x", said="against the jury", stratum="mostly")) == ids(
        judged,
        lambda each: (
            each.decision.probability is not None
            and stratum_of(each) == "mostly"
            and isinstance(each.outcomes[0], Judgment)
            and (each.outcomes[0].preference > 0.5) != (each.decision.probability > 0.5)
        ),
    )


def test_pages_lead_forth_and_back(desk: Desk) -> None:
    first = desk.listing.page(Filters(kind="comparison"))
    second = desk.listing.page(Filters(kind="comparison", after=first.later or 0))
    back = desk.listing.page(Filters(kind="comparison", before=second.earlier or 0))
    assert [len(first.items), len(second.items), first.total_text] == [25, 25, "120"]
    assert first.earlier is None
    assert [item.item for item in back.items] == [item.item for item in first.items]
    assert back.earlier is None
    assert desk.listing.page(Filters(kind="comparison", after=10**9)).items == []


def test_trajectories_are_found_by_what_was_written_in_them(desk: Desk) -> None:
    assert [item.title for item in desk.listing.page(Filters(q="scolds")).items] == ["May I come in?"]
    assert [item.title for item in desk.listing.page(Filters(q="later", kind="trajectory")).items] == [
        "May I come in?"
    ]
    assert desk.listing.counts("revise")["outcome"] == {"satisfied": 2, "failure": 1}


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("tea rain", '"tea" "rain"'),
        ('"iced tea" rain*', '"iced tea" "rain"*'),
        ("毒死", '" 毒  死 "'),
        ('NEAR(a b) OR x"', '"NEAR(a" "b)" "OR" "x"'),
        ("prompt:a -b ^c", '"prompt:a" "-b" "^c"'),
        ('" * ( ) "" \x00', ""),
    ],
)
def test_a_search_has_no_syntax_but_quotes_and_stars(desk: Desk, typed: str, query: str) -> None:
    assert match(typed) == query
    desk.listing.page(Filters(q=typed))  # SQLite understands it


def test_what_is_hidden_is_in_no_list(desk: Desk) -> None:
    every = [item.item for item in desk.listing.page(Filters(kind="comparison")).items]
    rest = desk.listing.page(Filters(kind="comparison"), Hidden(frozenset(every[:3])))
    assert rest.items[0].item == every[3]
    assert rest.total == 117
    none = desk.listing.page(Filters(), EVERYTHING)
    assert {item.kind for item in none.items} == {"trajectory"}
    assert desk.listing.newest("compare", EVERYTHING, 5) == []


def test_a_file_that_grows_is_read_on_and_half_a_line_waits(make_run: Any, make_judged: Any) -> None:
    judged = make_judged(50)
    folder = make_run(judged[:20], status="running")
    index, path = Index(folder), folder / "stages/02-compare/judgments.jsonl.part"
    assert index.refresh()
    assert not index.refresh()
    line = judged[20].to_json() + "\n"
    with path.open("a") as file:
        file.write(line[:100])
    index.refresh()
    assert Listing(index).page(Filters()).total == 20
    with path.open("a") as file:
        file.write(line[100:] + "".join(each.to_json() + "\n" for each in judged[21:]))
    path.rename(path.with_suffix(""))
    assert index.refresh()
    assert listed(Listing(index), Filters()) == ids(judged, lambda each: True)
    assert Listing(index).counts("compare")["kind"] == {"comparison": 50}


def test_a_file_that_changed_is_read_anew(run: Path, desk: Desk, make_run: Any, make_judged: Any) -> None:
    other = make_judged(120, seed=4)
    make_run(other)
    desk.catch_up()
    assert listed(desk.listing, Filters(stage="compare")) == ids(other, lambda each: True)
    assert desk.listing.page(Filters(kind="trajectory")).total == 0
    make_run(other[:10])
    desk.catch_up()
    assert desk.listing.page(Filters()).total == 10


def test_strata_are_those_of_the_labels(desk: Desk, make_judged: Any) -> None:
    labelled = [each for each in make_judged(120) if each.decision.probability not in (None, 0.5)]
    with desk.index.connected() as connection:
        found = {row["stratum"]: row["size"] for row in connection.execute("SELECT * FROM strata")}
    assert found == Counter(stratum_of(each) for each in labelled)
    assert len(found) == 3


def test_rows_that_cannot_be_read_are_counted(run: Path) -> None:
    with (run / "stages/02-compare/judgments.jsonl").open("a") as file:
        file.write('{"comparison": 3}\nnot JSON\n\n')
    desk = Desk(run, Sampling())
    desk.index.refresh()
    assert sum(each.unreadable for each in desk.index.readings()) == 2


def test_a_row_that_moved_is_not_shown_as_another(run: Path, desk: Desk) -> None:
    from jurist.errors import UsageError

    item = desk.listing.page(Filters(kind="comparison")).items[3]
    assert desk.rows.judged(item).comparison.id == item.item
    path = run / "stages/02-compare/judgments.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[1:] + lines[:1]))
    with pytest.raises(UsageError, match="no longer what it was"):
        desk.rows.judged(item)


def test_an_index_of_another_version_is_made_anew(run: Path, desk: Desk) -> None:
    with desk.index.connected() as connection:
        connection.execute("PRAGMA user_version = 99")
    index = Index(run)
    assert Listing(index).page(Filters()).total == 0
    index.refresh()
    assert Listing(index).page(Filters()).total == 123


def test_prompts_of_one_text_in_two_stages_are_two_rows(desk: Desk) -> None:
    assert Prompt.of("Hello!").id in listed(desk.listing, Filters(stage="revise"))


def test_memory_does_not_grow_with_the_run(make_run: Any, make_judged: Any) -> None:
    folder = make_run(make_judged(1))
    path = folder / "stages/02-compare/judgments.jsonl"
    row = make_judged(1)[0].comparison
    with path.open("w") as file:
        for number in range(1500):
            text = Response(text=f"{number} " + "word " * 2000)
            comparison = row.model_copy(update={"response_a": text, "response_b": Response(text="no")})
            judged = Judged(comparison=comparison, outcomes=(), decision=SAME_TEXT)
            file.write(judged.to_json() + "\n")
    index = Index(folder)
    tracemalloc.start()
    index.refresh()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Listing(index).page(Filters(kind="comparison")).total == 1001  # counted no further
    assert path.stat().st_size > 15_000_000
    assert peak < path.stat().st_size / 2  # a batch of 500 rows


def test_an_index_that_is_deleted_under_a_running_server_is_made_anew(desk: Desk, make_client: Any) -> None:
    client = make_client(desk)
    for path in desk.index.path.parent.glob("index.sqlite*"):
        path.unlink()
    answer = client.get("/review")
    assert (answer.status_code, "made anew" in answer.text) == (409, True)
    desk.catch_up()
    assert desk.trouble == ""
    assert desk.listing.page(Filters()).total == 123
    assert "0 of 20 done" in client.get("/review").text


def test_rows_of_a_file_that_is_gone_are_gone(run: Path, desk: Desk) -> None:
    (run / "stages/01-revise/trajectories.jsonl").unlink()
    desk.catch_up()
    assert desk.listing.page(Filters(kind="trajectory")).total == 0
    assert desk.listing.page(Filters()).total == 120


def test_the_last_row_of_a_finished_file_needs_no_newline(run: Path, make_judged: Any) -> None:
    for name in ("judgments", "preferences"):
        path = run / f"stages/02-compare/{name}.jsonl"
        path.write_text(path.read_text().removesuffix("\n"))
    desk = Desk(run, Sampling(size=20))
    desk.catch_up()
    assert desk.queue() is not None
    last = desk.listing.page(Filters(kind="comparison", before=10**6)).items[-1]
    assert desk.rows.judged(last) == make_judged(120)[-1]


def test_long_rows_are_read_in_smaller_batches(
    run: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run / "stages/02-compare/judgments.jsonl"
    source = next(source for source in sources_of(run) if source.path == path)
    lengths = [len(line) for line in path.read_bytes().splitlines(keepends=True)]
    monkeypatch.setattr(index_module, "_BATCH_BYTES", sum(lengths[:10]) + 1)
    with desk.index.connected() as connection:
        index_module._make_anew(connection)
        index_module._read_on(connection, source)
        assert connection.execute("SELECT COUNT(*) FROM items").fetchone()[0] == 11
