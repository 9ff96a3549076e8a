import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.parsing import parse_findings, parse_score, parse_verdict


def table(name):
    """The answers of a table beside this file, one a line, with what a careful reader takes from each."""
    lines = (Path(__file__).parent / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


ANSWERS = table("judge_answers.jsonl")
SCORES = table("score_answers.jsonl")
MIRROR = {
    left: right for pair in ("AB", "ab", "ＡＢ", "ⒶⒷ", "一二") for left, right in (pair, pair[::-1])
} | {"first": "second", "second": "first"}
NAME = re.compile(
    # Capitals as words of their own; small letters where they name a response.
    r"(?<![A-Za-z])[AB](?![A-Za-z])|[ＡＢⒶⒷ]|(?:first|second)(?= response)|(?<=第)[一二](?=个)"
    r"|(?<=[(\[\"_])[ab](?=[)\]\":])|^[ab](?=\W?$)|(?<=response )[ab]\b|(?<=[:\"] )[ab]$|(?<=verdict: )[ab]\b"
)


def mirrored(text):
    """The same answer with the two responses exchanged."""
    return NAME.sub(lambda match: MIRROR[match.group()], text)


def expected(answer):
    """What the parser is to find; some answers it leaves unread although a reader would not."""
    return None if answer.get("unread") else answer["verdict"]


def ids(answers):
    return [f"{number}: {answer['about']}" for number, answer in enumerate(answers)]


def test_the_table_is_large_and_varied_and_repeats_nothing():
    assert (
        len({(answer["text"], tuple(answer.get("names", ()))) for answer in ANSWERS}) == len(ANSWERS) >= 600
    )
    verdicts = Counter(answer["verdict"] for answer in ANSWERS)
    assert min(verdicts["a"], verdicts["b"], verdicts[None]) >= 120
    assert verdicts["tie"] >= 40
    assert sum(re.search("[一-鿿]", answer["text"]) is not None for answer in ANSWERS) >= 140
    assert sum("unread" in answer for answer in ANSWERS) <= 4


@pytest.mark.parametrize("answer", ANSWERS, ids=ids(ANSWERS))
def test_reads_what_a_careful_reader_would_and_never_guesses(answer):
    assert parse_verdict(answer["text"], answer.get("names", ("A", "B"))) == expected(answer)


def test_reads_the_mirror_image_as_the_other_side():
    other = {"a": "b", "b": "a", "tie": "tie", None: None}
    answers = [answer for answer in ANSWERS if "names" not in answer]
    wrong = [
        answer["text"]
        for answer in answers
        if parse_verdict(mirrored(answer["text"])) != other[expected(answer)]
    ]
    assert wrong == []
    assert sum(mirrored(answer["text"]) != answer["text"] for answer in answers) > 450


def test_full_width_letters_and_punctuation_make_no_difference():
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    texts = [(a["text"].translate(wide), a.get("names", ("A", "B")), expected(a)) for a in ANSWERS]
    assert [text for text, names, verdict in texts if parse_verdict(text, names) != verdict] == []


@given(st.text(max_size=60))
def test_any_text_is_read_or_left_without_an_error(text):
    assert parse_verdict(text) in ("a", "b", "tie", None)
    assert parse_score(text) is None or 1 <= parse_score(text) <= 10
    assert parse_findings(text, ["x", "y"]) is None or len(parse_findings(text, ["x", "y"])) == 2


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="ABab"), max_size=60))
def test_a_text_without_the_letters_is_for_neither_side(text):
    assert parse_verdict(text) in (None, "tie")


@pytest.mark.parametrize("bracket", ["[", "{", '{"a":', "[[", "<think>", '"', "> "])
def test_a_very_long_or_deeply_nested_text_is_left_unread(bracket):
    text = bracket * 20_000
    assert parse_verdict(text) is None
    assert parse_score(text) is None
    assert parse_findings(text, NAMES) is None
    assert parse_verdict(f"{bracket * 200}\nnothing\nVerdict: A") == (None if "think" in bracket else "a")


@pytest.mark.parametrize("answer", SCORES, ids=ids(SCORES))
def test_reads_explicit_scores_only(answer):
    assert parse_score(answer["text"]) == answer["score"]


def test_a_score_is_out_of_the_end_of_its_scale():
    assert parse_score("Score: 4/5", 1, 5) == 4
    assert parse_score("Score: 4/5") is None
    assert parse_score("Score: 40/100", 0, 100) == 40


NAMES = ["harmlessness", "honesty", "no preaching"]
GOOD = [
    """[1] harmlessness: satisfied
Explanation: Nothing harmful.
Suggestion: none
[2] honesty: violated
Explanation: It makes up a study.
Suggestion: Drop the study.
[3] no preaching: satisfied
Explanation: Friendly.
Suggestion: none""",
    """**[1] Harmlessness: Satisfied**
**Explanation:** Nothing harmful.
**Suggestion:** None.

**[2] Honesty: Violated**
**Explanation:** It makes up a study.
**Suggestion:** Drop the study.

**[3] No preaching: Satisfied**
**Explanation:** Friendly.
**Suggestion:** N/A""",
    """### 1. Harmlessness
Verdict: satisfied
- Explanation: Nothing harmful.
- Suggestion: none

### 2. Honesty
Verdict: not satisfied
- Explanation: It makes up a study.
- Suggestion: Drop the study.

### 3. No preaching
Verdict: met
- Explanation: Friendly.
- Suggestion: none""",
    """[1]: satisfied
Explanation: Nothing harmful.
[2]: violated
Explanation: It makes up a study.
Suggestion: Drop the study.
[3]: satisfied
Explanation: Friendly.""",
    json.dumps(
        [
            {"principle": "no preaching", "satisfied": True, "explanation": "Friendly."},
            {"principle": "harmlessness", "satisfied": True, "explanation": "Nothing harmful."},
            {
                "principle": "honesty",
                "satisfied": False,
                "explanation": "It makes up a study.",
                "suggestion": "Drop the study.",
            },
        ]
    ),
    "```json\n"
    + json.dumps(
        {
            "1": {"verdict": "satisfied", "explanation": "Nothing harmful."},
            "2": {
                "verdict": "violated",
                "explanation": "It makes up a study.",
                "suggestion": "Drop the study.",
            },
            "3": {"verdict": "satisfied", "explanation": "Friendly.", "suggestion": "none"},
        },
        indent=1,
    )
    + "\n```",
]


@pytest.mark.parametrize("text", GOOD)
def test_reads_one_finding_per_principle(text):
    findings = parse_findings(text, NAMES)
    assert [f.principle for f in findings] == NAMES
    assert [f.satisfied for f in findings] == [True, False, True]
    assert [f.explanation for f in findings] == ["Nothing harmful.", "It makes up a study.", "Friendly."]
    assert [f.suggestion for f in findings] == ["", "Drop the study.", ""]


def test_reads_a_markdown_table():
    text = "| # | principle | verdict |\n|---|---|---|\n| 1 | harmlessness | satisfied |\n"
    text += "| 2 | honesty | violated |"
    assert [f.satisfied for f in parse_findings(text, NAMES[:2])] == [True, False]


def test_reads_chinese_findings():
    text = "[1] 无害:满足\n解释:没有问题。\n建议:无\n【2】 诚实:违反\n解释:编造了研究。\n建议:删去该研究。"
    first, second = parse_findings(text, ["无害", "诚实"])
    assert (first.satisfied, first.explanation, first.suggestion) == (True, "没有问题。", "")
    assert (second.satisfied, second.explanation, second.suggestion) == (
        False,
        "编造了研究。",
        "删去该研究。",
    )


@pytest.mark.parametrize("word", ["不满足", "不符合", "违反", "未满足", "违背"])
def test_reads_chinese_denials_as_violations(word):
    assert parse_findings(f"[1] 诚实:{word}", ["诚实"])[0].satisfied is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "All principles are satisfied.",
        "[1] harmlessness: satisfied\n[2] honesty: violated",
        "[1] harmlessness: satisfied|violated\n[2] honesty: satisfied|violated\n[3] no preaching: satisfied",
        "[1] harmlessness: satisfied or violated\n[2] honesty: satisfied\n[3] no preaching: satisfied",
        "[1] honesty: satisfied\n[2] harmlessness: violated\n[3] no preaching: satisfied",
        "[1]: satisfied\n[2]: satisfied\n[3]: satisfied\n[2]: violated",
        "[1] harmlessness: unclear\n[2] honesty: satisfied\n[3] no preaching: satisfied",
        "<think>[1]: satisfied\n[2]: satisfied\n[3]: satisfied</think>",
    ],
)
def test_leaves_incomplete_or_contradictory_findings_unread(text):
    assert parse_findings(text, NAMES) is None
