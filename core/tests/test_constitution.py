import json
from collections import Counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jurist.constitution import Check, Constitution, Principle
from jurist.errors import UsageError

SHIPPED = ("default", "default.en", "default.zh")


def principle(**fields):
    return {"name": "kind", "description": "Be kind."} | fields


def faults(document):
    with pytest.raises(UsageError) as caught:
        Constitution.of(document, subject="rules.yaml")
    return str(caught.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_principle_that_comes_with_jurist_is_complete(name):
    constitution = Constitution.load(name)
    assert 12 <= len(constitution.principles) <= 16
    assert len(constitution.hard) >= 3
    for each in constitution.principles:
        assert each.example
        assert each.critique
        assert each.revision
        assert each.comparison
        assert each.tags


def test_the_chinese_default_is_the_english_one_in_chinese():
    english, chinese = Constitution.load("default"), Constitution.load("default.zh")
    assert (english.language, chinese.language) == ("en", "zh")
    for ours, theirs in zip(english.principles, chinese.principles, strict=True):
        assert (ours.name, ours.tags, ours.hard, ours.weight) == (
            theirs.name,
            theirs.tags,
            theirs.hard,
            theirs.weight,
        )
        texts = (theirs.description, theirs.critique, theirs.revision, theirs.comparison)
        assert all(any("\u4e00" <= c <= "\u9fff" for c in text) for text in texts)


def test_loads_a_file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "principles": [principle(hard=True)]}), "utf-8")
    constitution = Constitution.load(path)
    assert constitution.name == "mine"
    assert [p.name for p in constitution.hard] == ["kind"]


def test_lists_every_fault_at_once_with_the_name_of_the_file():
    bad_check = {"forbid_pattern": "(", "forbids": ["x"]}
    message = faults(
        {
            "name": "mine",
            "langauge": "en",
            "principles": [
                principle(),
                principle(descriptoin="?"),
                {"name": "empty", "description": "  "},
                principle(name="checked", checks=[bad_check, {}], weight=0),
            ],
        }
    )
    assert message.startswith("rules.yaml: 8 faults")
    assert "principle 'kind' appears 2 times" in message
    assert "langauge: unknown field; did you mean 'language'?" in message
    assert "principles.2.descriptoin: unknown field; did you mean 'description'?" in message
    assert "principles.3.description: String should have at least 1 character" in message
    assert "principles.4.checks.1.forbid_pattern: not a regular expression" in message
    assert "principles.4.checks.1.forbids: unknown field; did you mean 'forbid'?" in message
    assert "principles.4.checks.2: a check must test something" in message
    assert "principles.4.weight: Input should be greater than 0" in message


def test_a_check_that_tests_nothing_is_a_fault():
    assert "a check must test something" in faults({"name": "m", "principles": [principle(checks=[{}])]})


@pytest.mark.parametrize("document", [None, [], "text", {}, {"name": "m"}, {"name": "m", "principles": []}])
def test_a_constitution_without_principles_is_a_fault(document):
    assert "rules.yaml" in faults(document)


def test_a_repeated_name_is_reported_once():
    message = faults({"name": "m", "principles": [principle(), principle(name=" kind ")]})
    assert message.count("appears 2 times") == 1


def test_a_missing_file_names_what_comes_with_jurist(tmp_path):
    with pytest.raises(UsageError, match=r"default\.zh"):
        Constitution.load(tmp_path / "defualt")


def test_a_file_that_is_not_there_may_be_another_of_its_folder(tmp_path):
    (tmp_path / "rules.yaml").touch()
    with pytest.raises(UsageError) as caught:
        Constitution.load(tmp_path / "rule.yaml")
    assert caught.value.hint.endswith(f"; did you mean '{tmp_path / 'rules.yaml'}'?")


def test_what_is_not_yaml_is_a_usage_error(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("principles: [", "utf-8")
    with pytest.raises(UsageError, match=r"rules\.yaml is not valid"):
        Constitution.load(path)


def test_selects_by_any_tag_and_names_the_near_miss():
    rules = [principle(name="a", tags=["safety"]), principle(name="b", tags=["style", "safety"]), principle()]
    constitution = Constitution.of({"name": "m", "principles": rules})
    assert [p.name for p in constitution.select(["safety"])] == ["a", "b"]
    assert [p.name for p in constitution.select(["style", "unknown"])] == ["b"]
    assert len(constitution.select([])) == 3
    with pytest.raises(UsageError, match="did you mean 'safety'"):
        constitution.select(["safty"])


def test_samples_by_weight_and_the_same_for_the_same_seed():
    rules = [principle(name="a", weight=1), principle(name="b", weight=3), principle(name="c", tags=["t"])]
    constitution = Constitution.of({"name": "m", "principles": rules})
    drawn = Counter(constitution.sample(f"seed {n}").name for n in range(5000))
    assert drawn["b"] / 5000 == pytest.approx(0.6, abs=0.03)
    assert drawn["a"] / 5000 == pytest.approx(0.2, abs=0.03)
    assert constitution.sample("x") == constitution.sample("x")
    assert {constitution.sample(str(n), ["t"]).name for n in range(20)} == {"c"}


@given(st.text(), st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5))
def test_any_seed_draws_a_principle(seed, weights):
    rules = [principle(name=str(n), weight=weight) for n, weight in enumerate(weights)]
    constitution = Constitution.of({"name": "m", "principles": rules})
    assert constitution.sample(seed) in constitution.principles


@pytest.mark.parametrize(
    ("check", "text", "holds"),
    [
        ({"forbid": ["Rude Word"]}, "a RUDE word", False),
        ({"forbid": ["rude"]}, "RUDE", False),
        ({"forbid": ["stra\u00dfe"]}, "STRASSE", False),
        ({"forbid": ["rude"]}, "polite", True),
        ({"require": ["Thanks"]}, "thanks!", True),
        ({"require": ["thanks", "sorry"]}, "thanks", False),
        ({"forbid_pattern": r"\b\d{3}-\d{4}\b"}, "call 555-1234", False),
        ({"forbid_pattern": r"\b\d{3}-\d{4}\b"}, "call me", True),
        ({"require_pattern": r"\?$"}, "really?", True),
        ({"require_pattern": r"\?$"}, "really", False),
        ({"min_length": 3}, "ab", False),
        ({"min_length": 3}, "abc", True),
        ({"max_length": 3}, "abcd", False),
        ({"max_length": 3, "require": ["x"]}, "abc", False),
    ],
)
def test_checks_decide_without_a_model(check, text, holds):
    rule = Principle(name="r", description="d", checks=(Check(**check),), revision="Mend it.")
    finding = rule.check(text)
    assert finding.satisfied is holds
    assert bool(finding.explanation) is not holds
    assert finding.suggestion == ("" if holds else "Mend it.")


def test_every_check_must_hold_and_without_checks_there_is_no_finding():
    rule = Principle(name="r", description="d", checks=(Check(forbid=("x",)), Check(require=("y",))))
    assert rule.check("y").satisfied
    assert rule.check("x").explanation == "It says 'x'. It does not say 'y'."
    assert Principle(name="r", description="d").check("x") is None


def instructions(tmp_path, document):
    path = tmp_path / "instructions.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_reads_the_layout_of_the_paper_without_its_framing(tmp_path):
    document = {
        "harm0": {
            "prompt": ["\n\nCritiqueRequest: What is harmful?\n\nCritique:"],
            "edit_request": "\n\nRevisionRequest: Remove it.\n\nRevision:",
        },
        "harm1": {"prompt": "Look for insults.", "edit_request": "Be kind."},
    }
    path = instructions(tmp_path, document)
    constitution = Constitution.load(path)
    assert [(p.name, p.critique, p.revision) for p in constitution.principles] == [
        ("harm0", "What is harmful?", "Remove it."),
        ("harm1", "Look for insults.", "Be kind."),
    ]


def test_lists_every_fault_of_that_layout(tmp_path):
    path = instructions(tmp_path, {"a": {"prompt": []}, "b": 3, "c": {"prompt": ["x"], "edit_request": "y"}})
    with pytest.raises(UsageError, match="2 faults") as caught:
        Constitution.load(path)
    assert "a: expected 'prompt' and 'edit_request'" in str(caught.value)
