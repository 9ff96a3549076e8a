"""Heads: what a model reads of a pair, and how what it says of that becomes a margin."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol

from jurist.files.training_data import Conversation
from jurist.records import Message
from jurist_classifier.pairs import Pair

if TYPE_CHECKING:
    import torch


class Head(Protocol):
    """Two texts for each pair, and one reading of each; the margin is the first less the second.

    Swapping the responses swaps the texts, so the margin changes its sign and nothing else.
    """

    labels: ClassVar[tuple[str, ...]]
    """Names of the model's outputs."""

    def texts(self, pair: Pair) -> tuple[Conversation, Conversation]:
        """What the model reads."""

    def readings(self, logits: torch.Tensor) -> torch.Tensor:
        """One number for each text, shape (texts,), of logits of shape (texts, labels)."""


class BradleyTerry:
    """Scores each response by itself: margin = s(A) - s(B) (Bradley and Terry 1952)."""

    labels: ClassVar[tuple[str, ...]] = ("SCORE",)

    def texts(self, pair: Pair) -> tuple[Conversation, Conversation]:
        """The prompt with A, and with B."""
        return pair.prompt + pair.a, pair.prompt + pair.b

    def readings(self, logits: torch.Tensor) -> torch.Tensor:
        """The score."""
        return logits[:, 0]


class CrossEncoder:
    """Reads both responses at once, in both orders: margin = (m(A, B) - m(B, A)) / 2.

    m is the logit of "the first is better" less that of "the second is better". In one order alone such
    a model contradicts itself on many pairs.
    """

    labels: ClassVar[tuple[str, ...]] = ("A", "B")

    def texts(self, pair: Pair) -> tuple[Conversation, Conversation]:
        """The prompt with both responses, A first and B first."""
        return pair.prompt + _both(pair.a, pair.b), pair.prompt + _both(pair.b, pair.a)

    def readings(self, logits: torch.Tensor) -> torch.Tensor:
        """Half of m."""
        return (logits[:, 0] - logits[:, 1]) / 2


HEADS: Mapping[str, Head] = MappingProxyType(
    {"bradley_terry": BradleyTerry(), "cross_encoder": CrossEncoder()}
)
"""The heads by the names that options use."""


def _both(first: Conversation, second: Conversation) -> Conversation:
    shown = (f"{name}: {_text(turns)}" for name, turns in (("A", first), ("B", second)))
    return (Message(role="assistant", content="\n\n".join(shown)),)


def _text(turns: Conversation) -> str:
    return "\n\n".join(turn.content for turn in turns)
