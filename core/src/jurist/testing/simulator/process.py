"""The simulator in a process of its own."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Collection
from typing import Any, Self

import orjson

from jurist.testing.simulator.arguments import write_settings
from jurist.testing.simulator.faults import Faults
from jurist.testing.simulator.latency import Latency
from jurist.testing.simulator.listener import HOST
from jurist.testing.simulator.settings import AT_ONCE, FAULTLESS, Settings

PATIENCE = 10.0
"""Seconds that the process has to end when it is told to."""


class SimulatorProcess:
    """A simulated provider in a process of its own, for as long as the ``with`` block lasts.

    ``cpu`` is the core it is bound to, where the system can do that; ``seconds`` is when it ends in any case.
    It also ends when this process does. The other settings are those of ``Simulator``; the model answers as
    ``judge_by_marker`` says.
    """

    def __init__(
        self,
        *,
        cpu: int | None = None,
        seconds: float = 3600.0,
        latency: Latency = AT_ONCE,
        faults: Faults = FAULTLESS,
        seed: int = 0,
        port: int = 0,
        requests_per_minute: float | None = None,
        capacity: int | None = None,
        batch_seconds: float = 1.0,
        hold_batches: bool = False,
        served_model: str | None = None,
        keys: Collection[str] | None = None,
        keep_last: int = 0,
    ) -> None:
        settings = Settings(
            latency=latency,
            faults=faults,
            seed=seed,
            requests_per_minute=requests_per_minute,
            capacity=capacity,
            batch_seconds=batch_seconds,
            hold_batches=hold_batches,
            served_model=served_model,
            keys=None if keys is None else frozenset(keys),
            keep_last=keep_last,
        )
        own = ["--until-stdin-closes", f"--seconds={seconds}", f"--port={port}"]
        self._arguments = [*own, *write_settings(settings)]
        self._cpu = cpu
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The address for OpenAI's clients, which ends in /v1."""
        if not self._url:
            raise RuntimeError(
                "the simulator has no address before it serves; write: with SimulatorProcess() as …"
            )
        return self._url

    @property
    def anthropic_url(self) -> str:
        """The address for Anthropic's clients."""
        return self.url.removesuffix("/v1")

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._started().pid

    def stats(self) -> dict[str, Any]:
        """The counters as JSON, with the bodies and headers that are kept."""
        told: dict[str, Any] = orjson.loads(self._ask("GET", "/simulator/stats"))
        return told

    def release_batches(self) -> None:
        """Hold batches no longer."""
        self._ask("POST", "/simulator/release")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jurist.testing.simulator", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._cpu is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {self._cpu})
        assert self._process.stdout is not None
        self._url = self._process.stdout.readline().strip()
        if not self._url:
            self._stop()
            raise RuntimeError("the simulator did not start; what it printed on standard error says why")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        process = self._started()
        process.terminate()
        try:
            # Closes its standard input too, at which it would end by itself.
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the simulator does not run; write: with SimulatorProcess() as …")
        return self._process

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(HOST, int(self.anthropic_url.rpartition(":")[2]), timeout=60)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()
