"""The files of a run as they are read: what it says of itself, and where its stages keep theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from jurist.errors import UsageError
from jurist.files.yaml_text import load_yaml

STATE = "run.json"
RECIPE = "recipe.yaml"
LEDGER = "ledger.sqlite"
STAGES = "stages"


def stage_folder(run: Path, number: int, name: str) -> Path:
    """The folder of a stage; the first stage of a recipe has the number 1."""
    return run / STAGES / f"{number:02d}-{name}"


@dataclass(frozen=True)
class StageFolder:
    """A stage of the recipe and its folder, which may not be there yet. ``finished``: its files are whole."""

    number: int
    name: str
    kind: str
    folder: Path
    finished: bool

    def file(self, name: str) -> Path | None:
        """A file of the stage; the draft of it while the stage is at work, None where there is neither."""
        path = self.folder / name
        draft = path.with_name(f"{name}.part")
        known = (path,) if self.finished else (draft, path)
        return next((each for each in known if each.is_file()), None)

    def summary(self) -> Mapping[str, Any]:
        """What ``summary.json`` holds; nothing where it is not there or cannot be read."""
        try:
            summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return summary if isinstance(summary, dict) else {}

    @property
    def has_labels(self) -> bool:
        """Whether it is finished and gave labels; preferences alone may be what a trainer was handed."""
        judgments, labels = self.folder / "judgments.jsonl", self.folder / "preferences.jsonl"
        return self.finished and judgments.is_file() and labels.is_file() and labels.stat().st_size > 0


@dataclass(frozen=True)
class RunFiles:
    """The two files of the run in ``folder``."""

    folder: Path
    state: Mapping[str, Any]
    recipe: Mapping[str, Any]
    recipe_text: str

    @classmethod
    def read(cls, folder: Path) -> RunFiles:
        """Read both.

        Raises:
            UsageError: it is not the folder of a run.
        """
        missing = [f"it has no {name}" for name in (STATE, RECIPE) if not (folder / name).is_file()]
        if missing:
            raise _not_a_run(folder, " and ".join(missing))
        try:
            state = json.loads((folder / STATE).read_text(encoding="utf-8"))
            text = (folder / RECIPE).read_text(encoding="utf-8")
            recipe = _recipe(text)
            if not isinstance(state, dict) or not isinstance(recipe, dict):
                raise ValueError(f"{STATE} and {RECIPE} must each be a mapping")
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise _not_a_run(folder, error) from error
        return cls(folder, state, recipe, text)

    def stages(self) -> list[StageFolder]:
        """The stages of the recipe in order. A folder moved aside from earlier settings is none."""
        finished = {str(stage["name"]) for stage in self.state.get("stages", [])}
        found = []
        for number, settings in enumerate(self.recipe.get("stages", []), 1):
            kind = str(settings.get("stage"))
            name = str(settings.get("name") or kind)
            folder = stage_folder(self.folder, number, name)
            found.append(StageFolder(number, name, kind, folder, finished=name in finished))
        return found

    def labelling(self) -> list[StageFolder]:
        """The finished stages that gave labels."""
        return [stage for stage in self.stages() if stage.has_labels]


def _not_a_run(folder: Path, cause: str | Exception) -> UsageError:
    return UsageError(
        f"{folder} is not the folder of a run",
        cause=cause,
        hint=f"name the folder that 'jurist run' wrote (the one with {STATE})",
    )


@lru_cache(maxsize=2)
def _recipe(text: str) -> Any:
    """The recipe in ``text``, parsed once: pages and the index ask for it again and again."""
    return load_yaml(text)
