"""What a training reads: files of a recipe, checked before anything runs, written as trainers read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from jurist.errors import UsageError
from jurist.files.jsonl import write_lines
from jurist.files.prompts import load_prompts
from jurist.files.record_file import RecordFile
from jurist.files.training_data import TrainingRow
from jurist.recipe import resolve_path
from jurist.records import Prompt
from jurist.stage_settings import PromptSource


def held_out_prompts(source: PromptSource) -> RecordFile[Prompt]:
    """The prompts to measure on.

    Raises:
        UsageError: the file is missing or faulty, or its filters leave nothing.
    """
    found = load_prompts(resolve_path(source.path), keep=source.keeps, limit=source.limit)
    if not found:
        raise UsageError(f"no prompt of {found.path} is left after the filters (tags, without_tags, part)")
    return found


def write_prompts(prompts: Iterable[Prompt], path: Path) -> Path:
    """Write prompts as trainers read them."""
    with write_lines(path) as lines:
        for prompt in prompts:
            messages = [message.model_dump() for message in prompt.messages]
            lines.write(json.dumps({"prompt": messages, "prompt_id": prompt.id}, ensure_ascii=False))
    return path


def write_rows(rows: Iterable[TrainingRow], path: Path) -> Path:
    """Write rows as trainers read them: conversations, and nothing else."""
    with write_lines(path) as lines:
        for row in rows:
            lines.write(row.to_json())
    return path


def decisions_in(folder: Path) -> str:
    """`` (107 tie, 73 unpaired)``: what a stage decided, as its summary has it; empty where it has none."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    counts = [f"{count:,} {decision}" for decision, count in summary.get("decisions", {}).items()]
    return f" ({', '.join(counts)})" if counts else ""


def faults_of_file(read: Callable[[], object], where: str) -> list[str]:
    """What is wrong with a file, as one fault of the setting that names it."""
    try:
        read()
    except UsageError as error:
        return ["\n    ".join(f"{where}: {error}".splitlines())]
    return []
