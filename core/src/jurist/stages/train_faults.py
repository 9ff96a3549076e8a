"""What a train stage asks for and its trainer could make nothing of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jurist.files.modules import has_module
from jurist.train_jobs import JobOutline

if TYPE_CHECKING:
    from jurist.stages.train import TrainStage


def train_faults(stage: TrainStage) -> list[str]:
    """Settings that its trainer could make nothing of."""
    settings, where = stage.settings, f"stages.{stage.name}"
    who = f"'{settings.trainer_name}' learns from"
    if stage.consumes() == "prompts":
        file = stage.file()
        faults = [] if file is None else [f"{where}.data: {who} 'prompts:' alone"]
    else:
        sampled = {"scorers": settings.scorers, "held_out": settings.held_out}
        faults = [
            f"{where}.{name}: {who} {stage.consumes()}, and samples nothing that could be scored"
            for name, value in sampled.items()
            if value
        ]
    if settings.mixed is not None and stage.consumes() == "preferences":
        faults.append(f"{where}.mixed: {who} preferences, with which no conversations are mixed")
    scored = settings.scorers or (settings.held_out is not None and settings.held_out.scorers)
    if (reward := stage.option("reward")) is not None and not has_module(reward.partition(":")[0]):
        faults.append(f"{where}.trainer.reward: there is no module {reward.partition(':')[0]!r} to import")
    if settings.principles != "none" and not scored:
        faults.append(f"{where}.principles: there are no scorers that could go by them")
    return faults + [f"{where}.trainer: {fault}" for fault in stage.built_trainer().faults(outline(stage))]


def outline(stage: TrainStage) -> JobOutline:
    """What is known of its job before anything is spent."""
    settings, scorers = stage.settings, stage.scorers()
    return JobOutline(
        reward_models=len(stage.reward_models()),
        held_out=settings.held_out is not None,
        mixed=settings.mixed is not None,
        scored="score" in scorers,
        measured="measure" in scorers,
        processes=settings.processes,
    )
