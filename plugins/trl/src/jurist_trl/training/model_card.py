"""What a finished model says of its origin: a model card in the form of the Hugging Face hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jurist.train_jobs import TrainJob
from jurist_trl.options import TrainingOptions
from jurist_trl.training.hub import hub_snapshot

CARD = "README.md"
TAG = "jurist"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+", re.ASCII)
_OF_THE_CLOCK = re.compile(r"time|per_second")  # what two equal trainings do not share


class Method(NamedTuple):
    """How a model was trained, and the paper to read about it."""

    name: str
    tag: str
    paper: str
    address: str


METHODS = {
    "trl-sft": Method(
        "supervised fine-tuning",
        "sft",
        "Training language models to follow instructions with human feedback",
        "https://arxiv.org/abs/2203.02155",
    ),
    "trl-reward": Method(
        "Bradley-Terry reward modelling with soft labels",
        "reward-model",
        "Training language models to follow instructions with human feedback",
        "https://arxiv.org/abs/2203.02155",
    ),
    "trl-dpo": Method(
        "direct preference optimisation",
        "dpo",
        "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
        "https://arxiv.org/abs/2305.18290",
    ),
    "trl-ppo": Method(
        "proximal policy optimisation",
        "ppo",
        "Proximal Policy Optimization Algorithms",
        "https://arxiv.org/abs/1707.06347",
    ),
    "trl-grpo": Method(
        "group relative policy optimisation",
        "grpo",
        "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models",
        "https://arxiv.org/abs/2402.03300",
    ),
    "trl-rloo": Method(
        "REINFORCE with a leave-one-out baseline",
        "rloo",
        "Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs",
        "https://arxiv.org/abs/2402.14740",
    ),
}
"""The method of each trainer, by the trainer's name."""


class Trained(NamedTuple):
    """A finished training: which trainer did what, and how it ended."""

    trainer: str
    job: TrainJob
    options: TrainingOptions
    metrics: dict[str, float]


def model_card(trained: Trained) -> str:
    """The card: metadata that the hub reads, then text.

    It has no dates and no durations, so that equal trainings have equal cards, and of paths the last part
    alone, since cards are published. Text from outside stands in code spans, where nothing of it is markup.
    """
    from huggingface_hub import ModelCardData

    method = METHODS[trained.trainer]
    base = _base_model(trained.job.model)
    metadata = ModelCardData(base_model=base, library_name="transformers", tags=[TAG, "trl", method.tag])
    return f"---\n{metadata.to_yaml()}\n---\n\n" + "\n".join(_lines(trained, method))


def _lines(trained: Trained, method: Method) -> Iterator[str]:
    job = trained.job
    yield f"# A model by {method.name}"
    yield ""
    yield f"Trained with Jurist (`{trained.trainer}`). The method: [{method.paper}]({method.address})."
    yield f"It started from {_start(job.model)}, with seed {job.seed}."
    yield from _section("Options that differ from their defaults", _changed(trained.options))
    yield from _section("Metrics at the end", _lasting(trained.metrics))
    yield from _section("Origin", job.lineage)
    yield ""


def _section(title: str, rows: dict[str, Any]) -> Iterator[str]:
    if rows:
        yield from ("", f"## {title}", "")
        yield from _items(rows, "")


def _items(rows: dict[str, Any], indent: str) -> Iterator[str]:
    """A list; what holds names and values itself is a list in it."""
    for name, value in rows.items():
        if isinstance(value, dict) and value:
            yield f"{indent}- {_code(name)}"
            yield from _items(value, f"{indent}  ")
        else:
            yield f"{indent}- {_code(name)}: {_code(value)}"


def _start(model: Path) -> str:
    """The model that training started from, in words."""
    found = hub_snapshot(model)
    if found is None:
        return f"a local checkpoint, {_code(model.name)}"
    return f"{_code(found.name)} at revision {_code(found.revision)}"


def _base_model(model: Path) -> str | None:
    """The hub's model that training goes back to, over checkpoints of our own, as their cards say."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    found = hub_snapshot(model)
    if found is not None:
        return found.name
    if not (model / CARD).is_file():
        return None
    try:
        metadata = metadata_load(model / CARD) or {}
    except (ValueError, YAMLError):  # no card of ours
        return None
    base, tags = metadata.get("base_model"), metadata.get("tags")
    ours = isinstance(tags, list) and TAG in tags
    return base if ours and isinstance(base, str) and _REPOSITORY.fullmatch(base) else None


def _changed(options: TrainingOptions) -> dict[str, Any]:
    """The options that can change a result and are not as they would be by themselves."""
    fields = type(options).model_fields
    return {
        name: Path(str(value)).name if isinstance(getattr(options, name), Path) else value
        for name, value in options.identity().items()
        if getattr(options, name) != fields[name].get_default(call_default_factory=True)
    }


def _lasting(metrics: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.6g}" for name, value in metrics.items() if not _OF_THE_CLOCK.search(name)}


def _code(value: Any) -> str:
    """A code span of Markdown, on one line, that ``value`` cannot end."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    return f"{fence} {shown} {fence}" if "`" in shown or not shown else f"`{shown}`"
