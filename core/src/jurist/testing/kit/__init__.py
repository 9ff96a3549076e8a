"""The contract tests, one module per kind of component."""

from __future__ import annotations

from typing import Any

from jurist.contracts import Contract
from jurist.errors import ContractError
from jurist.testing.kit.aggregator import AggregatorContract
from jurist.testing.kit.chat_model import ChatModelContract
from jurist.testing.kit.component import ComponentContract
from jurist.testing.kit.critic import CriticContract
from jurist.testing.kit.generator import GeneratorContract
from jurist.testing.kit.judge import JudgeContract
from jurist.testing.kit.reviser import ReviserContract
from jurist.testing.kit.scorer import ScorerContract
from jurist.testing.kit.trainer import TrainerContract

CONTRACT_TESTS: tuple[type[ComponentContract], ...] = (
    AggregatorContract,
    ChatModelContract,
    CriticContract,
    GeneratorContract,
    JudgeContract,
    ReviserContract,
    ScorerContract,
    TrainerContract,
)


def contract_test(component: type[Contract], **attributes: Any) -> type[ComponentContract]:
    """A test class for ``component``, of the contract of its kind, with ``attributes`` set on it.

    Raises:
        ContractError: the class fulfils no contract.
    """
    for tests in CONTRACT_TESTS:
        if issubclass(component, tests.contract):
            members = {"__module__": component.__module__, "component": component, **attributes}
            return type(f"Test{component.__name__}", (tests,), members)
    raise ContractError(
        f"{component.__name__} is a component of no kind.",
        hint="subclass one of the contracts in jurist.contracts, such as Judge",
    )


__all__ = [
    "CONTRACT_TESTS",
    "AggregatorContract",
    "ChatModelContract",
    "ComponentContract",
    "CriticContract",
    "GeneratorContract",
    "JudgeContract",
    "ReviserContract",
    "ScorerContract",
    "TrainerContract",
    "contract_test",
]
