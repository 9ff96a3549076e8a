"""The page as a whole: what it says, and that nothing in it can do harm."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist.engine.ledger import Ledger
from jurist.records import Comparison, Decision, Judgment, Prompt, Response, Trajectory, Usage
from jurist.stage_records import Judged
from jurist_review.report import write_report

PageOf = Callable[[Path], Any]

HOSTILE = (
    '<script>alert("x")</script><img src=https://evil.example/x onerror=alert(1)> '
    "\u202egnp.exe \x00 </textarea>"
    "</pre><style>*{display:none}</style>{{ 7*7 }} ]]> <!-- \u2066 \ud800 ![x](https://evil.example/y)"
)


def figures_of(page: Any) -> list[dict[str, Any]]:
    """The charts of a page."""
    data = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    return [each for each in data if "layout" in each]


def test_numbers_of_the_summaries_are_in_the_tables(run_folder: Path, page_of: PageOf) -> None:
    page = page_of(run_folder)
    assert page.row("oracle.violation") == ["0.450 [0.258, 0.658] n = 20", "0.050 [0.009, 0.236] n = 20"]
    assert page.row("kl") == ["–", "0.250 one value, no interval n = 1"]
    assert page.row("ended early: a failed call")[:2] == ["1", "2.5%"]
    assert page.row("set aside: no majority")[:2] == ["4", "10.0%"]
    assert page.row("not compared: an equal, empty or missing text")[:2] == ["20", "33.3%"]
    assert page.row("preferences kept for training")[:2] == ["36", "90.0%"]
    assert page.row("loss") == ["200", "2.667", "0.771", "0.771", "2.667", "0"]
    assert page.row("seconds") == ["12.5"]
    assert page.row("judge") == ["160", "0", "777", "$1.25", "1 h 6 min"]
    assert page.row("compare") == ["1 min 2 s", "48,000", "6,100", "$0.4321", "1 min 23 s"]
    assert page.row("All") == ["1,394", "90,000", "777", "$1.25", "1 h 7 min"]


def test_rounds_count_satisfied_trajectories_and_leave_out_failed_ones(
    run_folder: Path, page_of: PageOf
) -> None:
    page = page_of(run_folder)
    # 40 trajectories: one failed, one abstained; 6 of the other 38 were satisfied in round 1.
    assert page.row("1") == ["38", "38", "32", "84.2%"]
    assert page.row("2") == ["38", "32", "2", "5.3%"]


def test_constitution_by_principle_and_round_and_what_was_repaired(run_folder: Path, page_of: PageOf) -> None:
    page = page_of(run_folder)
    assert page.row("Principle") == ["Round 1", "Round 2", "Repaired", "Not looked at again"]
    # Two trajectories insult in both rounds; the thirty others that did were repaired.
    assert page.row("respect") == ["32 of 38 84.2%", "2 of 32 6.2%", "0.938 [0.799, 0.983] n = 32", "0"]
    assert page.row("privacy") == ["30 of 38 78.9%", "0 of 32 0.0%", "1.000 [0.886, 1.000] n = 30", "0"]


def test_judges_stand_beside_each_other(run_folder: Path, page_of: PageOf) -> None:
    page = page_of(run_folder)
    row = page.row("lenient, terse")
    # lenient always says A, terse always B: of 40, one failed on every 5th, one abstained on every 4th.
    assert row == ["24", "0", "0", "24", "0", "0", "0", "0", "0", "0", "0.000 [0.000, 0.138] n = 24", "0.000"]
    assert page.row("Judges")[1:4] == ["A, A", "A, tie", "A, B"]


def test_judges_with_agreement_flips_abstentions_failures_and_position(
    run_folder: Path, page_of: PageOf
) -> None:
    page = page_of(run_folder)
    lenient = page.row("lenient")
    assert lenient[:6] == ["40", "40", "32", "0", "8", "0"]
    assert lenient[6] == "0.900 [0.744, 0.965] n = 30"
    assert lenient[7].startswith("1.000"), "it always chose A, and A was always shown first"
    assert page.row("strict")[5] == "12"
    assert page.row("terse")[3] == "10 refused 10"
    assert page.row("terse")[8].startswith("0.000"), "it always chose the shorter response"


def test_note_seed_status_recipe_and_versions_are_shown(run_folder: Path, page_of: PageOf) -> None:
    page = page_of(run_folder)
    assert "it does not prove that Constitutional AI works." in page.text
    assert "1.16.0" in page.row("trl")
    assert "trainer: sft" in page.text
    assert re.search(r"demo\s+done", page.text)
    assert re.search(r"Seed\s*11", page.text)


def test_samples_are_bounded_and_show_what_changed(run_folder: Path) -> None:
    html = write_report(run_folder, run_folder / "report.html").read_text(encoding="utf-8")
    assert html.count('<article class="sample">') == 12 + 12 + 8
    assert "<del>Of course</del>, you<del> fool: it is 555" in html
    assert "<ins>I cannot share it</ins>" in html
    assert "ppo answers question" in html
    assert "base answers question" in html


def test_the_same_run_gives_the_same_page(run_folder: Path) -> None:
    first = write_report(run_folder, run_folder / "a.html").read_bytes()
    assert write_report(run_folder, run_folder / "b.html").read_bytes() == first
    assert len(first) < 2_500_000


def test_a_page_without_charts_has_no_library_for_them(run_folder: Path) -> None:
    (run_folder / "run.json").write_text(json.dumps({"name": "demo", "status": "failed"}))
    shutil.rmtree(run_folder / "stages")
    page = write_report(run_folder, run_folder / "report.html")
    assert page.stat().st_size < 100_000


def test_nothing_in_the_page_refers_to_another_host(run_folder: Path, page_of: PageOf) -> None:
    page = page_of(run_folder)
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "data", "poster", "background"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, name, attributes[name])
        assert tag not in ("link", "iframe", "object", "embed", "form", "base")
        assert "url(" not in (attributes.get("style") or "")
        assert not any(name.startswith("on") for name in attributes)


def test_policy_allows_no_script_but_those_of_the_page(run_folder: Path, page_of: PageOf) -> None:
    page = page_of(run_folder)
    policies = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    rules = dict(rule.split(" ", 1) for rule in str(policies[0]).split("; "))
    assert rules["default-src"] == "'none'"
    packed = next(text for kind, text in page.scripts if kind == "application/gzip")
    library = gzip.decompress(base64.b64decode(packed)).decode()
    running = [library, *(text for kind, text in page.scripts if kind is None)]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(running) == 3
    assert running[0].startswith("/**\n* plotly.js")


def hostile_run(folder: Path) -> None:
    """The same run, with hostile text wherever a model, a person or a file can put some."""
    text = HOSTILE.replace("\ud800", "")
    prompt = Prompt.of(text, tags=(text,))
    answers = Response(text=text), Response(text="x" * 1_000_000)
    comparison = Comparison(prompt=prompt, response_a=answers[0], response_b=answers[1])
    said = Judgment(preference=0.9, source=text, rationale=text)
    decision = Decision(status="decided", probability=0.9, aggregator=text, detail=text)
    judged = Judged(comparison=comparison, outcomes=(said,), decision=decision)
    (folder / "stages/03-compare/judgments.jsonl").write_text(judged.to_json())
    trajectory = Trajectory(prompt=prompt, response=answers[0], ended="rounds")
    (folder / "stages/01-revise/trajectories.jsonl").write_text(trajectory.to_json())
    (folder / "stages/02-sft/metrics.jsonl").write_text(
        json.dumps({"step": 1, HOSTILE: 1}) + "\n" + json.dumps({"step": 2, HOSTILE: 2})
    )
    for file, key in (("run.json", "name"), ("run.json", "status")):
        state = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**state, key: HOSTILE, "versions": {HOSTILE: HOSTILE}}))
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "note": text}))
    summary = json.loads((folder / "stages/04-evaluate/summary.json").read_text())
    summary["policies"] = {HOSTILE: {HOSTILE: {"mean": 0.5, "low": 0.1, "high": 0.9, "n": 4}}}
    (folder / "stages/04-evaluate/summary.json").write_text(json.dumps(summary))


def test_hostile_text_is_text(run_folder: Path, page_of: PageOf) -> None:
    harmless = page_of(run_folder)
    hostile_run(run_folder)
    page = page_of(run_folder)
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags}
    assert not [tag for tag, _ in page.tags if tag in ("img", "textarea")]
    assert len([kind for kind, _ in page.scripts if kind is None]) == 2
    assert not [text for kind, text in page.scripts if kind is not None and "<" in text]
    assert page.text.count('<script>alert("x")</script><img src=https://evil.example/x') >= 8
    assert "⟨U+202E⟩gnp.exe ⟨U+0000⟩" in page.text
    assert "{{ 7*7 }}" in page.text
    assert not set("\x00\u202e\u2066") & set(page.text)
    assert "997,000 more characters not shown" in page.text
    assert "x" * 3001 not in page.text


def test_a_ledger_that_cannot_be_read_is_told_and_no_cost_of_zero(run_folder: Path, page_of: PageOf) -> None:
    (run_folder / "ledger.sqlite").write_text("no database " * 100)
    assert (
        "ledger.sqlite: could not be read, so what failed tries cost is not told" in page_of(run_folder).text
    )


def test_what_failed_tries_cost_is_in_the_report(run_folder: Path, page_of: PageOf) -> None:
    assert "Failed tries" not in page_of(run_folder).text
    with Ledger(run_folder / "ledger.sqlite") as ledger:
        ledger.log_failure("key", "judge", "too late", Usage(usd=0.75, prompt_tokens=9))
    assert "Failed tries cost $0.7500 on top" in page_of(run_folder).text


def test_what_never_happened_has_no_bar(run_folder: Path) -> None:
    path = run_folder / "stages/03-compare/summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "preferences": 0}))
    page = write_report(run_folder, run_folder / "report.html").read_text(encoding="utf-8")
    assert "width:2.50%" in page
    assert "width:0.00%" not in page


def test_hostile_labels_reach_charts_without_tags(run_folder: Path, page_of: PageOf) -> None:
    hostile_run(run_folder)
    figures = figures_of(page_of(run_folder))
    names = [name for figure in figures for trace in figure["data"] for name in trace["y"]]
    assert any(str(name).startswith("&lt;script&gt;") for name in names)
    assert not any("<" in str(name) for name in names)


def test_headings_have_no_gaps_and_tables_have_headers(run_folder: Path, page_of: PageOf) -> None:
    tags = page_of(run_folder).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    count = [tag for tag, _ in tags].count
    assert count("table") == count("caption") == count("thead") > 8
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    charts = [attributes for _, attributes in tags if attributes.get("class") == "chart"]
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in charts)
    labels = [attributes["aria-labelledby"] for _, attributes in tags if "aria-labelledby" in attributes]
    assert set(labels) <= {attributes.get("id") for _, attributes in tags}


def test_plotly_itself_accepts_every_figure(run_folder: Path, page_of: PageOf) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    figures = figures_of(page_of(run_folder))
    # rounds, loss and kl of the training (lr is constant), the jury and its pairs, and three metrics
    assert len(figures) == 1 + 2 + 2 + 3
    for figure in figures:
        graph_objects.Figure(figure)
