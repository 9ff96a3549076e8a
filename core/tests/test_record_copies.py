"""Copies of records: a changed record has the id of what it now holds."""

from __future__ import annotations

from jurist.records import Comparison, Message, Prompt, Response


def test_changed_copy_has_its_own_id() -> None:
    comparison = Comparison(
        prompt=Prompt.of("a"), response_a=Response(text="b"), response_b=Response(text="c")
    )
    assert comparison.id != comparison.swapped().id  # every id is cached from here on
    prompt = comparison.prompt.model_copy(update={"messages": (Message(role="user", content="z"),)})
    assert prompt.id == Prompt.of("z").id
    changed = comparison.model_copy(update={"response_a": Response(text="y")})
    whole = Comparison(prompt=Prompt.of("a"), response_a=Response(text="y"), response_b=Response(text="c"))
    assert changed.id == whole.id
    assert changed == whole


def test_unchanged_copy_keeps_its_id() -> None:
    response = Response(text="b")
    assert response.model_copy().id == response.id == response.model_copy(deep=True).id
    assert response.model_copy(update={"source": "x"}).id == response.id
