"""The hooks of Jurist: how a plugin offers components, and how it follows a run.

A plugin is a module named by an entry point in the group ``jurist``. Write the hooks you need,
decorated with :data:`hookimpl`; take only the arguments you use. Keep the module light: name
component classes as text (``"package.module:Class"``) so that they are imported only when used.

    from jurist import Component, hookimpl

    @hookimpl
    def jurist_judges():
        yield Component("mine", "my_package.judge:MyJudge", "What it does, in one line.")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pluggy

if TYPE_CHECKING:
    from jurist.component import Component
    from jurist.contracts import Aggregator
    from jurist.records import Usage
    from jurist.run_directory import Run
    from jurist.train_jobs import TrainProgress
    from jurist.validation.labelled import LabelledItem
    from jurist.validation.result import Thresholds, Validation

hookspec = pluggy.HookspecMarker("jurist")
hookimpl = pluggy.HookimplMarker("jurist")


# --- offering components: called once, when the plugin is loaded ---------------------------------


@hookspec
def jurist_chat_models() -> Iterable[Component]:
    """Chat models; core builds every other role that talks from them."""
    raise NotImplementedError


@hookspec
def jurist_generators() -> Iterable[Component]:
    """Components that write responses to prompts."""
    raise NotImplementedError


@hookspec
def jurist_critics() -> Iterable[Component]:
    """Components that hold a response against principles."""
    raise NotImplementedError


@hookspec
def jurist_revisers() -> Iterable[Component]:
    """Components that rewrite a response so that it heeds a critique."""
    raise NotImplementedError


@hookspec
def jurist_judges() -> Iterable[Component]:
    """Components that compare two responses."""
    raise NotImplementedError


@hookspec
def jurist_scorers() -> Iterable[Component]:
    """Components that score one response."""
    raise NotImplementedError


@hookspec
def jurist_aggregators() -> Iterable[Component]:
    """Components that make one decision of a jury's outcomes."""
    raise NotImplementedError


@hookspec
def jurist_trainers() -> Iterable[Component]:
    """Components that turn a dataset into a checkpoint."""
    raise NotImplementedError


# --- following a run: for observation only; what they return is ignored ---------------------------


@hookspec
def jurist_run_started(run: Run) -> None:
    """A run begins or continues; its settings are checked and its directory exists."""


@hookspec
def jurist_run_finished(run: Run, status: str) -> None:
    """A run ended: ``done``, ``failed``, ``budget``, ``gate`` or ``interrupted``."""


@hookspec
def jurist_stage_started(stage: str, total: int | None) -> None:
    """A stage begins. ``total``: how many items or steps it will take, where that is known."""


@hookspec
def jurist_stage_finished(stage: str, summary: dict[str, object], skipped: bool) -> None:
    """A stage ended. ``skipped``: it was done before and neither settings nor inputs changed."""


@hookspec
def jurist_outcome(stage: str, outcome: str) -> None:
    """An item of a stage is done; ``outcome`` says how (``preferred``, ``tie``, ``failure`` …)."""


@hookspec
def jurist_call(component: str, usage: Usage, replayed: bool) -> None:
    """A call was answered, by the provider or (``replayed``) from the ledger."""


@hookspec
def jurist_notice(component: str, text: str) -> None:
    """Something to tell a person about ``component``: a batch was handed in, another model answers …"""


@hookspec
def jurist_training_progress(stage: str, progress: TrainProgress) -> None:
    """A trainer took a step."""


# --- what the command leaves to plugins ------------------------------------------------------------


@hookspec(firstresult=True)
def jurist_report(runs: list[Path], output: Path) -> Path | None:
    """Write a report about ``runs`` to ``output`` and return its path."""


@hookspec(firstresult=True)
def jurist_review(
    run: Path,
    stage: str,
    reviewer: str,
    size: int | None,
    seed: int,
    host: str,
    port: int,
    open_page: bool,
) -> str | None:
    """Serve a page on which people look at ``run`` and judge what its jury judged, until it is interrupted.

    Returns a line on what was done. ``stage`` may be empty where only one gives labels; of its labels
    ``size`` are drawn with ``seed`` (None: as many as before, or a hundred). ``reviewer`` is whoever says no
    other name. Port 0 is any free one; ``open_page``: in the browser of this computer.
    """


@hookspec(firstresult=True)
def jurist_review_exchange(
    run: Path,
    stage: str,
    size: int | None,
    seed: int,
    direction: Literal["export", "to-argilla", "from-argilla"],
    path: Path,
) -> str | None:
    """Write what people said of a stage's labels to ``path``, or read it from there; returns what was done.

    ``export``: rows of a spot check, which are added to the run's labels too. ``to-argilla`` and
    ``from-argilla``: a folder that Argilla reads and writes.
    """


@hookspec(firstresult=True)
def jurist_validation(
    items: Sequence[LabelledItem],
    aggregators: Mapping[str, Callable[[], Aggregator]],
    subject: str,
    thresholds: Thresholds,
    seed: int,
) -> Validation | None:
    """Measure the votes on ``items``, and what ``aggregators`` make of them, against the labels.

    Each aggregator is given as a function that makes a new one, so that one that learns can be fitted on a
    part of the items and measured on the rest. ``subject`` is the aggregator or judge that will be used.
    """
