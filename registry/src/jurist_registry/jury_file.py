"""Files of judges: who judges, and how, for commands that make a recipe of one stage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from jurist.errors import UsageError
from jurist.files.yaml_text import load_yaml
from jurist.recipe import Recipe

_OF_THE_RECIPE = ("constitution", "policy", "seed", "budget")


def settings_of(path: Path) -> dict[str, Any]:
    """What a file of judges says: a list of them, or ``judges`` with other settings.

    Raises:
        UsageError: it is not YAML, is a recipe, or names no judges.
    """
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML", cause=error) from error
    if isinstance(loaded, list):
        return {"judges": loaded}
    if isinstance(loaded, dict) and "stages" in loaded:
        raise UsageError(f"{path} is a recipe, not a file of judges", hint=f"jurist run {path}")
    if isinstance(loaded, dict) and "judges" in loaded:
        return loaded
    raise UsageError(f"{path} names no judges", cause="it must be a list, or a mapping with 'judges'")


def reference_of(text: str) -> Any:
    """What ``--aggregate`` names, as a recipe has it: a name, or a mapping with its options.

    Raises:
        UsageError: it is neither.
    """
    try:
        reference = load_yaml(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--aggregate {text}: not valid YAML", cause=error) from error
    if not isinstance(reference, (str, dict)):
        raise UsageError(f"--aggregate {text}: a component is a NAME, or '{{use: NAME, OPTION: …}}'")
    return reference


def one_stage_recipe(settings: Mapping[str, Any], name: str, subject: str) -> Recipe:
    """The recipe of one stage: its ``settings``, among which may be some of the recipe's own.

    Those are ``constitution``, ``policy``, ``seed`` and ``budget``. What the name of a recipe cannot have
    becomes ``-`` in ``name``, which may hold the name of any file.

    Raises:
        UsageError: settings are wrong; lists every fault of ``subject``.
    """
    general = {name: settings[name] for name in _OF_THE_RECIPE if name in settings}
    stage = {name: value for name, value in settings.items() if name not in _OF_THE_RECIPE}
    name = re.sub(r"[^\w.-]", "-", name)
    return Recipe.of({"name": name, **general, "stages": [stage]}, subject=subject)


@contextmanager
def placed_in(path: Path) -> Iterator[None]:
    """Faults of the recipe that is made of a file of judges stand at their places in the file.

    Raises:
        UsageError: what was raised, with these places.
    """
    try:
        yield
    except UsageError as error:
        what = re.sub(r"^recipe '[^']*'", lambda _: str(path), error.what)
        elsewhere = rf"^( *- )?(?!{re.escape(str(path))})(?:stages\.[^\s.:]+(?:\.|: )|recipe\.)"
        error.what = re.sub(elsewhere, lambda match: match[1] or "", what, flags=re.MULTILINE)
        raise
