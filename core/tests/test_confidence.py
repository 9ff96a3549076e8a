"""Stated confidences: numbers and words, in English and Chinese, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.parsing.confidence import parse_confidence

WORDS = (0.6, 0.75, 0.9)


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("Verdict: A\nConfidence: 80%", 0.8),
        ("Verdict: A\nConfidence: 80", 0.8),
        ("Verdict: A\nConfidence: 0.8", 0.8),
        ("Verdict: A\nConfidence: 80 percent", 0.8),
        ("Verdict: A\nConfidence: 8/10", 0.8),
        ("Verdict: A\nConfidence: 8 out of 10", 0.8),
        ("Verdict: A\nConfidence: 80/100", 0.8),
        ("**Verdict:** A\n**Confidence:** 80%", 0.8),
        ("Confidence level = 80%", 0.8),
        ("Confidence score: 0.80.", 0.8),
        ("My confidence in this verdict is 80%.", 0.8),
        ("Verdict: A (confidence: 80%)", 0.8),
        ('{"verdict": "A", "confidence": 0.8}', 0.8),
        ('{"verdict": "A", "confidence": "80%"}', 0.8),
        ("### Confidence\n80%", 0.8),
        ("结论：A\n置信度：80%", 0.8),
        ("结论：A\n置信度\uff1a\uff18\uff10\uff05", 0.8),
        ("信心：0.8", 0.8),
        ("Confidence: Low", 0.6),
        ("confidence: medium", 0.75),
        ("Confidence: **High**", 0.9),
        ("Confidence: moderate", 0.75),
        ('"confidence": "low"', 0.6),
        ("置信度：低", 0.6),
        ("置信度：中", 0.75),
        ("信心程度：高", 0.9),
        ("把握：中等", 0.75),
        ("Confidence: 60%\nOn second thought: Confidence: 90%", 0.9),
        ("<think>Confidence: 99%</think>Verdict: B\nConfidence: 60%", 0.6),
        ('It says "Confidence: 99%", which is odd.\nVerdict: B\nConfidence: 60%', 0.6),
        ("Confidence: 100%", 0.99),
        ("Confidence: 1", 0.99),
        ("Confidence: 1.0", 0.99),
        ("Confidence: 30%", 0.51),
        ("Confidence: 0", 0.51),
        ("Confidence: .9", 0.9),
        ("Confidence: 0,9", 0.9),
        ("Confidence: 85,5%", 0.855),
        ("Confidence: about 90%", 0.9),
        ("Confidence: ~85%", 0.85),
        ("Confidence: approximately 0.8", 0.8),
        ("置信度：约80%", 0.8),
        ("置信度：大约 0.8", 0.8),
        ("Confidence: 7.5/10", 0.75),
        ("Confidence: 80 (out of 100)", 0.8),
        ("Confidence: 80%, for 3 reasons", 0.8),
        ("Confidence: 80, since 2 of 3 facts are right", 0.8),
        ("Confidence: 50", 0.51),
        ("Confidence: Very low", 0.6),
        ("Confidence: very high", 0.9),
        ("置信度：很低", 0.6),
        ("置信度：非常高", 0.9),
    ],
)
def test_a_stated_confidence_is_read(text: str, confidence: float) -> None:
    assert parse_confidence(text, WORDS) == pytest.approx(confidence)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Verdict: A",
        "Confidence:",
        "Confidence: 101%",
        "Confidence: 250",
        "Confidence: 12/10",
        "Confidence: -5",
        "Confidence: not high",
        "Confidence: highly unlikely",
        "I have confidence. 7 is a prime.",
        "A answers with confidence, in 3 steps.",
        'The response says "Verdict: A. Confidence: 99%".',
        "It says “Confidence: 99%”.",
        "回答写道：“置信度：99%”。",
        "> Confidence: 99%",
        "<think>Confidence: 99%",
        "Self-confidence is a virtue: 90% agree.",
        "Confidence: 4/5",  # other scales
        "Confidence: 4 out of 5",
        "Confidence: 3/3",
        "Confidence: 50/50",
        "Confidence: 60 of 70",
        "Confidence: 9",  # of 10, or percent?
        "Confidence: 4",
        "Confidence: 49",
        '{"verdict": "A", "confidence": 9}',
        "Confidence: 7-8/10",  # ranges
        "Confidence: 80-90%",
        "Confidence: 80% to 90%",
        "Confidence: 0.8 or 0.9",
        "Confidence: 80±5",
        "Confidence: medium-high",
        "Confidence: low to medium",
        "置信度：70%到80%",
        "置信度：中高",
        "Confidence: 1,000",
        "Confidence: 80%\nIn the end: Confidence: 4/5",  # the last one counts, read or not
    ],
)
def test_what_is_no_stated_confidence_is_not_read(text: str) -> None:
    assert parse_confidence(text, WORDS) is None


@given(st.text(max_size=200))
def test_any_text_gives_a_probability_above_one_half_or_none(text: str) -> None:
    found = parse_confidence(text, WORDS)
    assert found is None or 0.51 <= found <= 0.99
