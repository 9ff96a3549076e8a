from __future__ import annotations

import pluggy
import pytest

from jurist import hookimpl, hookspecs
from jurist.errors import GateStop, PluginError, ProviderError
from jurist.events import Events
from jurist.records import Usage
from jurist.train_jobs import TrainProgress


class Recorder:
    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    @hookimpl
    def jurist_stage_started(self, stage, total):
        self.seen.append(("stage_started", stage, total))

    @hookimpl
    def jurist_stage_finished(self, stage, summary, skipped):
        self.seen.append(("stage_finished", stage, summary, skipped))

    @hookimpl
    def jurist_outcome(self, stage, outcome):
        self.seen.append(("outcome", stage, outcome))

    @hookimpl
    def jurist_call(self, component, usage, replayed):
        self.seen.append(("call", component, usage, replayed))

    @hookimpl
    def jurist_training_progress(self, stage, progress):
        self.seen.append(("training_progress", stage, progress))

    @hookimpl
    def jurist_run_started(self, run):
        self.seen.append(("run_started", run))

    @hookimpl
    def jurist_run_finished(self, run, status):
        self.seen.append(("run_finished", run, status))


def manager(**plugins: object) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("jurist")
    manager.add_hookspecs(hookspecs)
    for name, plugin in plugins.items():
        manager.register(plugin, name=name)
    return manager


def test_every_event_reaches_its_hook_with_all_arguments():
    recorder = Recorder()
    events = Events(manager(recorder=recorder).hook)
    usage, progress, run = Usage(usd=1.5), TrainProgress(step=1, total=2), object()
    events.run_started(run)
    events.stage_started("compare", 7)
    events.call("judge", usage, replayed=True)
    events.outcome("compare", "tie")
    events.training_progress("train", progress)
    events.stage_finished("compare", {"ties": 1}, skipped=False)
    events.run_finished(run, "done")
    assert recorder.seen == [
        ("run_started", run),
        ("stage_started", "compare", 7),
        ("call", "judge", usage, True),
        ("outcome", "compare", "tie"),
        ("training_progress", "train", progress),
        ("stage_finished", "compare", {"ties": 1}, False),
        ("run_finished", run, "done"),
    ]


def test_every_call_time_hook_has_an_event():
    following = {
        name.removeprefix("jurist_")
        for name, hook in vars(hookspecs).items()
        if name.startswith("jurist_") and hook.__annotations__["return"] == "None"
    }
    assert following == {name for name in vars(Events) if not name.startswith("_")}


def test_without_observers_nothing_happens():
    assert Events().outcome("compare", "tie") is None


def test_an_observer_that_raises_is_named():
    class Broken:
        @hookimpl
        def jurist_outcome(self, stage):
            raise KeyError(stage)

    events = Events(manager(good=Recorder(), tracker=Broken(), other=Recorder()).hook)
    with pytest.raises(PluginError) as caught:
        events.outcome("compare", "tie")
    assert "The hook jurist_outcome of plugin 'tracker' raised an error." in str(caught.value)
    assert "KeyError: 'compare' (test_events.py, line" in str(caught.value)


def test_what_an_observer_raises_on_purpose_stays_what_it_is():
    class Strict:
        @hookimpl
        def jurist_outcome(self, stage, outcome):
            raise GateStop("too many ties") if outcome == "tie" else ProviderError("503", retryable=True)

    events = Events(manager(strict=Strict()).hook)
    with pytest.raises(GateStop, match="too many ties") as caught:
        events.outcome("compare", "tie")
    assert caught.value.__notes__ == ["in plugin strict, hook jurist_outcome"]
    with pytest.raises(PluginError, match="'strict'"):  # it would pass for one of a call, which is made again
        events.outcome("compare", "preferred")
