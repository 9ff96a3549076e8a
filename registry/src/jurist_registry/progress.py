"""Progress: follows a run through its hooks and keeps what a person wants to see of it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from jurist import hookimpl
from jurist.money import in_usd
from jurist.records import Usage

if TYPE_CHECKING:
    from jurist.run_directory import Run
    from jurist.train_jobs import TrainProgress

WINDOW = 60.0
"""The rate is that of the last so many seconds, so that replayed calls do not flatter it for long."""

_TELLING = 500
"""Items that must be done before they say what the stage will cost: calls in flight are paid for too."""

HEADLINE = ("loss", "reward", "kl", "length", "accuracy", "eval_loss", "eval_accuracy")
"""The metrics of training that are shown, as far as a trainer gives them."""


@dataclass
class StageProgress:
    """How far a stage is: items by outcome, or training steps with the newest metrics, and its calls.

    ``over``: it ended or stopped, so nothing is to go.
    """

    name: str
    total: int | None
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    metrics: dict[str, float] = field(default_factory=dict)
    spent: Usage = field(default_factory=Usage)
    calls: int = 0
    replayed: int = 0
    over: bool = False
    _past: deque[tuple[float, int]] = field(default_factory=deque)

    def reached(self, done: int, now: float) -> None:
        """``done`` items or steps are done at time ``now``."""
        self.done = done
        # One sample a second is enough for a rate, however fast items come.
        if not self._past or now - self._past[-1][0] >= 1:
            self._past.append((now, done))
        while now - self._past[0][0] > WINDOW and len(self._past) > 2:
            self._past.popleft()

    def rate(self, now: float) -> float:
        """Items or steps per second, of late; 0 while there is nothing to go by."""
        if not self._past or now <= self._past[0][0]:
            return 0.0
        start, done = self._past[0]
        return (self.done - done) / (now - start)

    def seconds_left(self, now: float) -> float | None:
        """The time to go at this rate; None when it or the total is unknown, or the stage is over."""
        rate = self.rate(now)
        if self.over or self.total is None or rate <= 0:
            return None
        return max(0, self.total - self.done) / rate

    def position(self) -> str:
        """``120/400 (30%)``, or ``120`` when nobody knows how many there will be."""
        if self.total is None or self.done > self.total:
            return f"{self.done:,}"
        return f"{self.done:,}/{self.total:,} ({self.done / max(1, self.total):.0%})"

    def pace(self, now: float) -> str:
        """``4.2/s, 1 min 10 s left``, as far as that is known."""
        rate, left = self.rate(now), self.seconds_left(now)
        parts = [_rate_text(rate)] if rate else []
        return ", ".join(parts + ([f"{duration(left)} left"] if left else []))

    def findings(self) -> str:
        """``300 preferred, 12 tied``, or the newest of each metric of training."""
        return outcomes_text(dict(self.outcomes.most_common())) or metrics_text(self.metrics)

    def cost(self) -> str:
        """``$0.12 (about $0.60 at the end), 45,210 tokens, 80 calls``; empty while nothing was called."""
        return cost_text(self.spent, self.calls, self.replayed, self.projected())

    def projected(self) -> float | None:
        """What this attempt at the stage will have cost at its end, in dollars, if the rest costs as much.

        Items that were replayed cost nothing now and say nothing of the rest. None while too little is known.
        """
        calls = self.calls + self.replayed
        if not self.spent.usd or self.total is None or not calls or self.done < _TELLING:
            return None
        fresh = self.done * self.calls / calls
        return self.spent.usd * (1 + max(0, self.total - self.done) / fresh)

    def text(self, now: float) -> str:
        """All of it in one line."""
        parts = (self.position(), self.pace(now), self.findings(), self.cost())
        return "; ".join(part for part in parts if part)


class Display(Protocol):
    """Where progress is shown."""

    def note(self, text: str) -> None:
        """Show a line that stays."""

    def begin(self, stage: StageProgress) -> None:
        """Begin to show a stage."""

    def update(self, stage: StageProgress, now: float) -> None:
        """The stage went on; called for every item and call, so it must be cheap."""

    def end(self, stage: StageProgress, now: float) -> None:
        """Stop showing the stage."""


class Progress:
    """An observer of a run (register it) that shows on ``display`` how far it is and what it costs."""

    def __init__(self, display: Display, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._stage: StageProgress | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_stage()

    @hookimpl
    def jurist_run_started(self, run: Run) -> None:
        """Say which run this is and where it is kept."""
        stages = ", ".join(stage.name for stage in run.recipe.stages)
        self._display.note(f"{run.recipe.name}: {stages}; in {run.folder}")

    @hookimpl
    def jurist_run_finished(self, run: Run, status: str) -> None:
        """Say how it ended; what it cost in all is in its run.json."""
        self._end_stage()
        self._display.note(f"{run.recipe.name}: {status}")

    @hookimpl
    def jurist_stage_started(self, stage: str, total: int | None) -> None:
        """Begin a stage."""
        self._stage = StageProgress(stage, total)
        self._stage.reached(0, self._clock())
        self._display.begin(self._stage)

    @hookimpl
    def jurist_stage_finished(self, stage: str, skipped: bool) -> None:
        """End a stage."""
        if skipped:
            self._display.note(f"{stage}: done before, nothing changed")
        self._end_stage()

    @hookimpl
    def jurist_outcome(self, outcome: str) -> None:
        """Count an item."""
        if self._stage is not None:
            self._stage.outcomes[outcome] += 1
            self._reached(self._stage, self._stage.done + 1)

    @hookimpl
    def jurist_call(self, usage: Usage, replayed: bool) -> None:
        """Count a call; a replayed one cost nothing now."""
        if self._stage is None:
            return
        if replayed:
            self._stage.replayed += 1
        else:
            self._stage.calls += 1
            self._stage.spent += usage
        self._display.update(self._stage, self._clock())

    @hookimpl
    def jurist_notice(self, component: str, text: str) -> None:
        """Show what there is to tell about a component."""
        self._display.note(f"{component}: {text}")

    @hookimpl
    def jurist_training_progress(self, progress: TrainProgress) -> None:
        """Note a step of a trainer."""
        if self._stage is not None:
            self._stage.total = progress.total
            # Not every step gives all: the reward of a rollout comes with the first step that learns from it.
            self._stage.metrics |= progress.metrics
            self._reached(self._stage, progress.step)

    def _reached(self, stage: StageProgress, done: int) -> None:
        now = self._clock()
        stage.reached(done, now)
        self._display.update(stage, now)

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._stage.over = True
            self._display.end(self._stage, self._clock())
            self._stage = None


def cost_text(spent: Usage, calls: int, replayed: int = 0, projected: float | None = None) -> str:
    """``$0.12 (about $0.60 at the end), 45,210 tokens, 50 calls``; empty without calls.

    Replayed calls were paid for before, so with some it says what belongs to this attempt.
    """
    if not calls:
        return f"{_calls(replayed)} replayed" if replayed else ""
    tokens = spent.prompt_tokens + spent.completion_tokens
    at_the_end = "" if projected is None else f" (about ${in_usd(projected)} at the end)"
    cost = f"${in_usd(spent.usd)}{at_the_end}, {tokens:,} tokens, {_calls(calls)}"
    return f"{cost} in this attempt, {replayed:,} replayed" if replayed else cost


def _calls(number: int) -> str:
    return f"{number:,} {'call' if number == 1 else 'calls'}"


def outcomes_text(outcomes: Mapping[str, int]) -> str:
    """``300 preferred, 12 tied, 3 no majority``: names of outcomes as words that need no plural."""
    words = {"tie": "tied", "abstention": "abstained", "failure": "failed", "rounds": "after all rounds"}
    return ", ".join(f"{n:,} {words.get(each, each.replace('_', ' '))}" for each, n in outcomes.items() if n)


def metrics_text(metrics: Mapping[str, float]) -> str:
    """``loss 0.31, reward 0.7, kl 0.4``: the telling ones, or the first few; metrics.jsonl has all."""
    names = [name for name in HEADLINE if name in metrics] or list(metrics)[: len(HEADLINE)]
    return ", ".join(f"{name} {metrics[name]:.4g}" for name in names)


def duration(seconds: float) -> str:
    """``40 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _rate_text(rate: float) -> str:
    return f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"
