"""The app in Chromium, as somebody uses it: by keyboard, through a crash, to a validated jury."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from jurist_review.app.votes import Votes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PAGES = ["/review", "/browse", "/browse?q=tea&stage=compare", "/live", "/reviewers", "/export"]


def count(page: Page, text: str) -> None:
    """Wait until the page says how many are done."""
    expect(page.locator(".bar")).to_contain_text(text)


def opened(page: Page, server: Any) -> None:
    """Start the server, open its page, and wait until the sample is drawn."""
    page.goto(server.start("--size", "25"))
    count(page, "0 of 25 done")


def press(page: Page, keys: str, done: int, drawn: int = 25) -> int:
    """Press keys that each vote, waiting each time until the page says that the vote is saved."""
    for key in keys:
        page.keyboard.press(key)
        done += 1
        count(page, f"{done} of {drawn} done")
    return done


def labels(run: Path) -> list[tuple[str, str | None]]:
    return [(event.kind, event.label) for event in Votes(run).history("compare")]


def test_twenty_votes_by_keyboard_through_a_crash_to_a_validated_jury(
    server: Any, watched: Any, run: Path
) -> None:
    page: Page = watched.page
    opened(page, server)
    assert page.url == f"{server.base}/review"  # the token does not stay in the history
    done = press(page, "abtab", 0)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "none"  # the heading
    expect(page.locator("#said")).to_contain_text("Saved: B is better.")
    page.keyboard.press("u")
    count(page, "4 of 25 done")
    expect(page.locator("#said")).to_contain_text("the vote was undone")
    done = press(page, "b", done - 1)
    page.keyboard.press("n")
    page.keyboard.type("a and b are hard to tell apart")
    page.keyboard.press("Escape")
    done = press(page, "t", done)
    page.keyboard.press("s")
    expect(page.locator(".bar")).to_contain_text("1 skipped")
    page.reload()
    count(page, "6 of 25 done")
    done = press(page, "abtab", done)
    before = labels(run)

    server.end(signal.SIGKILL)
    page.keyboard.press("a")
    expect(page.locator("#said")).to_contain_text("Not saved: the server does not answer.")
    assert labels(run) == before
    watched.errors.clear()  # the browser complains of the connection that was refused
    page.goto(server.start())
    count(page, "11 of 25 done")
    assert labels(run) == before

    done = press(page, "abtababta", done)
    assert done == 20
    assert sum(kind == "vote" for kind, _ in labels(run)) == 21  # one was undone
    assert Votes(run).history("compare")[7].note == "a and b are hard to tell apart"
    press(page, "ttttt", done)
    expect(page.locator("h1")).to_have_text("All done: 25 comparisons")
    page.get_by_role("link", name="Export the labels").click()
    page.get_by_role("button", name="Add the labels to the run").click()
    expect(page.locator("main")).to_contain_text("25 labels are in")
    assert server.end(signal.SIGINT) == 0

    labelled = run / "stages/02-compare/human_labels.jsonl"
    assert len(labelled.read_text().splitlines()) == 25
    command = ["validate", "--verdicts", str(labelled), "--json", str(run / "found.json")]
    subprocess.run(
        [sys.executable, "-c", "from jurist_registry.main import main; main()", *command],
        check=True,
        timeout=120,
    )
    assert json.loads((run / "found.json").read_text())["report"]["items"] == 25


def test_keys_of_other_alphabets_vote_by_their_place_and_other_latin_letters_do_not(
    server: Any, watched: Any, run: Path
) -> None:
    page: Page = watched.page
    opened(page, server)
    dispatch = "keys => document.body.dispatchEvent(new KeyboardEvent('keydown', {...keys, bubbles: true}))"
    page.evaluate(dispatch, {"key": "q", "code": "KeyA"})  # on a French keyboard
    page.evaluate(dispatch, {"key": "и", "code": "KeyB"})  # on a Russian one
    expect(page.locator("#said")).to_contain_text("Saved: B is better.")
    assert len(labels(run)) == 1


def test_a_second_tab_is_told_and_overwrites_nothing(
    server: Any, watched: Any, context: BrowserContext, run: Path
) -> None:
    first: Page = watched.page
    opened(first, server)
    second = context.new_page()
    second.goto(f"{server.base}/review")
    press(first, "a", 0)
    second.keyboard.press("b")
    expect(second.get_by_role("alert")).to_contain_text("another page of yours was there first: A is better")
    assert len(labels(run)) == 1
    second.goto(f"{server.base}/review")
    count(second, "1 of 25 done")
    press(second, "t", 1)


def test_a_tab_of_another_name_is_told_who_votes_now(
    server: Any, watched: Any, context: BrowserContext, run: Path
) -> None:
    page: Page = watched.page
    opened(page, server)
    other = context.new_page()
    other.goto(f"{server.base}/reviewers")
    other.get_by_label("Your name").fill("bob")
    other.get_by_role("button", name="Take it").click()
    expect(other.locator(".who")).to_contain_text("bob")
    page.keyboard.press("a")
    expect(page.get_by_role("alert")).to_contain_text("this page was ann's, and you vote as bob now")
    expect(page.locator(".who")).to_contain_text("bob")
    assert labels(run) == []
    press(page, "a", 0)
    watched.errors.clear()  # the browser complains of the refusal


def test_keys_do_nothing_in_a_note_or_when_turned_off(server: Any, watched: Any, run: Path) -> None:
    page: Page = watched.page
    opened(page, server)
    page.locator("#note").focus()
    page.keyboard.type("abtsu")
    expect(page.locator("#note")).to_have_value("abtsu")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    page.locator("#shortcuts").uncheck()
    page.keyboard.press("a")
    page.reload()
    expect(page.locator("#shortcuts")).not_to_be_checked()
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert labels(run) == []
    page.locator("#shortcuts").check()
    press(page, "a", 0)


def test_the_browser_asks_before_it_leaves_a_note_that_is_not_kept(server: Any, watched: Any) -> None:
    page: Page = watched.page
    opened(page, server)
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.keyboard.press("n")
    page.keyboard.type("kept")
    page.get_by_role("button", name="Keep the note only").click()
    expect(page.locator("#said")).to_contain_text("Saved: a note.")
    page.reload()
    assert asked == []
    page.keyboard.press("n")
    page.keyboard.type("not ")
    page.reload()
    assert asked == ["beforeunload"]


def test_everything_can_be_done_without_scripts(server: Any, browser: Any, run: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    opened(page, server)
    page.get_by_role("button", name="A is better").click()
    count(page, "1 of 25 done")
    page.get_by_role("button", name="Undo").click()
    count(page, "0 of 25 done")
    page.get_by_role("button", name="Tie").click()
    page.get_by_label("Note").fill("hm")
    page.get_by_role("button", name="Skip").click()
    assert [kind for kind, _ in labels(run)] == ["vote", "undo", "vote", "skip"]
    context.close()


def test_the_live_view_changes_by_itself(server: Any, watched: Any, make_run: Any, make_judged: Any) -> None:
    run = make_run(make_judged(40), status="running")
    page: Page = watched.page
    page.goto(server.start())
    page.goto(f"{server.base}/live")
    expect(page.locator("#live")).to_contain_text("preferred: 36")
    page.set_viewport_size({"width": 320, "height": 700})
    stages = page.get_by_role("region", name="Stages").last
    stages.focus()
    stages.evaluate("place => { place.scrollLeft = 40 }")
    with (run / "stages/02-compare/judgments.jsonl.part").open("a") as file:
        file.write("".join(each.to_json() + "\n" for each in make_judged(48)[40:]))
    expect(page.locator("#live")).to_contain_text("preferred: 44")
    assert page.evaluate("[document.activeElement.ariaLabel, document.activeElement.scrollLeft]") == [
        "Stages",
        40,
    ]
    page.goto(f"{server.base}/review")
    page.evaluate("localStorage.shortcuts = 'off'")
    expect(page.locator("main")).to_contain_text("No finished stage of this run has labelled comparisons.")
    assert Axe().run(page).response["violations"] == []
    make_run(make_judged(120))
    count(page, "0 of 100 done")  # by itself, and ready to vote
    expect(page.locator("#shortcuts")).not_to_be_checked()
    page.locator("#shortcuts").check()
    press(page, "a", 0, drawn=100)
    page.goto(f"{server.base}/live")
    expect(page.locator("h1")).to_contain_text("done")
    page.get_by_role("button", name="Pause updates").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 380])
def test_pages_have_no_serious_fault_of_accessibility(
    server: Any, watched: Any, scheme: Any, width: int, tmp_path: Path
) -> None:
    page: Page = watched.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, server)
    press(page, "abt", 0)
    shots = Path(os.environ.get("JURIST_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    last = page.locator("#undo a").get_attribute("href")
    for path in [*PAGES, last, "/item/1", "/nothing"]:
        assert path is not None
        page.goto(f"{server.base}{path}")
        name = path.strip("/").replace("/", "-").partition("?")[0] or "start"
        page.screenshot(path=shots / f"{name}-{scheme}-{width}.png", full_page=True)
        found = Axe().run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide"
    watched.errors[:] = [each for each in watched.errors if "404" not in each]


def test_tags_make_no_row_of_a_list_tall_on_a_phone(
    server: Any, watched: Any, make_run: Any, make_judged: Any
) -> None:
    rows = make_judged(40)
    for n, row in enumerate(rows):
        prompt = row.comparison.prompt.model_copy(update={"tags": ("private", "english", "safety-critical")})
        rows[n] = row.model_copy(update={"comparison": row.comparison.model_copy(update={"prompt": prompt})})
    make_run(rows)
    page: Page = watched.page
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, server)
    page.goto(f"{server.base}/browse")
    heights = page.locator("tbody tr").evaluate_all("rows => rows.map((row) => row.offsetHeight)")
    assert heights
    assert max(heights) < 90


def test_everything_is_reached_by_keyboard(server: Any, watched: Any) -> None:
    page: Page = watched.page
    opened(page, server)
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id")
        )
    for name in (
        "Skip to the content",
        "Browse",
        "A A is better",
        "T Tie",
        "B B is better",
        "S Skip",
        "shortcuts",
    ):
        assert name in reached
    page.goto(f"{server.base}/review")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_hostile_text_does_nothing_in_a_browser(
    server: Any, watched: Any, make_run: Any, make_judged: Any
) -> None:
    from jurist.records import Comparison, Prompt, Response

    text = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202e ![x](http://evil.example/x)"
    rows = [
        each.model_copy(
            update={
                "comparison": Comparison(
                    prompt=Prompt.of(f"{n} {text}"),
                    response_a=Response(text=f"{text} a"),
                    response_b=Response(text=f"{text} b" + "x" * 1_000_000),
                )
            }
        )
        for n, each in enumerate(make_judged(40))
    ]
    make_run(rows)
    page: Page = watched.page
    opened(page, server)
    for path in ("/review", "/browse", "/live", "/item/1", "/item/2?whole=1"):
        page.goto(f"{server.base}{path}")
        assert "owned" not in page.title()
        expect(page.locator("main")).to_contain_text("<script>document.title='owned'</script>")
    page.goto(f"{server.base}/review")
    page.locator("#note").fill(text)
    page.keyboard.press("Escape")
    press(page, "a", 0)
    assert "owned" not in page.title()
