"""Rehearsals: the work of a stage done by components that only write down what they are asked."""

from jurist.rehearsal.models import UnmeteredModels
from jurist.rehearsal.rehearsal import Rehearsal
from jurist.rehearsal.tally import Tally

__all__ = ["Rehearsal", "Tally", "UnmeteredModels"]
