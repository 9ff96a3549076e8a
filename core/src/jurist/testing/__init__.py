"""Contract tests that every component passes, and fakes to test with.

The whole test of a component is a subclass that names it::

    from jurist.testing import JudgeContract
    from my_package.judge import MyJudge

    class TestMyJudge(JudgeContract):
        component = MyJudge
        options = {"model": "small"}

What the component can do is read off the component. Where the defaults do not suit it, override the hooks:
``samples()`` and ``principles`` (what it is asked about), ``make(options)`` (if its constructor needs more
than options), ``judges`` (an aggregator that knows judges by name); a trainer needs ``job(tmp_path)``. The
tests themselves cannot be overridden, except by one marked ``pytest.mark.xfail(reason=...)``.

Needs the extra ``jurist-core[testing]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jurist.testing.fakes import (
        AbstainingJudge,
        AppendReviser,
        ConstantJudge,
        EchoGenerator,
        FlakyJudge,
        LengthScorer,
        MemoryTrainer,
        RuleCritic,
        ScriptedChatModel,
    )
    from jurist.testing.kit import (
        AggregatorContract,
        ChatModelContract,
        ComponentContract,
        CriticContract,
        GeneratorContract,
        JudgeContract,
        ReviserContract,
        ScorerContract,
        TrainerContract,
        contract_test,
    )

__all__ = [
    "AbstainingJudge",
    "AggregatorContract",
    "AppendReviser",
    "ChatModelContract",
    "ComponentContract",
    "ConstantJudge",
    "CriticContract",
    "EchoGenerator",
    "FlakyJudge",
    "GeneratorContract",
    "JudgeContract",
    "LengthScorer",
    "MemoryTrainer",
    "ReviserContract",
    "RuleCritic",
    "ScorerContract",
    "ScriptedChatModel",
    "TrainerContract",
    "contract_test",
]


def __getattr__(name: str) -> object:
    """Import the kit or the fakes when one of their names is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kit = name.endswith("Contract") or name == "contract_test"
    return getattr(importlib.import_module("jurist.testing.kit" if kit else "jurist.testing.fakes"), name)
