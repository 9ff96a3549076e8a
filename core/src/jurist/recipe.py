"""A recipe: which prompts, constitution, policy and stages a run is made of.

A recipe is YAML (or a dict). Relative paths are relative to the working directory; a path that starts
with ``package:`` names a file inside an installed package (``package:jurist_demo/model``). ``${NAME}``
is replaced by an environment variable at the moment of use, so the recipe that a run stores holds the
name and never the secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import yaml
from pydantic import Field, JsonValue, ValidationError, field_validator

from jurist.artifacts import ARTIFACTS
from jurist.errors import UsageError
from jurist.fault_lines import faults_of
from jurist.files.missing import missing_hint
from jurist.files.yaml_text import load_yaml
from jurist.near_names import nearest
from jurist.options import Options
from jurist.overrides import apply_override
from jurist.rounds import Unrolled
from jurist.stage_settings import AnyStage, Name, PromptSource, Reference

_NO_STAGES = "a recipe needs at least one stage"


class Budget(Options):
    """Caps on what a run may spend in all; a rerun counts what was spent before."""

    usd: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)


class Human(Options):
    """What labels by people cost: ``jurist plan`` sets them beside the plan. ``check``: the share of the
    AI's labels that people look at where they only check.
    """

    usd_per_hour: float = Field(default=30.0, ge=0)
    minutes_per_item: float = Field(default=2.0, ge=0)
    check: float = Field(default=0.1, ge=0, le=1)


class Recipe(Options):
    """The whole of a run's settings. ``note`` is shown in the report, for whoever reads the result.

    What is read from a file or a dict may have blocks of rounds among its ``stages``; here they are written
    out.
    """

    name: Name = "run"
    seed: int = 0
    prompts: str | PromptSource | None = None
    constitution: str | dict[str, JsonValue] = "default"
    policy: Reference | None = None
    stages: tuple[AnyStage, ...]
    budget: Budget = Budget()
    human: Human = Human()
    note: str = ""

    @field_validator("stages")
    @classmethod
    def _named(cls, stages: tuple[AnyStage, ...]) -> tuple[AnyStage, ...]:
        if not stages:
            raise ValueError(_NO_STAGES)
        named = tuple(s if s.name else s.model_copy(update={"name": s.stage}) for s in stages)
        names = [stage.name for stage in named]
        taken = sorted(set(names) & ARTIFACTS)
        if taken:
            raise ValueError(f"artifacts have these names, so stages cannot: {', '.join(taken)}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"stages need names that differ; used twice: {', '.join(twice)}")
        return named

    @classmethod
    def load(cls, path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe file and apply ``a.b=value`` overrides (values are YAML).

        Raises:
            UsageError: the file is missing or not YAML, or settings are wrong; lists every fault.
        """
        return cls.of(_read_yaml(resolve_path(str(path))), overrides, subject=str(path))

    @classmethod
    def of(
        cls, settings: Mapping[str, Any], overrides: Sequence[str] = (), subject: str = "recipe"
    ) -> Recipe:
        """The same from a dict."""
        data = dict(settings)
        for override in overrides:
            apply_override(data, override)
        places, faults = [], []
        if isinstance(data.get("stages"), (list, tuple)):
            unrolled = Unrolled(data["stages"], data.get("prompts"), ARTIFACTS)
            places, faults = unrolled.places, unrolled.faults
            data["stages"] = unrolled.stages
        try:
            recipe = cls.model_validate(data)
        except ValidationError as error:
            found = _faults(error, places)
            # Where a block of rounds has faults, they are why there is no stage.
            faults += [line for line in found if not (faults and _NO_STAGES in line)]
        if faults:
            raise UsageError.of_faults(subject, faults, hint="see docs/recipes.md for every setting")
        return recipe


def resolve_path(text: str) -> Path:
    """A path as recipes write it: ``${NAME}`` and ``package:`` prefixes are resolved."""
    expanded = expand(text)
    if not expanded.startswith("package:"):
        return Path(expanded)
    package, _, inside = expanded.removeprefix("package:").partition("/")
    try:
        return Path(str(resources.files(package))) / inside
    except ModuleNotFoundError as error:
        near = nearest(package, (module.name for module in iter_modules() if module.ispkg), cutoff=0.8)
        hint = f"did you mean '{near}'?" if near else f"pip install {package.replace('_', '-')}"
        raise UsageError(f"{text}: no installed package '{package}'", hint=hint) from error


def expand(text: str) -> str:
    """``text`` with every ``${NAME}`` replaced by its environment variable.

    Raises:
        UsageError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return os.environ[match[1]]
        except KeyError:
            raise UsageError(
                f"environment variable {match[1]} is not set", hint=f"export {match[1]}=…"
            ) from None

    return re.sub(r"\$\{(\w+)\}", value, text)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the recipe {path}", cause=error, hint=missing_hint(path)) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML", cause=error) from error
    if not isinstance(data, dict):
        raise UsageError(f"{path} is not a recipe", cause="the file must be a mapping with 'stages'")
    return data


def _faults(error: ValidationError, places: Sequence[str]) -> list[str]:
    """Readable faults, each once; those of a stage say where it is written."""
    lines = faults_of(error, Recipe.model_fields, "recipe")
    return [re.sub(r"^recipe\.stages\.(\d+)", lambda stage: places[int(stage[1])], line) for line in lines]
