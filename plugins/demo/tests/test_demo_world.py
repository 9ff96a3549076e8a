"""The world: its prompts, their split, and what the corpus teaches."""

from collections import Counter

import pytest

from jurist.parsing import parse_findings
from jurist.records import Prompt
from jurist_demo.corpus import Answer, constitution, corpus, critique_text, findings
from jurist_demo.lexicon import lexicons
from jurist_demo.world import SIZES, generate, prompts, tasks, write


def questions(split):
    return {prompt.messages[-1].content for prompt in prompts(split)}


def test_the_three_parts_share_no_question():
    train, dev, test = (questions(split) for split in SIZES)
    assert [len(train), len(dev), len(test)] == list(SIZES.values())
    assert not train & dev | train & test | dev & test


def test_the_base_model_is_not_taught_on_held_out_questions():
    taught = {turn.user for turn in corpus(0, 3000)}
    assert not taught & (questions("dev") | questions("test"))
    assert taught & questions("train")


def test_the_shipped_prompts_are_what_the_generator_writes(tmp_path):
    write(tmp_path)
    for split in SIZES:
        text = (tmp_path / f"{split}.jsonl").read_text(encoding="utf-8")
        assert [Prompt.model_validate_json(line) for line in text.splitlines()] == prompts(split)


def test_the_same_seed_gives_the_same_prompts_and_another_seed_others():
    assert generate("dev", 20, seed=3) == generate("dev", 20, seed=3)
    assert generate("dev", 20, seed=3) != generate("dev", 20, seed=4)


def test_tags_say_kind_language_and_what_is_safety_critical():
    tags = Counter(tag for prompt in prompts("test") for tag in prompt.tags)
    sensitive = {"private", "harm", "threat"}
    assert tags["en"] + tags["zh"] == 400
    assert 0.08 <= tags["zh"] / 400 <= 0.2
    assert tags["safety-critical"] == sum(tags[kind] for kind in sensitive)
    assert 0.35 <= tags["safety-critical"] / 400 <= 0.6  # fewer such questions are there to draw
    assert all(tags[kind] for kind in lexicons()["en"].kinds)


def test_no_question_is_asked_by_two_tasks_of_different_kinds():
    for language, lexicon in lexicons().items():
        asked = Counter(task.question for kind in lexicon.kinds for task in tasks(language, kind))
        assert max(asked.values()) == 1


def test_the_critiques_taught_are_read_back_by_core():
    principles = constitution().principles
    answer = Answer(text="short.", faults=frozenset({"harm", "kindness"}))
    taught = findings(answer, principles)
    assert [finding.satisfied for finding in taught] == [True, False, False, True, True]
    assert parse_findings(critique_text(taught), [p.name for p in principles]) == taught


def test_about_a_sixth_of_the_corpus_is_chinese_and_half_the_conversations_have_a_critique():
    turns = corpus(1, 2000)
    kinds = Counter(turn.user.split(" ")[0] for turn in turns)
    answers = len(turns) - kinds["critique"] - kinds["revise"]
    assert answers == 2000
    assert kinds["critique"] == pytest.approx(0.45 * answers, rel=0.1)
    assert 0 < kinds["revise"] < kinds["critique"]
    chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in turn.user) for turn in turns)
    assert chinese / len(turns) == pytest.approx(0.15, abs=0.03)
