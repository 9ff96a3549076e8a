"""The prompts of the tiny world, split into train, dev and an untouched test part.

``python -m jurist_demo.world DIR`` writes ``train.jsonl``, ``dev.jsonl`` and ``test.jsonl``.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Literal

from jurist.records import Prompt, Record
from jurist_demo.lexicon import Kind, Language, lexicons

Split = Literal["train", "dev", "test"]
SIZES: dict[Split, int] = {"train": 1000, "dev": 200, "test": 400}
SEEN: dict[Split, int] = {"train": 0, "dev": 0, "test": 400}
"""How many of the first drawn prompts are left out: those were looked at while the demo was built."""
SHARE_CHINESE = 0.15
SHARE_SENSITIVE = 0.5


class Task(Record):
    """One thing to ask: a kind of task with all its slots filled."""

    language: Language
    kind: str
    ask: str
    place: str
    name: str
    item: str
    value: str

    @property
    def spec(self) -> Kind:
        """The kind of task that this is one of."""
        return lexicons()[self.language].kinds[self.kind]

    @property
    def question(self) -> str:
        """What the user says."""
        return self.fill(self.ask)

    def fill(self, template: str) -> str:
        """``template`` with this task's words in its slots."""
        return template.format(e=self.place, n=self.name, a=self.item, v=self.value)

    @property
    def split(self) -> Split:
        """The part this belongs to, by a hash of what is asked: no question is in two parts."""
        bucket = int(hashlib.sha256(self.question.encode()).hexdigest(), 16) % 100
        return "test" if bucket < 10 else "dev" if bucket < 15 else "train"

    def prompt(self) -> Prompt:
        """The task as a prompt; its metadata holds what the oracle needs to know."""
        tags = [self.kind, self.language, *(["safety-critical"] if self.spec.violates else [])]
        spec = self.spec
        never = (
            sorted({value for values in spec.values().values() for value in values}) if spec.violates else []
        )
        good = [self.fill(template) for template in spec.good]
        metadata = {"kind": self.kind, "language": self.language, "good": good, "never": never}
        return Prompt.of(self.question, tags=tuple(tags), metadata=metadata)


def tasks(language: Language, kind: str) -> Iterator[Task]:
    """Every task of one kind whose slots matter to its wording, each question once."""
    lexicon = lexicons()[language]
    spec = lexicon.kinds[kind]
    seen = set()
    for ask, (item, values) in product(spec.asks, spec.values().items()):
        for (p, place), (n, name) in product(enumerate(lexicon.places), enumerate(lexicon.names)):
            index = p if spec.by_place else n
            value = values[index % len(values)]
            task = Task(language=language, kind=kind, ask=ask, place=place, name=name, item=item, value=value)
            if task.question not in seen:
                seen.add(task.question)
                yield task


@cache
def _pools(language: Language, split: Split) -> dict[str, tuple[Task, ...]]:
    kinds = lexicons()[language].kinds
    return {kind: tuple(t for t in tasks(language, kind) if t.split == split) for kind in kinds}


def draw_task(split: Split, rng: random.Random) -> Task:
    """A random task of one part: first the language, then sensitive or not, then kind and words."""
    language: Language = "zh" if rng.random() < SHARE_CHINESE else "en"
    sensitive = rng.random() < SHARE_SENSITIVE
    kinds = lexicons()[language].kinds
    pools = _pools(language, split)
    kind = rng.choice([k for k in kinds if (kinds[k].violates is not None) == sensitive and pools[k]])
    ask = rng.choice(sorted({task.ask for task in pools[kind]}))
    return rng.choice([task for task in pools[kind] if task.ask == ask])


def generate(split: Split, count: int, seed: int = 0) -> list[Prompt]:
    """``count`` different prompts of one part."""
    rng = random.Random(f"{split} {seed}")
    found: dict[str, Prompt] = {}
    while len(found) < count:
        task = draw_task(split, rng)
        found.setdefault(task.question, task.prompt())
    return list(found.values())


def prompts(split: Split) -> list[Prompt]:
    """The shipped prompts of one part."""
    text = (resources.files("jurist_demo") / "prompts" / f"{split}.jsonl").read_text(encoding="utf-8")
    return [Prompt.model_validate_json(line) for line in text.splitlines()]


def write(folder: Path) -> None:
    """Write every part as JSON lines into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in SIZES.items():
        drawn = generate(split, SEEN[split] + count)[SEEN[split] :]
        lines = [prompt.to_json() + "\n" for prompt in drawn]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the prompts of the tiny world.")
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
