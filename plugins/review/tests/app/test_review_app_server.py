"""The server as a process: how it starts, who it lets in, and how it ends."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jurist.errors import UsageError
from jurist_review.app.server import Settings, serve

PROGRAM = "from jurist_registry.main import main; main()"


def settings(run: Path, host: str = "127.0.0.1", port: int = 0) -> Settings:
    return Settings(run, "", "", None, 0, host, port, open_page=False)


@contextmanager
def serving(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A server, its port and its token."""
    command = [sys.executable, "-c", PROGRAM, "review", str(run), "--no-open", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = "".join(next(process.stdout) for _ in range(3))
        found = re.search(r":(\d+)/\?token=(\S+)", address)
        assert found is not None
        try:
            yield process, int(found[1]), found[2]
        finally:
            process.kill()


def ask(port: int, path: str, **headers: str) -> tuple[int, str, str]:
    """The status of an answer, the cookie that it sets, and its text."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["set-cookie"] or "", answer.read().decode()


def test_the_command_serves_until_it_is_interrupted(run: Path) -> None:
    with serving(run, "--size", "20") as (process, port, token):
        assert len(token) == 43
        assert ask(port, "/review")[0] == 401
        cookie = ask(port, f"/?token={token}")[1].split(";")[0]
        deadline = time.monotonic() + 60
        while "0 of 20 done" not in ask(port, "/review", Cookie=cookie)[2]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "0 votes in" in output
        assert errors == ""


def test_the_token_is_another_at_every_start(run: Path) -> None:
    with serving(run) as (_, _, first), serving(run) as (_, _, second):
        assert first != second


def test_others_can_only_reach_it_when_asked_for(run: Path) -> None:
    with serving(run) as (_, port, _), socket.socket() as probe:
        probe.settimeout(2)
        assert probe.connect_ex(("127.0.0.2", port)) != 0  # it listens on one address alone
    with serving(run, "--host", "0.0.0.0") as (process, port, token):
        assert ask(port, "/review", Cookie=f"jurist_review_{port}={token}")[0] == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert "can read the run and vote" in errors


def test_a_port_that_is_taken_is_a_mistake(run: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match="cannot be served") as caught,
    ):
        serve(settings(run, port=taken.getsockname()[1]))
    assert "another --port" in str(caught.value)


def test_a_host_that_is_not_here_is_a_mistake(run: Path) -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        serve(settings(run, host="192.0.2.1"))


def test_the_plugin_loads_no_server() -> None:
    code = (
        "import sys, jurist_review.plugin; "
        "print([m for m in ('starlette', 'uvicorn', 'jinja2', 'numpy', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
