"""Spot checks: people look at some of the labels that a jury gave, and what that says of all of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from jurist.errors import UsageError
from jurist.files.jsonl import read_lines, read_rows, write_json, write_lines
from jurist.files.row_faults import RowFaults
from jurist.near_names import near_miss
from jurist.records import Abstention, Message, OnFlip, Record
from jurist.run_files import RunFiles, StageFolder
from jurist.stage_records import Judged
from jurist.validation.labelled import Label, LabelledItem, Provenance, load_labelled, right_by, votes_of
from jurist.validation.spot_check_result import SpotChecked
from jurist.validation.strata import LEAST, allocation, stratum_of


class ToLabel(Record):
    """A comparison for a person to label: ``A``, ``B`` or ``tie`` in place of null.

    ``probability`` is that with which it was drawn from its ``stratum``.
    """

    model_config = ConfigDict(extra="ignore")

    item: str
    label: Label | None = None
    prompt: tuple[Message, ...]
    response_a: str
    response_b: str
    tags: tuple[str, ...] = ()
    stratum: str = ""
    probability: float = 1.0


class SpotCheck:
    """The spot check of a stage that labelled comparisons; ``stage`` may be left out if there is only one.

    Raises:
        UsageError: ``run`` is no folder of a run, or has no such stage.
    """

    def __init__(self, run: Path, stage: str = "") -> None:
        found = _labelling_stage(run, stage)
        self.folder, self.stage, self._summary = found.folder, found.name, found.summary()
        self.all_labels_file = run / "human_labels.jsonl"
        """Where every label that people gave in this run is kept, whatever became of its stage."""
        self._claims = {
            str(row["comparison_id"]): float(row["probability"])
            for _, row in read_rows(self.folder / "preferences.jsonl")
        }
        self._strata = {judged.comparison.id: stratum_of(judged) for judged in self._judged()}

    @property
    def labels_file(self) -> Path:
        """Where the labels of people on this stage's comparisons are put, with the votes of the jury."""
        return self.folder / "human_labels.jsonl"

    def sample(self, size: int, seed: int = 0) -> list[ToLabel]:
        """Draw comparisons for people, in random order; none that has a label already.

        Each stratum gets at least five, and of the rest a part in proportion to the square root of its size
        (Bankier 1988, "Power allocations"): so what the jury disagreed on is looked at more often.

        Raises:
            UsageError: ``size`` is less than the number of strata, or every comparison has a label.
        """
        labelled = self._labels()
        waiting: dict[str, list[str]] = {}
        for item, stratum in self._strata.items():
            if item not in labelled:
                waiting.setdefault(stratum, []).append(item)
        if not waiting:
            raise UsageError("people have labelled everything already", hint=f"see {self.all_labels_file}")
        if size < len(waiting):
            raise UsageError(
                f"a sample of {size} cannot look at each of {len(waiting)} strata: {', '.join(waiting)}",
                hint=f"--size {LEAST * len(waiting)} or more",
            )
        numbers = allocation({stratum: len(items) for stratum, items in waiting.items()}, size)
        draw = random.Random(seed)
        drawn = {
            item: number / len(waiting[stratum])
            for stratum, number in sorted(numbers.items())
            for item in draw.sample(waiting[stratum], number)
        }
        rows = [self._to_label(judged, drawn) for judged in self._judged() if judged.comparison.id in drawn]
        draw.shuffle(rows)
        return rows

    def import_labels(self, path: Path) -> SpotChecked:
        """Read labelled rows of a sample, add them to the labels there are, and estimate from all of them.

        Of two labels of an item the newer counts. Rows without a label are left for later. All labels are
        kept in the run's folder, where they outlast the stage: made anew, it has those of the comparisons
        that it makes again. Into its folder go these, with the votes of the jury, and ``spot_check.json``.

        Raises:
            UsageError: no row has a label, or rows are faulty; lists them by line.
        """
        given, skipped = self._read(path)
        if not given:
            raise UsageError(f"{path} has no labels yet", hint="write A, B or tie in place of null")
        before = self._labels()
        replaced = sum(before.get(item, label) != label for item, label in given.items())
        self._keep(given)
        labels = self._labels()
        with write_lines(self.labels_file) as lines:
            for item in self._items(labels):
                lines.write(item.to_json())
        right = {
            judged.comparison.id: right_by(labels[judged.comparison.id], judged.preferred)
            for judged in self._judged()
            if judged.comparison.id in labels
        }
        found = SpotChecked.of(
            self.stage, self._claims, self._strata, right, skipped=skipped, replaced=replaced
        )
        write_json(self.folder / "spot_check.json", found.model_dump(mode="json"))
        return found

    def _judged(self) -> Iterator[Judged]:
        """The comparisons that were given a label."""
        for _, line in read_lines(self.folder / "judgments.jsonl"):
            judged = Judged.model_validate_json(line)
            if judged.comparison.id in self._claims:
                yield judged

    def _kept(self) -> dict[str, LabelledItem]:
        """Everything that people labelled in this run, by comparison, without votes."""
        if not self.all_labels_file.exists():
            return {}
        return {item.item: item for item in load_labelled(self.all_labels_file)}

    def _keep(self, given: Mapping[str, Label]) -> None:
        """Add labels to those that are kept; what this stage has not compared is left as it is."""
        new = {item.item: item.model_copy(update={"votes": ()}) for item in self._items(given)}
        with write_lines(self.all_labels_file) as lines:
            for item in {**self._kept(), **new}.values():
                lines.write(item.to_json())

    def _labels(self) -> dict[str, Label]:
        """The labels that people gave so far to what this stage compared."""
        return {name: item.label for name, item in self._kept().items() if name in self._claims}

    def _to_label(self, judged: Judged, drawn: Mapping[str, float]) -> ToLabel:
        comparison = judged.comparison
        return ToLabel(
            item=comparison.id,
            prompt=comparison.prompt.messages,
            response_a=comparison.response_a.text,
            response_b=comparison.response_b.text,
            tags=comparison.prompt.tags,
            stratum=self._strata[comparison.id],
            probability=drawn[comparison.id],
        )

    def _read(self, path: Path) -> tuple[dict[str, Label], int]:
        """The labels in a file, and how many of its rows have none."""
        found: dict[str, Label] = {}

        def checked(row: Any) -> ToLabel:
            if isinstance(row, ValueError):
                raise row
            read = ToLabel.model_validate(row)
            if read.item not in self._claims:
                raise ValueError(f"the stage '{self.stage}' labelled no comparison '{read.item}'")
            if digests[read.item] != _digest(read.response_a, read.response_b):
                raise ValueError(f"the responses of '{read.item}' are not those that were compared")
            if read.label is not None and found.setdefault(read.item, read.label) != read.label:
                raise ValueError(f"'{read.item}' has two different labels")
            return read

        digests = {
            judged.comparison.id: _digest(
                judged.comparison.response_a.text, judged.comparison.response_b.text
            )
            for judged in self._judged()
        }
        faults = RowFaults(path, ToLabel.model_fields)
        rows = [faults.of(number, row, checked) for number, row in read_rows(path)]
        faults.raise_if_any()
        return found, sum(row is not None and row.label is None for row in rows)

    def _items(self, labels: Mapping[str, Label]) -> Iterator[LabelledItem]:
        """Labelled items with the votes of the jury, for ``jurist validate`` and to learn from."""
        told = {name: self._summary[name] for name in Provenance.model_fields if name in self._summary}
        provenance = Provenance(**told)
        for judged in self._judged():
            comparison = judged.comparison
            if comparison.id not in labels:
                continue
            on_flip: OnFlip = "abstain" if _abstains_on_flips(judged) else "average"
            yield LabelledItem(
                item=comparison.id,
                label=labels[comparison.id],
                tags=comparison.prompt.tags,
                prompt=comparison.prompt.messages,
                response_a=comparison.response_a.text,
                response_b=comparison.response_b.text,
                votes=votes_of(judged.outcomes, provenance, on_flip),
                on_flip=on_flip,
            )


def _digest(*texts: str) -> bytes:
    """By what texts are known to be the same, without holding all of them."""
    return hashlib.blake2b("\0".join(texts).encode(errors="surrogatepass"), digest_size=8).digest()


def _abstains_on_flips(judged: Judged) -> bool:
    """Whether a judge's two orders contradicted each other and that was made an abstention."""
    return any(isinstance(each, Abstention) and each.reason == "inconsistent" for each in judged.outcomes)


def _labelling_stage(run: Path, stage: str) -> StageFolder:
    """The stage whose labels are checked."""
    labelling = {each.name: each for each in RunFiles.read(run).labelling()}
    if stage and stage not in labelling:
        raise UsageError(f"{run}: no finished stage '{stage}' gives labels{near_miss(stage, labelling)}")
    if not labelling:
        raise UsageError(
            f"{run}: no finished stage gives labels",
            hint="finish the run first; of a finished stage, see its summary.json",
        )
    if not stage and len(labelling) > 1:
        raise UsageError(
            f"{run}: {len(labelling)} stages give labels: {', '.join(labelling)}", hint="--stage NAME"
        )
    return labelling[stage] if stage else next(iter(labelling.values()))
