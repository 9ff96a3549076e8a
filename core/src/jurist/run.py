"""Run: carries out a recipe in a directory, stage by stage, and continues where it was stopped."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from jurist.assembly import Assembly
from jurist.engine.budget import Budget
from jurist.engine.engine import Engine
from jurist.engine.garbage import rare_collections
from jurist.engine.ledger import Ledger
from jurist.errors import Interrupted, JuristError, UsageError
from jurist.events import Events
from jurist.files.jsonl import write_json
from jurist.fingerprint import file_digest
from jurist.preflight import Checked, base_policy, check, check_start
from jurist.prompt_fit import check_prompt_fit
from jurist.recipe import Recipe
from jurist.records import content_id
from jurist.run_directory import (
    Run,
    StageRecord,
    begin_stage,
    exchange_stage,
    finished_stage,
    make_directory,
    relative_artifact,
    stage_artifact,
    write_recipe,
    write_state,
)
from jurist.run_files import LEDGER, stage_folder
from jurist.selection import ComponentSource, fingerprint_of, select
from jurist.stage_settings import Reference
from jurist.stages import Stage, StageContext
from jurist.training.worker import TrainerWorker

_STATUS = {
    "BudgetStop": "budget",
    "GateStop": "gate",
    **dict.fromkeys(("Interrupted", "CancelledError", "KeyboardInterrupt"), "interrupted"),
}


def run(
    recipe: Recipe,
    folder: Path,
    source: ComponentSource,
    *,
    events: Events | None = None,
    max_usd: float | None = None,
    max_tokens: int | None = None,
    in_process: bool = False,
) -> Run:
    """Carry out ``recipe`` in ``folder``, or continue there.

    ``events`` are told what happens, by default the plugins of ``source``. ``max_usd`` and ``max_tokens``
    replace the recipe's caps. ``in_process`` trains in this process instead of a worker. Ctrl-C lets calls
    in flight finish; a second one does not.

    Raises:
        UsageError: something is wrong with the recipe or the folder; nothing was spent.
        Stopped: the run ended early; calling this again continues it.
    """
    with rare_collections():
        return asyncio.run(
            execute(
                recipe,
                folder,
                source,
                events=events,
                max_usd=max_usd,
                max_tokens=max_tokens,
                in_process=in_process,
            )
        )


async def execute(
    recipe: Recipe,
    folder: Path,
    source: ComponentSource,
    *,
    events: Events | None = None,
    max_usd: float | None = None,
    max_tokens: int | None = None,
    in_process: bool = False,
) -> Run:
    """The same as :func:`run`, for programs that have an event loop."""
    checked = check(recipe, source)
    events = events or Events(source.hooks)
    caps = recipe.budget
    max_usd = caps.usd if max_usd is None else max_usd
    await check_start(checked, source, folder, max_usd)
    make_directory(folder)
    budget = Budget(max_usd=max_usd, max_tokens=caps.tokens if max_tokens is None else max_tokens)
    with Ledger(folder / LEDGER) as ledger:
        engine = Engine(ledger, events=events, budget=budget)
        execution = _Execution(checked, folder, source, engine, TrainerWorker(in_process=in_process))
        return await execution.run()


class _Execution:
    """One attempt at a run."""

    def __init__(
        self, checked: Checked, folder: Path, source: ComponentSource, engine: Engine, worker: TrainerWorker
    ) -> None:
        self._checked = checked
        self._run = Run(checked.recipe, folder)
        self._engine = engine
        self._worker = worker
        self._at_once = False
        self._fits = False
        self._context = StageContext(
            recipe=checked.recipe,
            constitution=checked.constitution,
            artifacts=self._run.artifacts,
            engine=engine,
            assembly=Assembly(source, engine),
            events=engine.events,
            worker=worker,
        )

    async def run(self) -> Run:
        base = base_policy(self._run.recipe)
        if base is not None:
            content = self._reference("policy", "chat_model", base.component or {})
            base = base.model_copy(update={"fingerprint": content_id(content)})
            self._run.artifacts.add_base(base)
        write_recipe(self._run)
        self._save("running")
        self._engine.events.run_started(self._run)
        for stage, text in self._checked.notices:
            self._engine.events.notice(stage, text)
        try:
            with self._stopped_by_signal():
                await self._work_through()
        except BaseException as error:
            with suppress(JuristError):  # a full disk, say: the first error is the one that counts
                self._finish(_STATUS.get(type(error).__name__, "failed"))
            raise
        finally:
            if not self._at_once:
                await self._worker.close()
                await self._context.assembly.close()
        self._finish("done")
        return self._run

    async def _work_through(self) -> None:
        try:
            for number, stage in enumerate(self._checked.stages, 1):
                await self._stage(number, stage)
        except Exception:
            await self._engine.drain()  # what is in flight is paid for, so it is kept
            raise

    async def _check_fit(self) -> None:
        """Find prompts that the policy cannot take, once, before the first call of this attempt."""
        if not self._fits:
            await check_prompt_fit(self._checked, self._context.assembly.source)
            self._fits = True

    async def _stage(self, number: int, stage: Stage) -> None:
        folder = stage_folder(self._run.folder, number, stage.name)
        if self._engine.reason is not None:
            raise self._engine.reason
        fingerprint = self._fingerprint(stage)
        if (moved := exchange_stage(folder, fingerprint)) is not None:
            text = f"what other settings or inputs made is kept in {moved}, and comes back with these"
            self._engine.events.notice(stage.name, text)
        record = finished_stage(folder, stage.name, fingerprint)
        if record is None:
            await self._check_fit()
            record = await self._work(folder, stage, fingerprint)
            await self._context.assembly.close()  # gives the memory of local models back
        artifact = stage_artifact(record)
        if artifact is not None:
            self._run.artifacts.add(stage.name, artifact)
        self._run.stages.append(record)
        self._save("running")
        self._engine.events.stage_finished(stage=stage.name, summary=record.summary, skipped=record.skipped)
        stage.gate(record.summary)

    async def _work(self, folder: Path, stage: Stage, fingerprint: str) -> StageRecord:
        begin_stage(folder, fingerprint)
        # Either side gives its memory back before the other works.
        if stage.settings.stage == "train":
            await self._context.assembly.close()
        else:
            await self._worker.close()
        before, started = self._engine.ledger.totals(), time.monotonic()
        given_up = self._engine.given_up
        result = await stage.execute(self._context, folder)
        if result.faults:
            hint = f"mend it and run the same command again; {folder} has every answer"
            raise UsageError.of_faults(f"stage '{stage.name}' came to nothing", result.faults, hint=hint)
        spent = self._engine.ledger.totals()
        summary = {
            "stage": stage.settings.stage,
            "name": stage.name,
            "fingerprint": fingerprint,
            **result.summary,
            "given_up": self._engine.given_up - given_up,
            "seconds": round(time.monotonic() - started, 3),
            "usage": {k: v - getattr(before, k) for k, v in spent.model_dump().items()},
        }
        if result.artifact is not None:
            path = result.artifact.path
            content = file_digest(path) if path is not None and path.is_file() else fingerprint
            made = result.artifact.model_copy(update={"fingerprint": content})
            summary["artifact"] = relative_artifact(made, folder)
        write_json(folder / "summary.json", summary)
        return StageRecord(stage.name, folder, summary, skipped=False)

    def _fingerprint(self, stage: Stage) -> str:
        """Changes with what can change the stage's result: settings, seed, constitution, inputs."""
        known, recipe = self._run.artifacts, self._run.recipe
        prefix = f"stages.{stage.name}."
        elsewhere: dict[str, Any] = {"prompts": True}
        for where, _, _ in stage.references():
            setting, *inside = where.removeprefix(prefix).split(".")
            elsewhere[setting] = {inside[0]: True} if setting == "held_out" else True
        source = stage.prompt_source()
        return content_id(
            stage.settings.model_dump(mode="json", exclude=elsewhere),
            [[where, self._reference(where, kind, ref)] for where, kind, ref in stage.references()],
            {name: found.fingerprint for name in stage.inputs() if (found := known.find(name)) is not None},
            [file_digest(path) for path in stage.input_files()],
            source.model_dump(mode="json", exclude={"path"}) if source is not None else None,
            recipe.seed,
            self._context.constitution,
        )

    def _reference(self, where: str, kind: str, reference: Reference) -> JsonValue:
        """An artifact by its content, a component by what of its settings can change a result."""
        artifact = self._run.artifacts.find(reference) if isinstance(reference, str) else None
        if artifact is not None:
            return artifact.fingerprint
        return fingerprint_of(select(kind, reference, self._context.assembly.source, where))

    @contextmanager
    def _stopped_by_signal(self) -> Iterator[None]:
        """Ctrl-C (or SIGTERM) once: start nothing new, finish calls in flight. Twice: stop now."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        presses = 0

        def pressed() -> None:
            nonlocal presses
            presses += 1
            if presses > 1:  # connections are left open then; that they were is no news
                loop.set_exception_handler(lambda loop, context: None)
            reason = Interrupted("interrupted", hint="run the same command again to continue")
            self._engine.stop(reason)
            self._worker.stop(reason)
            if presses > 1 and task is not None:
                self._at_once = True
                task.cancel()

        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, pressed)
        except (NotImplementedError, RuntimeError, ValueError):
            yield  # not the main thread, or no signals here: whoever embeds us decides
            return
        try:
            yield
        except asyncio.CancelledError:
            if presses:
                raise Interrupted(
                    "interrupted at once", hint="run the same command again to continue"
                ) from None
            raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _finish(self, status: str) -> None:
        self._save(status)
        self._engine.events.run_finished(self._run, status)

    def _save(self, status: str) -> None:
        self._run.status = status
        self._run.totals = {
            name: {"calls": tally.calls, **tally.usage.model_dump()}
            for name, tally in self._engine.ledger.tallies().items()
        }
        self._run.served |= self._engine.served.summary()
        write_state(self._run)
