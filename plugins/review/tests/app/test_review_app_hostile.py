"""Whatever a model, a file or a reviewer writes is shown as text, on every page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jurist.records import (
    Comparison,
    Critique,
    Decision,
    Failure,
    Finding,
    Judgment,
    Prompt,
    Response,
    Step,
    Trajectory,
)
from jurist.stage_records import Judged
from jurist_review.app.desk import Desk, Sampling

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "handler": "\"><img src=x onerror='alert(1)'>",
    "bidi": "safe\u202egnitaler\u2066 \u200bhidden",
    "null": "before\x00after\x1b[31m",
    "markdown": "![x](https://evil.example/x.png) [y](javascript:alert(1))",
    "template": "{{ 7919 * 7 }} {% raw %} ${7919*7} #{7919*7} <%= 7 %>",
    "closing": "</textarea></title></main><svg/onload=alert(1)>",
    "entity": "&lt;b&gt; &#x3c;script&#x3e; \ufeff",
    "line": "long " + "x" * 1_000_000,
}
FORBIDDEN = re.compile("[\x00-\x08\x0e-\x1f\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
VALUES = re.compile(r'<textarea[^>]*>.*?</textarea>|<option value="[^"]*"', re.DOTALL)
"""What a form sends back: it has to be what it was."""
TAGS = {"script", "img", "svg", "b", "iframe"}


class Elements(HTMLParser):
    """The elements of a page and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check(page: str) -> None:
    """Nothing of what is hostile has become an element, an attribute, or a character that cannot be seen."""
    assert not FORBIDDEN.search(VALUES.sub("", page))
    for tag, attributes in Elements(page).found:
        assert (
            tag not in TAGS
            or (tag == "script" and str(attributes["src"]).startswith("/static/"))
            or tag == "b"
        )
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#"))
    assert str(7919 * 7) not in page


def judged(text: str, number: int) -> Judged:
    vote = 0.9 if number % 2 else 0.2
    return Judged(
        comparison=Comparison(
            prompt=Prompt.of(f"{number} {text}", tags=(text[:100],)),
            response_a=Response(text=f"A {text}"),
            response_b=Response(text=f"B {text}"),
        ),
        outcomes=(
            Judgment(source=text[:80], preference=vote, rationale=text),
            Judgment(source="steady", preference=1 - vote if number % 3 else vote),
            Failure(source="lost", error=text),
        ),
        decision=Decision(status="decided", probability=vote, aggregator=text[:80], detail=text),
    )


def trajectory(text: str) -> Trajectory:
    critique = Critique(
        findings=(Finding(principle=text[:80], satisfied=False, explanation=text, suggestion=text),)
    )
    step = Step(round=1, principles=(text[:80],), critique=critique, revision=Response(text=f"new {text}"))
    return Trajectory(prompt=Prompt.of(text), response=Response(text=text), steps=(step,), ended="rounds")


@pytest.fixture
def hostile(make_run: Any) -> Desk:
    rows = [judged(text, number) for number in range(4) for text in HOSTILE.values()]
    folder: Path = make_run(rows, trajectories=[trajectory(text) for text in HOSTILE.values()])
    state = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**state, "name": HOSTILE["script"]}))
    desk = Desk(folder, Sampling(size=36))
    desk.catch_up()
    assert desk.trouble == ""
    return desk


@pytest.mark.slow
def test_every_page_shows_it_as_text(hostile: Desk, make_client: Any) -> None:
    client: TestClient = make_client(hostile)
    queue = hostile.queue()
    assert queue is not None
    kinds = set()
    for each in queue.drawn():
        page = client.get(f"/review?item={each.item}&whole=1").text
        check(page)
        task = queue.task(each.item, "ann")
        kinds.add(next(name for name, text in HOSTILE.items() if text in task.first))
        data = dict(
            re.findall(r'name="(item|reviewer|seen|request)" value="([^"]*)"', page.split("</form>")[0])
        )
        note = HOSTILE["closing"] + HOSTILE["null"] + HOSTILE["bidi"]
        assert client.post("/review", data={**data, "do": "first", "note": note}).status_code == 303
        check(client.get(f"/review?item={each.item}").text)
    assert kinds == HOSTILE.keys()
    for number in range(1, 46):
        answer = client.get(f"/item/{number}", follow_redirects=True)
        assert answer.status_code == 200
        check(answer.text)
        check(client.get(f"/item/{number}?whole=1", follow_redirects=True).text)
    for path in ("/browse", "/browse?after=25", "/live", "/reviewers", "/export"):
        check(client.get(path).text)


def test_what_is_in_an_address_or_a_name_is_text_too(hostile: Desk, make_client: Any) -> None:
    client: TestClient = make_client(hostile)
    for name, text in HOSTILE.items():
        if name == "line":
            text = text[:5000]
        for field in ("q", "stage", "kind", "outcome", "stratum", "tag", "judge", "said", "after", "before"):
            answer = client.get("/browse", params={field: text})
            assert answer.status_code == 200
            check(answer.text)
        check(client.get("/review", params={"item": text, "saved": text}).text)
        client.post("/reviewers", data={"name": text})
        check(client.get("/reviewers").text)


def test_hostile_text_is_found_by_its_words(hostile: Desk) -> None:
    from jurist_review.app.listing import Filters

    for word in ("onerror", "evil.example", "gnitaler", "U+202E", "after"):
        assert hostile.listing.page(Filters(q=word)).total >= 4


def test_a_long_text_is_cut_visibly_and_shown_whole_when_asked(hostile: Desk, make_client: Any) -> None:
    client: TestClient = make_client(hostile)
    item = hostile.listing.page(of_a_long_line()).items[0]
    short, whole = (client.get(f"/item/{item.id}{query}").text for query in ("", "?whole=1"))
    assert "more characters not shown" in short
    assert "show all of it" in short
    assert len(short) < 300_000
    assert len(whole) > 2_000_000


def of_a_long_line() -> Any:
    from jurist_review.app.listing import Filters

    return Filters(q="long", kind="trajectory")


def test_json_lines_of_a_download_are_whole(hostile: Desk, make_client: Any) -> None:
    client: TestClient = make_client(hostile)
    page = client.get("/review").text
    data = dict(re.findall(r'name="(item|reviewer|seen|request)" value="([^"]*)"', page.split("</form>")[0]))
    client.post("/review", data={**data, "do": "tie", "note": "a\u2028b\n<script>"})
    for name in ("labels", "history"):
        answer = client.get(f"/export/{name}.jsonl")
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert "attachment" in answer.headers["content-disposition"]
        assert [json.loads(line)["item"] for line in answer.text.split("\n") if line] == [data["item"]]
