"""Training: hands a dataset to a trainer in a worker process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from jurist.artifacts import StageArtifact
from jurist.assembly import ComponentSource, Selection, select
from jurist.contracts import Artifact, ArtifactKind, Trainer, TrainJob, TrainProgress
from jurist.errors import UsageError
from jurist.files.jsonl import read_rows, write_lines
from jurist.files.training_data import ROWS, read_training_data
from jurist.recipe import DataFile, Reference, TrainSettings, resolve_path
from jurist.stages.base import Stage, StageContext, StageResult, Surroundings


class TrainStage(Stage):
    """Trains on a dataset; makes a ``policy``, a ``reward_model`` or a ``labeler``."""

    settings: TrainSettings

    def __init__(self, settings: Any, recipe: Any) -> None:
        super().__init__(settings, recipe)
        self._trainer: Selection | None = None

    def trainer(self, source: ComponentSource) -> type[Trainer]:
        """The trainer's class, looked up once."""
        if self._trainer is None:
            where = f"stages.{self.name}.trainer"
            self._trainer = select("trainer", self.settings.trainer, source, where)
        return cast(type[Trainer], self._trainer.implementation)

    def references(self) -> list[tuple[str, str, Any]]:
        """The trainer, and the policy to start from, unless the trainer names a checkpoint of its own."""
        where = f"stages.{self.name}"
        trainer: tuple[str, str, Any] = (f"{where}.trainer", "trainer", self.settings.trainer)
        if self.base() is not None:
            return [trainer]
        return [trainer, (f"{where}.model", "chat_model", self.settings.model)]

    def base(self) -> str | None:
        """The checkpoint to start from that the trainer was given in its options, in place of the policy's.

        A trainer of policies has none: its policy answers as the one that it starts from.
        """
        return None if self._produces() == "policy" else self._option("base")

    def inputs(self) -> list[str]:
        """The dataset, the policy to start from and the reward model, as far as it uses them."""
        model = self.settings.model
        named = [model] if isinstance(model, str) and self.base() is None else []
        if self._consumes() != "prompts":
            named += [self._data()] if self._file() is None else []
        elif not self._rewards_itself():
            named.append(self.settings.reward_model)
        return named

    def input_files(self) -> list[Path]:
        """The prompts, when the trainer samples by itself; the file to learn from, if it is one."""
        if self._consumes() == "prompts":
            return super().input_files()
        file = self._file()
        return [] if file is None else [file]

    def check(self) -> list[str]:
        """Prompts, when the trainer needs them; the rows of a file to learn from.

        Raises:
            UsageError: that file is missing or faulty.
        """
        file = self._file()
        if self._consumes() == "prompts":
            refused = f"stages.{self.name}.data: '{self.settings.trainer_name}' learns from 'prompts:' alone"
            return super().check() + ([refused] if file is not None else [])
        if file is not None:
            read_training_data(file, ROWS[self._consumes()])
        return []

    def makes(self) -> StageArtifact:
        """What its trainer produces."""
        produces = self._produces()
        component: dict[str, JsonValue] | None = None
        if produces == "labeler":  # the judge of the same name; its model is known when it is trained
            component = {"use": self.settings.trainer_name, "name": self.name, "model": self.name}
        return StageArtifact(kind=produces, fingerprint="", component=component)

    def work(self, surroundings: Surroundings) -> None:
        """No calls: training runs on this machine."""

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Run the trainer in the worker; it resumes by itself from its last checkpoint."""
        trainer = self.trainer(context.assembly.source)
        assert self._trainer is not None
        base = self.base()
        start = {"model": base} if base is not None else self._start(context)
        job = TrainJob(
            model=Path(str(start["model"])),
            data=self._dataset(context, folder, trainer),
            output=folder,
            reward_models=self._reward_models(context),
            seed=self.recipe.seed,
        )
        context.events.stage_started(stage=self.name, total=None)

        def progress(update: TrainProgress) -> None:
            context.events.training_progress(stage=self.name, progress=update)

        artifact = await context.worker.train(self._trainer, job, progress)
        return StageResult({"metrics": artifact.metrics}, self._made(artifact, start))

    def _made(self, artifact: Artifact, start: dict[str, Any]) -> StageArtifact:
        """What was made; a policy answers as the one it started from did, with another checkpoint."""
        made = self.makes()
        answering = start if artifact.kind == "policy" else made.component
        component = answering and {**answering, "model": str(artifact.path)}
        return made.model_copy(update={"path": artifact.path, "component": component})

    def _start(self, context: StageContext) -> dict[str, Any]:
        """The settings of the policy to start from."""
        reference: Reference = context.artifacts.component(self.settings.model)
        settings: dict[str, JsonValue] = {"use": reference} if isinstance(reference, str) else reference
        selection = select("chat_model", settings, context.assembly.source, f"stages.{self.name}.model")
        return {**settings, "model": selection.settings["model"]}

    def _dataset(self, context: StageContext, folder: Path, trainer: type[Trainer]) -> Path:
        if (file := self._file()) is not None:
            return self._rows_of(file, folder / f"{trainer.consumes}.jsonl")
        if trainer.consumes != "prompts":
            artifact = context.artifacts.get(self._data(), f"stages.{self.name}.data")
            assert artifact.path is not None
            if next(read_rows(artifact.path), None) is None:
                raise UsageError(
                    f"stages.{self.name}: there is nothing to train on: {artifact.path} is empty",
                    hint=f"see why in {artifact.path.parent / 'summary.json'}",
                )
            return artifact.path
        with write_lines(folder / "prompts.jsonl") as lines:
            for prompt in self.prompts():
                messages = [message.model_dump() for message in prompt.messages]
                lines.write(json.dumps({"prompt": messages, "prompt_id": prompt.id}, ensure_ascii=False))
        return folder / "prompts.jsonl"

    def _rows_of(self, file: Path, output: Path) -> Path:
        """The file as trainers read it: conversations, and nothing else in a row."""
        with write_lines(output) as lines:
            for row in read_training_data(file, ROWS[self._consumes()]):
                lines.write(row.to_json())
        return output

    def _reward_models(self, context: StageContext) -> tuple[Path, ...]:
        if self._consumes() != "prompts" or self._rewards_itself():
            return ()
        artifact = context.artifacts.get(self.settings.reward_model, f"stages.{self.name}.reward_model")
        assert artifact.path is not None
        return (artifact.path,)

    def _consumes(self) -> str:
        assert self._trainer is not None, "trainer() comes first"
        return cast(type[Trainer], self._trainer.implementation).consumes

    def _produces(self) -> ArtifactKind:
        assert self._trainer is not None, "trainer() comes first"
        return cast(type[Trainer], self._trainer.implementation).produces

    def _rewards_itself(self) -> bool:
        """Whether the trainer was given a reward of its own in its options."""
        return self._option("reward") is not None

    def _option(self, name: str) -> str | None:
        """An option of the trainer, if it has one of that name that is set."""
        assert self._trainer is not None, "trainer() comes first"
        value = getattr(self._trainer.options, name, None)
        return None if value is None else str(value)

    def _file(self) -> Path | None:
        """The file to learn from, where the recipe names one."""
        data = self.settings.data
        return resolve_path(data.path) if isinstance(data, DataFile) else None

    def _data(self) -> str:
        """The artifact to learn from, where it is no file."""
        data = self.settings.data
        return data if isinstance(data, str) else self._consumes()
