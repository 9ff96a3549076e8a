"""Events: one typed method per hook through which plugins follow a run."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pluggy

from jurist.errors import JuristError, PluginError, ProviderError, described

if TYPE_CHECKING:
    from jurist.records import Usage
    from jurist.run_directory import Run
    from jurist.train_jobs import TrainProgress


class Events:
    """Tells every observer what happens; without observers it does nothing.

    An observer that raises stops the run with a :class:`PluginError` that names the plugin. What it raises on
    purpose, such as :class:`GateStop`, stays what it is; only a ProviderError would pass for one of the call
    that it is told of, which would then be made again.
    """

    def __init__(self, hooks: pluggy.HookRelay | None = None) -> None:
        self._hooks = hooks

    def run_started(self, run: Run) -> None:
        """A run begins or continues."""
        self._tell("jurist_run_started", run=run)

    def run_finished(self, run: Run, status: str) -> None:
        """A run ended."""
        self._tell("jurist_run_finished", run=run, status=status)

    def stage_started(self, stage: str, total: int | None) -> None:
        """A stage begins."""
        self._tell("jurist_stage_started", stage=stage, total=total)

    def stage_finished(self, stage: str, summary: dict[str, object], skipped: bool) -> None:
        """A stage ended."""
        self._tell("jurist_stage_finished", stage=stage, summary=summary, skipped=skipped)

    def outcome(self, stage: str, outcome: str) -> None:
        """An item of a stage is done."""
        self._tell("jurist_outcome", stage=stage, outcome=outcome)

    def call(self, component: str, usage: Usage, replayed: bool) -> None:
        """A call was answered, by the provider or from the ledger."""
        self._tell("jurist_call", component=component, usage=usage, replayed=replayed)

    def notice(self, component: str, text: str) -> None:
        """Something to tell a person about a component."""
        self._tell("jurist_notice", component=component, text=text)

    def training_progress(self, stage: str, progress: TrainProgress) -> None:
        """A trainer took a step."""
        self._tell("jurist_training_progress", stage=stage, progress=progress)

    def _tell(self, name: str, **arguments: Any) -> None:
        if self._hooks is None:
            return
        hook: pluggy.HookCaller = getattr(self._hooks, name)
        try:
            hook(**arguments)
        except Exception as error:
            if isinstance(error, JuristError) and not isinstance(error, ProviderError):
                error.add_note(f"in plugin {_culprit(hook, error)}, hook {name}")
                raise
            raise PluginError(
                f"The hook {name} of plugin '{_culprit(hook, error)}' raised an error.",
                cause=described(error),
                hint="report this to the author of the plugin, or do without it: jurist --no-plugin NAME",
            ) from error


def _culprit(hook: pluggy.HookCaller, error: Exception) -> str:
    """The name of the plugin whose hook the error came out of."""
    code = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    for implementation in hook.get_hookimpls():
        if getattr(implementation.function, "__code__", None) in code:
            return implementation.plugin_name
    return "unknown"
