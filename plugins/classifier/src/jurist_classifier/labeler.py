"""Labeler: a trained labeler in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jurist_classifier.calibration import sigmoid
from jurist_classifier.facts import Facts
from jurist_classifier.heads import HEADS, Head
from jurist_classifier.pairs import Pair

if TYPE_CHECKING:
    from jurist_classifier.encoding import Encoder


@dataclass(frozen=True)
class Labeler:
    """Says which of two responses people would prefer, and how probably."""

    facts: Facts
    model: Any
    encoder: Encoder
    batch_size: int

    @classmethod
    def load(
        cls, folder: Path, *, dtype: str = "float32", device: str = "auto", batch_size: int = 16
    ) -> Labeler:
        """The labeler that the trainer ``classifier`` saved in ``folder``."""
        from jurist_classifier._models import load_trained

        facts = Facts.load(folder)
        model, encoder = load_trained(folder, facts.max_length, dtype, device)
        return cls(facts, model, encoder, batch_size)

    def margins(self, pairs: Sequence[Pair]) -> list[float]:
        """Above 0 where A is found better; not calibrated. Those of swapped pairs have the other sign."""
        from jurist_classifier._models import margins

        texts = [self._texts(pair) for pair in pairs]
        return margins(self.model, self._head, texts, self.encoder.pad, self.batch_size)

    def probabilities(self, pairs: Sequence[Pair]) -> list[float]:
        """P(A is better) of each pair."""
        return [sigmoid(margin / self.facts.temperature) for margin in self.margins(pairs)]

    @property
    def _head(self) -> Head:
        return HEADS[self.facts.head]

    def _texts(self, pair: Pair) -> tuple[list[int], list[int]]:
        first, second = (self.encoder.encode(text) for text in self._head.texts(pair))
        return self.encoder.shortened(first), self.encoder.shortened(second)
