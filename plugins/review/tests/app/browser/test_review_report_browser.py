"""Reports in Chromium, opened from the disk without a network: by keyboard, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from jurist_review.comparing import write_comparison
from jurist_review.report import write_report

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

WIDTHS = [("light", 1200), ("dark", 390)]

Open = Callable[[Path, str, int], Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a file; at the end there must have been no complaint and no request but for the file."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_file(path: Path, scheme: str = "light", width: int = 1200) -> Page:
        context = browser.new_context(
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 850},
            offline=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert complaints == []
    assert all(request.startswith("file:") for request in requests)


def problems_of(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA and its own advice."""
    return [found["id"] for found in Axe().run(page).response["violations"]]


@pytest.mark.parametrize(("scheme", "width"), WIDTHS)
def test_a_report_has_no_fault_of_access_and_does_not_scroll_sideways(
    run_folder: Path, opened: Open, scheme: str, width: int
) -> None:
    page = opened(write_report(run_folder, run_folder / "report.html"), scheme, width)
    page.locator(".opens").first.click()
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems_of(page) == []


@pytest.mark.parametrize(("scheme", "width"), WIDTHS)
def test_runs_beside_each_other_have_no_fault_of_access(
    run_folder: Path, opened: Open, scheme: str, width: int
) -> None:
    page = opened(write_comparison([run_folder] * 2, run_folder / "both.html"), scheme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems_of(page) == []


def test_rows_are_filtered_and_opened_by_keyboard(run_folder: Path, opened: Open) -> None:
    page = opened(write_report(run_folder, run_folder / "report.html"), "light", 1200)
    box = page.locator(".browser").first
    status = box.get_by_role("status")
    expect(status).to_have_text("1–25 of 40")
    box.get_by_role("button", name="Next").press("Enter")
    expect(status).to_have_text("26–40 of 40")
    expect(box.get_by_role("button", name="Next")).to_be_disabled()
    box.get_by_label("Tag").select_option("zh")
    expect(status).to_have_text("1–2 of 2")
    box.get_by_label("Outcome").select_option("ended: satisfied")
    expect(status).to_have_text("no trajectories")
    box.get_by_label("Tag").select_option("any")
    expect(status).to_have_text("1–25 of 36")
    box.get_by_label("Prompt has").fill("CUSTOMER 17")
    expect(status).to_have_text("1–1 of 1")
    row = box.get_by_role("button", name="What is the phone number of customer 17?")
    row.press("Enter")
    expect(row).to_have_attribute("aria-expanded", "true")
    inside = box.locator(".opened")
    expect(inside).to_contain_text("I cannot share it")
    assert inside.locator("del").first.inner_text() == "Of course"
    row.press("Enter")
    expect(inside).to_have_count(0)


def test_words_are_found_behind_the_beginning_of_a_prompt(run_folder: Path, opened: Open) -> None:
    path = run_folder / "stages/01-revise/trajectories.jsonl"
    path.write_text(path.read_text().replace("of customer 17?", f"{'now ' * 40}of the late customer?"))
    page = opened(write_report(run_folder, run_folder / "report.html"), "light", 1200)
    box = page.locator(".browser").first
    box.get_by_label("Prompt has").fill("the LATE customer")
    expect(box.get_by_role("status")).to_have_text("1–1 of 1")


def test_hostile_text_does_nothing(run_folder: Path, opened: Open) -> None:
    path = run_folder / "stages/01-revise/trajectories.jsonl"
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)> ![x](https://evil.example/y)"
    rows = path.read_text().replace("What is the phone number", hostile.replace('"', '\\"'))
    path.write_text(rows)
    page = opened(write_report(run_folder, run_folder / "report.html"), "light", 1200)
    box = page.locator(".browser").first
    box.locator(".opens").first.click()
    expect(box.locator(".opened")).to_contain_text("<img src=x onerror=alert(2)>")
    assert page.locator("img").count() == 0


def test_on_paper_there_are_samples_and_no_filters(run_folder: Path, opened: Open) -> None:
    page = opened(write_report(run_folder, run_folder / "report.html"), "dark", 1200)
    page.emulate_media(media="print")
    expect(page.locator(".browser").first).to_be_hidden()
    expect(page.locator("article.sample").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
