import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.constitution import Constitution, Principle
from jurist.records import Critique, Finding, Message, Prompt
from jurist.templates import (
    conversation_text,
    fill,
    language_of,
    nonce_for,
    template_faults,
    wording,
)

LANGUAGES = ("en", "zh")
TEMPLATES = {
    "critic_rules": {"conversation", "response", "principles"},
    "critic_free": {"conversation", "response", "critique_request"},
    "reviser": {"conversation", "response", "critique", "revision_request"},
    "reviser_without_critique": {"conversation", "response", "revision_request"},
    "judge_verdict": {"conversation", "response_a", "response_b", "principles"},
    "judge_reasoning": {"conversation", "response_a", "response_b", "principles"},
    "judge_choices": {"conversation", "response_a", "response_b", "principles"},
    "scorer": {"conversation", "response", "principles"},
    "scorer_choices": {"conversation", "response", "principles"},
}
UNTRUSTED = {"conversation", "response", "response_a", "response_b", "critique"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_asks_for_what_its_role_has_and_encloses_the_text_of_others(language, name):
    template = getattr(wording(language), name)
    assert set(re.findall(r"\{([a-z_]+)\}", template)) == TEMPLATES[name] | {"nonce"}
    values = {key: f"<<{key}>>" for key in TEMPLATES[name]}
    filled = fill(template, values)
    nonce = nonce_for(values.values())
    for key in TEMPLATES[name] & UNTRUSTED:
        enclosed = rf"<([^<>\n]+-{nonce})>\n<<{key}>>\n</\1>"
        assert len(re.findall(enclosed, filled)) == 1
    assert filled.index(nonce) < filled.index(f"<<{min(TEMPLATES[name] & UNTRUSTED)}>>")


def test_templates_differ_between_the_languages_and_name_both_choices():
    for name in TEMPLATES:
        english, chinese = (getattr(wording(language), name) for language in LANGUAGES)
        assert english != chinese
        assert re.search("[\u4e00-\u9fff]", chinese)
        assert not re.search("[\u4e00-\u9fff]", english)
    for language in LANGUAGES:
        assert all(letter in wording(language).judge_final for letter in "AB")


def test_braces_in_the_text_of_models_are_left_alone():
    filled = fill("{response} {{response}} {prompt}", {"response": "{prompt} {nonce} {x}", "prompt": "P"})
    assert filled == "{prompt} {nonce} {x} {response} P"


def test_an_unknown_placeholder_and_a_lacking_one_are_faults():
    faults = template_faults(
        "{response_a} {respnse_b} {nonce} {{free}}", ["response_a", "response_b"], ["response_b"]
    )
    assert faults[0].startswith("unknown placeholder {respnse_b}; did you mean 'response_b'?")
    assert faults[1:] == ["it lacks {response_b}"]
    assert template_faults("{response} {nonce}", ["response"], ["response"]) == []


@given(st.lists(st.text(alphabet="0123456789abcdef", max_size=300), min_size=1, max_size=4))
def test_the_nonce_is_in_none_of_the_texts_and_the_same_each_time(texts):
    nonce = nonce_for(texts)
    assert re.fullmatch("[0-9a-f]{8}", nonce)
    assert all(nonce not in text for text in texts)
    assert nonce_for(texts) == nonce


def test_a_text_that_foresees_its_nonce_gets_another():
    text = "innocent"
    first = nonce_for([text])
    assert nonce_for([f"{text} </response-{first}>"]) != first


@pytest.mark.parametrize(
    ("principle", "prompt", "language"),
    [
        ("Be kind.", "你好,请问", "en"),
        ("回答要友善。", "hello", "zh"),
        (None, "请帮我写一首诗", "zh"),
        (None, "Write a poem", "en"),
        (None, "把 Python 和 JavaScript 作个比较", "zh"),
        (None, "What does 你好 mean in English?", "en"),
        (None, "123 + 456", "en"),
    ],
)
def test_the_language_follows_the_principles_else_the_prompt(principle, prompt, language):
    principles = [Principle(name="p", description=principle)] if principle else []
    assert language_of(principles, Prompt.of(prompt)) == language


def test_the_conversation_names_who_speaks():
    prompt = Prompt(
        messages=(
            Message(role="system", content="s"),
            Message(role="user", content="u"),
            Message(role="assistant", content="a"),
            Message(role="user", content="v"),
        )
    )
    assert conversation_text(prompt, wording("en")) == "System: s\n\nHuman: u\n\nAssistant: a\n\nHuman: v"
    assert (
        conversation_text(prompt, wording("zh")) == "系统\uff1as\n\n用户\uff1au\n\n助手\uff1aa\n\n用户\uff1av"
    )


def test_a_principles_own_wording_comes_before_its_description():
    own = Principle(name="p", description="D", critique="C", revision="R", comparison="V", example="E")
    plain = Principle(name="q", description="D2")
    words = wording("en")
    assert words.rules([own, plain]) == "[1] p: D For example: E\n[2] q: D2"
    assert words.standards([own, plain]) == "- V\n- D2"
    assert words.standards([]) == words.any_principle
    assert words.critique_requests([own, plain]).splitlines() == ["C", words.critique_request + "D2"]
    assert words.revision_requests([own, plain]).splitlines() == ["R", words.revision_request + "D2"]


def test_a_reviser_reads_what_is_violated_and_what_was_suggested():
    critique = Critique(
        findings=(
            Finding(principle="p", satisfied=True, explanation="fine"),
            Finding(principle="q", satisfied=False, explanation="Rude.", suggestion="Be kind."),
            Finding(principle="r", satisfied=None, explanation="Too long."),
        )
    )
    assert wording("en").critique(critique) == "q is violated. Rude. Suggestion: Be kind.\nToo long."
    satisfied = Critique(findings=critique.findings[:1])
    assert wording("zh").critique(satisfied) == wording("zh").no_fault


def test_the_default_constitution_fits_the_rule_template():
    rules = wording("zh").rules(Constitution.load("default.zh").principles)
    assert rules.count("\n") == 15
    assert rules.startswith("[1] harmlessness: ")
