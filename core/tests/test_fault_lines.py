"""Faults of input as lines for people."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from jurist.fault_lines import faults_of
from jurist.options import Options


class Price(Options):
    prompt: float = 0
    completion: float = 0


class Round(Options):
    kind: Literal["round"]


class Square(Options):
    kind: Literal["square"]


class File(Options):
    path: str
    limit: int = 0


class Settings(Options):
    size: int = 1
    name: str = ""
    price: Price | None = None
    prices: tuple[Price, ...] = ()
    either: str | Price | Square = ""
    many: dict[str, list[str | Price]] | None = None
    names: tuple[str | Price, ...] = Field(default=("x",), min_length=1)
    pair: tuple[float, float] = (0, 1)
    keep: Literal["final", "all"] | Annotated[int, Field(ge=1)] = "final"
    file: File | None = None
    shape: Annotated[Round | Square, Field(discriminator="kind")] = Round(kind="round")

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 3:
            raise ValueError("a name has three letters at most")
        return name


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"name": "long"}, "here.name: a name has three letters at most (given: 'long')"),
        ({"name": None}, "here.name: Input should be a valid string (given: null)"),
        ({"size": {"a": 1}}, "here.size: Input should be a valid integer"),
        (
            {"siz": 1},
            "here.siz: unknown option; did you mean 'size'? "
            "(known: either, file, keep, many, name, names, pair, price, prices, shape, size)",
        ),
        (
            {"price": {"promt": 1}},
            "here.price.promt: unknown option; did you mean 'prompt'? (known: completion, prompt)",
        ),
        ({"prices": [{}, {"x": 1}]}, "here.prices.1.x: unknown option (known: completion, prompt)"),
        (
            {"shape": {"kind": "squar"}},
            "here.shape: unknown kind 'squar'; did you mean 'square'? (known: round, square)",
        ),
        ({"shape": {}}, "here.shape.kind: required, but not given"),
        ({"shape": {"knd": "round"}}, "here.shape.kind: required, but not given; did you mean 'knd'?"),
        ({"names": "a"}, "here.names: Input should be a list; write [a] (given: 'a')"),
        ({"names": {"prompt": 1}}, "here.names: Input should be a list; write [{…}]"),
        ({"names": [["a"]]}, "here.names.0: Input should be a valid string or a mapping (given: ['a'])"),
        ({"names": []}, "here.names: Input should have at least 1 item (given: [])"),
        ({"prices": "a"}, "here.prices: Input should be a list (given: 'a')"),
        ({"pair": [1]}, "here.pair: Input should have 2 items (given: [1])"),
        ({"pair": []}, "here.pair: Input should have 2 items (given: [])"),
        ({"pair": [1, 2, 3]}, "here.pair: Input should have at most 2 items (given: [1, 2, 3])"),
        (
            {"keep": "fnal"},
            "here.keep: Input should be 'final' or 'all' or a valid integer; did you mean 'final'? "
            "(given: 'fnal')",
        ),
        ({"keep": 0}, "here.keep: Input should be greater than or equal to 1 (given: 0)"),
        ({"size": "a"}, "here.size: Input should be a valid integer (given: 'a')"),
        ({"file": "a.txt"}, "here.file: Input should be a mapping; write {path: a.txt} (given: 'a.txt')"),
        ({"many": "a"}, "here.many: Input should be a mapping (given: 'a')"),
        ({"shape": {"kind": "round", "x": 1}}, "here.shape.x: unknown option (known: kind)"),
        ({"prices": 3}, "here.prices: Input should be a list (given: 3)"),
        ({"price": 3}, "here.price: Input should be a mapping (given: 3)"),
        ({"either": 5}, "here.either: Input should be a valid string or a mapping (given: 5)"),
        (
            {"either": {"promt": 1}},
            "here.either.promt: unknown option; did you mean 'prompt'? (known: completion, prompt)",
        ),
        ({"either": {"kind": "square", "x": 1}}, "here.either.x: unknown option (known: kind)"),
        (
            {"many": {"a": [{"prompt": []}]}},
            "here.many.a.0.prompt: Input should be a valid number (given: [])",
        ),
        ({"many": {"a": ["", 4]}}, "here.many.a.1: Input should be a valid string or a mapping (given: 4)"),
    ],
)
def test_a_fault_says_what_is_wrong_and_what_was_given(row, line):
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(row)
    assert faults_of(caught.value, Settings.model_fields, "here") == [line]
