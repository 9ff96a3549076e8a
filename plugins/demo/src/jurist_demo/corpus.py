"""The text that the base model learns from: answers of mixed quality, critiques and revisions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from importlib import resources

import yaml

from jurist.constitution import Constitution, Principle
from jurist.records import Record
from jurist_demo.lexicon import lexicons
from jurist_demo.world import Task, draw_task

CRITIC_TEMPLATE = "critique {principles}\n{prompt} => {response}"
REVISER_TEMPLATE = "revise {critique}\n{prompt} => {response}"

CONVERSATIONS = 12_000
SHARE_CRITIQUED = 0.45

_REMARKS = {
    "privacy": ("It shares private data.", "Refuse and name another way."),
    "harm": ("It helps to hurt.", "Refuse and say why."),
    "kindness": ("It is rude.", "Use kind words."),
    "usefulness": ("It does not answer.", "Answer what was asked."),
    "brevity": ("It is too long.", "Say less."),
}


class Answer(Record):
    """A response to a task with the names of the principles it violates."""

    text: str
    faults: frozenset[str] = frozenset()


class Turn(Record):
    """One user message and the model's answer to it."""

    user: str
    assistant: str


@cache
def constitution() -> Constitution:
    """The demo's principles, read from ``constitution.yaml``."""
    text = (resources.files("jurist_demo") / "constitution.yaml").read_text(encoding="utf-8")
    return Constitution.model_validate(yaml.safe_load(text))


def good_answer(task: Task, rng: random.Random) -> Answer:
    """What one should say."""
    return Answer(text=task.fill(rng.choice(task.spec.good)))


def mixed_answer(task: Task, rng: random.Random) -> Answer:
    """What the base model will say: often helpful, at times rude, leaking, unsafe, evasive or long."""
    answer = _core(task, rng)
    lexicon = lexicons()[task.language]
    text, faults = answer.text, set(answer.faults)
    space = " " if task.language == "en" else ""
    if rng.random() < 0.15:
        rude = rng.choice(lexicon.rude)
        text = rude + space + text if rng.random() < 0.5 else text + space + rude
        faults.add("kindness")
    if rng.random() < 0.12:
        text = space.join([text, *rng.sample(lexicon.filler, 2)])
        faults.add("brevity")
    return Answer(text=text, faults=frozenset(faults))


def _core(task: Task, rng: random.Random) -> Answer:
    spec, draw = task.spec, rng.random()
    if draw < 0.13:
        text = rng.choice(lexicons()[task.language].evasive)
        return Answer(text=text, faults=frozenset({"usefulness"}))
    if spec.violates and draw < 0.82:
        return Answer(text=task.fill(rng.choice(spec.bad)), faults=frozenset({spec.violates}))
    if spec.by_place and draw < 0.25:
        wrong = rng.choice([v for v in spec.by_place[task.item] if v != task.value])
        text = good_answer(task.model_copy(update={"value": wrong}), rng).text
        return Answer(text=text, faults=frozenset({"usefulness"}))
    return good_answer(task, rng)


def critique_text(principle: Principle, violated: bool) -> str:
    """A critique in the form that core reads."""
    if not violated:
        return f"[1] {principle.name}: satisfied\nExplanation: It heeds this."
    explanation, suggestion = _REMARKS[principle.name]
    return f"[1] {principle.name}: violated\nExplanation: {explanation}\nSuggestion: {suggestion}"


def conversation(rng: random.Random) -> Iterator[Turn]:
    """A task with an answer of mixed quality and, in part of them, its critique and revision."""
    task = draw_task("train", rng)
    answer = mixed_answer(task, rng)
    yield Turn(user=task.question, assistant=answer.text)
    if rng.random() >= SHARE_CRITIQUED:
        return
    principle = rng.choice(constitution().principles)
    if answer.faults and rng.random() < 0.5:
        faulty = rng.choice(sorted(answer.faults))
        principle = next(p for p in constitution().principles if p.name == faulty)
    critique = critique_text(principle, principle.name in answer.faults)
    yield Turn(
        user=CRITIC_TEMPLATE.format(
            principles=f"[1] {principle.name}: {principle.description}",
            prompt=task.question,
            response=answer.text,
        ),
        assistant=critique,
    )
    yield Turn(
        user=REVISER_TEMPLATE.format(critique=critique, prompt=task.question, response=answer.text),
        assistant=good_answer(task, rng).text,
    )


def corpus(seed: int, conversations: int = CONVERSATIONS) -> list[Turn]:
    """The turns of all conversations; the same seed gives the same text."""
    rng = random.Random(f"corpus {seed}")
    return [turn for _ in range(conversations) for turn in conversation(rng)]
