"""Roles: a generator, critic, reviser, judge and scorer of any chat model."""

from types import MappingProxyType

from jurist.contracts import Contract
from jurist.roles.critic import ChatCritic
from jurist.roles.generator import ChatGenerator
from jurist.roles.judge import ChatJudge
from jurist.roles.reviser import ChatReviser
from jurist.roles.scorer import ChatScorer

ROLES: MappingProxyType[str, type[Contract]] = MappingProxyType(
    {
        "generator": ChatGenerator,
        "critic": ChatCritic,
        "reviser": ChatReviser,
        "judge": ChatJudge,
        "scorer": ChatScorer,
    }
)
"""Kind of role → the class that makes one of a chat model: ``ROLES[kind](model, options)``."""

__all__ = ["ROLES", "ChatCritic", "ChatGenerator", "ChatJudge", "ChatReviser", "ChatScorer"]
