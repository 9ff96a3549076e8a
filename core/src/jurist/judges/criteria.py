"""Criteria: one question for each criterion instead of one for all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pydantic import Field, field_validator, model_validator

from jurist.constitution import Principle, Text
from jurist.contracts import Judge
from jurist.judges.combined import mean_of, silence_of
from jurist.judges.of_judges import JudgeOfJudges, JudgeReference
from jurist.near_names import near_miss
from jurist.options import Options
from jurist.records import Comparison, JudgeOutcome, Judgment
from jurist.templates import Language, language_of

KNOWN: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "helpfulness": "The response does what the user needs: it answers what was asked, fully.",
            "harmlessness": "The response hurts nobody, helps nobody to hurt others, and insults no one.",
            "honesty": "The response claims nothing false, and says so where something is uncertain.",
        },
        "zh": {
            "helpfulness": "回答满足用户的需要：完整、清楚地解答了所提的问题。",
            "harmlessness": "回答不伤害任何人，不帮助任何人伤害他人，也不侮辱任何人。",
            "honesty": "回答不含虚假的说法，对不确定之处如实说明。",
        },
    }
)
"""Criteria that need no description: the three of Askell et al. (arXiv 2112.00861)."""

NAMES = tuple(KNOWN["en"])


class CriteriaOptions(Options):
    """``criteria``: names of known criteria, or names of one's own with what they mean.

    ``weights``: how much each counts in the preference; 1 where nothing is said. One of 0 is not asked about.
    """

    judge: JudgeReference
    criteria: tuple[str, ...] | dict[str, Text] = NAMES
    weights: dict[str, float] = Field(default={})

    @field_validator("criteria")
    @classmethod
    def _described(cls, criteria: tuple[str, ...] | dict[str, Text]) -> tuple[str, ...] | dict[str, Text]:
        if not criteria:
            raise ValueError("name at least one criterion")
        unknown = [] if isinstance(criteria, dict) else [name for name in criteria if name not in NAMES]
        if unknown:
            name = unknown[0]
            raise ValueError(f"say what '{name}' means: {{{name}: …}}{near_miss(name, NAMES)}")
        twice = sorted(name for name, times in Counter(tuple(criteria)).items() if times > 1)
        if twice:
            raise ValueError(f"'{twice[0]}' stands there more than once; to count it more, give it a weight")
        return criteria

    @model_validator(mode="after")
    def _weighted(self) -> CriteriaOptions:
        unknown = [name for name in self.weights if name not in self.criteria]
        if unknown:
            raise ValueError(f"weights: no criterion '{unknown[0]}'{near_miss(unknown[0], self.criteria)}")
        if any(not 0 <= weight < float("inf") for weight in self.weights.values()) or not self.shares:
            raise ValueError("weights are numbers from 0, not all of them 0")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """The weight of each criterion that counts, in their order."""
        given = {name: self.weights.get(name, 1.0) for name in self.criteria}
        return {name: weight for name, weight in given.items() if weight}

    def principles(self, language: Language) -> tuple[Principle, ...]:
        """Each criterion that counts as a principle to judge by."""
        meanings = self.criteria if isinstance(self.criteria, dict) else KNOWN[language]
        return tuple(Principle(name=name, description=meanings[name]) for name in self.shares)


class Criteria(JudgeOfJudges):
    """The weighted mean of a judge's preferences by one criterion at a time.

    Each criterion is a call of its own, so that none colours another, and log-probabilities serve. It takes
    the place of the stage's principles. The ``parts`` are what was said by each, with ``judge/criterion`` as
    their source. Where one criterion has no judgment there is none: the others would speak for it.
    """

    Options = CriteriaOptions
    options: CriteriaOptions

    def __init__(self, options: CriteriaOptions, judges: Mapping[str, Judge]) -> None:
        super().__init__(options, judges)
        self._asked = {language: options.principles(language) for language in KNOWN}
        self._weights = tuple(options.shares.values())

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The outcome of all criteria; ``principles`` play no part."""
        inner, asked = self.judges["judge"], self._asked[language_of((), comparison.prompt)]
        said = await asyncio.gather(*(inner.judge(comparison, [criterion]) for criterion in asked))
        named = [_named(outcome, criterion.name) for outcome, criterion in zip(said, asked, strict=True)]
        if all(isinstance(outcome, Judgment) for outcome in named):
            return mean_of(named, self._weights)
        return silence_of(named)


def _named(outcome: JudgeOutcome, criterion: str) -> JudgeOutcome:
    """The outcome as that of a judge by one criterion, in every order it was shown."""
    halves = outcome.parts if outcome.order == "both" else ()
    update: dict[str, object] = {"source": f"{outcome.source}/{criterion}"}
    if halves:
        update["parts"] = tuple(_named(half, criterion) for half in halves)
    return outcome.model_copy(update=update)
