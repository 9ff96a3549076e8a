"""The sample as a dataset of Argilla 2 on disk, and what people answered there back as votes.

The folder is what ``argilla.Dataset.to_disk`` writes and ``argilla.Dataset.from_disk`` reads, so Argilla
itself is not needed here.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jurist.errors import UsageError
from jurist.files.jsonl import write_json
from jurist.files.row_faults import RowFaults
from jurist.validation.labelled import Label
from jurist.validation.spot_check import ToLabel
from jurist_review.app.queue import Queue, label_of, shown_order
from jurist_review.app.votes import Action, Votes

_READER = "argilla"
"""Argilla shows everybody the same record, so all see one order of sides: that of this reviewer."""

_QUESTION = "better"
_NOTE = "note"


@dataclass(frozen=True)
class Answer:
    """What one user of Argilla said of one comparison, in the comparison's own A and B."""

    item: str
    reviewer: str
    label: Label
    note: str


@dataclass(frozen=True)
class Taken:
    """An import: ``added`` votes, ``known`` ones that stood before, of so many ``reviewers``."""

    added: int
    known: int
    reviewers: int


def export_to_argilla(queue: Queue, folder: Path) -> int:
    """Write the sample as a dataset; returns how many records it has.

    Raises:
        UsageError: the folder holds something, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="name a new folder")
    records = [record_of(queue.to_label(each)) for each in queue.drawn()]
    try:
        (folder / ".argilla").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written", cause=error) from error
    dataset = {"name": f"jurist-{queue.stage}", "status": "draft", "allow_extra_metadata": False}
    write_json(folder / ".argilla" / "dataset.json", dataset)
    write_json(folder / ".argilla" / "settings.json", dataset_settings())
    write_json(folder / "records.json", records)
    return len(records)


def import_from_argilla(queue: Queue, votes: Votes, folder: Path) -> Taken:
    """Add what people answered as votes; an answer that changed since the last import replaces the old vote.

    Raises:
        UsageError: the records cannot be read, or some are faulty; lists them.
    """
    added = known = 0
    found = _read(folder / "records.json", {each.item for each in queue.drawn()})
    standing = {(e.reviewer, e.item): e.label for e in votes.standing(queue.stage)}
    for answer in found:
        if standing.get((answer.reviewer, answer.item)) == answer.label:
            known += 1
            continue
        history = votes.history(queue.stage, answer.item)
        seen = max((e.sequence for e in history if e.reviewer == answer.reviewer), default=0)
        votes.add(
            Action(
                request=str(uuid.uuid4()),
                tab=_READER,
                reviewer=answer.reviewer,
                stage=queue.stage,
                item=answer.item,
                kind="vote",
                shown=shown_order(answer.item, _READER),
                label=answer.label,
                note=answer.note,
            ),
            seen,
        )
        added += 1
    return Taken(added, known, len({answer.reviewer for answer in found}))


def record_of(row: ToLabel) -> dict[str, Any]:
    """A comparison as a record, with nothing that tells what the jury said."""
    texts = (row.response_a, row.response_b)
    first, second = texts if shown_order(row.item, _READER) == "ab" else reversed(texts)
    many = len(row.prompt) > 1
    prompt = "\n\n".join(f"{m.role}: {m.content}" if many else m.content for m in row.prompt)
    return {
        "id": row.item,
        "fields": {"prompt": prompt, "first": first, "second": second},
        "metadata": {},
        "suggestions": {},
        "responses": {},
        "vectors": {},
        "status": "pending",
    }


def answers_of(record: Any) -> Iterator[Answer]:
    """What the users of Argilla answered in a record; one without an answer to the question gives nothing.

    Raises:
        ValueError: it is not a record of ours.
    """
    try:
        item, responses = str(record["id"]), record.get("responses") or {}
        notes = {str(each["user_id"]): str(each["value"]) for each in responses.get(_NOTE, ())}
        for each in responses.get(_QUESTION, ()):
            user = str(uuid.UUID(str(each["user_id"])))
            label = label_of(each["value"], shown_order(item, _READER))
            yield Answer(item, f"argilla {user}", label, notes.get(str(each["user_id"]), ""))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a record of this dataset: {type(error).__name__} {error}") from error


def dataset_settings() -> dict[str, Any]:
    """The settings of the dataset: three texts without Markdown, a question and a note."""
    text = {"type": "text", "use_markdown": False}
    fields = {"prompt": "Prompt", "first": "Response A", "second": "Response B"}
    labels = {"first": "A is better", "tie": "Tie", "second": "B is better"}
    options = [{"value": value, "text": name} for value, name in labels.items()]
    question = {"type": "label_selection", "options": options, "visible_options": len(options)}
    return {
        "guidelines": "Which response is better? Tie where neither is.",
        "fields": [
            {"name": name, "title": title, "required": True, "settings": text}
            for name, title in fields.items()
        ],
        "questions": [
            {"name": _QUESTION, "title": "Which response is better?", "required": True, "settings": question},
            {"name": _NOTE, "title": "Note", "required": False, "settings": text},
        ],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def _read(path: Path, items: set[str]) -> Sequence[Answer]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(records, list):
            raise ValueError("not a list of records")
    except (OSError, ValueError) as error:
        hint = "name the folder that argilla's dataset.to_disk(…) wrote"
        raise UsageError(f"{path} cannot be read", cause=error, hint=hint) from error

    def checked(record: Any) -> list[Answer]:
        found = list(answers_of(record))
        if found and found[0].item not in items:
            raise ValueError(f"'{found[0].item}' is not in the sample of this run")
        return found

    faults = RowFaults(path)
    read = [faults.of(number, record, checked) or [] for number, record in enumerate(records, 1)]
    faults.raise_if_any()
    return [answer for answers in read for answer in answers]
