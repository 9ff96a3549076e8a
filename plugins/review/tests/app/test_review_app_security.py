"""Who is let in, what another site can do (nothing), and what is sent along with every page."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from starlette.testclient import TestClient

from jurist_review.app.desk import Desk
from jurist_review.app.security import Access

GETS = [
    *("/", "/review", "/browse", "/item/1", "/live", "/reviewers", "/export", "/export/labels.jsonl"),
    *("/export/history.jsonl", "/static/app.css", "/static/review.js", "/nothing", "/item/x"),
]
TOKEN = "t" * 43


def form(desk: Desk, reviewer: str = "ann") -> dict[str, str]:
    queue = desk.queue()
    assert queue is not None
    item = queue.waiting(reviewer)[0]
    return {
        "item": item,
        "reviewer": "ann",
        "seen": "0",
        "request": str(uuid.uuid4()),
        "do": "first",
        "note": "",
    }


@pytest.mark.parametrize("cookies", [{}, {"jurist_review_8000": "wrong"}, {"jurist_review_8001": TOKEN}])
def test_without_the_token_nothing_is_answered(client: TestClient, cookies: dict[str, str]) -> None:
    client.cookies.clear()
    client.cookies.update(cookies)
    for path in GETS:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            assert client.request(method, path).status_code == 401
            assert client.request(method, f"{path}?token=wrong").status_code == 401


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read(client: TestClient) -> None:
    client.cookies.clear()
    answer = client.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie == f"jurist_review_8000={TOKEN}; Path=/; HttpOnly; SameSite=Lax"
    client.cookies.clear()
    assert client.post(f"/review?token={TOKEN}").status_code == 401


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:8000", 400),
        ("[::1", 400),
        ("", 400),
    ],
)
def test_a_name_that_somebody_else_made_lead_here_is_refused(
    client: TestClient, host: str, code: int
) -> None:
    assert client.get("/export", headers={"host": host}).status_code == code


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_cannot_vote(client: TestClient, desk: Desk, headers: dict[str, str]) -> None:
    for path, data in (("/review", form(desk)), ("/export", {}), ("/reviewers", {"name": "eve"})):
        assert client.post(path, data=data, headers=headers).status_code == 403
    assert desk.votes.history("compare") == []


def test_our_own_page_can_vote(client: TestClient, desk: Desk) -> None:
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert client.post("/review", data=form(desk), headers=own).status_code == 303
    assert len(desk.votes.history("compare")) == 1


def test_no_path_leads_out(client: TestClient) -> None:
    for path in (
        *("/static/../site.py", "/static/..%2fsite.py", "/static/%2e%2e/site.py", "/static//etc/passwd"),
        *(
            "/static/..%5csite.py",
            "/export/..%2f..%2frun.jsonl",
            "/export/votes.jsonl",
            "/static/app.css%00.js",
        ),
        *(
            "/item/-1",
            "/item/99999999",
            "/item/99999999999999999999",
            "/item/１",
            "/item/1%2f..",
            "/run.json",
            "/stages/02-compare/judgments.jsonl",
        ),
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "import" not in answer.text
        assert "root:" not in answer.text


@pytest.mark.parametrize("cookies", [{"jurist_review_8000": TOKEN}, {}])
def test_every_answer_tells_the_browser_to_be_strict(client: TestClient, cookies: dict[str, str]) -> None:
    client.cookies.clear()
    client.cookies.update(cookies)
    for path in (*GETS, "/?token=wrong"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} <= set(policy.split("; "))
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/review", "/browse", "/item/1", "/live", "/reviewers", "/export"])
def test_pages_hold_no_script_no_style_and_no_other_address(client: TestClient, path: str) -> None:
    page = client.get(path).text
    assert re.findall(r"<script(?![^>]* src=\"/static/)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    assert re.findall(r"(?:src|href|action)=\"(?!/|#)", page) == []
    assert TOKEN not in page


def test_a_form_that_is_none_of_ours_changes_nothing(client: TestClient, desk: Desk) -> None:
    good = form(desk)
    bad: list[tuple[dict[str, Any], int]] = [
        ({**good, "do": "third"}, 400),
        ({**good, "seen": "x"}, 400),
        ({**good, "seen": "9" * 30}, 400),
        ({**good, "do": "undo", "undoes": "9" * 30}, 400),
        ({**good, "request": "x"}, 400),
        ({**good, "item": "x"}, 404),
        ({"item": good["item"]}, 400),
        ({**good, "do": "undo"}, 400),
        ({**good, "note": "x" * 300_000}, 413),
    ]
    for data, code in bad:
        assert client.post("/review", data=data).status_code == code, data
    assert client.post("/review", json=good).status_code == 415
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/review", content=b"\xff", headers=kind).status_code == 400
    assert desk.votes.history("compare") == []


def test_a_host_that_was_asked_for_is_known() -> None:
    access = Access(TOKEN, "Review.Local", 80)
    assert access.knows_host("review.local:80")
    assert access.knows_host("192.168.1.7")
    assert not access.knows_host("review.local.evil.example")


@pytest.mark.parametrize(
    "foreign", ['theme={"dark": true}', "a b=1", "x=é", "flag", "x=1,2", 'q="', "=", "jurist_review=x"]
)
def test_cookies_of_others_keep_nobody_out(client: TestClient, foreign: str) -> None:
    client.cookies.clear()
    for cookies in (f"{foreign}; jurist_review_8000={TOKEN}", f"jurist_review_8000={TOKEN}; {foreign}"):
        assert client.get("/export", headers={"cookie": cookies.encode("latin-1")}).status_code == 200  # type: ignore[dict-item]
    assert client.get("/export", headers={"cookie": foreign.encode("latin-1")}).status_code == 401  # type: ignore[dict-item]
