"""What the learnt aggregators have in common: who the judges were, and one JSON file to keep it in."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pydantic import Field, JsonValue, ValidationError

from jurist.contracts import LearntAggregator
from jurist.errors import UsageError
from jurist.fault_lines import faults_of
from jurist.fingerprint import file_digest
from jurist.options import Options
from jurist.records import Comparison, Decision, JudgeOutcome, Record
from jurist.validation.labelled import LabelledItem
from jurist_calibrate.roster import check_roster, check_voters

FORMAT = 1
"""The format of saved files; raised when what they hold gets another meaning."""


class LearntJuryOptions(Options):
    """``model``: the folder that a learnt one was saved in; without it, it is to be fitted first."""

    model: Path | None = None


class Learnt(Record):
    """What was learnt, from how many ``items``, and the version of each judge by its name ('': not known).

    ``prompts`` are the ids of their prompts.
    """

    format: int = FORMAT
    made_by: str = Field(default_factory=lambda: f"jurist-calibrate {version('jurist-calibrate')}")
    items: int
    versions: dict[str, str]
    prompts: tuple[str, ...] = ()


Model = TypeVar("Model", bound=Learnt)


class LearntJury(LearntAggregator, Generic[Model]):
    """An aggregator that is learnt from labelled items, for the judges who voted on them and no others."""

    Options = LearntJuryOptions
    options: LearntJuryOptions
    name: ClassVar[str]
    """What it is called, in recipes and as a file."""
    holds: ClassVar[type[Learnt]]
    """What it learns."""

    def __init__(self, options: LearntJuryOptions | None = None) -> None:
        super().__init__(options)
        self._learnt: Model | None = self._load(self.options.model) if self.options.model else None

    def identity(self) -> JsonValue:
        """Its options, with what it has learnt in place of where that is kept."""
        folder = self.options.model
        return {**self.options.identity(), "model": file_digest(self._file(folder)) if folder else None}

    def fit(self, items: Sequence[LabelledItem]) -> None:
        """Learn from the votes and labels of ``items``; what was learnt before is forgotten.

        Raises:
            UsageError: nothing can be learnt from them, or a judge voted with different settings.
        """
        prompts = tuple(sorted({item.comparison.prompt.id for item in items}))
        self._learnt = self.learn(items).model_copy(update={"prompts": prompts})

    def learnt_prompts(self) -> frozenset[str] | None:
        """The ids of the prompts of the items it was fitted on; None of a file that has none."""
        return frozenset(self.learnt.prompts) or None

    @abstractmethod
    def learn(self, items: Sequence[LabelledItem]) -> Model:
        """What can be learnt from ``items``."""

    @abstractmethod
    def decide_by(self, learnt: Model, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decide by what was learnt; all ``outcomes`` are of judges it was learnt for."""

    def save(self, folder: Path) -> None:
        """Write what was learnt into ``folder``, as JSON for people to read."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.learnt.model_dump(mode="json"), ensure_ascii=False, indent=1)
        self._file(folder).write_text(text + "\n", encoding="utf-8")

    def check_judges(self, versions: Mapping[str, str]) -> None:
        """See to it that these are the judges it was fitted on, with the settings they had.

        Raises:
            UsageError: lists every judge that differs.
        """
        check_roster(self.learnt.versions, versions, self._subject)

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decide from the outcomes alone. Judges who abstained or failed add nothing.

        Raises:
            UsageError: it was not fitted, or not on the judges that ``outcomes`` are of.
        """
        learnt = self.learnt
        check_voters(learnt.versions, outcomes, self._subject)
        return self.decide_by(learnt, outcomes)

    @property
    def learnt(self) -> Model:
        """What was learnt.

        Raises:
            UsageError: nothing was.
        """
        if self._learnt is None:
            raise UsageError(
                f"{self._subject} has yet to learn",
                hint=f"jurist validate LABELLED --judges FILE --aggregate {self.name} --save-jury FOLDER; "
                "then write 'model: FOLDER'",
            )
        return self._learnt

    @property
    def _subject(self) -> str:
        kept = f" in {self.options.model}" if self.options.model else ""
        return f"aggregator '{self.name}' of jurist-calibrate{kept}"

    def _file(self, folder: Path) -> Path:
        return folder / f"{self.name}.json"

    def _load(self, folder: Path) -> Model:
        path = self._file(folder)
        if not path.exists() and (others := _saved_in(folder)):
            raise UsageError(
                f"{self._subject}: what is saved there is {', '.join(others)}",
                hint=f"write 'use: {others[0]}', or another folder's 'model:'",
            )
        hint = f"give the folder that one was saved in: jurist validate … --save-jury {folder}"
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UsageError(f"{self._subject}: {path} cannot be read", cause=error, hint=hint) from error
        if not isinstance(row, dict) or row.get("format") != FORMAT:
            raise UsageError(
                f"{self._subject}: {path} is not in format {FORMAT}, which this version reads",
                cause=f"made by {row.get('made_by')}" if isinstance(row, dict) else None,
                hint=f"install that version, or learn it anew: jurist validate … --save-jury {folder}",
            )
        try:
            learnt: Model = self.holds.model_validate(row)  # type: ignore[assignment]  # ``holds`` is the Model
        except ValidationError as error:
            faults = faults_of(error, self.holds.model_fields, path.name)
            raise UsageError.of_faults(f"{self._subject}: {path}", faults, hint=hint) from error
        return learnt


def _saved_in(folder: Path) -> list[str]:
    """The names of the learnt aggregators that are saved in a folder."""
    return [path.stem for path in sorted(folder.glob("*.json")) if _is_learnt(path)]


def _is_learnt(path: Path) -> bool:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(row, dict) and str(row.get("made_by", "")).startswith("jurist-calibrate ")
