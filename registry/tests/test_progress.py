"""Progress: rates, time to go, outcomes and spend; plain lines in a log, bars on a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jurist.events import Events
from jurist.records import Usage
from jurist.train_jobs import TrainProgress
from jurist_registry.display import BarDisplay, LineDisplay, display_on
from jurist_registry.progress import Display, Progress, StageProgress, duration
from jurist_registry.registry import Registry


class Clock:
    """A clock that moves when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def a_run() -> Any:
    recipe = SimpleNamespace(
        name="cai", stages=[SimpleNamespace(name="revise"), SimpleNamespace(name="train")]
    )
    return cast(Any, SimpleNamespace(recipe=recipe, folder=Path("runs/cai")))


def events_to(display: Display, clock: Clock) -> Events:
    registry = Registry()
    registry.register(Progress(display, clock), "progress")
    return Events(registry.hooks)


def test_the_rate_and_the_time_to_go_follow_from_the_items_done() -> None:
    stage = StageProgress("compare", total=100)
    for second in range(11):
        stage.reached(2 * second, 100.0 + second)
    assert stage.rate(110.0) == pytest.approx(2.0)
    assert stage.seconds_left(110.0) == pytest.approx(40.0)
    assert stage.pace(110.0) == "2.0/s, 40 s left"


def test_the_rate_forgets_what_is_more_than_a_minute_ago() -> None:
    stage = StageProgress("compare", total=2000)
    stage.reached(0, 0.0)
    stage.reached(1000, 1.0)
    for second in range(2, 122):
        stage.reached(1000 + second, float(second))
    assert stage.rate(121.0) == pytest.approx(1.0)


def test_nothing_is_promised_without_a_total_or_a_rate() -> None:
    assert StageProgress("train", total=None).seconds_left(5.0) is None
    assert StageProgress("train", total=10).pace(5.0) == ""


def test_more_items_than_announced_are_shown_as_they_are() -> None:
    assert StageProgress("compare", total=2, done=5).position() == "5"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_log_gets_plain_lines_at_intervals() -> None:
    clock, stream = Clock(), io.StringIO()
    events = events_to(LineDisplay(stream, interval=10, clock=clock), clock)
    events.run_started(a_run())
    events.stage_started("compare", 4)
    for outcome, replayed in (("preferred", True), ("preferred", False), ("tie", False)):
        clock.now += 4
        events.call("judge", Usage(prompt_tokens=1000, completion_tokens=10, usd=0.05), replayed)
        events.outcome("compare", outcome)
    events.stage_finished("compare", {}, skipped=False)
    events.run_finished(a_run(), "budget")
    cost = "$0.10, 2,020 tokens, 2 calls in this attempt, 1 replayed"
    assert stream.getvalue().splitlines() == [
        "cai: revise, train; in runs/cai",
        "compare: begins, 4 items",
        f"compare: 2/4 (50%); 10.0/min, 12 s left; 2 preferred; {cost}",
        f"compare: stops; 3/4 (75%); 15.0/min; 2 preferred, 1 tied; {cost}",
        "cai: budget",
    ]


def test_training_is_shown_by_its_steps_and_newest_metrics() -> None:
    clock, stream = Clock(), io.StringIO()
    events = events_to(LineDisplay(stream, interval=0, clock=clock), clock)
    events.stage_started("sft", None)
    clock.now += 2
    events.training_progress("sft", TrainProgress(step=4, total=8, metrics={"loss": 1.23456}))
    assert stream.getvalue().splitlines() == ["sft: begins", "sft: 4/8 (50%); 2.0/s, 2 s left; loss 1.235"]


def test_metrics_that_a_step_does_not_give_are_kept_until_there_are_newer_ones() -> None:
    clock, stream = Clock(), io.StringIO()
    events = events_to(LineDisplay(stream, interval=0, clock=clock), clock)
    events.stage_started("ppo", None)
    for step, metrics in enumerate(
        ({"loss": 1.0, "reward": 0.1, "kl": 0.2}, {"loss": 0.5}, {}, {"reward": 0.3})
    ):
        events.training_progress("ppo", TrainProgress(step=step, total=4, metrics=metrics))
    shown = [line.rpartition("; ")[2] for line in stream.getvalue().splitlines()[1:]]
    assert shown == [
        "loss 1, reward 0.1, kl 0.2",
        "loss 0.5, reward 0.1, kl 0.2",
        "loss 0.5, reward 0.1, kl 0.2",
        "loss 0.5, reward 0.3, kl 0.2",
    ]


def test_a_stage_that_was_done_before_is_named() -> None:
    clock, stream = Clock(), io.StringIO()
    events_to(LineDisplay(stream, clock=clock), clock).stage_finished("revise", {}, skipped=True)
    assert stream.getvalue() == "revise: done before, nothing changed\n"


def test_a_terminal_gets_a_bar_with_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    clock, stream = Clock(), Terminal()
    display = display_on(stream)
    assert isinstance(display, BarDisplay)
    events = events_to(display, clock)
    events.stage_started("compare", 4)
    clock.now += 2
    events.call("judge", Usage(usd=0.2, prompt_tokens=7), replayed=False)
    events.outcome("compare", "preferred")
    events.stage_finished("compare", {}, skipped=False)
    shown = stream.getvalue()
    assert "1/4 (25%)" in shown
    assert "30.0/min; 1 preferred; $0.20, 7 tokens, 1 call" in shown


def test_a_stream_that_is_no_terminal_gets_lines() -> None:
    assert isinstance(display_on(io.StringIO()), LineDisplay)


def test_the_cost_of_the_whole_stage_is_projected_from_what_was_paid_for() -> None:
    stage = StageProgress("compare", total=1000, done=500, calls=800, replayed=200)
    stage.spent = Usage(usd=4.0, prompt_tokens=10)
    # 400 of the 500 items were paid for, at a cent each; 500 are to come.
    assert stage.projected() == pytest.approx(4.0 + 500 * 0.01)
    attempt = "$4.00 (about $9.00 at the end), 10 tokens, 800 calls in this attempt"
    assert stage.cost() == f"{attempt}, 200 replayed"


def test_a_stage_that_only_replays_says_so() -> None:
    assert StageProgress("compare", total=1, replayed=1).cost() == "1 call replayed"
    assert StageProgress("compare", total=1).cost() == ""


@pytest.mark.parametrize("known", [{"total": None}, {"done": 5}, {"spent": Usage()}])
def test_nothing_is_projected_from_too_little(known: dict[str, Any]) -> None:
    stage = StageProgress("compare", total=1000, done=500, calls=800, spent=Usage(usd=4.0))
    for name, value in known.items():
        setattr(stage, name, value)
    assert stage.projected() is None


def test_notices_are_shown() -> None:
    stream = io.StringIO()
    events_to(LineDisplay(stream), Clock()).notice("gpt", "handed in batch b1 of 10 requests")
    assert stream.getvalue() == "gpt: handed in batch b1 of 10 requests\n"
