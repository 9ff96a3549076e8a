"""A real browser, for reports and the app, and servers started by the command as a user starts them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Server:
    """``jurist review`` in a process of its own."""

    run: Path
    address: str = ""
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def start(self, *options: str) -> str:
        """Start it, on the port it had before; returns the address with the token."""
        program = "from jurist_registry.main import main; main()"
        arguments = [
            "review",
            str(self.run),
            "--no-open",
            "--reviewer",
            "ann",
            "--port",
            str(self.port),
            *options,
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://\S+", line):
                self.address = found[0]
                break
        assert self.address, "the server did not start"
        self.port = int(self.address.split(":")[2].split("/")[0])
        return self.address

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """End it; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    @property
    def base(self) -> str:
        """The address without the token."""
        return self.address.split("/?")[0]


@dataclass
class Watched:
    """A page, with everything that must not happen on it."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def note_request(self, request: Request) -> None:
        """Keep which host was asked."""
        self.hosts.add(request.url.split("/")[2].split(":")[0])

    def note_message(self, message: ConsoleMessage) -> None:
        """Keep what the browser complains of."""
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


@pytest.fixture(scope="module")  # of two modules, each has to have ended its own before the next begins
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("there is no chromium: apt-get install chromium")
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # As root, and in containers, Chromium cannot make its own sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1200, "height": 850})
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def watched(context: BrowserContext) -> Iterator[Watched]:
    """A page; at the end there must have been no complaint, and no request to any other host."""
    watched = watch(context)
    yield watched
    assert watched.errors == []
    assert watched.hosts <= {"127.0.0.1"}


def watch(context: BrowserContext) -> Watched:
    watched = Watched(context.new_page())
    watched.page.on("request", watched.note_request)
    watched.page.on("console", watched.note_message)
    watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
    return watched


@pytest.fixture
def server(run: Path) -> Iterator[Server]:
    server = Server(run)
    yield server
    if server.process is not None and server.process.poll() is None:
        server.end()
