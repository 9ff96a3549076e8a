"""Processes: those that a trainer runs in, started together, heard through one queue, and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jurist.errors import TrainingError

_LONGEST_LINE = 2**30
"""Bytes of one message; a batch of responses with their prompts may be long."""

_PATIENCE = 10
"""Seconds that processes have to end by themselves."""

_NOTICED = 1
"""Seconds after which the death of a process is noticed here."""


class TrainerProcesses:
    """One process, or several under ``torchrun``, each with a connection to this one.

    A process ends when its connection closes, so none outlives this one. With ``log``, what they print from
    the very beginning, and what ``torchrun`` says of them, is appended to that file.
    """

    def __init__(self, count: int, log: Path | None = None) -> None:
        self.count = count
        self.first_gone: int | None = None
        self._log = log
        self._process: Process | None = None
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._worlds: set[int] = set()
        self._events: asyncio.Queue[tuple[int, dict[str, Any]] | None] = asyncio.Queue()
        self._connected = asyncio.Event()
        self._exited = asyncio.Event()
        self._gone = asyncio.Event()

    async def start(self) -> None:
        """Start them, and wait until all are connected or one has died, which :meth:`receive` then tells.

        Raises:
            TrainingError: they are not as many as they should be.
        """
        with tempfile.TemporaryDirectory(prefix="jurist-") as folder:
            path = str(Path(folder) / "socket")
            try:
                server = await asyncio.start_unix_server(self._hear, path, limit=_LONGEST_LINE)
            except OSError as error:  # such a path has about 100 characters at most
                raise TrainingError(
                    f"no socket can be made at {path}",
                    cause=error,
                    hint="set TMPDIR to a folder of this machine with a short path",
                ) from error
            try:
                await self._launch(path)
                await self._connected.wait()
            finally:
                server.close()
        if self._worlds - {self.count}:
            raise TrainingError(
                f"WORLD_SIZE is {max(self._worlds)}, but the recipe says 'processes: {self.count}'",
                hint="unset WORLD_SIZE, RANK and LOCAL_RANK: 'jurist run' starts its processes itself",
            )

    async def _launch(self, path: str) -> None:
        with _opened(self._log) as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(path),
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the run alone, which then ends them
            )
        self._waiting = asyncio.create_task(self._wait(self._process))

    def _command(self, path: str) -> list[str]:
        command = [sys.executable, "-m"]
        if self.count > 1:
            command += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(self.count), "-m"]
        return [*command, "jurist.training.trainer_process", path]

    @property
    def alive(self) -> bool:
        """Whether no process has ended yet."""
        return not self._exited.is_set() and self.first_gone is None

    async def send(self, message: dict[str, Any], rank: int | None = None) -> None:
        """Send a message to all, or to one; what has ended hears nothing, and :meth:`receive` tells."""
        line = json.dumps(message).encode() + b"\n"
        for writer in list(self._writers.values()) if rank is None else [self._writers[rank]]:
            with contextlib.suppress(ConnectionError):
                writer.write(line)
                await writer.drain()

    async def receive(self) -> tuple[int, dict[str, Any]] | None:
        """The next message of any process with the process's rank; None when one has ended."""
        return await self._events.get()

    async def one_died(self) -> bool:
        """Whether one of several has died, which the others may complain of before it is noticed here."""
        if self.count > 1:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), _NOTICED)
        return self._gone.is_set()

    def terminate(self) -> None:
        """Tell them to end, without waiting; :meth:`receive` then gives None."""
        self._hang_up()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def _hang_up(self) -> None:
        for writer in self._writers.values():
            writer.close()

    async def ended(self) -> int:
        """The exit code after one has died; ``torchrun`` is given time to say why, and to end the others."""
        assert self._process is not None
        await self._exits()
        await self.close()
        return await self._process.wait()

    async def close(self) -> None:
        """End them all, and wait for that."""
        if self._process is None:
            return
        if len(self._writers) == self.count:
            self._hang_up()  # which ends them, and torchrun with them
            await self._exits()
        self.terminate()
        await self._exits()
        if self._process.returncode is None:
            self._process.kill()
        await self._waiting

    async def _exits(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), _PATIENCE)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one process says, from its greeting on."""
        rank: int | None = None
        with contextlib.suppress(ConnectionError):
            async for line in reader:
                if not line.endswith(b"\n"):
                    break  # it died while it wrote this
                message = json.loads(line)
                if rank is None:
                    rank = self._greeted(message, writer)
                else:
                    self._events.put_nowait((rank, message))
        writer.close()
        if self.first_gone is None:
            self.first_gone = rank
        self._gone.set()
        self._ended()

    def _greeted(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> int:
        rank = int(message["rank"])
        self._writers[rank] = writer
        self._worlds.add(message["world"])
        if len(self._writers) == self.count:
            self._connected.set()
        return rank

    async def _wait(self, process: Process) -> None:
        await process.wait()
        self._exited.set()
        self._ended()

    def _ended(self) -> None:
        self._events.put_nowait(None)
        self._connected.set()


@contextmanager
def _opened(log: Path | None) -> Iterator[IO[bytes] | None]:
    if log is None:
        yield None
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        yield file
