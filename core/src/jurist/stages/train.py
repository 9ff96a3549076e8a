"""Training: hands a dataset to a trainer in processes of its own, and scores to it where it asks for some."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from jurist.artifacts import StageArtifact
from jurist.contracts import Trainer
from jurist.errors import Stopped, UsageError
from jurist.files.jsonl import read_rows
from jurist.files.record_file import RecordFile
from jurist.files.training_data import ROWS, RevisionRow, read_training_data
from jurist.recipe import resolve_path
from jurist.records import Prompt
from jurist.selection import ComponentSource, Selection, select
from jurist.stage_settings import DataFile, PromptSource, Reference, TrainSettings
from jurist.stages.base import ComponentUse, Stage, StageContext, StageResult
from jurist.stages.lineage import lineage
from jurist.stages.scorers import scorer_faults, scorer_references
from jurist.stages.surroundings import Surroundings
from jurist.stages.train_data import decisions_in, faults_of_file, held_out_prompts, write_prompts, write_rows
from jurist.stages.train_faults import train_faults
from jurist.stages.train_scores import ResponseScorers, ScoreLog, TrainScores
from jurist.train_jobs import Artifact, ArtifactKind, Samples, TrainJob, TrainProgress
from jurist.training.channel import Which
from jurist.training.warnings_log import WarningsLog


class TrainStage(Stage):
    """Trains on a dataset; makes a ``policy``, a ``reward_model`` or a ``labeler``."""

    settings: TrainSettings

    def __init__(self, settings: Any, recipe: Any) -> None:
        super().__init__(settings, recipe)
        self._trainer: Selection | None = None
        self._held_out: RecordFile[Prompt] | None = None

    def trainer(self, source: ComponentSource) -> type[Trainer]:
        """The trainer's class, looked up once."""
        if self._trainer is None:
            where = f"stages.{self.name}.trainer"
            self._trainer = select("trainer", self.settings.trainer, source, where)
        return cast(type[Trainer], self._trainer.implementation)

    def references(self) -> list[ComponentUse]:
        """The trainer, who scores, and the policy to start from, unless the trainer names a checkpoint."""
        where = f"stages.{self.name}"
        found = [ComponentUse(f"{where}.trainer", "trainer", self.settings.trainer)]
        if self.base() is None:
            found.append(ComponentUse(f"{where}.model", "chat_model", self.settings.model))
        found += scorer_references(self.name, self.settings.scorers)
        if self.settings.held_out is not None:
            found += scorer_references(f"{self.name}.held_out", self.settings.held_out.scorers)
        return found

    def base(self) -> str | None:
        """The checkpoint to start from that the trainer was given in its options, in place of the policy's.

        A trainer of policies has none: its policy answers as the one that it starts from.
        """
        return None if self._produces() == "policy" else self.option("base")

    def inputs(self) -> list[str]:
        """The dataset, the policy to start from, reward models and scorers, as far as it uses them."""
        references = self.references()
        named = [ref for _, kind, ref in references if isinstance(ref, str) and kind != "trainer"]
        if self.consumes() == "prompts":
            return [*named, *self.reward_models()]
        return named if self.file() is not None else [*named, self._data()]

    def input_files(self) -> list[Path]:
        """The prompts, when the trainer samples by itself; the files to learn from and to measure on."""
        held_out, mixed = self.settings.held_out, self.settings.mixed
        named = [self.file(), resolve_path(mixed.path) if mixed is not None else None]
        if held_out is not None:
            named.append(resolve_path(PromptSource.of(held_out.prompts).path))
        files = [file for file in named if file is not None]
        return [*super().input_files(), *files] if self.consumes() == "prompts" else files

    def faults(self) -> list[str]:
        """Prompts, when the trainer needs them; the rows of files to learn from; what does not fit it."""
        settings, where = self.settings, f"stages.{self.name}"
        faults = super().faults() if self.consumes() == "prompts" else []
        faults += train_faults(self)
        file, mixed = self.file(), settings.mixed
        if file is not None and self.consumes() in ROWS:
            faults += faults_of_file(lambda: read_training_data(file, ROWS[self.consumes()]), f"{where}.data")
        if mixed is not None:
            path = resolve_path(mixed.path)
            faults += faults_of_file(lambda: read_training_data(path, RevisionRow), f"{where}.mixed")
        if settings.held_out is not None:
            faults += scorer_faults(f"{self.name}.held_out", settings.held_out.scorers)
            faults += faults_of_file(self._check_held_out, f"{where}.held_out")
        if settings.processes > 1 and find_spec("torch") is None:
            faults.append(f"{where}.processes: more than one need torch; pip install torch")
        return faults + scorer_faults(self.name, settings.scorers)

    def _check_held_out(self) -> None:
        """See to it that what is measured on is not trained on.

        Raises:
            UsageError: some is, or the file is missing or faulty.
        """
        held_out = {prompt.id for prompt in self.held_out() or ()}
        if self.consumes() != "prompts" or self.prompt_source() is None:
            return  # told elsewhere
        both = sum(prompt.id in held_out for prompt in self.prompts())
        if both:
            raise UsageError(
                f"{both:,} of its {len(held_out):,} prompts are trained on as well",
                hint="tell them apart by their tags or parts: {path: …, part: [1, 5]}",
            )

    def makes(self) -> StageArtifact:
        """What its trainer produces."""
        produces = self._produces()
        component: dict[str, JsonValue] | None = None
        if produces == "labeler":  # the judge of the same name; its model is known when it is trained
            component = {"use": self.settings.trainer_name, "name": self.name, "model": self.name}
        return StageArtifact(kind=produces, fingerprint="", component=component)

    def work(self, surroundings: Surroundings) -> None:
        """Nothing that is known beforehand: its trainer says what is scored, and when."""

    def held_out(self) -> RecordFile[Prompt] | None:
        """The prompts that are measured on, if there are some.

        Raises:
            UsageError: the file is missing or faulty.
        """
        if self._held_out is None and self.settings.held_out is not None:
            self._held_out = held_out_prompts(PromptSource.of(self.settings.held_out.prompts))
        return self._held_out

    def sampled(self) -> dict[Which, RecordFile[Prompt]]:
        """The prompts to which its trainer samples responses."""
        found: dict[Which, RecordFile[Prompt]] = {}
        if self.consumes() == "prompts":
            found["score"] = self.prompts()
        if (held_out := self.held_out()) is not None:
            found["measure"] = held_out
        return found

    def scorers(self) -> dict[Which, Sequence[Reference]]:
        """Who scores responses, by the attribute under which its trainer finds them."""
        held_out = self.settings.held_out
        named: dict[Which, Sequence[Reference]] = {
            "score": self.settings.scorers,
            "measure": held_out.scorers if held_out is not None else (),
        }
        return {which: references for which, references in named.items() if references}

    def samples(self, which: Which) -> Samples | None:
        """How many responses its trainer will have scored; None where that is not known."""
        trainer = self.built_trainer()
        prompts = {of: len(each) for of, each in self.sampled().items()}
        if which == "score":
            return trainer.samples(prompts["score"], self.settings.processes)
        return trainer.measurements(prompts["measure"], prompts["score"], self.settings.processes)

    def built_trainer(self) -> Trainer:
        """A trainer with its options, to ask before it is at work."""
        assert self._trainer is not None, "trainer() comes first"
        return cast(Trainer, self._trainer.implementation(self._trainer.options))

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Run the trainer in the worker; it resumes by itself from its last checkpoint."""
        trainer = self._trainer
        assert trainer is not None, "trainer() comes first"
        base = self.base()
        start = {"model": base} if base is not None else self._start(context)
        job = self._job(context, folder, trainer, Path(str(start["model"])))
        context.events.stage_started(stage=self.name, total=None)

        warnings = WarningsLog(folder / "warnings.jsonl")

        def progress(update: TrainProgress) -> None:
            context.events.training_progress(stage=self.name, progress=update)
            warnings.add(update)
            if update.warning is not None:
                context.events.notice(trainer.label, update.warning)

        log = ScoreLog(folder / "scores.jsonl")
        known = {p.id: p for each in self.sampled().values() for p in each if p.tags or p.metadata}
        scores: dict[Which, TrainScores] = {}
        for which, references in self.scorers().items():
            scorers = ResponseScorers(self, which, references, context)
            scores[which] = TrainScores(scorers, context.engine, log, known)
        try:
            artifact = await context.worker.train(trainer, job, progress, scores, self.settings.processes)
        except Stopped:
            context.events.notice(trainer.label, _goes_on_from(folder / "checkpoints"))
            raise
        summary: dict[str, Any] = {"metrics": artifact.metrics}
        if scores:
            summary["scores"] = log.summary()
        return StageResult(summary, self._made(artifact, start))

    def _job(self, context: StageContext, folder: Path, trainer: Selection, model: Path) -> TrainJob:
        """What the trainer is asked to do; what it reads is in the folder, or an earlier stage made it."""
        mixed, held_out = self.settings.mixed, self.held_out()
        data = self._dataset(context, folder)
        job = TrainJob(
            model=model,
            data=data,
            output=folder,
            reward_models=tuple(self._checkpoint(name, context) for name in self.reward_models()),
            lineage=lineage(self, trainer, data, context),
            seed=self.recipe.seed,
        )
        extra: dict[str, Path] = {}
        if held_out is not None:
            extra["held_out"] = write_prompts(held_out, folder / "held_out.jsonl")
        if mixed is not None:
            rows = read_training_data(resolve_path(mixed.path), RevisionRow)
            extra["mixed"] = write_rows(rows, folder / "mixed.jsonl")
        return job.model_copy(update=extra)

    def _dataset(self, context: StageContext, folder: Path) -> Path:
        consumes = self.consumes()
        if consumes == "prompts":
            return write_prompts(self.prompts(), folder / "prompts.jsonl")
        if (file := self.file()) is not None:
            return write_rows(read_training_data(file, ROWS[consumes]), folder / f"{consumes}.jsonl")
        artifact = context.artifacts.get(self._data(), f"stages.{self.name}.data")
        assert artifact.path is not None
        if next(read_rows(artifact.path), None) is None:
            raise UsageError(
                f"stages.{self.name}: there is nothing to train on: {artifact.path} is empty"
                + decisions_in(artifact.path.parent),
                hint=f"see why in {artifact.path.parent / 'summary.json'}",
            )
        return artifact.path

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

    def _checkpoint(self, name: str, context: StageContext) -> Path:
        artifact = context.artifacts.get(name, f"stages.{self.name}.reward_model")
        assert artifact.path is not None
        return artifact.path

    def kinds(self) -> dict[str, set[str]]:
        """What it reads → of which kinds that may be, for all but components."""
        if self.consumes() == "prompts":
            return {name: {"reward_model", "labeler"} for name in self.reward_models()}
        return {} if self.file() is not None else {self._data(): {self.consumes()}}

    def reward_models(self) -> tuple[str, ...]:
        """The reward models by name: the newest, where nothing else is said to reward."""
        named = self.settings.reward_model
        if self.consumes() != "prompts":
            return ()
        if named is None:
            rewarded = self.settings.scorers or self.option("reward") is not None
            return () if rewarded else ("reward_model",)
        return (named,) if isinstance(named, str) else named

    def consumes(self) -> str:
        """What its trainer learns from."""
        assert self._trainer is not None, "trainer() comes first"
        return cast(type[Trainer], self._trainer.implementation).consumes

    def _produces(self) -> ArtifactKind:
        assert self._trainer is not None, "trainer() comes first"
        return cast(type[Trainer], self._trainer.implementation).produces

    def option(self, name: str) -> str | None:
        """An option of the trainer, if it has one of that name that is set."""
        assert self._trainer is not None, "trainer() comes first"
        value = getattr(self._trainer.options, name, None)
        return None if value is None else str(value)

    def file(self) -> Path | None:
        """The file to learn from, where the recipe names one."""
        data = self.settings.data
        return resolve_path(data.path) if isinstance(data, DataFile) else None

    def _data(self) -> str:
        """The artifact to learn from, where it is no file."""
        data = self.settings.data
        return data if isinstance(data, str) else self.consumes()


def _goes_on_from(checkpoints: Path) -> str:
    """What a training that was stopped goes on from."""
    kept = sorted(checkpoints.glob("*"), key=lambda path: path.stat().st_mtime)
    if not kept:
        return "it was stopped before its first checkpoint (see its option save_steps), so it begins anew"
    return f"it was stopped, and goes on from {kept[-1].name}"
