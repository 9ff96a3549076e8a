"""Rehearsals: the work of a stage done by components that only write down what they are asked."""

from jurist.planning.rehearsal.models import UnmeteredModels
from jurist.planning.rehearsal.rehearsal import Rehearsal
from jurist.planning.rehearsal.tally import Tally

__all__ = ["Rehearsal", "Tally", "UnmeteredModels"]
