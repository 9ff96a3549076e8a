"""The text that the base model learns from: answers of mixed quality, critiques and revisions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from jurist.constitution import Constitution, Principle
from jurist.records import Critique, Finding, Record
from jurist.templates import fill
from jurist.templates.english import ENGLISH
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
    return Constitution.load(Path(str(resources.files("jurist_demo"))) / "constitution.yaml")


def good_answer(task: Task, rng: random.Random) -> Answer:
    """What one should say."""
    return Answer(text=task.fill(rng.choice(task.spec.good)))


def mixed_answer(task: Task, rng: random.Random) -> Answer:
    """What the base model will say: often helpful, at times rude, leaking, unsafe, evasive or long."""
    answer = _core(task, rng)
    lexicon = lexicons()[task.language]
    text, faults = answer.text, set(answer.faults)
    space = " " if task.language == "en" else ""
    if rng.random() < 0.25:
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


def findings(answer: Answer, principles: Sequence[Principle]) -> tuple[Finding, ...]:
    """What is to be found about each principle: by its checks if it has some, else from the known faults."""
    return tuple(p.check(answer.text) or _finding(p.name, p.name in answer.faults) for p in principles)


def _finding(name: str, violated: bool) -> Finding:
    if not violated:
        return Finding(principle=name, satisfied=True)
    explanation, suggestion = _REMARKS[name]
    return Finding(principle=name, satisfied=False, explanation=explanation, suggestion=suggestion)


def critique_text(found: Sequence[Finding]) -> str:
    """A critique as the model writes it and core reads it."""
    lines = []
    for number, finding in enumerate(found, start=1):
        lines.append(f"[{number}] {finding.principle}: {'satisfied' if finding.satisfied else 'violated'}")
        if not finding.satisfied:
            lines += [f"Explanation: {finding.explanation}", f"Suggestion: {finding.suggestion}"]
    return "\n".join(lines)


def conversation(rng: random.Random) -> Iterator[Turn]:
    """A task with an answer of mixed quality and, in part of them, its critique and revision."""
    task = draw_task("train", rng)
    answer = mixed_answer(task, rng)
    yield Turn(user=task.question, assistant=answer.text)
    if rng.random() < SHARE_CRITIQUED:
        yield _critique(task, answer, rng)
        if answer.faults:
            yield _revision(task, answer, rng)


def _critique(task: Task, answer: Answer, rng: random.Random) -> Turn:
    """Half of the critiques go by all principles that need a model, half by one of them."""
    asked = [principle for principle in constitution().principles if not principle.checks]
    if rng.random() < 0.5:
        faulty = [principle for principle in asked if principle.name in answer.faults]
        asked = [rng.choice(faulty if faulty and rng.random() < 0.5 else asked)]
    user = fill(
        CRITIC_TEMPLATE,
        {"principles": ENGLISH.rules(asked), "prompt": task.question, "response": answer.text},
    )
    return Turn(user=user, assistant=critique_text(findings(answer, asked)))


def _revision(task: Task, answer: Answer, rng: random.Random) -> Turn:
    """The revision mends all faults, also where the critique names one of them."""
    principles: Sequence[Principle] = constitution().principles
    if rng.random() < 0.5:
        named = rng.choice(sorted(answer.faults))
        principles = [principle for principle in principles if principle.name == named]
    critique = ENGLISH.critique(Critique(findings=findings(answer, principles)))
    user = fill(REVISER_TEMPLATE, {"critique": critique, "prompt": task.question, "response": answer.text})
    return Turn(user=user, assistant=good_answer(task, rng).text)


def corpus(seed: int, conversations: int = CONVERSATIONS) -> list[Turn]:
    """The turns of all conversations; the same seed gives the same text."""
    rng = random.Random(f"corpus {seed}")
    return [turn for _ in range(conversations) for turn in conversation(rng)]
