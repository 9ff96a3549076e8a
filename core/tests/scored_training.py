"""A training whose responses are scored by a simulated provider, for tests that run it in real processes.

``python scored_training.py RECIPE.json FOLDER`` runs a recipe with these components.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import aiohttp

from jurist.chat import ChatReply, ChatRequest
from jurist.component import Component
from jurist.contracts import ChatModel, Trainer
from jurist.errors import JuristError, ProviderError, TrainingError, UsageError
from jurist.options import Options
from jurist.prices import Price
from jurist.recipe import Recipe
from jurist.records import Usage
from jurist.run import run
from jurist.train_jobs import Artifact, Samples, TrainJob, TrainProgress


class RemoteOptions(Options):
    url: str = "http://nowhere"
    model: str = "m"


class Remote(ChatModel):
    """Asks a simulator over HTTP; a token costs a millionth of a dollar."""

    Options = RemoteOptions

    def identity(self) -> Any:
        return self.options.model  # another run has another port

    def price(self) -> Price:
        return Price(input=1, output=1)

    async def complete(self, request: ChatRequest) -> ChatReply:
        messages = [message.model_dump() for message in request.messages]
        body = {"model": "m", "messages": messages, "max_tokens": request.sampling.max_tokens}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.options.url}/chat/completions", json=body, headers={"Authorization": "Bearer any"}
            ) as answer,
        ):
            if answer.status != 200:
                limited = answer.status == 429
                after = 0.01 if limited else None
                raise ProviderError(f"HTTP {answer.status}", retryable=True, retry_after=after)
            found = await answer.json()
        used = found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]
        usage = Usage(prompt_tokens=used[0], completion_tokens=used[1], usd=sum(used) * 1e-6)
        return ChatReply(text=found["choices"][0]["message"]["content"], usage=usage)


class StepsOptions(Options):
    """``killed_at`` and ``slow_at`` are steps at which, the first time, the process dies or waits."""

    steps: int = 3
    killed_at: int | None = None
    slow_at: int | None = None
    swallows: bool = False
    told: bool = True


class Steps(Trainer):
    """Answers every prompt at every step, has the answers scored, and remembers the scores."""

    Options = StepsOptions
    consumes = "prompts"
    produces = "policy"

    def samples(self, prompts: int, processes: int) -> Samples | None:
        if not self.options.told:
            return None
        return Samples(responses=self.options.steps * prompts, max_tokens=5)

    def measurements(self, held_out: int, prompts: int, processes: int) -> Samples | None:
        return Samples(responses=2 * held_out, max_tokens=5)

    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        state, rank = job.output / "checkpoints" / "state.json", int(os.environ.get("RANK", "0"))
        state.parent.mkdir(exist_ok=True)
        scores: list[list[float | None]] = json.loads(state.read_text()) if state.exists() else []
        prompts = [json.loads(line)["prompt"] for line in job.data.read_text().splitlines()]
        self._measure(job)
        for step in range(len(scores), self.options.steps):
            scores.append(self._scored(prompts, step))
            self._accident(job.output, step)
            draft = state.with_suffix(f".{rank}")
            draft.write_text(json.dumps(scores))
            draft.replace(state)
            sys.stderr.write(f"step {step}\n")
            progress(TrainProgress(step=step + 1, total=self.options.steps))
        self._measure(job)
        (job.output / "model").mkdir(exist_ok=True)
        (job.output / "model" / "scores.json").write_text(json.dumps(scores))
        (job.output / "model" / "job.json").write_text(job.model_dump_json())
        return Artifact(kind="policy", path=job.output / "model", metrics={"steps": len(scores)})

    def _scored(self, prompts: list[Any], step: int) -> list[float | None]:
        responses = [f"{prompt[-1]['content']} answer {step}" for prompt in prompts]
        if self.score is None:
            return [None] * len(responses)
        try:
            return list(self.score(prompts, responses))
        except JuristError:
            if not self.options.swallows:
                raise
            return [0.0] * len(responses)

    def _measure(self, job: TrainJob) -> None:
        if job.held_out is not None and self.measure is not None:
            prompts = [json.loads(line)["prompt"] for line in job.held_out.read_text().splitlines()]
            measured = self.measure(prompts, ["held out answer 3"] * len(prompts))
            (job.output / "measured.json").write_text(json.dumps(list(measured)))

    def _accident(self, output: Path, step: int) -> None:
        marker = output / "accident"
        if step not in (self.options.killed_at, self.options.slow_at) or marker.exists():
            return
        marker.write_text(str(os.getpid()))
        if step == self.options.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


class TogetherOptions(Options):
    """``how``: what goes wrong in the last process, or in all."""

    how: str = "well"


class Together(Trainer):
    """Processes that each have their own prompts scored, and add the scores up."""

    Options = TogetherOptions
    consumes = "prompts"
    produces = "policy"

    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        sys.stderr.write(f"rank {rank} of {world}\n")
        (job.output / f"pid.{rank}").write_text(str(os.getpid()))
        if self.options.how == "apart":
            progress(TrainProgress(step=1, total=1))
        total = self._added(job, rank, world)
        progress(TrainProgress(step=1, total=1, metrics={"rank": rank}))
        (job.output / "model").mkdir(exist_ok=True)
        return Artifact(kind="policy", path=job.output / "model", metrics={"total": total, "rank": rank})

    def _added(self, job: TrainJob, rank: int, world: int) -> float:
        import torch
        from torch import distributed

        assert self.score is not None
        distributed.init_process_group("gloo")
        prompts = [json.loads(line)["prompt"] for line in job.data.read_text().splitlines()][rank::world]
        # The second process asks more often than the first.
        values = [self.score([each], ["x" * (rank + 1)])[0] for each in prompts[: rank + 1]]
        if rank == world - 1:
            self._go_wrong()
        total = torch.tensor(sum(value for value in values if value is not None))
        distributed.all_reduce(total)  # waits for the others
        return float(total)

    def _go_wrong(self) -> None:
        if self.options.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.options.how == "wrong":
            raise TrainingError("loss is NaN", hint="continue from checkpoint-3")
        if self.options.how == "slow":
            time.sleep(120)


class Source:
    """The components of this module, and fakes to score with."""

    hooks = None

    known: ClassVar[dict[tuple[str, str], str]] = {
        ("trainer", "steps"): "scored_training:Steps",
        ("trainer", "together"): "scored_training:Together",
        ("chat_model", "remote"): "scored_training:Remote",
        ("scorer", "length"): "jurist.testing.fakes:LengthScorer",
    }

    def find(self, kind: str, name: str) -> Component:
        for key in ((kind, name), ("chat_model", name)):
            if key in self.known:
                return Component(name, self.known[key], "").collected(key[0], "scored-training 1.2")
        raise UsageError(f"no {kind} '{name}'")


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text())
    try:
        run(Recipe.of(settings), Path(sys.argv[2]), Source())
    except JuristError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
