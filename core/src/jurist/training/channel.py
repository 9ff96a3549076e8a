"""Channel: a trainer process's connection to the run, through which jobs and scores come and events go."""

from __future__ import annotations

import itertools
import json
import os
import queue
import socket
import threading
from collections.abc import Sequence
from typing import Any, Literal

from jurist.train_jobs import ScoreResponses

Which = Literal["score", "measure"]
Messages = Sequence[dict[str, str]]


class Channel:
    """JSON lines to and from the run, over the Unix socket at ``path``.

    When the run is gone, the process ends at once, whatever a trainer is doing.
    """

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._answers: dict[int, queue.SimpleQueue[list[float | None]]] = {}
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        threading.Thread(target=self._read, name="jurist-channel", daemon=True).start()

    def send(self, event: dict[str, Any]) -> None:
        """Tell the run something; any thread may."""
        line = json.dumps(event).encode() + b"\n"
        with self._sending:
            self._socket.sendall(line)

    def next_job(self) -> dict[str, Any]:
        """Wait for a job."""
        return self._jobs.get()

    def scores(self, which: Which) -> ScoreResponses:
        """What a trainer calls to have responses scored by the run."""

        def ask(prompts: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
            if len(prompts) != len(responses):
                raise ValueError(f"{len(prompts)} prompts for {len(responses)} responses")
            if not responses:
                return []
            number = next(self._numbers)
            answer = self._answers[number] = queue.SimpleQueue()
            asked = {"prompts": [list(each) for each in prompts], "responses": list(responses)}
            self.send({"score": {"id": number, "which": which, **asked}})
            return answer.get()

        return ask

    def _read(self) -> None:
        with self._socket.makefile("r", encoding="utf-8") as lines:
            try:
                for line in lines:
                    message = json.loads(line)
                    if "scores" in message:
                        scored = message["scores"]
                        self._answers.pop(scored["id"]).put(scored["values"])
                    else:
                        self._jobs.put(message["job"])
            except ConnectionError:
                pass  # the run was killed
        os._exit(0)
