"""``python -m jurist.testing.simulator``: serve until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import threading

from jurist.testing.simulator.answers import judge_by_marker
from jurist.testing.simulator.arguments import read_settings, settings_parser
from jurist.testing.simulator.listener import HOST, listening
from jurist.testing.simulator.service import Service


def main() -> None:
    """Read the arguments and serve."""
    parser = settings_parser()
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seconds", type=float, default=3600.0, help="end after this time at most")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with standard input")
    given = parser.parse_args()
    try:
        service = Service(read_settings(given), judge_by_marker)
    except ValueError as error:
        parser.error(str(error))
    asyncio.run(_serve(service, given))


async def _serve(service: Service, given: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(given.seconds, stop.set)
    if given.until_stdin_closes:
        threading.Thread(target=_until_stdin_closes, args=(loop, stop), daemon=True).start()
    async with listening(service, given.port) as port:
        # What was imported stays for good; the garbage collector need not look at it again and again.
        gc.freeze()
        sys.stdout.write(f"http://{HOST}:{port}/v1\n")
        sys.stdout.flush()
        await stop.wait()


def _until_stdin_closes(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait in a thread, which works for a terminal, a pipe and a file alike.

    Reads the descriptor itself: a thread that held the lock of sys.stdin would disturb the exit of Python.
    """
    while os.read(0, 65536):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    main()
