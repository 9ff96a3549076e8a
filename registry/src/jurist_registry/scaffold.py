"""Writing the package of a new plugin: small, and green in its own tests from the start."""

from __future__ import annotations

import re
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from string import Template

from packaging.version import Version

from jurist.contracts import CONTRACTS
from jurist.errors import UsageError
from jurist.near_names import near_miss

_SUMMARIES = {
    "chat_model": "Repeats what it is told.",
    "generator": "Repeats the prompt.",
    "critic": "Wants short responses.",
    "reviser": "Shortens responses.",
    "judge": "Prefers the shorter response.",
    "scorer": "Likes short responses.",
    "aggregator": "Averages what the judges said.",
    "trainer": "Hands the checkpoint on as it is.",
}


def write_plugin(name: str, kind: str = "judge", parent: Path | None = None) -> Path:
    """Write a package ``jurist-<name>`` that offers one component of a kind; returns its folder.

    Raises:
        UsageError: the name or the kind is none, or the folder exists.
    """
    name = name.replace("_", "-").removeprefix("jurist-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"'{name}' is not a name for a plugin",
            cause="lower-case letters, digits and single hyphens, a letter first",
            hint="jurist new plugin my-lab",
        )
    if kind not in CONTRACTS:
        raise UsageError(f"there is no kind of component '{kind}'{near_miss(kind, CONTRACTS)}")
    folder = (parent or Path()) / f"jurist-{name}"
    if folder.exists():
        raise UsageError(f"{folder} exists already", hint="give another name, or another folder with --out")
    words = _words(name, kind)
    for target, template in _files(words["package"], kind).items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_read(template).substitute(words), encoding="utf-8")
    (folder / "src" / words["package"] / "py.typed").touch()
    return folder


def _words(name: str, kind: str) -> dict[str, str]:
    label = kind.replace("_", " ")
    core = Version(version("jurist-core"))
    parts, role = name.split("-"), kind.split("_")
    if parts[-len(role) :] != role:
        parts += role
    return {
        "name": name,
        "kind": kind,
        "label": label,
        "article": "An" if label[0] in "aeiou" else "A",
        "hook": f"jurist_{kind}s",
        "summary": _SUMMARIES[kind],
        "distribution": f"jurist-{name}",
        "package": f"jurist_{name.replace('-', '_')}",
        "class_name": "".join(part.capitalize() for part in parts),
        "contract": f"{CONTRACTS[kind].__name__}Contract",
        "core_range": f">={core.major}.{core.minor},<{core.major}.{core.minor + 1}",
    }


def _files(package: str, kind: str) -> dict[str, str]:
    return {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{package}/__init__.py": "init.py",
        f"src/{package}/plugin.py": "plugin.py",
        f"src/{package}/{kind}.py": f"components/{kind}.py",
        f"tests/test_{kind}.py": "test_trainer.py" if kind == "trainer" else "test_component.py",
        "tests/test_plugin.py": "test_plugin.py",
    }


def _read(template: str) -> Template:
    path = resources.files("jurist_registry").joinpath("templates", f"{template}.template")
    return Template(path.read_text(encoding="utf-8"))
