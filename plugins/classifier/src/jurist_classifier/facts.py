"""Facts of a labeler: what is needed to use it, and what was measured of it."""

from __future__ import annotations

from pathlib import Path

from jurist.intervals import Estimate
from jurist.records import Record
from jurist_classifier.trainer import HeadName

FILE = "labeler.json"


class Facts(Record):
    """The file ``labeler.json`` in a labeler's folder.

    ``head``, ``max_length`` and ``temperature`` belong to the model: P(A is better) =
    sigmoid(margin / temperature). The rest says how it was made and, on pairs that played no part in
    that, how good it is. ``longest`` is the accuracy of preferring the longer response. The calibration
    errors are those without and with the temperature, ``loss`` is in nats with it. ``data`` is the
    SHA-256 of the file of preferences. ``shortened`` counts pairs with a text of more than ``max_length``
    tokens.
    """

    head: HeadName
    max_length: int
    temperature: float
    accuracy: Estimate
    longest: Estimate
    loss: float
    calibration_error_before: float
    calibration_error: float
    base: str
    data: str
    seed: int
    train_pairs: int
    calibration_pairs: int
    test_pairs: int
    shortened: int
    steps: int
    best_step: int
    seconds: float
    peak_memory_mb: float
    pairs_per_second: float

    @classmethod
    def load(cls, folder: Path) -> Facts:
        """Those of the labeler in ``folder``."""
        return cls.model_validate_json((folder / FILE).read_text(encoding="utf-8"))

    def save(self, folder: Path) -> None:
        """Write them into ``folder``."""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def metrics(self) -> dict[str, float]:
        """What was measured, for a stage's summary."""
        settings = {"max_length", "seed"}
        found = {n: float(v) for n, v in self if isinstance(v, int | float) and n not in settings}
        for name, value in (("accuracy", self.accuracy), ("longest", self.longest)):
            found |= {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high}
        return found
