"""Training: hands a dataset to a trainer in a worker process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from jurist.artifacts import StageArtifact
from jurist.assembly import ComponentSource, Selection, select
from jurist.contracts import Artifact, Trainer, TrainJob, TrainProgress
from jurist.errors import UsageError
from jurist.jsonl import read_rows, write_lines
from jurist.recipe import Reference, TrainSettings
from jurist.stages.base import Stage, StageContext, StageResult, Surroundings


class TrainStage(Stage):
    """Trains on a dataset; makes a ``policy`` or a ``reward_model``."""

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
        """The trainer, and the policy to start from."""
        where = f"stages.{self.name}"
        return [
            (f"{where}.trainer", "trainer", self.settings.trainer),
            (f"{where}.model", "chat_model", self.settings.model),
        ]

    def inputs(self) -> list[str]:
        """The dataset, the policy to start from and the reward model, as far as it uses them."""
        named = [self.settings.model] if isinstance(self.settings.model, str) else []
        if self._consumes() != "prompts":
            named.append(self._data())
        elif not self._rewards_itself():
            named.append(self.settings.reward_model)
        return named

    def input_files(self) -> list[Path]:
        """The prompts, when the trainer samples from the policy itself."""
        return super().input_files() if self._consumes() == "prompts" else []

    def check(self) -> list[str]:
        """Prompts, when the trainer needs them."""
        return super().check() if self._consumes() == "prompts" else []

    def makes(self) -> StageArtifact:
        """What its trainer produces."""
        assert self._trainer is not None
        produces = cast(type[Trainer], self._trainer.implementation).produces
        return StageArtifact(kind=produces, fingerprint="")

    def work(self, surroundings: Surroundings) -> None:
        """No calls: training runs on this machine."""

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Run the trainer in the worker; it resumes by itself from its last checkpoint."""
        trainer = self.trainer(context.assembly.source)
        assert self._trainer is not None
        policy = self._start(context)
        job = TrainJob(
            model=Path(str(policy["model"])),
            data=self._dataset(context, folder, trainer),
            output=folder,
            reward_model=self._reward_model(context),
            seed=self.recipe.seed,
        )
        context.events.stage_started(stage=self.name, total=None)

        def progress(update: TrainProgress) -> None:
            context.events.training_progress(stage=self.name, progress=update)

        artifact = await context.worker.train(self._trainer, job, progress)
        return StageResult({"metrics": artifact.metrics}, self._made(artifact, policy))

    def _made(self, artifact: Artifact, policy: dict[str, Any]) -> StageArtifact:
        component = {**policy, "model": str(artifact.path)} if artifact.kind == "policy" else None
        return self.makes().model_copy(update={"path": artifact.path, "component": component})

    def _start(self, context: StageContext) -> dict[str, Any]:
        """The settings of the policy to start from."""
        reference: Reference = context.artifacts.component(self.settings.model)
        settings: dict[str, JsonValue] = {"use": reference} if isinstance(reference, str) else reference
        selection = select("chat_model", settings, context.assembly.source, f"stages.{self.name}.model")
        return {**settings, "model": selection.settings["model"]}

    def _dataset(self, context: StageContext, folder: Path, trainer: type[Trainer]) -> Path:
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

    def _reward_model(self, context: StageContext) -> Path | None:
        if self._consumes() != "prompts" or self._rewards_itself():
            return None
        name = self.settings.reward_model
        return context.artifacts.get(name, f"stages.{self.name}.reward_model").path

    def _consumes(self) -> str:
        assert self._trainer is not None, "trainer() comes first"
        return cast(type[Trainer], self._trainer.implementation).consumes

    def _rewards_itself(self) -> bool:
        """Whether the trainer was given a reward of its own in its options."""
        assert self._trainer is not None
        return getattr(self._trainer.options, "reward", None) is not None

    def _data(self) -> str:
        return self.settings.data or self._consumes()
