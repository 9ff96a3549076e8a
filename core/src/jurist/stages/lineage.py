"""Lineage: what a trained checkpoint comes from, as plain values for its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from jurist.fingerprint import file_digest
from jurist.records import content_id
from jurist.selection import Selection, fingerprint_of, labels_of, select

if TYPE_CHECKING:
    from jurist.stage_settings import Reference, StageSettings
    from jurist.stages.base import Stage, StageContext
    from jurist.stages.train import TrainStage

_ASKED = ("judge", "scorer", "critic")
"""Kinds of components on whose word a checkpoint rests; their versions are told."""


def lineage(stage: TrainStage, trainer: Selection, data: Path, context: StageContext) -> dict[str, JsonValue]:
    """Recipe, constitution, data, versions, and the stages of the run that what is trained rests on.

    Nothing in it depends on when or where the run takes place.
    """
    recipe, constitution = stage.recipe, context.constitution
    plugin, _, plugin_version = trainer.component.distribution.partition(" ")
    return {
        "recipe": recipe.name,
        "stage": stage.name,
        "seed": recipe.seed,
        "policy": _named(recipe.policy),
        "constitution": {"name": constitution.name, "id": content_id(constitution)},
        "trainer": trainer.component.name,
        "data": {"file": data.name, "sha256": file_digest(data)},
        "versions": {"jurist-core": version("jurist-core"), plugin: plugin_version},
        "stages": _Stages(context, recipe.stages).behind(stage),
    }


def _named(policy: Reference | None) -> JsonValue:
    """The policy that the recipe starts from: the model it names, or itself."""
    return policy.get("model", policy.get("use")) if isinstance(policy, dict) else policy


class _Stages:
    """The stages of a recipe, as far as they are behind one of them."""

    def __init__(self, context: StageContext, settings: Sequence[StageSettings]) -> None:
        from jurist.stages import STAGES  # which this module is a part of
        from jurist.stages.train import TrainStage

        self._context = context
        self._stages = [STAGES[each.stage](each, context.recipe) for each in settings]  # type: ignore[attr-defined]
        for each in self._stages:
            if isinstance(each, TrainStage):
                each.trainer(context.assembly.source)

    def behind(self, stage: Stage) -> dict[str, JsonValue]:
        """The stage itself and all whose artifacts it goes back to, by name, in the order of the recipe."""
        found: set[str] = set()
        self._collect(stage.name, found)
        return {each.name: self._facts(each) for each in self._stages if each.name in found}

    def _collect(self, name: str, found: set[str]) -> None:
        if name in found:
            return
        found.add(name)
        place = [each.name for each in self._stages].index(name)
        for read in self._stages[place].inputs():
            for earlier in reversed(self._stages[:place]):
                made = earlier.makes()
                if read == earlier.name or (made is not None and read == made.kind):
                    self._collect(earlier.name, found)
                    break

    def _facts(self, stage: Stage) -> dict[str, JsonValue]:
        facts: dict[str, Any] = {"kind": stage.settings.stage}
        for where, kind, reference in stage.references():
            setting = where.removeprefix(f"stages.{stage.name}.").rstrip(".0123456789")
            (label,) = labels_of([reference])
            told = facts.setdefault(setting, {} if kind in _ASKED else [])
            if kind in _ASKED:
                told[label] = self._version(kind, reference)
            else:
                told.append(label)
        return facts

    def _version(self, kind: str, reference: Any) -> str | None:
        """A fingerprint of all settings that can change what it says; None of what the run trains itself."""
        if isinstance(reference, str) and self._context.artifacts.find(reference) is not None:
            return None
        selection = select(kind, reference, self._context.assembly.source)
        return content_id(fingerprint_of(replace(selection, label="")))
