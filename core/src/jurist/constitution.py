"""The constitution: the written principles that critics, judges and filters go by."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from jurist.errors import UsageError
from jurist.files.missing import missing_hint
from jurist.files.yaml_text import load_yaml
from jurist.near_names import near_miss
from jurist.records import Finding, Record

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
SHIPPED = {"default": "default.en.yaml", "default.en": "default.en.yaml", "default.zh": "default.zh.yaml"}


class Check(Record):
    """A test of a response that needs no model; every given part must hold.

    ``forbid`` and ``require`` are phrases (case and width are ignored); the patterns are Python regular
    expressions searched in the text; lengths are in characters.
    """

    forbid: tuple[Text, ...] = ()
    require: tuple[Text, ...] = ()
    forbid_pattern: str | None = None
    require_pattern: str | None = None
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)

    @field_validator("forbid_pattern", "require_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _tests_something(self) -> Check:
        if not self.model_dump(exclude_defaults=True):
            raise ValueError("a check must test something")
        return self

    def faults(self, text: str) -> Iterator[str]:
        """What is wrong with ``text``, one sentence per part that does not hold."""
        folded = fold(text)
        for phrase in self.forbid:
            if fold(phrase) in folded:
                yield f"It says '{phrase}'."
        for phrase in self.require:
            if fold(phrase) not in folded:
                yield f"It does not say '{phrase}'."
        if self.forbid_pattern is not None and (found := re.search(self.forbid_pattern, text)):
            yield f"It contains '{found.group()}', which matches {self.forbid_pattern}."
        if self.require_pattern is not None and not re.search(self.require_pattern, text):
            yield f"Nothing in it matches {self.require_pattern}."
        if self.min_length is not None and len(text) < self.min_length:
            yield f"It has {len(text)} characters, fewer than {self.min_length}."
        if self.max_length is not None and len(text) > self.max_length:
            yield f"It has {len(text)} characters, more than {self.max_length}."


class Principle(Record):
    """One rule.

    ``critique``, ``revision`` and ``comparison`` replace the wording that is otherwise derived from
    ``description`` when the model is asked to criticise, to revise or to compare. ``hard``: a response
    that violates it can never be preferred over one that does not (the constitution filter). A
    principle with ``checks`` is decided by them alone, without a model.
    """

    name: Text
    description: Text
    example: Text | None = None
    critique: Text | None = None
    revision: Text | None = None
    comparison: Text | None = None
    tags: tuple[Text, ...] = ()
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    hard: bool = False
    checks: tuple[Check, ...] = ()

    def check(self, text: str) -> Finding | None:
        """The finding of the checks on ``text``; None when this principle has no checks."""
        if not self.checks:
            return None
        faults = [fault for check in self.checks for fault in check.faults(text)]
        return Finding(
            principle=self.name,
            satisfied=not faults,
            explanation=" ".join(faults),
            suggestion=(self.revision or "") if faults else "",
        )


class Constitution(Record):
    """A named list of principles in one language. Names of principles are unique."""

    name: Text
    language: Literal["en", "zh"] = "en"
    principles: tuple[Principle, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_names(self) -> Constitution:
        if faults := _repeated(principle.name for principle in self.principles):
            raise ValueError("; ".join(faults))
        return self

    @property
    def hard(self) -> tuple[Principle, ...]:
        """The principles that the constitution filter enforces."""
        return tuple(principle for principle in self.principles if principle.hard)

    def select(self, tags: Iterable[str]) -> tuple[Principle, ...]:
        """The principles that carry any of ``tags``; all of them when ``tags`` is empty.

        Raises:
            UsageError: there are tags, and no principle carries any of them.
        """
        wanted = set(tags)
        chosen = tuple(p for p in self.principles if not wanted or wanted.intersection(p.tags))
        if not chosen:
            known = {tag for principle in self.principles for tag in principle.tags}
            faults = [f"no principle has the tag '{tag}'{near_miss(tag, known)}" for tag in sorted(wanted)]
            raise UsageError.of_faults(f"constitution '{self.name}'", faults)
        return chosen

    def sample(self, seed: str, tags: Iterable[str] = ()) -> Principle:
        """One principle, drawn by weight; the same ``seed`` always draws the same one."""
        candidates = self.select(tags)
        digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
        point = int.from_bytes(digest[:8], "big") / 2**64 * sum(p.weight for p in candidates)
        for principle in candidates:
            point -= principle.weight
            if point < 0:
                return principle
        return candidates[-1]  # rounding may leave a remainder of zero

    @classmethod
    def load(cls, source: str | Path) -> Constitution:
        """Read a constitution from a file, or one that comes with Jurist (``default``, ``default.zh``).

        A file in the layout of the Constitutional AI paper's critique and revision instructions is read as
        well. It maps a name to ``{"prompt": [critique request], "edit_request": revision request}``; the
        framing words around both requests are dropped.

        Raises:
            UsageError: it cannot be read; every fault is listed.
        """
        shipped = SHIPPED.get(str(source))
        if shipped is not None:
            text = resources.files("jurist").joinpath("constitutions", shipped).read_text("utf-8")
            return cls.of(_parsed(text, shipped), subject=shipped)
        document = _document(Path(source))
        if isinstance(document, dict) and any(map(_is_instruction, document.values())):
            document = _of_instructions(document, Path(source))
        return cls.of(document, subject=str(source))

    @classmethod
    def of(cls, document: Any, *, subject: str = "constitution") -> Constitution:
        """A constitution from plain data; ``subject`` names it in error messages.

        Raises:
            UsageError: every fault is listed.
        """
        faults = _repeated(_names(document))
        try:
            constitution = cls.model_validate(document)
        except ValidationError as error:
            faults += [_fault(entry) for entry in error.errors() if entry["loc"] or not faults]
            raise UsageError.of_faults(subject, faults) from None
        return constitution


def fold(text: str) -> str:
    """``text`` without differences of case and width, for comparing phrases."""
    return unicodedata.normalize("NFKC", text).casefold()


def _document(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = near_miss(str(path), SHIPPED)
        hint = f"give the path of a file, or the name of one that comes with Jurist{known}"
        missing = missing_hint(path)
        raise UsageError(
            f"constitution '{path}' cannot be read.",
            cause=error,
            hint=f"{hint}; {missing}" if missing else hint,
        ) from error
    return _parsed(text, str(path))


def _parsed(text: str, subject: str) -> Any:
    try:
        return json.loads(text) if subject.endswith(".json") else load_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{subject} is not valid YAML or JSON.", cause=error) from error


def _names(document: Any) -> list[str]:
    listed = document.get("principles") if isinstance(document, dict) else None
    entries = listed if isinstance(listed, list) else []
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    return [name.strip() for name in names if isinstance(name, str)]


def _repeated(names: Iterable[str]) -> list[str]:
    return [f"principle '{name}' appears {n} times" for name, n in Counter(names).items() if n > 1]


def _fault(entry: Mapping[str, Any]) -> str:
    location = entry["loc"]
    place = ".".join(str(part + 1) if isinstance(part, int) else part for part in location)
    if entry["type"] == "extra_forbidden":
        model = Check if "checks" in location else Principle if "principles" in location else Constitution
        return f"{place}: unknown field{near_miss(str(location[-1]), model.model_fields)}"
    if entry["type"] == "missing":
        return f"{place}: required, but not given"
    message = str(entry["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _is_instruction(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("edit_request"), str):
        return False
    requests = value.get("prompt")
    listed = [requests] if isinstance(requests, str) else requests
    return isinstance(listed, list) and bool(listed) and all(isinstance(item, str) for item in listed)


def _of_instructions(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    faults = [
        f"{name}: expected 'prompt' and 'edit_request' with text"
        for name, value in document.items()
        if not _is_instruction(value)
    ]
    if faults:
        raise UsageError.of_faults(str(path), faults)
    principles = []
    for key, value in document.items():
        requests = [value["prompt"]] if isinstance(value["prompt"], str) else value["prompt"]
        revision = _unframed(value["edit_request"], "RevisionRequest:", "Revision:")
        for number, request in enumerate(requests, start=1):
            critique = _unframed(request, "CritiqueRequest:", "Critique:")
            label = key if number == 1 else f"{key}.{number}"
            principles.append(
                {"name": label, "description": critique, "critique": critique, "revision": revision}
            )
    return {"name": path.stem, "principles": principles}


def _unframed(text: str, before: str, after: str) -> str:
    return text.strip().removeprefix(before).removesuffix(after).strip()
